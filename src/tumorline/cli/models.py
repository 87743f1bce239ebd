"""Commands about models and losses as such: ensemble, export, models, losses."""

from pathlib import Path
from typing import Annotated

import typer

from tumorline.cli.arguments import require_models
from tumorline.cli.completion import complete_models
from tumorline.cli.options import MODEL_HELP, Source, Trusted
from tumorline.cli.printing import note, print_table, say


def ensemble(
    models: Annotated[list[Path], typer.Argument(help="Two models or more, or one folder of 'tumorline folds'.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Model file to write, NAME.safetensors; its .onnx goes beside it.")
    ],
    threshold: Annotated[float | None, typer.Option(help="Instead of the mean of the members' thresholds.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier ensemble.")] = False,
    trust_module: Trusted = None,
) -> None:
    """Write several models, or all folds, as one model file that averages their probabilities."""
    require_models(models)
    from tumorline import api
    from tumorline.model_file import read_info

    info = read_info(api.ensemble(models, output, threshold, overwrite, trust_module or ()))
    parts = info.split.parts
    say(f"{output}: {len(info.members)} members, threshold {', '.join(f'{value:g}' for value in info.thresholds)}")
    say("known cases: " + ", ".join(f"{number} {part}" for part, number in parts.items()))
    if not parts["test"]:
        note(
            "warning: every case was training or validation of one member, so none is left to test the ensemble on; "
            "evaluate it on another set (the out-of-fold figures of folds are those of their members)"
        )


def export(
    model: Annotated[Path, typer.Argument(help=MODEL_HELP, autocompletion=complete_models)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; else MODEL.onnx in the current folder.")
    ] = None,
    file_format: Annotated[
        str, typer.Option("--format", metavar="onnx|openvino|torchscript", help="For which programs it is written.")
    ] = "onnx",
    precision: Annotated[
        str, typer.Option(metavar="float32|int8", help="int8 rounds an ONNX network, calibrated on training images.")
    ] = "float32",
    data: Source = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an exported file of Tumorline.")] = False,
    trust_module: Trusted = None,
) -> None:
    """Write a model's network as ONNX, OpenVINO's format or TorchScript, and hold it against torch first.

    A network in int8 is found by predict and evaluate where it lies beside the model file, as MODEL.int8.onnx. Its
    images are those of the run's own training, or of --data; what the rounding changes is said.
    """
    require_models([model])
    from tumorline import api

    if precision == "float32":
        say(api.export(model, output, overwrite, trust_module or (), file_format))
        return
    written, sentences = api.export_rounded(model, output, overwrite, file_format, precision, data)
    for line in sentences:
        say(line)
    say(written)


def models() -> None:
    """List the trained models that come with the package, and the networks that can be trained."""
    from tumorline.listing import list_networks, list_trained_models

    print_table(list_trained_models())
    say()
    print_table(list_networks())


def losses() -> None:
    """List the losses."""
    from tumorline import api

    print_table(api.losses())
