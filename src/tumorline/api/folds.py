"""`cross_validate`: one training for each fold, every patient out of fold."""

from collections.abc import Collection, Iterable
from pathlib import Path

from tumorline.api.keywords import checked
from tumorline.api.places import checked_folder
from tumorline.config import Config
from tumorline.given_paths import as_path_or_none
from tumorline.progress import Notify, silent
from tumorline.recipe_files import Data, read_recipe
from tumorline.trust import modules_in, trusting


@checked
def cross_validate(
    config: Config | Path | str | None = None,
    *,
    data: Data = None,
    overrides: Iterable[str] = (),
    output: Path | str | None = None,
    only: Collection[int] = (),
    notify: Notify = silent,
) -> Path:
    """Cross-validate: train the folds that are not finished and put their test cases together, out of fold.

    The same call goes on where it was stopped.

    Args:
        config: As in `train`; `split.folds` has to be 2 or more.
        data: As in `train`.
        overrides: As in `train`.
        output: Folder of the folds; None takes `runs/<name>-<folds>folds`.
        only: Numbers of the folds to train, counted from 0; empty means all.
        notify: Called with each line of progress.

    Returns:
        The folder: a run folder `fold-K` for each fold, and `summary.json`, `evaluation.csv`, `report.html` over those
        that are finished.

    Raises:
        UserError: For data or a configuration that cannot be used, for folds of another configuration in the folder,
            and at the end where folds diverged.

    Example:
        >>> small = ["data.image_size=32", "model.options.widths=[4,8]", "train.epochs=1", "split.folds=2"]
        >>> folder = tumorline.cross_validate(data="scans", overrides=small, output="runs/folds")
        >>> sorted(path.name for path in folder.glob("fold-*"))
        ['fold-0', 'fold-1']
    """
    from tumorline import cross_validation

    if not isinstance(config, Config):
        config = read_recipe(config, data, overrides)
    folder = as_path_or_none(output, "output") or Path("runs") / f"{config.name}-{config.split.folds}folds"
    checked_folder(folder, config.data)
    with trusting(modules_in([config.model.name, *config.train.callbacks])):
        cross_validation.cross_validate(config, folder, only, notify)
    return folder
