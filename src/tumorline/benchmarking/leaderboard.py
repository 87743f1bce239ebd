"""Finished cells side by side: figures with intervals, paired tests within one initialisation, speed and size."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import mean, median
from typing import Any

from tumorline import comparison
from tumorline.benchmarking.plan import Choice
from tumorline.benchmarking.speed import images_per_second
from tumorline.environment import processor_kind
from tumorline.evaluation.tables import read_headline_rows
from tumorline.file_names import SUMMARY_NAME
from tumorline.groups import grouped
from tumorline.metrics.case import CaseScores
from tumorline.metrics.comparison import LEAST_SEEDS
from tumorline.metrics.summary import FIGURES, Row, figure, of_region
from tumorline.results import read_comparable, warnings_of_all
from tumorline.results.compared import ArmRow, Comparison, LeaderboardGroup, LongerTraining
from tumorline.run_folder import best_validation_dice, read_config, read_environment, read_history

SCHEMA_VERSION = 3
STILL_RISES = 0.01
"""Dice that more epochs have to gain before an arm is said to rise still."""


@dataclass(frozen=True)
class Shown:
    """What is not of one arm: whom the others are compared with, measured speeds, whose training speeds count."""

    reference: str
    speeds: Mapping[str, float]
    kind: str


@dataclass(frozen=True)
class Entry:
    """A finished arm: a folder for each seed, and the runs below them (the folder itself, or its folds)."""

    name: str
    choice: Choice
    seeds: Mapping[int, Path]
    runs: Sequence[Path]
    longer: Path | None = None
    """Its first seed at more epochs."""

    @property
    def initialisation(self) -> str:
        """With the place of a model that it started from: two of one name are two."""
        return read_config(self.runs[0]).model.start_from or str(self.environments[0]["initialisation"])

    @cached_property
    def environments(self) -> list[dict[str, Any]]:
        return [read_environment(run) for run in self.runs]

    @cached_property
    def tested(self) -> Mapping[int, list[Row]]:
        """The headline's rows of each seed."""
        return {seed: read_headline_rows(folder) for seed, folder in self.seeds.items()}

    @property
    def regions(self) -> list[str]:
        return list(read_comparable(self.first_folder / SUMMARY_NAME).regions)

    @property
    def first_folder(self) -> Path:
        return next(iter(self.seeds.values()))

    @property
    def first_seed(self) -> "Entry":
        """The same arm as if it had one seed."""
        seed = next(iter(self.seeds))
        folder = self.seeds[seed]
        runs = [run for run in self.runs if run == folder or folder in run.parents]
        return replace(self, seeds={seed: folder}, runs=runs)

    def of_region(self, region: str) -> dict[int, list[Row]]:
        return {seed: of_region(rows, region) for seed, rows in self.tested.items()}


def shared_warnings(entries: Sequence[Entry]) -> list[str]:
    """What holds for all: the warnings of every run, and that single runs say nothing of recipes."""
    runs = [read_comparable(folder / SUMMARY_NAME).warnings for entry in entries for folder in entry.seeds.values()]
    sentences = [warning.text for warning in warnings_of_all(runs)]
    if entries and not about_recipes(entries):
        seeds = {len(entry.seeds) for entry in entries}
        each = "ONE SEED EACH" if max(seeds) == 1 else f"{max(seeds)} SEEDS EACH, of which the tests take the first"
        if len(seeds) > 1:
            each = "ONE SEED of all arms; only the best on validation have more, and stand in a table of their own"
        sentences.append(f"{each}: a ranking of these models; a claim about recipes needs {LEAST_SEEDS} seeds")
    return [*sentences, *_of_mixed_machines(entries)]


def _of_mixed_machines(entries: Sequence[Entry]) -> list[str]:
    """Dice may come from several kinds of processors where all compute alike; speeds may not."""
    environments = [environment for entry in entries for environment in entry.environments]
    kinds = sorted(set(map(kind_of, environments)))
    precisions = sorted({environment["precision"] for environment in environments})
    sentences = []
    if len(kinds) > 1:
        usual = usual_kind(entries)
        sentences.append(
            f"trained on {len(kinds)} kinds of processors ({'; '.join(kinds)}), named with each arm: training speed "
            f"and minutes are those of {usual} alone"
        )
    if len(precisions) > 1:
        sentences.append(
            f"trained in {' and '.join(precisions)}: Dice of different precisions stand side by side; "
            "say recipe.train.precision"
        )
    return sentences


def kind_of(described: Mapping[str, Any]) -> str:
    """Of the environment of a run, what decides over its speed."""
    return processor_kind(described["machine"])


def usual_kind(entries: Sequence[Entry]) -> str:
    """The kind of processor on which most runs were trained; the first by name of equal ones."""
    counted = Counter(kind_of(environment) for entry in entries for environment in entry.environments)
    return min(counted, key=lambda kind: (-counted[kind], kind))


def rank(entries: Sequence[Entry], reference: str) -> list[LeaderboardGroup]:
    """A group for each initialisation, with its rows from the best Dice down and the paired differences.

    Where some arms have more seeds than others, all are ranked by their first one, and those by themselves once more.
    """
    if not entries:
        return []
    speeds = images_per_second({entry.name: entry.runs[0] for entry in entries})
    shown = Shown(reference, speeds, usual_kind(entries))
    groups = grouped(entries, lambda entry: entry.initialisation)
    return [_group(name, some, shown) for name in sorted(groups) for some in _alike(groups[name])]


def _alike(members: Sequence[Entry]) -> list[Sequence[Entry]]:
    if len({len(entry.seeds) for entry in members}) == 1:
        return [members]
    repeated = [entry for entry in members if len(entry.seeds) >= LEAST_SEEDS]
    return [[entry.first_seed for entry in members], *([repeated] if repeated else [])]


def compared(members: Sequence[Entry], reference: str) -> Comparison:
    """As `tumorline compare` does it: of recipes from three seeds on, else of the models of the first seed."""
    against = reference if reference in [entry.name for entry in members] else ""
    if about_recipes(members):
        return comparison.compare({}, {entry.name: list(entry.seeds.values()) for entry in members}, reference=against)
    return comparison.compare({entry.name: entry.first_folder for entry in members}, {}, reference=against)


def ranked_by(entries: Sequence[Entry]) -> str:
    return comparison.ranked_by(entries[0].regions if entries else [""])


def about_recipes(members: Sequence[Entry]) -> bool:
    return all(len(entry.seeds) >= LEAST_SEEDS for entry in members)


def _group(initialisation: str, members: Sequence[Entry], shown: Shown) -> LeaderboardGroup:
    arms = sorted((_arm_rows(entry, shown) for entry in members), key=_rank_of)
    result = compared(members, shown.reference) if len(members) > 1 else None
    return LeaderboardGroup(
        initialisation=initialisation,
        about="recipes" if about_recipes(members) else "models",
        rows=[row for rows in arms for row in rows],
        pairs=[pair.without_patients() for pair in result.pairs] if result else [],
        pairs_within=result.pairs_within if result and shown.reference else [],
    )


def _rank_of(rows: Sequence[ArmRow]) -> tuple[bool, float, str]:
    """By Dice; what has none, without a tumour in the test, comes last."""
    dice = rows[0].mean_dice
    return dice is None, -(dice or 0.0), rows[0].name


def _arm_rows(entry: Entry, shown: Shown) -> list[ArmRow]:
    """A row for each region; what is not of a region stands in each."""
    timed = [(run, own) for run, own in zip(entry.runs, entry.environments, strict=True) if kind_of(own) == shown.kind]
    speeds = [float(row["images_per_second"]) for run, _ in timed for row in read_history(run, ["images_per_second"])]
    seconds = [own["seconds_of_training_steps"] for _, own in timed]
    first = entry.environments[0]
    means = {region: figure(_together(entry, region), FIGURES["dice"]).mean for region in entry.regions}
    known = [dice for dice in means.values() if dice is not None]
    validated = [dice for run in entry.runs if (dice := best_validation_dice(run)) is not None]
    shared = {
        "mean_dice": mean(known) if known else None,
        "chosen": dict(entry.choice),
        "validation_dice": mean(validated) if validated else None,
        **{name: first[name] for name in ("initialisation", "parameters", "multiply_adds", "device", "precision")},
        "training_images_per_second": median(speeds) if timed else None,
        "inference_images_per_second": shown.speeds.get(entry.name),
        "peak_memory_mb": max(environment["peak_memory_mb"] for environment in entry.environments),
        "training_minutes": mean(seconds) / 60 if timed else None,
        "machine": "; ".join(sorted(set(map(kind_of, entry.environments)))),
        "output_stride": first.get("output_stride"),
        "longer": _longer(entry),
    }
    return [_arm_row(entry, region, shared) for region in entry.regions]


def _longer(entry: Entry) -> LongerTraining | None:
    """What more epochs gained over the first seed, on the same patients; None where fewer than two have a tumour."""
    rows = next(iter(entry.tested.values()))
    if entry.longer is None or len({row.group for row in rows if row.scores.has_tumour}) < 2:
        return None
    names = {"longer": entry.longer, "as long": entry.first_folder}
    pairs = [pair for pair in comparison.compare(names, {}, reference="as long").pairs if pair.metric == "dice"]
    difference = pairs[0].difference  # of several regions their mean
    return LongerTraining(
        epochs=read_config(entry.longer).train.epochs,
        gain=difference.mean,
        interval=difference.ci95,
        still_rises=difference.mean > STILL_RISES,
    )


def _together(entry: Entry, region: str) -> list[Row]:
    return [row for rows in entry.of_region(region).values() for row in rows]


def _arm_row(entry: Entry, region: str, shared: Mapping[str, Any]) -> ArmRow:
    tested, seeds = _together(entry, region), len(entry.seeds)
    return ArmRow(
        name=entry.name,
        region=region,
        **dict(comparison.compared_figures(tested)),
        missed=sum(row.scores.missed for row in tested) / seeds,
        tumour_cases=sum(row.scores.has_tumour for row in tested) // seeds,
        **_false_findings([row.scores for row in tested], seeds),
        cases=len(tested) // seeds,
        patients=len({row.group for row in tested}),
        seeds={str(seed): figure(rows, FIGURES["dice"]).mean for seed, rows in entry.of_region(region).items()},
        **shared,
    )


def _false_findings(scores: Sequence[CaseScores], seeds: int) -> dict[str, Any]:
    """Of one seed, as a mean; false lesions are None where an older table did not count them."""
    lesions = [score.lesions_invented for score in scores if score.lesions_invented is not None]
    return {
        "false_lesions": sum(lesions) / seeds if len(lesions) == len(scores) else None,
        "false_positives": sum(score.invented for score in scores) / seeds,
        "tumour_free_cases": sum(not score.has_tumour for score in scores) // seeds,
    }
