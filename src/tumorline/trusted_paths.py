"""Which paths of a run folder's configuration are opened: the folder may come from anyone, and they with it."""

import re
from collections.abc import Iterable
from pathlib import Path

from tumorline.begun import is_begun
from tumorline.config import Config
from tumorline.environment import is_first_process
from tumorline.errors import UserError
from tumorline.file_names import CONFIG_NAME
from tumorline.run_folder import read_config
from tumorline.trust import are_paths_trusted, is_remote, local_only, refuse_remote, texts_in


def read_local_config(run: Path, overrides: Iterable[str] = ()) -> Config:
    """As `read_config`, to be used by whoever holds the folder: it may come from anyone.

    Raises UserError for paths into a network, and for any path where the run was not begun by this user, unless he
    trusts it (`trust.trusting_paths`). The cache of such a run is the user's own.
    """
    config = read_config(run, overrides)
    path = run / CONFIG_NAME
    with local_only():
        for _, text in _named_paths(config):
            refuse_remote(text, str(path))
    if _is_chosen_here(path):
        return config
    if not are_paths_trusted():
        _refuse_paths(path, config, read_config(run) if overrides else config)
    return _with_known_cache(config)


def _is_chosen_here(path: Path) -> bool:
    """Whether this user chose the paths of a configuration; a process that follows another leaves that to it."""
    if not is_first_process():
        return True
    return is_begun(path.read_text(encoding="utf-8", errors="surrogateescape"))


def _refuse_paths(path: Path, config: Config, stored: Config) -> None:
    """Raise UserError for the first path that stands in the file, and that the user has not replaced."""
    from_file = _named_paths(stored)
    for key, text in _named_paths(config):
        if (key, text) in from_file:
            raise UserError(
                f"{path}: names {key} = '{text}', but this run was not begun by you on this machine; what it names is "
                "opened with --trust-paths only (evaluate: or give --data SOURCE)"
            )


def _with_known_cache(config: Config) -> Config:
    """The same with the user's own cache folder, unless the one that is named is trusted and holds a cache already."""
    if are_paths_trusted() and _holds_a_cache(config.data.cache):
        return config
    return config.model_copy(update={"data": config.data.model_copy(update={"cache": ""})})


def _holds_a_cache(folder: str) -> bool:
    patterns = ("facts-*.json", "*/images.npy")
    return bool(folder) and not is_remote(folder) and any(any(Path(folder).glob(pattern)) for pattern in patterns)


def _named_paths(config: Config) -> list[tuple[str, str]]:
    """Keys and texts of what a configuration has opened, but for the cache."""
    named = [("data.source", config.data.source), ("split.file", config.split.file)]
    named.append(("data.corrections", config.data.corrections))
    for number, source in enumerate(config.data.sources):
        named.append((f"data.sources.{number}.path", source.path))
        named.append((f"data.sources.{number}.corrections", source.corrections or ""))
    named += [("model.start_from", config.model.start_from), ("loss.teacher", config.loss.teacher)]
    named.append(("augment.donors", config.augment.donors))
    named += [("model.options", text) for text in texts_in(config.model.options) if _may_be_path(text)]
    return [(key, text) for key, text in named if text]


def _may_be_path(text: str) -> bool:
    return bool(re.search(r"[/\\]|\.(safetensors|pth?)$", text))
