"""The models that the app offers, each with what it is for and where it fails."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from tumorline.app.records import Record
from tumorline.errors import UserError
from tumorline.file_names import CARD_NAME, WEIGHTS_NAME
from tumorline.listing import headline_figure
from tumorline.model_file import LISTED, find_model, listed_models, model_name, read_info
from tumorline.model_info import ModelInfo

LIMITS = re.compile(r"^## (Limits|On other sets)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BULLET = re.compile(r"^- (.+(?:\n  .+)*)", re.MULTILINE)
LARGEST_CARD = 1 << 20


def collect_models(given: Mapping[str, Path], runs: Mapping[str, Path]) -> dict[str, Path]:
    """Model files by the name under which a client asks for them: those given, those of the package, those of runs.

    Of two that are called the same it is the first in this order.
    """
    listed = _listed()
    of_runs = {name: folder / WEIGHTS_NAME for name, folder in runs.items() if is_usable(folder / WEIGHTS_NAME)}
    models = {**of_runs, **listed, **given}
    return {name: models[name] for name in (*given, *listed, *of_runs)}


def _listed() -> dict[str, Path]:
    return {name: find_model(Path(name)) for name in listed_models()}


def is_usable(path: Path) -> bool:
    return path.is_file() and path.with_suffix(".onnx").is_file()


def name_models(models: list[Path]) -> dict[str, Path]:
    """Models that the user names at the start, in their order.

    Raises UserError where one is none, and where another one, or one that comes with the package, is called the same.
    """
    named: dict[str, Path] = {}
    for model in models:
        path = find_model(model)
        read_info(path)
        name = model_name(path)
        if not {**_listed(), **named}.get(name, path).samefile(path):
            raise UserError(f"{model}: a second model called '{name}'; rename its folder or file")
        named[name] = path
    return named


def describe_models(models: Mapping[str, Path]) -> Iterator[Record]:
    """What a person has to know before using each; a model that cannot be read is left out."""
    for name, path in models.items():
        try:
            yield {"name": name, **_described(path, path.stat().st_mtime_ns)}
        except (UserError, OSError):
            continue


@lru_cache(maxsize=64)
def _described(path: Path, _changed: int) -> Record:
    info = read_info(path)
    card = _read_card(path)
    return {
        "regions": list(info.regions),
        "channels": _channels(info),
        "takes": "volumes" if info.input.dims == 3 or info.input.context else "pictures and volumes",
        "input": _input_in_words(info),
        "trained_on": info.data.name,
        "simulated": info.data.simulated,
        "figure": _figure(info),
        "limits": _limits(info, card),
        "licence": info.licence,
        "intended_use": info.intended_use,
        "card": card,
        "comes_with": "package" if path.parent == LISTED else "run",
    }


def _channels(info: ModelInfo) -> list[str]:
    """Names of the channels in their order; "" for one that is unknown."""
    single = info.data.channel
    return list(info.input.channels) or ([single] if info.image_channels == 1 else [""] * info.image_channels)


def _input_in_words(info: ModelInfo) -> str:
    if info.input.window:
        sides = " x ".join(map(str, info.input.window))
        voxel = " x ".join(f"{side:g}" for side in info.input.voxel_mm)
        return f"patches of {sides} voxels of {voxel} mm"
    neighbours = f" with {info.input.context} neighbours on either side" if info.input.context else ""
    return f"slices of {info.image_size} x {info.image_size} px{neighbours}"


def _figure(info: ModelInfo) -> str:
    """Empty where a model file, which may come from anyone, does not say it as ours do."""
    try:
        return headline_figure(info) if info.metrics.headline is not None else ""
    except (LookupError, TypeError, ValueError, AttributeError):
        return ""


def _limits(info: ModelInfo, card: str) -> list[str]:
    sentences = [_plain(bullet) for _, section in LIMITS.findall(card) for bullet in BULLET.findall(section)]
    simulated = ["Trained on simulated images: it says nothing about patients."] if info.data.simulated else []
    return [*simulated, *sentences]


def _plain(markdown: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[*`]|\\(?=[|(])", "", markdown)).strip()


def _read_card(path: Path) -> str:
    """The model card beside a model, as Markdown; empty where there is none."""
    cards = (path.with_suffix(".md"), path.with_name(CARD_NAME))
    for card in cards:
        if card.is_file() and not card.is_symlink() and card.stat().st_size <= LARGEST_CARD:
            return card.read_text(encoding="utf-8", errors="replace")
    return ""
