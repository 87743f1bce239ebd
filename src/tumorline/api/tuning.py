"""`tune`: a search for better settings by validation Dice."""

from collections.abc import Iterable
from pathlib import Path

from tumorline.api.keywords import checked
from tumorline.api.places import checked_folder
from tumorline.given_paths import as_path, as_path_or_none
from tumorline.progress import Notify, silent
from tumorline.recipe_files import find_recipe
from tumorline.trust import modules_in, trusting


@checked
def tune(
    config: Path | str,
    *,
    data: Path | str | None = None,
    overrides: Iterable[str] = (),
    output: Path | str | None = None,
    trials: int | None = None,
    notify: Notify = silent,
) -> Path:
    """Search for better settings by validation Dice, as the `[tune]` section of a file says. Needs the `tune` extra.

    The same call goes on where it was stopped; the test part is not looked at.

    Args:
        config: TOML file with `[tune]` and `[tune.space]`; see `configs/tune/lite0.toml`.
        data: A source in any supported layout; None takes the one of the file.
        overrides: As in `train`.
        output: Folder for the trials; None takes `runs/<name>-tune`.
        trials: Trials all together, in place of the file's number.
        notify: Called with each line of progress.

    Returns:
        The folder: `best.toml` is the configuration to train, `tune.html` shows what was tried.

    Raises:
        UserError: For a space or a configuration that cannot be used, and without the extra.

    Example:
        >>> _ = Path("space.toml").write_text(SPACE)
        >>> folder = tumorline.tune("space.toml", data="scans", output="runs/search", trials=2)
        >>> (folder / "best.toml").is_file()
        True
    """
    from tumorline import tuning

    source = None if data is None else str(as_path(data, "data").resolve())
    plan = tuning.read_plan(find_recipe(config, "tune"), source, overrides, trials)
    folder = as_path_or_none(output, "output") or Path("runs") / f"{plan.config({}).name}-tune"
    checked_folder(folder, plan.config({}).data)
    with trusting(modules_in([plan.recipe, [space for space in plan.tune.space.values() if isinstance(space, list)]])):
        tuning.tune(plan, folder, notify)
    return folder
