"""What is compared: evaluated folders, alone or several of one recipe; and which of them may stand side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Literal

from tumorline.config import PATHS, Config
from tumorline.data.patients.names import patient_meant, spelling
from tumorline.errors import UserError
from tumorline.evaluation.tables import read_rows
from tumorline.file_names import CONFIG_NAME, EVALUATION_NAME, SUMMARY_NAME
from tumorline.metrics.comparison import LEAST_SEEDS
from tumorline.metrics.summary import Row
from tumorline.results import Comparable, read_comparable
from tumorline.run_folder import read_config, read_split
from tumorline.wording import is_or_are, numbered

EXAMPLES = 3

Study = Literal["leak"]
Key = tuple[str, str]
"""Case and region."""


@dataclass(frozen=True)
class Run:
    """An evaluated folder: of `train`, of `folds`, or written by `evaluate`."""

    name: str
    folder: Path
    summary: Comparable
    rows: Mapping[Key, Row]
    """Of the headline."""

    @property
    def key(self) -> str:
        return str(self.folder.resolve())

    @property
    def leaking(self) -> bool:
        return self.summary.split.leaking

    @cached_property
    def cases(self) -> set[str]:
        return {case for case, _ in self.rows}

    @cached_property
    def config(self) -> Config | None:
        return read_config(self.folder) if (self.folder / CONFIG_NAME).is_file() else None

    @cached_property
    def trained(self) -> tuple[int, ...]:
        """Cases that it was trained on; of a folder of folds those of each."""
        folds = sorted(self.folder.glob(f"fold-*/{SUMMARY_NAME}"), key=lambda path: path.parent.name)
        summaries = [read_comparable(path) for path in folds] or [self.summary]
        return tuple(size for summary in summaries if (size := summary.split.parts.get("train")) is not None)

    @cached_property
    def known(self) -> Mapping[str, set[str]]:
        """The cases and patients that it was trained and tuned on, as far as the folder says so."""
        seen = [row for row in read_split(self.folder) if row["part"] in ("train", "validation")]
        return {
            "cases": {row["case"] for row in seen},
            "patients": {spelling(patient_meant(row["patient"])) for row in seen if row["patient"]},
        }


@dataclass(frozen=True)
class Contender:
    """What is ranked: one run, or the runs of one recipe."""

    name: str
    runs: Sequence[Run]


def open_contenders(models: Mapping[str, Path], groups: Mapping[str, Sequence[Path]]) -> list[Contender]:
    """Raises UserError for what is not evaluated, and for groups that are not one recipe with several seeds."""
    if models and groups:
        raise UserError("give runs or --group, not both: a recipe and a single model are not compared")
    if groups:
        return [_group(name, members) for name, members in groups.items()]
    if len(models) < 2:
        raise UserError("give two runs or more, or --group NAME=RUN,RUN,RUN")
    return [Contender(name, [_open_run(folder, name)]) for name, folder in models.items()]


def _group(name: str, folders: Sequence[Path]) -> Contender:
    """Runs that differ in the seed and in nothing else."""
    if len(folders) < LEAST_SEEDS:
        raise UserError(
            f"--group {name}: {numbered(len(folders), 'run')}; a claim about a recipe needs {LEAST_SEEDS} seeds or more"
        )
    runs = [_open_run(folder, folder.resolve().name) for folder in folders]
    recipes = [_recipe(run) for run in runs]
    for run, following in pairwise(recipes):
        if different := sorted(key for key in run | following if run.get(key) != following.get(key)):
            raise UserError(f"--group {name}: its runs are not one recipe; they differ in {', '.join(different)}")
    seeds = [run.config.seed for run in runs if run.config]
    if len(set(seeds)) < len(seeds):
        raise UserError(f"--group {name}: the seeds are {', '.join(map(str, seeds))}; each run needs one of its own")
    return Contender(name, runs)


def _recipe(run: Run) -> dict[str, object]:
    """All that must be the same within a group, as flat keys."""
    if run.config is None:
        raise UserError(f"{run.folder}: no {CONFIG_NAME}; --group takes run folders, whose recipe is known")
    sections = run.config.model_dump(exclude={"seed": True, "name": True, "data": {*PATHS}})
    return {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}


def _open_run(folder: Path, name: str) -> Run:
    if not (folder / SUMMARY_NAME).is_file() or not (folder / EVALUATION_NAME).is_file():
        raise UserError(f"{folder}: not evaluated (no {SUMMARY_NAME}); give folders of train, folds or evaluate")
    summary = read_comparable(folder / SUMMARY_NAME)
    rows = {(row.case, row.region): row for row in read_rows(folder) if row.status in summary.headline_status}
    return Run(name, folder, summary, rows)


def refuse_unfit(runs: Sequence[Run], study: Study | None) -> None:
    """Raise UserError for figures that include training cases, and for leaking splits outside of a study of them."""
    for run in runs:
        if run.summary.split.training_cases_included:
            raise UserError(f"{run.folder}: its figures include training cases; evaluate it on others")
        if run.leaking and study != "leak":
            raise UserError(
                f"{run.folder}: its split is LEAKING, so its figures are too high; --study leak compares it as such"
            )
    leaking = sum(run.leaking for run in runs)
    if study == "leak" and leaking in (0, len(runs)):
        raise UserError(f"--study leak: {leaking} of {len(runs)} runs are leaking; it needs both kinds")
    sizes = {run.name: run.trained for run in runs}
    if study == "leak" and len(set(sizes.values())) > 1:
        numbers = ", ".join(f"{name} {' + '.join(map(str, size)) or 'unknown'}" for name, size in sizes.items())
        raise UserError(f"--study leak: the runs were trained on different numbers of cases ({numbers})")


def refuse_seen(runs: Sequence[Run], study: Study | None) -> None:
    """Raise UserError where a run was trained or tuned on what another was tested on."""
    for tested in runs:
        patients = {spelling(row.patient) for row in tested.rows.values() if row.patient}
        for trained in runs:
            if trained.leaking and study:
                continue
            seen = patients & trained.known["patients"]
            cases = tested.cases & trained.known["cases"]
            if seen or cases:
                shared = numbered(len(cases), "test case")
                overlap = f"{len(seen)} of the {len(patients)} test patients" if seen else shared
                raise UserError(
                    f"{trained.folder}: was trained or tuned on {overlap} of {tested.folder}; train both with one "
                    "split, or evaluate both on data that neither has seen"
                )


def common_regions(runs: Sequence[Run]) -> list[str]:
    """Those that all runs outline, in the order of the first. Raises UserError where there is none."""
    first = list(runs[0].summary.regions)
    common = [region for region in first if all(region in run.summary.regions for run in runs)]
    if not common:
        disjoint = next(run for run in runs if not any(region in run.summary.regions for region in first))
        raise UserError(
            f"{disjoint.folder}: outlines {', '.join(disjoint.summary.regions)}, {runs[0].folder} {', '.join(first)}; "
            "only the same regions can be compared"
        )
    return common


def common_cases(runs: Sequence[Run], regions: Sequence[str], study: Study | None) -> list[str]:
    """The cases of all runs, in order.

    Raises UserError where they are not the same, but for the leak study, or their truth or their patients are not.
    """
    first, common = runs[0], set.intersection(*(run.cases for run in runs))
    for run in runs[1:]:
        if not study and run.cases != first.cases:
            odd = sorted(run.cases ^ first.cases)
            examples = ", ".join(odd[:EXAMPLES]) + (", ..." if len(odd) > EXAMPLES else "")
            raise UserError(
                f"{run.folder}: {numbered(len(run.cases), 'case')}, {first.folder} has {len(first.cases)}; {len(odd)} "
                f"{is_or_are(len(odd))} in one only ({examples}). Only the same cases can be compared"
            )
        for case in sorted(common):
            for region in regions:
                _refuse_another_truth(first, run, (case, region))
        _refuse_other_patients(first, run, sorted(common))
    if not any(first.rows[case, region].scores.has_tumour for case in common for region in regions):
        raise UserError("no case with a tumour is in all runs; there is nothing to compare")
    return sorted(common)


def _refuse_another_truth(first: Run, run: Run, key: Key) -> None:
    sizes = [one.rows[key].scores.truth_px for one in (first, run)]
    if sizes[0] != sizes[1]:
        raise UserError(
            f"{run.folder}: the truth of case '{key[0]}' has {sizes[1]} px, in {first.folder} {sizes[0]} px; "
            "these are not the same cases"
        )
    units = [one.rows[key].scores.unit for one in (first, run)]
    if units[0] != units[1]:
        raise UserError(
            f"{run.folder}: distances of case '{key[0]}' are in {units[1]}, in {first.folder} in {units[0]}; evaluate "
            "both with the same size of pixels"
        )


def _refuse_other_patients(first: Run, run: Run, cases: Sequence[str]) -> None:
    """Raise UserError where one takes two cases for one patient's and the other does not, whatever he is called."""
    earlier, later = (_first_of_patient(one, cases) for one in (first, run))
    odd = next((case for case in cases if earlier[case] != later[case]), None)
    if odd is not None:
        told = " and ".join(_whose(one, odd) for one in (first, run))
        raise UserError(
            f"{run.folder}: its patients are not those of {first.folder}: case '{odd}' is of {told}; evaluate both "
            "with the same patients"
        )


def _first_of_patient(run: Run, cases: Sequence[str]) -> dict[str, str]:
    """The first case of the same patient, by case."""
    groups = {case: row.group for (case, _), row in run.rows.items()}
    firsts: dict[str, str] = {}
    return {case: firsts.setdefault(groups[case], case) for case in cases}


def _whose(run: Run, case: str) -> str:
    patient = next(row.patient for (name, _), row in run.rows.items() if name == case)
    return f"'{patient}' in {run.folder}" if patient else f"an unknown patient in {run.folder}"
