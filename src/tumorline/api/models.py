"""What is made of models that are trained: `ensemble`, `export`; and the losses that there are."""

import inspect
from collections.abc import Iterable, Sequence
from pathlib import Path

from tumorline.api.keywords import checked
from tumorline.errors import UserError, require_extra
from tumorline.given_paths import as_path, as_path_or_none, as_paths
from tumorline.model_file import find_model, model_name
from tumorline.output.place import refuse_taken_file
from tumorline.runtime import QUANTISED
from tumorline.trust import trusting


@checked
def ensemble(
    models: Sequence[Path | str] | Path | str,
    output: Path | str,
    threshold: float | None = None,
    overwrite: bool = False,
    trust_modules: Iterable[str] = (),
) -> Path:
    """Write several models, or a folder of folds, as one model file that averages their probabilities.

    It has its ONNX file beside it, and knows the cases of all members. Needs the `train` extra; what it writes does
    not.

    Args:
        models: Models as in `evaluate`, two or more, or one folder of `cross_validate`.
        output: The `.safetensors` file to write.
        threshold: Probability from which a pixel is tumour; None takes the mean of the members'.
        overwrite: Whether to replace an ensemble that is there already.
        trust_modules: Modules from outside Tumorline that its networks may be imported from: that runs their code.

    Returns:
        The path of the file.

    Raises:
        UserError: For members that do not fit (channels, regions, input), and for a file that is there already.

    Example:
        >>> tumorline.ensemble(["runs/first", "runs/first"], "both.safetensors").name
        'both.safetensors'
    """
    from tumorline.ensembles import write_ensemble

    chosen, target = as_paths(models, "models"), as_path(output, "output")
    with trusting(trust_modules):
        write_ensemble(chosen, target, threshold, overwrite)
    return target


@checked
def export(
    model: Path | str,
    output: Path | str | None = None,
    overwrite: bool = False,
    trust_modules: Iterable[str] = (),
    format: str = "onnx",
) -> Path:
    """Write a model's network to `output`, else to `<model>.onnx` in the current folder; returns its path.

    The format is 'onnx', 'openvino' (`.xml`, with its weights beside it as `.bin`) or 'torchscript' (`.pt`); what was
    written is held against the network in torch first. A file of Tumorline that is there already is replaced with
    `overwrite` only. Needs the `train` extra. A network from outside Tumorline is imported from `trust_modules` only:
    that runs its code.
    """
    require_extra("torch", "export", "train")
    from tumorline.export_formats import find_format

    suffix, write, is_ours = find_format(format)
    path = find_model(as_path(model, "model"))
    target = as_path_or_none(output, "output") or Path(f"{model_name(path)}{suffix}")
    refuse_taken_file(target, suffix, overwrite, is_ours)
    if suffix == ".xml" and not target.exists() and target.with_suffix(".bin").exists():
        raise UserError(f"{target.with_suffix('.bin')}: exists already; choose another --output")
    with trusting(trust_modules):
        return write(path, target)


def export_rounded(
    model: Path | str,
    output: Path | str | None = None,
    overwrite: bool = False,
    format: str = "onnx",
    precision: str = "int8",
    data: Path | str | None = None,
) -> tuple[Path, list[str]]:
    """Write a network rounded to int8, which processors compute faster, to `output`, else to `<model>.int8.onnx`.

    Its ranges come from training images of the model: the run's own, or those among `data`. Returns the path, and what
    the rounding changes on validation cases, in sentences. Needs the extras `train` and `int8`. Raises UserError for
    another format or precision, where no training image is at hand, and where the masks would change too much.
    """
    if precision != QUANTISED or format != "onnx":
        raise UserError(f"--precision {precision} --format {format}: only an ONNX network is rounded, and to int8")
    for module, extra in (("torch", "train"), ("nncf", "int8"), ("onnxruntime", "int8")):
        require_extra(module, "export --precision int8", extra)
    from tumorline.export import is_exported
    from tumorline.quantise import write_rounded

    path = find_model(as_path(model, "model"))
    target = as_path_or_none(output, "output") or Path(f"{model_name(path)}.{QUANTISED}.onnx")
    refuse_taken_file(target, ".onnx", overwrite, is_exported)
    return target, write_rounded(path, target, data)


def losses() -> list[dict[str, str]]:
    """Name and first line of the description of each loss."""
    require_extra("torch", "the list of losses", "train")
    from tumorline.losses import LOSSES

    return [{"loss": name, "what": (inspect.getdoc(loss) or "").splitlines()[0]} for name, loss in LOSSES.items()]
