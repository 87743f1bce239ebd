"""What contenders reach on the same cases: by patient, in pairs, in order, each region by itself."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tumorline.arrays import Float64Array
from tumorline.comparison.runs import Contender, Key, Run
from tumorline.errors import UserError, did_you_mean
from tumorline.groups import grouped
from tumorline.metrics import comparison as tests
from tumorline.metrics.case import CaseScores
from tumorline.metrics.comparison import Difference
from tumorline.metrics.figure import LEAST_FOR_INTERVAL
from tumorline.metrics.summary import (
    DISTANCES,
    FIGURES,
    TOLERANT,
    VOLUME_FIGURES,
    Row,
    figure,
    figures_of,
    size_groups,
)
from tumorline.results.compared import (
    CaseGroup,
    ComparedFigures,
    ComparedPair,
    Contestant,
    Disagreement,
    PairDifference,
    Ranked,
    SeedDice,
    ShownScores,
)
from tumorline.wording import LEVEL


def _near(target: float) -> Callable[[float], float]:
    return lambda mean: -abs(mean - target)


TARGETS = {"signed_offset": 0.0, "volume_ratio": 1.0}
"""What a mean should be, where neither more nor less is better."""
MERIT: dict[str, Callable[[float], float]] = {
    "dice": lambda mean: mean,
    "nsd": lambda mean: mean,
    "hd95": lambda mean: -mean,
    "hd95_detected": lambda mean: -mean,
    **{metric: _near(target) for metric, target in TARGETS.items()},
    "volume_error_absolute_ml": lambda mean: -mean,
}
"""The metrics compared, and how good a mean is; misses count as the conventions of `summary.json` say. HD95 of
detected tumours, offset and ratio are undefined for a missed one: a difference is then over the cases for which both
have a value, since a contender that misses the hard ones would seem the better. The error in ml is of volumes only."""
VALUES = FIGURES | VOLUME_FIGURES
HEADLINE = "dice"
MOST_SHOWN = 6
"""Disagreements that are shown."""
OVER_REGIONS = "mean over regions"
"""What stands for all regions together in a pair."""


@dataclass(frozen=True)
class PatientMeans:
    """Of one region: the patients who have it, and for each metric and run folder the values of their cases."""

    region: str
    patients: Sequence[str]
    values: Mapping[str, Mapping[str, Float64Array]]
    """`(N,)`, patient by patient; NaN where a case has none."""
    starts: npt.NDArray[np.int64] | None = None
    """Where the cases of each patient begin; None: each has one value."""
    rests_on: int | None = None
    """Of several regions together the patients of that which fewest have: an interval is no better than it."""
    within: CaseGroup | None = None
    """None: of all cases."""

    def dice_of_runs(self, contender: Contender) -> Float64Array:
        """`(S, P)`: means of each seed and patient."""
        return self._by_patient(self._by_case(contender, HEADLINE))

    def of_pair(self, pair: Sequence[Contender], metric: str) -> list[Float64Array]:
        """`(S, P)` of each contender, over the cases for which all of their runs have a value; NaN without any."""
        by_case = [self._by_case(contender, metric) for contender in pair]
        shared = np.isfinite(np.concatenate(by_case)).all(axis=0)
        return [self._by_patient(np.where(shared, values, np.nan)) for values in by_case]

    def of_folders(self, metric: str) -> dict[str, Float64Array]:
        """`(P,)` of each run folder."""
        return {run: self._by_patient(values[None])[0] for run, values in self.values[metric].items()}

    def _by_case(self, contender: Contender, metric: str) -> Float64Array:
        return np.stack([self.values[metric][run.key] for run in contender.runs])

    def _by_patient(self, values: Float64Array) -> Float64Array:
        """Means of `(S, N)` over the cases of each patient that have a value."""
        if self.starts is None or not len(self.starts):
            return values
        defined = np.isfinite(values)
        sums = np.add.reduceat(np.where(defined, values, 0), self.starts, axis=1)
        counts = np.add.reduceat(defined, self.starts, axis=1, dtype=np.int64)
        return np.asarray(np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0))


class _Difference(NamedTuple):
    means: PatientMeans
    first: str
    second: str
    better: str | None
    difference: Difference
    by_patient: Float64Array
    too_few: bool


def compared_metrics(rows: Sequence[Row]) -> list[str]:
    """Those that all rows have, and in one unit."""
    mixed = len({row.scores.unit for row in rows}) > 1
    return [metric for metric in _metrics_of(rows) if not (mixed and metric in (*DISTANCES, *TOLERANT))]


def _metrics_of(rows: Sequence[Row]) -> list[str]:
    in_ml = all(row.scores.volume_error_ml is not None for row in rows)
    return [metric for metric in MERIT if in_ml or metric not in VOLUME_FIGURES]


def average_patients(runs: Sequence[Run], cases: Sequence[str], region: str, metrics: Iterable[str]) -> PatientMeans:
    """Over the cases in which the truth has the region."""
    scored = {case: runs[0].rows[case, region] for case in cases}
    groups = {case: row.group for case, row in scored.items() if row.scores.has_tumour}
    ordered = sorted(groups, key=groups.__getitem__)
    patients, starts = np.unique([groups[case] for case in ordered], return_index=True)
    keys = [(case, region) for case in ordered]
    values = {metric: {run.key: _values(run, keys, metric) for run in runs} for metric in metrics}
    return PatientMeans(region, patients.tolist(), values, starts)


def _values(run: Run, keys: Sequence[Key], metric: str) -> Float64Array:
    """NaN where a case has none."""
    return np.array([VALUES[metric](run.rows[key].scores) for key in keys], np.float64)


def over_regions(means: Sequence[PatientMeans]) -> PatientMeans:
    """What each patient adds to the mean over regions of the Dice by patient; their mean is that figure.

    Regions weigh alike, however many patients have them.
    """
    scored = [region for region in means if region.patients]
    patients = sorted({patient for region in scored for patient in region.patients})
    dice = {run: np.zeros(len(patients)) for region in scored for run in region.values[HEADLINE]}
    for region in scored:
        columns = np.searchsorted(patients, region.patients)
        weight = len(patients) / len(region.patients) / len(scored)
        for run, values in region.of_folders(HEADLINE).items():
            dice[run][columns] += weight * values
    fewest = min((len(region.patients) for region in scored), default=0)
    return PatientMeans(OVER_REGIONS, patients, {HEADLINE: dice}, rests_on=fewest)


def match_contenders(contenders: Sequence[Contender], reference: str) -> list[tuple[Contender, Contender]]:
    """Who is compared with whom: each with the reference, without one each with each other."""
    if not reference:
        return list(combinations(contenders, 2))
    against = [contender for contender in contenders if contender.name == reference]
    if not against:
        raise UserError(
            f"reference '{reference}': {did_you_mean(reference, [contender.name for contender in contenders])}"
        )
    return list(product([contender for contender in contenders if contender.name != reference], against))


def compare_pairs(
    metric: str, matched: Sequence[tuple[Contender, Contender]], means: Sequence[PatientMeans], recipes: bool
) -> list[ComparedPair]:
    """A metric's differences, with p corrected over them all; none where fewer than two patients have a value.

    `means` are those of each region, or of each group of cases.
    """
    candidates = (_difference(metric, pair, region, recipes) for region in means for pair in matched)
    defined = [compared for compared in candidates if compared is not None]
    corrected = tests.holm([compared.difference.p for compared in defined])
    return [_pair(metric, compared, p) for compared, p in zip(defined, corrected, strict=True)]


def _difference(
    metric: str, pair: tuple[Contender, Contender], means: PatientMeans, recipes: bool
) -> _Difference | None:
    first_values, second_values = means.of_pair(pair, metric)
    defined = np.isfinite(first_values).all(axis=0) & np.isfinite(second_values).all(axis=0)
    if defined.sum() < 2:
        return None
    first_values, second_values = first_values[:, defined], second_values[:, defined]
    first, second = (contender.name for contender in pair)
    difference = (
        tests.between_recipes(first_values, second_values)
        if recipes
        else tests.paired(first_values[0], second_values[0])
    )
    if means.rests_on is not None and means.rests_on < LEAST_FOR_INTERVAL:
        difference = replace(difference, ci95=None)
    better = _better(metric, {first: float(first_values.mean()), second: float(second_values.mean())})
    by_patient = first_values.mean(axis=0) - second_values.mean(axis=0)
    too_few = recipes and difference.ci95 is None
    return _Difference(means, first, second, better, difference, by_patient, too_few)


def _better(metric: str, means: Mapping[str, float]) -> str | None:
    """None on two sides of a target: that the means differ does not say that their distances from it do."""
    target = TARGETS.get(metric)
    if target is not None and min(means.values()) < target < max(means.values()):
        return None
    return max(means, key=lambda name: MERIT[metric](means[name]))


def _pair(metric: str, compared: _Difference, p: float) -> ComparedPair:
    noise = compared.too_few or p >= LEVEL
    within, too_few = compared.means.within, compared.too_few
    stated: dict[str, Any] = ({"within": within} if within else {}) | ({"too_few": True} if too_few else {})
    return ComparedPair(
        metric=metric,
        region=compared.means.region,
        first=compared.first,
        second=compared.second,
        difference=PairDifference(
            mean=compared.difference.mean,
            ci95=list(compared.difference.ci95) if compared.difference.ci95 else None,
            p=compared.difference.p,
            range=[float(compared.by_patient.min()), float(compared.by_patient.max())],
        ),
        p_corrected=p,
        noise=noise,
        better=None if noise else compared.better,
        by_patient=compared.by_patient.tolist(),
        **stated,
    )


def classes_of(runs: Sequence[Run], cases: Sequence[str]) -> dict[str, str]:
    """The class of each case by the first run that states one, the same for all; empty where none does."""
    stated: dict[str, str] = {}
    for run in runs:
        for row in run.rows.values():
            stated[row.case] = stated.get(row.case) or row.attributes.get("class_name", "")
    return {case: stated[case] for case in cases}


def classes_in(class_of: Mapping[str, str]) -> list[tuple[str, set[str]]]:
    """The cases of each class that is stated."""
    by_class = grouped(class_of, class_of.__getitem__)
    return [(name, {*by_class[name]}) for name in sorted(by_class) if name]


def sizes_in(rows: Sequence[Row]) -> list[tuple[str, set[str]]]:
    """The cases of each third by the true size of a region; `rows` are one run's."""
    return [(name, {row.case for row in members}) for name, members in size_groups(rows).items()]


def describe_contender(contender: Contender, class_of: Mapping[str, str], means: PatientMeans) -> Contestant:
    """The figures of a contender in one region, over its seeds together, and of each run; the keys are the cases."""
    by_run = [[run.rows[case, means.region] for case in class_of] for run in contender.runs]
    together = [row for rows in by_run for row in rows]
    dice = [float(values.mean()) for values in means.dice_of_runs(contender)] if means.patients else []
    by_class, by_size = (
        {name: figure([row for row in together if row.case in cases], FIGURES[HEADLINE]) for name, cases in groups}
        for groups in (classes_in(class_of), sizes_in(by_run[0]))
    )
    return Contestant(
        name=contender.name,
        region=means.region,
        figures=compared_figures(together),
        by_class=by_class,
        by_size=by_size,
        missed=sum(row.scores.missed for row in together) / len(contender.runs),
        tumour_cases=sum(row.scores.has_tumour for row in by_run[0]),
        runs=[
            SeedDice(name=run.name, seed=run.config.seed if run.config else None, dice=mean)
            for run, mean in zip(contender.runs, dice, strict=False)
        ],
        seed_deviation=float(np.std(dice, ddof=1)) if len(dice) > 1 else None,
        seed_range=[min(dice), max(dice)] if len(dice) > 1 else None,
        leaking=contender.runs[0].leaking,
    )


def compared_figures(rows: Sequence[Row]) -> ComparedFigures:
    """The metrics that are compared, of one contender in one region; distances with their unit."""
    return ComparedFigures(**figures_of(rows, {metric: VALUES[metric] for metric in _metrics_of(rows)}))


def rank_contenders(contenders: Sequence[Contender], means: Sequence[PatientMeans]) -> list[Ranked]:
    """Best first by the mean over regions, with the share of redrawn patient samples in which each takes each rank."""
    patients = sorted({patient for region in means for patient in region.patients})
    scored = [region for region in means if region.patients]
    by_region = np.stack([_of_contenders(contenders, region, patients) for region in scored], axis=1)
    dice = [float(np.mean(np.nanmean(values, axis=1))) for values in by_region]
    shares = tests.rank_shares(by_region)
    order = sorted(range(len(contenders)), key=lambda index: (-dice[index], index))
    return [Ranked(name=contenders[i].name, dice=dice[i], rank_shares=shares[i].tolist()) for i in order]


def _of_contenders(contenders: Sequence[Contender], means: PatientMeans, patients: Sequence[str]) -> Float64Array:
    """Dice `(M, P)` over the seeds of each; NaN for a patient without the region."""
    dice = np.full((len(contenders), len(patients)), np.nan)
    column_of = {patient: number for number, patient in enumerate(patients)}
    columns = [column_of[patient] for patient in means.patients]
    dice[:, columns] = [means.dice_of_runs(contender).mean(axis=0) for contender in contenders]
    return dice


def find_disagreements(
    contenders: Sequence[Contender], cases: Sequence[str], regions: Sequence[str]
) -> list[Disagreement]:
    """The cases whose Dice differs most between contenders, by the first run of each; a patient is shown once."""
    firsts = [contender.runs[0] for contender in contenders]
    spread = []
    for key in product(cases, regions):
        dice = [run.rows[key].scores.dice for run in firsts if run.rows[key].scores.has_tumour]
        defined = [value for value in dice if value is not None]
        if defined and max(defined) > min(defined):
            spread.append((max(defined) - min(defined), key))
    chosen: dict[str, Key] = {}
    for _, key in sorted(spread, key=lambda candidate: (-candidate[0], candidate[1])):
        chosen.setdefault(firsts[0].rows[key].group, key)
    return [_disagreement(contenders, key) for key in list(chosen.values())[:MOST_SHOWN]]


def _disagreement(contenders: Sequence[Contender], key: Key) -> Disagreement:
    scored = {contender.name: contender.runs[0].rows[key].scores for contender in contenders}
    return Disagreement(
        case=key[0],
        region=key[1],
        class_name=contenders[0].runs[0].rows[key].attributes.get("class_name", ""),
        shown=[_scores_shown(name, scores) for name, scores in scored.items()],
    )


def _scores_shown(name: str, scores: CaseScores) -> ShownScores:
    """The volumes are stated where they are known."""
    shown = ShownScores(name=name, dice=scores.dice, truth_px=scores.truth_px, predicted_px=scores.predicted_px)
    in_ml = {"truth_ml": scores.truth_ml, "predicted_ml": scores.predicted_ml}
    return shown if scores.truth_ml is None else shown.model_copy(update=in_ml)
