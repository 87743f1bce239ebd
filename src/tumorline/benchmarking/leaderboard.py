"""Finished cells side by side: figures with intervals, paired tests within one initialisation, speed and size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from tumorline import comparison
from tumorline.benchmarking.plan import Choice
from tumorline.benchmarking.speed import images_per_second
from tumorline.evaluation.tables import read_rows
from tumorline.metrics.case import CaseScores
from tumorline.metrics.comparison import LEAST_SEEDS
from tumorline.metrics.summary import FIGURES, Row, figure
from tumorline.results import read_comparable
from tumorline.run_folder import SUMMARY_NAME, best_validation_dice, read_environment, read_history

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Entry:
    """A finished arm: a folder for each seed, and the runs below them (the folder itself, or its folds)."""

    name: str
    choice: Choice
    seeds: Mapping[int, Path]
    runs: Sequence[Path]

    @property
    def initialisation(self) -> str:
        return str(read_environment(self.runs[0])["initialisation"])


def shared_warnings(entries: Sequence[Entry]) -> list[str]:
    """What holds for all: the warnings of every run, and that single runs say nothing of recipes."""
    runs = [read_comparable(folder / SUMMARY_NAME).warnings for entry in entries for folder in entry.seeds.values()]
    found = [warning.text for warning in (runs[0] if runs else []) if all(warning in others for others in runs)]
    if entries and not about_recipes(entries):
        seeds = len(entries[0].seeds)
        each = "ONE SEED EACH" if seeds == 1 else f"{seeds} SEEDS EACH, of which the tests take the first"
        found.append(f"{each}: a ranking of these models; a claim about recipes needs {LEAST_SEEDS} seeds")
    return found


def rank(entries: Sequence[Entry], reference: str) -> list[dict[str, Any]]:
    """A group for each initialisation, with its rows from the best Dice down and the paired differences."""
    speeds = images_per_second({entry.name: entry.runs[0] for entry in entries})
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.initialisation, []).append(entry)
    return [{"initialisation": name, **_group(members, reference, speeds)} for name, members in sorted(groups.items())]


def compared(members: Sequence[Entry], reference: str) -> dict[str, Any]:
    """As `tumorline compare` does it: of recipes from three seeds on, else of the models of the first seed."""
    against = reference if reference in [entry.name for entry in members] else ""
    if about_recipes(members):
        return comparison.compare({}, {entry.name: list(entry.seeds.values()) for entry in members}, None, against)
    return comparison.compare({entry.name: first_folder(entry) for entry in members}, {}, None, against)


def about_recipes(members: Sequence[Entry]) -> bool:
    return all(len(entry.seeds) >= LEAST_SEEDS for entry in members)


def first_folder(entry: Entry) -> Path:
    return next(iter(entry.seeds.values()))


def _group(members: Sequence[Entry], reference: str, speeds: Mapping[str, float]) -> dict[str, Any]:
    rows = [_arm_row(entry, speeds[entry.name]) for entry in members]
    pairs = compared(members, reference)["pairs"] if len(members) > 1 else []
    return {
        "about": "recipes" if about_recipes(members) else "models",
        "rows": sorted(rows, key=_rank_of),
        "pairs": [{key: value for key, value in pair.items() if key != "by_patient"} for pair in pairs],
    }


def _rank_of(row: Mapping[str, Any]) -> tuple[bool, float, str]:
    """By Dice; what has none, without a tumour in the test, comes last."""
    dice = row["dice"]["mean"]
    return dice is None, -(dice or 0.0), row["name"]


def _arm_row(entry: Entry, speed: float) -> dict[str, Any]:
    tested = [row for folder in entry.seeds.values() for row in _headline(folder)]
    environments = [read_environment(run) for run in entry.runs]
    histories = [read_history(run, ["images_per_second"]) for run in entry.runs]
    by_seed = [figure(_headline(folder), FIGURES["dice"]).mean for folder in entry.seeds.values()]
    return {
        "name": entry.name,
        **comparison.figures(tested),
        "missed": sum(row.scores.missed for row in tested) / len(entry.seeds),
        "tumour_cases": sum(row.scores.has_tumour for row in tested) // len(entry.seeds),
        **_false_findings([row.scores for row in tested], len(entry.seeds)),
        "cases": len(tested) // len(entry.seeds),
        "patients": len({row.group for row in tested}),
        "seeds": dict(zip(map(str, entry.seeds), by_seed, strict=True)),
        "chosen": dict(entry.choice),
        "validation_dice": mean(map(best_validation_dice, entry.runs)),
        "initialisation": entry.initialisation,
        "parameters": environments[0]["parameters"],
        "multiply_adds": environments[0]["multiply_adds"],
        "training_images_per_second": median(
            float(row["images_per_second"]) for history in histories for row in history
        ),
        "inference_images_per_second": speed,
        "peak_memory_mb": max(environment["peak_memory_mb"] for environment in environments),
        "training_minutes": mean(environment["seconds_of_training_steps"] for environment in environments) / 60,
        "machine": environments[0]["machine"]["processor"],
        "device": environments[0]["device"],
        "precision": environments[0]["precision"],
    }


def _false_findings(scores: Sequence[CaseScores], seeds: int) -> dict[str, Any]:
    """Of one seed, as a mean; false lesions are None where an older table did not count them."""
    lesions = [score.lesions_invented for score in scores if score.lesions_invented is not None]
    return {
        "false_lesions": sum(lesions) / seeds if len(lesions) == len(scores) else None,
        "false_positives": sum(score.invented for score in scores) / seeds,
        "tumour_free_cases": sum(not score.has_tumour for score in scores) // seeds,
    }


def _headline(folder: Path) -> list[Row]:
    wanted = read_comparable(folder / SUMMARY_NAME).headline_status
    return [row for row in read_rows(folder) if row.status in wanted]
