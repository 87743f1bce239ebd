"""A source with settings of its own on the command line: `PATH,key=value,...`."""

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from tumorline.config import OWN_SETTINGS, Config, DataConfig, SourceConfig, parse_config, parse_value
from tumorline.errors import UserError
from tumorline.user_text import TomlTable

KEYS = ("name", *sorted(DataConfig.model_fields.keys() - {"source", "sources", "cache", "image_size"}))
"""What may be set for a source that is evaluated."""
TRAINING_KEYS = tuple(name for name in SourceConfig.model_fields if name != "path")
"""What may be set for one of several sources that train together."""

TEXTS = ("name", "licence", "attribution", "corrections", "leave_out")
"""Of them those that are texts, even where they look like numbers."""

SETTING_FOLLOWS = re.compile(r",(?=[\w.]+=)(?![^{]*\})")
"""A comma before `key=`, outside of braces."""


@dataclass(frozen=True)
class SetSpec:
    """A source with the settings that it needs."""

    name: str
    path: Path
    settings: tuple[str, ...] = ()
    """As of `--set`, for example `data.channel=post_contrast`."""


def read_spec(text: str) -> SetSpec:
    """`PATH` or `PATH,key=value,...`, where the keys are those of `[data]` and `name`; a path that exists is a path.

    Raises UserError for what is no `key=value`.
    """
    path, settings = _parts(text, KEYS)
    name = settings.pop("name", path.resolve().stem)
    return SetSpec(name, path, tuple(f"data.{key}={value}" for key, value in settings.items()))


def with_data(config: Config, sources: Sequence[Path | str], absolute: bool = True) -> Config:
    """The configuration with one source, or several that train together, in place of its own.

    Each is `PATH,key=value,...` with keys of `[[data.sources]]`. Raises UserError for others, and for wrong values.
    """
    tables = [_read_source(str(source), absolute) for source in sources]
    data = config.data.model_dump(exclude={"source", "sources"})
    if len(tables) == 1 and tables[0].keys() - {"path"} <= {*OWN_SETTINGS}:
        (table,) = tables
        data |= {"source": table.pop("path"), **table}
    else:
        data |= {"sources": tables}
    return parse_config({**config.model_dump(exclude={"data"}), "data": data}, "--data")


def _read_source(text: str, absolute: bool) -> TomlTable:
    """`PATH,key=value,...` as a table of `[[data.sources]]`."""
    path, settings = _parts(text, TRAINING_KEYS)
    values = {key: value if key in TEXTS else parse_value(value) for key, value in settings.items()}
    places = {"path": str(path), **{key: text for key, text in settings.items() if key == "corrections"}}
    return {**values, **{key: str(Path(text).resolve()) if absolute else text for key, text in places.items()}}


def _parts(text: str, keys: Collection[str]) -> tuple[Path, dict[str, str]]:
    if os.path.exists(text):  # of a text too long for a name Path raises
        return Path(text), {}
    path, *rest = SETTING_FOLLOWS.split(text) if "=" in text else text.split(",")
    return Path(path), dict(_setting(text, part, keys) for part in rest)


def _setting(text: str, part: str, keys: Collection[str]) -> tuple[str, str]:
    key, equals, value = part.partition("=")
    if not equals or key not in keys:
        raise UserError(
            f"--data {text}: '{part}' is no setting of a source; expected PATH,key=value with one of {', '.join(keys)}"
        )
    return key, value
