"""Models by sets as one matrix: how much of a figure is left on data from elsewhere, and what is different there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tumorline.config import DataConfig, load_config
from tumorline.data import describe
from tumorline.data.dataset import Dataset
from tumorline.errors import UserError
from tumorline.evaluation import case_status, read_rows
from tumorline.files import write_csv, write_json
from tumorline.model_file import ModelInfo
from tumorline.report.matrix import write_page

SCHEMA_VERSION = 1
MATRIX_NAME = "matrix.json"
TABLE_NAME = "matrix.csv"
COLUMNS = (
    "model",
    "set",
    "domain",
    "cases",
    "patients",
    "dice",
    "dice_low",
    "dice_high",
    "dice_over_cases",
    "nsd",
    "hd95_detected",
    "unit",
    "tumour_cases",
    "missed",
    "volume_ratio",
    "tumour_free_cases",
    "false_positive_rate",
    "error",
)

Evaluate = Callable[[str, "SetSpec", Path], dict[str, Any]]


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
    if Path(text).exists():
        return SetSpec(Path(text).resolve().stem, Path(text))
    path, *rest = text.split(",")
    settings = dict(_setting(text, part) for part in rest)
    name = settings.pop("name", Path(path).resolve().stem)
    return SetSpec(name, Path(path), tuple(f"data.{key}={value}" for key, value in settings.items()))


def _setting(text: str, part: str) -> tuple[str, str]:
    key, equals, value = part.partition("=")
    if not equals or key not in {*DataConfig.model_fields, "name"} - {"source"}:
        keys = ", ".join(sorted({*DataConfig.model_fields, "name"} - {"source", "cache"}))
        raise UserError(
            f"--data {text}: '{part}' is no setting of a source; expected PATH,key=value with one of {keys}"
        )
    return key, value


def named_apart(specs: Sequence[SetSpec]) -> list[SetSpec]:
    """The same with names that differ. Raises UserError where two were given one name."""
    names = [spec.name for spec in specs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UserError(f"two sets are called '{twice[0]}'; give one another name: --data PATH,name=OTHER")
    for spec in specs:
        load_config(None, spec.settings)
        if not spec.path.exists():
            raise UserError(f"{spec.path}: no such folder or file")
    return list(specs)


def measure(
    models: Mapping[str, ModelInfo],
    sets: Mapping[str, tuple[SetSpec, Dataset]],
    output: Path,
    evaluate: Evaluate,
) -> dict[str, Any]:
    """Evaluate every model on every set into `output/<model>--<set>`; writes the matrix as JSON, CSV and a page.

    A cell that cannot be evaluated holds the reason as `error`, and the others go on.
    """
    cells = [
        _cell(name, info, sets[key], output / f"{name}--{key}", evaluate)
        for name, info in models.items()
        for key in sets
    ]
    result = {
        "schema_version": SCHEMA_VERSION,
        "models": {name: {"data": info.data, "threshold": info.threshold} for name, info in models.items()},
        "sets": {key: _described(dataset) for key, (_, dataset) in sets.items()},
        "cells": cells,
        "sentences": [sentence for cell in cells if (sentence := _sentence(cell, cells))],
    }
    write_json(output / MATRIX_NAME, result)
    write_csv(output / TABLE_NAME, COLUMNS, [_row(cell) for cell in cells])
    write_page(result, output)
    return result


def _cell(
    name: str, info: ModelInfo, chosen: tuple[SetSpec, Dataset], folder: Path, evaluate: Evaluate
) -> dict[str, Any]:
    spec, dataset = chosen
    cell: dict[str, Any] = {"model": name, "set": spec.name, "folder": folder.name, "domain": _domain(info, dataset)}
    try:
        summary = evaluate(name, spec, folder)
    except UserError as error:
        return {**cell, "error": str(error)}
    (figures,) = summary["regions"].values()
    picture = describe.mean_picture(dataset.facts)
    turn = describe.orientation(describe.from_text(info.mean_image), picture) if info.mean_image else None
    return {
        **cell,
        "error": None,
        "figures": figures,
        "cases": summary["cases"],
        "patients": summary["patients"],
        "warnings": summary["warnings"],
        "orientation": turn,
        "dice_of_cases": [row.scores.dice for row in read_rows(folder) if row.scores.dice is not None],
    }


def _domain(info: ModelInfo, dataset: Dataset) -> str:
    """Whether the set is the one that the model was trained on: any of its cases is known from there."""
    return "in-domain" if {"train", "validation", "test"} & set(case_status(info, dataset).values()) else "external"


def _described(dataset: Dataset) -> dict[str, Any]:
    source = dataset.source
    return {
        "layout": source.layout,
        "known_as": source.known_as or None,
        "channel": source.channel or None,
        "label": source.label or None,
        "patients_unknown": source.patients_unknown,
        **describe.describe(dataset, [case.id for case in dataset.cases]),
    }


def _sentence(cell: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]) -> str | None:
    """How much of the model's in-domain Dice is left on an external set."""
    if cell["error"] or cell["domain"] == "in-domain":
        return None
    figures = cell["figures"]
    found = []
    home = next(
        (c for c in cells if c["model"] == cell["model"] and c["domain"] == "in-domain" and not c["error"]), None
    )
    dice = figures["dice"]["mean"]
    if dice is not None and home:
        at_home = home["figures"]["dice"]["mean"]
        found.append(f"Dice {dice:.3f} against {at_home:.3f} on {home['set']} ({dice - at_home:+.3f})")
    elif dice is not None:
        found.append(f"Dice {dice:.3f}")
    if figures["tumour_cases"]:
        found.append(f"{figures['missed']} of {figures['tumour_cases']} tumours missed")
    if figures["tumour_free_cases"]:
        found.append(f"a tumour drawn in {figures['invented']} of {figures['tumour_free_cases']} slices without one")
    if cell["orientation"] not in (None, "identity"):
        found.append(f"its pictures look turned or mirrored against training ({cell['orientation']} would undo it)")
    return f"{cell['model']} on {cell['set']}: {'; '.join(found)}."


def _row(cell: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: cell.get(name) for name in COLUMNS}
    if cell["error"]:
        return row
    figures = cell["figures"]
    low, high = figures["dice"]["ci95"] or (None, None)
    return row | {
        "dice": figures["dice"]["mean"],
        "dice_low": low,
        "dice_high": high,
        "dice_over_cases": figures["dice"]["mean_over_cases"],
        "nsd": figures["nsd"]["mean"],
        "hd95_detected": figures["hd95_detected"]["mean"],
        "unit": figures["hd95"]["unit"],
        "volume_ratio": figures["volume_ratio"]["median"],
        **{name: figures[name] for name in ("tumour_cases", "missed", "tumour_free_cases", "false_positive_rate")},
    }
