"""Runs side by side on the same cases: paired differences, what is noise, and where they disagree.

Two runs support a claim about two models. A claim about two recipes needs several seeds of each: `groups`.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations, pairwise, product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tumorline.config import Config
from tumorline.data.dataset import case_reader
from tumorline.data.patients import patient_meant, spelling
from tumorline.errors import UserError, did_you_mean
from tumorline.evaluation.tables import read_rows
from tumorline.files import write_json
from tumorline.metrics import comparison as tests
from tumorline.metrics.comparison import LEAST_SEEDS, LEVEL, Difference
from tumorline.metrics.summary import DISTANCES, FIGURES, LEAST_FOR_INTERVAL, Row, figure, with_unit
from tumorline.model_file import known_images
from tumorline.report.comparison import PAGE_NAME, write_comparison
from tumorline.results import Comparable, WarningCode, read_comparable
from tumorline.run_folder import CONFIG_NAME, EVALUATION_NAME, SUMMARY_NAME, read_config, read_split, with_known_cache
from tumorline.trust import local_only

SCHEMA_VERSION = 1
COMPARISON_NAME = "compare.json"
NAMES = (COMPARISON_NAME, PAGE_NAME)
MERIT: dict[str, Callable[[float], float]] = {
    "dice": lambda mean: mean,
    "nsd": lambda mean: mean,
    "hd95": lambda mean: -mean,
    "hd95_detected": lambda mean: -mean,
    "signed_offset": lambda mean: -abs(mean),
    "volume_ratio": lambda mean: -abs(mean - 1),
}
"""The metrics compared, and how good a mean is; misses count as the conventions of `summary.json` say. The last three
are undefined for a missed tumour: a difference is then over the patients for whom both have a value."""
HEADLINE = "dice"
EXAMPLES = 3

Study = Literal["leak"]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """An evaluated folder: of `train`, of `folds`, or written by `evaluate`."""

    name: str
    folder: Path
    summary: Comparable
    rows: Mapping[str, Row]
    """Headline cases by name."""

    @property
    def key(self) -> str:
        return str(self.folder.resolve())

    @property
    def leaking(self) -> bool:
        return self.summary.split.leaking

    @cached_property
    def config(self) -> Config | None:
        return read_config(self.folder) if (self.folder / CONFIG_NAME).is_file() else None

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


def compare(
    models: Mapping[str, Path], groups: Mapping[str, Sequence[Path]], study: Study | None = None, reference: str = ""
) -> dict[str, Any]:
    """Compare runs by name, or groups of runs, on the cases that all have tested; see `write` for the files.

    With a `reference` each of the others is compared with it, else every one with every other. Raises UserError for
    other cases, other truth, test patients that another run was trained on, leaking splits outside `study="leak"`, and
    groups that are not one recipe with several seeds.
    """
    contenders = _contenders(models, groups)
    runs = [run for contender in contenders for run in contender.runs]
    _refuse_unfit(runs, study)
    _refuse_seen(runs, study)
    runs_cases = _common_cases(runs, study)
    patients, values = _by_patient(runs, runs_cases)
    matched = _matched(contenders, reference)
    pairs = [pair for metric in MERIT for pair in _pairs(metric, matched, values[metric], bool(groups))]
    return {
        "schema_version": SCHEMA_VERSION,
        "about": "leak" if study else "recipes" if groups else "models",
        "cases": len(runs_cases),
        "patients": len(patients),
        "source": runs[0].summary.source.to_json(),
        "contenders": [_describe_contender(contender, runs_cases, values) for contender in contenders],
        "pairs": pairs,
        "ranking": _ranking(contenders, values[HEADLINE]),
        "verdicts": [_verdict(pair, study) for pair in pairs if pair["metric"] == HEADLINE],
        "warnings": _warnings(runs, len(patients), study, bool(groups)),
        "disagreements": _disagreements(contenders, runs_cases),
    }


def named(folders: Sequence[Path]) -> dict[str, Path]:
    """Runs by the names of their folders, numbered where two are called alike."""
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [f"{name} ({number})" for number, name in enumerate(names, 1)]
    return dict(zip(names, folders, strict=True))


def _contenders(models: Mapping[str, Path], groups: Mapping[str, Sequence[Path]]) -> list[Contender]:
    if models and groups:
        raise UserError("give runs or --group, not both: a recipe and a single model are not compared")
    if groups:
        return [_group(name, members) for name, members in groups.items()]
    if len(models) < 2:
        raise UserError("give two runs or more, or --group NAME=RUN,RUN,RUN")
    return [Contender(name, [_read(folder, name)]) for name, folder in models.items()]


def _group(name: str, folders: Sequence[Path]) -> Contender:
    """Runs that differ in the seed and in nothing else."""
    if len(folders) < LEAST_SEEDS:
        raise UserError(
            f"--group {name}: {len(folders)} runs; a claim about a recipe needs {LEAST_SEEDS} seeds or more"
        )
    runs = [_read(folder, folder.resolve().name) for folder in folders]
    recipes = [_recipe(run) for run in runs]
    for run, other in pairwise(recipes):
        if different := sorted(key for key in run | other if run.get(key) != other.get(key)):
            raise UserError(f"--group {name}: its runs are not one recipe; they differ in {', '.join(different)}")
    seeds = [run.config.seed for run in runs if run.config]
    if len(set(seeds)) < len(seeds):
        raise UserError(f"--group {name}: the seeds are {', '.join(map(str, seeds))}; each run needs one of its own")
    return Contender(name, runs)


def _recipe(run: Run) -> dict[str, Any]:
    """All that must be the same within a group, as flat keys."""
    if run.config is None:
        raise UserError(f"{run.folder}: no {CONFIG_NAME}; --group takes run folders, whose recipe is known")
    sections = run.config.model_dump(exclude={"seed": True, "name": True, "data": {"source", "cache"}})
    return {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}


def _read(folder: Path, name: str) -> Run:
    if not (folder / SUMMARY_NAME).is_file() or not (folder / EVALUATION_NAME).is_file():
        raise UserError(f"{folder}: not evaluated (no {SUMMARY_NAME}); give folders of train, folds or evaluate")
    summary = read_comparable(folder / SUMMARY_NAME)
    rows = {row.case: row for row in read_rows(folder) if row.status in summary.headline_status}
    return Run(name, folder, summary, rows)


def _refuse_unfit(runs: Sequence[Run], study: Study | None) -> None:
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
    sizes = {run.name: run.summary.split.parts.get("train") for run in runs}
    if study == "leak" and len(set(sizes.values())) > 1:
        found = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise UserError(f"--study leak: the runs were trained on different numbers of cases ({found})")


def _refuse_seen(runs: Sequence[Run], study: Study | None) -> None:
    """No run may have been trained or tuned on what another was tested on."""
    for tested in runs:
        patients = {spelling(row.patient) for row in tested.rows.values() if row.patient}
        for other in runs:
            if other.leaking and study:
                continue
            seen = patients & other.known["patients"]
            cases = tested.rows.keys() & other.known["cases"]
            if seen or cases:
                what = f"{len(seen)} of the {len(patients)} test patients" if seen else f"{len(cases)} test cases"
                raise UserError(
                    f"{other.folder}: was trained or tuned on {what} of {tested.folder}; train both with one split, "
                    "or evaluate both on data that neither has seen"
                )


def _common_cases(runs: Sequence[Run], study: Study | None) -> list[str]:
    """The cases of all runs, in order; they have to be the same, but for the leak study, and their truth as well."""
    first = runs[0]
    common = set.intersection(*(set(run.rows) for run in runs))
    for run in runs[1:]:
        if not study and run.rows.keys() != first.rows.keys():
            odd = sorted(run.rows.keys() ^ first.rows.keys())
            examples = ", ".join(odd[:EXAMPLES]) + (", ..." if len(odd) > EXAMPLES else "")
            raise UserError(
                f"{run.folder}: {len(run.rows)} cases, {first.folder} has {len(first.rows)}; {len(odd)} are in one "
                f"only ({examples}). Only the same cases can be compared"
            )
        for case in sorted(common):
            sizes = [one.rows[case].scores.truth_px for one in (first, run)]
            if sizes[0] != sizes[1]:
                raise UserError(
                    f"{run.folder}: the truth of case '{case}' has {sizes[1]} px, in {first.folder} {sizes[0]} px; "
                    "these are not the same cases"
                )
    if not any(first.rows[case].scores.has_tumour for case in common):
        raise UserError("no case with a tumour is in all runs; there is nothing to compare")
    return sorted(common)


def _by_patient(runs: Sequence[Run], cases: Sequence[str]) -> tuple[list[str], dict[str, dict[str, FloatArray]]]:
    """Patients with a tumour, and for each metric and run folder their means in that order."""
    groups = {case: runs[0].rows[case].group for case in cases if runs[0].rows[case].scores.has_tumour}
    values: dict[str, dict[str, FloatArray]] = {
        metric: {run.key: _patient_means(run, groups, metric) for run in runs} for metric in MERIT
    }
    return sorted(set(groups.values())), values


def _patient_means(run: Run, groups: Mapping[str, str], metric: str) -> FloatArray:
    """In the order of the patients, which are given by case; NaN where none of a patient's cases has a value."""
    found: dict[str, list[float]] = defaultdict(list)
    for case, patient in groups.items():
        value = FIGURES[metric](run.rows[case].scores)
        if value is not None:
            found[patient].append(value)
    return np.array([np.mean(found[name]) if found[name] else np.nan for name in sorted(set(groups.values()))])


def _matched(contenders: Sequence[Contender], reference: str) -> list[tuple[Contender, Contender]]:
    """Who is compared with whom."""
    if not reference:
        return list(combinations(contenders, 2))
    against = [one for one in contenders if one.name == reference]
    if not against:
        raise UserError(f"reference '{reference}': {did_you_mean(reference, [one.name for one in contenders])}")
    return list(product([one for one in contenders if one.name != reference], against))


def _pairs(
    metric: str, matched: Sequence[tuple[Contender, Contender]], values: Mapping[str, FloatArray], recipes: bool
) -> list[dict[str, Any]]:
    """A metric's differences, with p corrected over them; none where fewer than two patients have a value."""
    found: list[tuple[str, str, str, Difference, FloatArray]] = []
    for first, second in matched:
        one, two = (np.stack([values[run.key] for run in contender.runs]) for contender in (first, second))
        defined = np.isfinite(one).all(axis=0) & np.isfinite(two).all(axis=0)
        if defined.sum() > 1:
            one, two = one[:, defined], two[:, defined]
            difference = tests.between_recipes(one, two) if recipes else tests.paired(one[0], two[0])
            better = _better(metric, {first.name: float(one.mean()), second.name: float(two.mean())})
            found.append((first.name, second.name, better, difference, one.mean(axis=0) - two.mean(axis=0)))
    corrected = tests.holm([difference.p for _, _, _, difference, _ in found])
    return [
        {
            "metric": metric,
            "first": first,
            "second": second,
            "difference": asdict(difference) | {"range": [float(by_patient.min()), float(by_patient.max())]},
            "p_corrected": p,
            "noise": p >= LEVEL,
            "better": None if p >= LEVEL else better,
            "by_patient": by_patient.tolist(),
        }
        for (first, second, better, difference, by_patient), p in zip(found, corrected, strict=True)
    ]


def _better(metric: str, means: Mapping[str, float]) -> str:
    return max(means, key=lambda name: MERIT[metric](means[name]))


def _describe_contender(
    contender: Contender, cases: Sequence[str], values: Mapping[str, Mapping[str, FloatArray]]
) -> dict[str, Any]:
    """The figures of a contender, over its seeds together, and of each run."""
    by_run = [[run.rows[case] for case in cases] for run in contender.runs]
    together = [row for rows in by_run for row in rows]
    means = [float(values[HEADLINE][run.key].mean()) for run in contender.runs]
    classes = sorted({row.attributes.get("class_name", "") for row in together} - {""})
    return {
        "name": contender.name,
        "figures": figures(together),
        "by_class": {
            name: figure(
                [row for row in together if row.attributes.get("class_name") == name], FIGURES[HEADLINE]
            ).to_json()
            for name in classes
        },
        "missed": sum(row.scores.missed for row in together) / len(contender.runs),
        "tumour_cases": sum(row.scores.has_tumour for row in by_run[0]),
        "runs": [
            {"name": run.name, "seed": run.config.seed if run.config else None, "dice": mean}
            for run, mean in zip(contender.runs, means, strict=True)
        ],
        "seed_deviation": float(np.std(means, ddof=1)) if len(means) > 1 else None,
        "seed_range": [min(means), max(means)] if len(means) > 1 else None,
        "leaking": contender.runs[0].leaking,
    }


def figures(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """The metrics that are compared, of one contender; distances with their unit."""
    found = {metric: figure(rows, FIGURES[metric]) for metric in MERIT}
    unit = " and ".join(sorted({row.scores.unit for row in rows}))
    return {
        metric: (with_unit(value, unit) if metric in DISTANCES else value).to_json() for metric, value in found.items()
    }


def _ranking(contenders: Sequence[Contender], values: Mapping[str, FloatArray]) -> list[dict[str, Any]]:
    """Best first, with the share of redrawn patient samples in which each takes each rank."""
    means = np.stack([np.mean([values[run.key] for run in contender.runs], axis=0) for contender in contenders])
    shares = tests.rank_shares(means)
    order = sorted(range(len(contenders)), key=lambda index: (-means[index].mean(), index))
    return [
        {"name": contenders[i].name, "dice": float(means[i].mean()), "rank_shares": shares[i].tolist()} for i in order
    ]


def _verdict(pair: Mapping[str, Any], study: Study | None) -> str:
    mean, ci95, p = pair["difference"]["mean"], pair["difference"]["ci95"], pair["p_corrected"]
    limits = f", 95 % interval {ci95[0]:+.3f} to {ci95[1]:+.3f}" if ci95 else ""
    figures = f"{pair['first']} minus {pair['second']}: Dice {mean:+.3f}{limits}, p = {p:.2g}"
    if pair["difference"]["range"] == [0, 0]:
        return f"{figures}: no difference."
    if pair["noise"]:
        return f"{figures}: within noise, no claim can be made."
    return f"{figures}: {'a real difference, which is the leak' if study else pair['better'] + ' is better'}."


def _warnings(runs: Sequence[Run], patients: int, study: Study | None, recipes: bool) -> list[str]:
    found = []
    if study == "leak":
        found.append("LEAK STUDY: this measures how much a leaking split flatters; it ranks nothing")
        found.append("only the cases that all runs were tested on are compared")
    elif not recipes:
        found.append("one run each: this is about these models, not about their recipes; for those use --group")
    if patients < LEAST_FOR_INTERVAL:
        found.append(f"{patients} patients are too few for an interval; values and range only")
    shared = [warning for warning in runs[0].summary.warnings if all(warning in run.summary.warnings for run in runs)]
    return found + [warning.text for warning in shared if warning.code is not WarningCode.LEAKING]


def _disagreements(contenders: Sequence[Contender], cases: Sequence[str], count: int = 6) -> list[dict[str, Any]]:
    """The cases whose Dice differs most between contenders, by the first run of each; a patient is shown once."""
    firsts = [contender.runs[0] for contender in contenders]
    spread = []
    for case in cases:
        dice = [run.rows[case].scores.dice for run in firsts if run.rows[case].scores.has_tumour]
        known = [value for value in dice if value is not None]
        if known and max(known) > min(known):
            spread.append((max(known) - min(known), case))
    chosen: dict[str, str] = {}
    for _, case in sorted(spread, key=lambda one: (-one[0], one[1])):
        chosen.setdefault(firsts[0].rows[case].group, case)
    return [
        {"case": case, "class_name": firsts[0].rows[case].attributes.get("class_name", ""), "shown": shown}
        for case in list(chosen.values())[:count]
        for shown in [[_shown(contender, case) for contender in contenders]]
    ]


def _shown(contender: Contender, case: str) -> dict[str, Any]:
    scores = contender.runs[0].rows[case].scores
    return {
        "name": contender.name,
        "dice": scores.dice,
        "truth_px": scores.truth_px,
        "predicted_px": scores.predicted_px,
    }


def save_comparison(result: Mapping[str, Any], folders: Sequence[Path], output: Path) -> None:
    """Write `compare.json` and `compare.html`; `folders` are the runs whose pictures are drawn, one a contender."""
    write_json(output / COMPARISON_NAME, result)
    runs = [folder for folder in folders if (folder / CONFIG_NAME).is_file()]
    with local_only():
        reader = case_reader(with_known_cache(read_config(runs[0])), known_images(runs[0])) if runs else None
    write_comparison(result, folders, output, reader)
