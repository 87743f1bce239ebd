"""From cases to patients to a figure with its interval.

A case's value is averaged over its patient's cases, then over patients: a patient with many slices counts as much as
one with few. Intervals are bootstrapped over patients.
"""

import warnings
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from tumorline.arrays import Float64Array
from tumorline.results import Figure
from tumorline.wording import is_or_are, numbered

LEAST_FOR_INTERVAL, LEAST_WITHOUT_WARNING = 20, 30
RESAMPLES = 5000
AS_GOOD = 0.002
"""A figure, such as Dice, that lies within this of the best counts as equally good."""
UNDEFINED = Figure(
    mean=None,
    median=None,
    quartiles=None,
    range=None,
    ci95=None,
    mean_over_cases=None,
    patients=0,
    warning="undefined: no case has a value",
)


def figure_of(values: Iterable[tuple[str, float | None]]) -> Figure:
    """One figure over patients from (patient, value of a case): mean, median, quartiles, range, 95 % interval.

    `mean_over_cases` stands beside it. Undefined values are left out. `ci95` is None below 20 patients and
    where all of them have one value, and `warning` says so; it warns below 30.
    """
    by_patient: dict[str, list[float]] = defaultdict(list)
    for patient, number in values:
        if number is not None:
            by_patient[patient].append(number)
    all_numbers = [number for _, numbers in sorted(by_patient.items()) for number in sorted(numbers)]
    means = np.sort([float(np.mean(sorted(numbers))) for numbers in by_patient.values()])
    if not all_numbers:
        return UNDEFINED
    differ = bool(np.ptp(means))
    return Figure(
        mean=float(means.mean()),
        median=float(np.median(means)),
        quartiles=[float(quartile) for quartile in np.percentile(means, (25, 75))],
        range=[float(means[0]), float(means[-1])],
        ci95=interval(means) if differ else None,
        mean_over_cases=float(np.mean(all_numbers)),
        patients=len(means),
        warning=_warning(len(means), differ),
    )


def interval(values: Float64Array, resamples: int = RESAMPLES) -> list[float] | None:
    """95 % interval of the mean over patients: BCa bootstrap (Efron 1987, JASA 82:171) with a fixed seed.

    None below 20 patients; the percentile interval where BCa is undefined.
    """
    from scipy import stats  # slow to import

    if len(values) < LEAST_FOR_INTERVAL:
        return None
    if np.ptp(values) == 0:
        return [float(values[0]), float(values[0])]
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = stats.bootstrap((values,), np.mean, n_resamples=resamples, method=method, rng=0)
        low, high = (float(limit) for limit in result.confidence_interval)
        if np.isfinite(low) and np.isfinite(high):
            break
    return [low, high]


def too_few(patients: int) -> str:
    return f"{numbered(patients, 'patient')} {is_or_are(patients)} too few for an interval; values and range only"


def _warning(patients: int, differ: bool) -> str | None:
    if patients < LEAST_FOR_INTERVAL:
        return too_few(patients)
    if not differ:
        return f"{numbered(patients, 'patient')} with one value: resampling tells no interval"
    if patients < LEAST_WITHOUT_WARNING:
        return f"{numbered(patients, 'patient')}: the interval is rough"
    return None
