"""A trained run gets other settings of what follows the training, which is then done anew."""

from collections.abc import Sequence
from pathlib import Path

from tumorline.begun import is_begun
from tumorline.config import AFTER_TRAINING, Config, is_after_training
from tumorline.errors import UserError
from tumorline.escaping import for_shell
from tumorline.file_names import CONFIG_NAME, REPORT_NAME, SUMMARY_NAME
from tumorline.progress import Notify
from tumorline.run.lengthening import save_as_begun
from tumorline.run_folder import read_config


def require_settings(settings: Sequence[str], test: bool) -> None:
    """Raise UserError for a setting that would make another training, or of which no figures would be made."""
    for setting in settings:
        if not is_after_training(setting.partition("=")[0].strip()):
            raise UserError(
                f"--set {setting}: a training goes on with the run's own configuration; --set takes train.epochs=N, "
                f"which lengthens it, and what follows it: {', '.join(AFTER_TRAINING)}"
            )
    if settings and not test:
        raise UserError(f"--set {settings[0]}: is for what follows the training; leave out --no-test")


def require_own_settings(run: Path) -> None:
    """Raise UserError for one of several folds, whose settings are those of all."""
    if run.name.startswith("fold-") and (run.parent / CONFIG_NAME).is_file():
        how = f"tumorline folds {for_shell(run.parent / CONFIG_NAME)} --output {for_shell(run.parent)}"
        raise UserError(f"{run}: is a fold of several, which have their settings in common; give them to: {how}")


def settle(config: Config, run: Path, settings: Sequence[str]) -> Config:
    """With the settings; the run folder stays as it is until `keep_settings`."""
    require_own_settings(run)
    return config.model_copy(update={"model": read_config(run, settings).model})


def keep_settings(run: Path, settings: Sequence[str], notify: Notify) -> None:
    """Write the settings to the run folder, whose model and figures of earlier ones are finished no more."""
    before, settled = read_config(run), read_config(run, settings)
    if settled.model == before.model:
        return
    for name in (REPORT_NAME, SUMMARY_NAME):
        (run / name).unlink(missing_ok=True)
    save_as_begun(run, settled, is_begun(before.to_toml()))
    notify(f"finished anew with {', '.join(settings)}; its test part is looked at once more")
