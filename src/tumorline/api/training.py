"""One training, whole or in steps: `train`, `resume`, `find_learning_rate`."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tumorline.api.keywords import checked
from tumorline.api.places import checked_folder
from tumorline.callbacks import Callback, check_callbacks
from tumorline.config import Config
from tumorline.given_paths import as_path, as_path_or_none, as_texts
from tumorline.progress import Notify, silent
from tumorline.recipe_files import Data, read_recipe
from tumorline.run_folder import new_run_folder
from tumorline.trust import local_only, modules_in, trusting, trusting_paths
from tumorline.trusted_paths import read_local_config


@checked
def train(
    config: Config | Path | str | None = None,
    *,
    data: Data = None,
    overrides: Iterable[str] = (),
    output: Path | str | None = None,
    test: bool = True,
    notify: Notify = silent,
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Train, evaluate on held-out patients and report.

    Without a configuration and without data this is the demo: a small U-Net on the simulated cohort.

    Args:
        config: A TOML file, the name of a recipe that comes with the package, or a `Config`; None takes all defaults.
        data: A source in any supported layout, or several, which train together; each may have settings of its own
            after commas (keys of `[[data.sources]]`), as in 'scans,name=ours'. None takes the one of the configuration.
        overrides: 'section.key=value' texts, as `--set` of the command line.
        output: Folder of the run, which must not exist; None makes `runs/<time>-<name>`.
        test: Whether to evaluate. Without it the training stops once the best weights are chosen on validation, and
            `resume` evaluates and reports.
        notify: Called with each line of progress.
        callbacks: Told of begin, epochs and end of the training (`tumorline.Callback`); they change nothing.

    Returns:
        The run folder: `model.safetensors`, `model.onnx`, `summary.json`, `evaluation.csv`, `report.html` and more.

    Raises:
        UserError: For data or a configuration that cannot be used; nothing is then left behind.

    Example:
        >>> small = ["data.image_size=32", "model.options.widths=[4,8]", "train.epochs=1", "train.batch_size=4"]
        >>> run = tumorline.train(data="scans", overrides=small, output="runs/new")
        >>> (run / "report.html").is_file()
        True
    """
    from tumorline import run

    if not isinstance(config, Config):
        config = read_recipe(config, data, overrides)
    folder = checked_folder(as_path_or_none(output, "output") or new_run_folder(config.name), config.data)
    check_callbacks(callbacks)
    with trusting(modules_in([config.model.name, *config.train.callbacks])):
        if test:
            run.train(config, folder, notify, callbacks)
        else:
            run.fit_only(config, folder, notify, callbacks=callbacks)
    return folder


@checked
def resume(
    folder: Path | str,
    notify: Notify = silent,
    test: bool = True,
    trust_modules: Iterable[str] = (),
    trust_paths: bool = False,
    callbacks: Sequence[Callback] = (),
    epochs: int | None = None,
    overrides: Iterable[str] = (),
) -> Path:
    """Go on with a run that was stopped, or that was trained without `test`, to the same weights.

    Args:
        folder: The run folder.
        notify: Called with each line of progress.
        test: Whether to evaluate and report at the end.
        trust_modules: Modules from outside Tumorline that its network may be imported from: that runs their code.
        trust_paths: Whether to open the data that its configuration names where another user or machine began the run.
        callbacks: As in `train`.
        epochs: More of them than it had lengthen a run of the schedules 'constant' and 'plateau', which then is what it
            would have been with so many; None leaves it as it is.
        overrides: 'key=value' of what follows the training, such as 'model.threshold=0.4': model, figures and report
            are then made anew.

    Returns:
        The run folder.

    Raises:
        UserError: For what is no run folder, for data that changed, for code or paths that are not trusted, and for a
            schedule that cannot be lengthened.

    Example:
        >>> run = tumorline.train(data="scans", overrides=SMALL, output="runs/halfway", test=False)
        >>> (tumorline.resume(run) / "summary.json").is_file()
        True
    """
    from tumorline import run

    run_folder = as_path(folder, "run")
    with trusting(trust_modules), trusting_paths(trust_paths), local_only():
        config = read_local_config(run_folder)
        check_callbacks(callbacks)
        course = run.Course(notify, callbacks=callbacks, finish=test)
        run.resume(run_folder, config, course, epochs, as_texts(overrides, "overrides"))
    return run_folder


@checked
def find_learning_rate(
    config: Config | Path | str | None = None,
    *,
    data: Data = None,
    overrides: Iterable[str] = (),
    output: Path | str | None = None,
    notify: Notify = silent,
) -> tuple[Path, float | None]:
    """Try rising learning rates in one short training, on the training cases alone; no weights are kept.

    Args:
        config: As in `train`.
        data: As in `train`.
        overrides: As in `train`.
        output: Folder for `learning_rate.csv` and `learning_rate.html`, which must not exist; None makes one in
            `runs/`.
        notify: Called with each line of progress.

    Returns:
        The folder, and the rate to train with; the rate is None where none lowers the loss.

    Raises:
        UserError: For data or a configuration that cannot be used, and for a folder that exists.

    Example:
        >>> small = ["data.image_size=32", "model.options.widths=[4,8]", "train.batch_size=4"]
        >>> folder, rate = tumorline.find_learning_rate(data="scans", overrides=small, output="rates")
        >>> (folder / "learning_rate.html").is_file()
        True
    """
    from tumorline import run

    if not isinstance(config, Config):
        config = read_recipe(config, data, overrides)
    folder = checked_folder(as_path_or_none(output, "output") or new_run_folder(f"{config.name}-find-lr"), config.data)
    with trusting(modules_in(config.model.name)):
        return folder, run.find_learning_rate(config, folder, notify)
