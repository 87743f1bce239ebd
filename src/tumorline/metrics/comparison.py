"""Is a difference more than noise? Over patients for two models; over seeds as well for two recipes."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tumorline.arrays import Float64Array
from tumorline.metrics.figure import LEAST_FOR_INTERVAL, interval
from tumorline.wording import LEVEL

DRAWS = 10_000
EXACT_UP_TO = 13
"""Up to so many patients all assignments of signs are tried."""
LEAST_SEEDS = 3
REDRAWN = 2000
"""Times that patients are drawn again for the ranks."""


@dataclass(frozen=True)
class Difference:
    """Mean of first minus second over patients, its 95 % interval (None below 20 patients), and the test's p."""

    mean: float
    ci95: tuple[float, float] | None
    p: float


def paired(first: Float64Array, second: Float64Array) -> Difference:
    """Two models on the same patients `(P,)`: BCa interval and sign-flip test of the mean difference."""
    differences = np.asarray(first - second, np.float64)
    limits = interval(np.sort(differences))
    ci95 = None if limits is None else (limits[0], limits[1])
    return Difference(float(differences.mean()), ci95, sign_flip_test(differences))


def sign_flip_test(differences: Float64Array, draws: int = DRAWS) -> float:
    """Two-sided p of a mean of paired differences `(P,)` under exchange within each pair (Fisher 1935; Good 2005).

    All 2^P exchanges up to 13 patients, else `draws` random ones with a fixed seed, where p = (1 + k) / (1 + draws).
    """
    number = len(differences)
    tolerance = 1e-12 * max(1.0, float(np.abs(differences).sum()))
    observed = abs(float(differences.sum())) - tolerance
    if number <= EXACT_UP_TO:
        signs = 1 - 2 * ((np.arange(2**number)[:, None] >> np.arange(number)) & 1)
        return float((np.abs(signs @ differences) >= observed).mean())
    signs = np.random.default_rng(0).integers(0, 2, (draws, number)) * 2 - 1
    return float((1 + (np.abs(signs @ differences) >= observed).sum()) / (1 + draws))


def least_p(patients: int, comparisons: int) -> float:
    """The smallest corrected p that `sign_flip_test` can give, however large the differences are."""
    return min(1.0, comparisons * 2.0 ** (1 - patients)) if patients <= EXACT_UP_TO else comparisons / (1 + DRAWS)


def between_recipes(first: Float64Array, second: Float64Array) -> Difference:
    """Two recipes, each trained with several seeds, on the same patients: `(S, P)` and `(S', P)`.

    Seeds and patients both count as drawn: the variance of the mean difference is that over patients plus that of each
    recipe's seeds, with Satterthwaite's degrees of freedom (1946, Biometrics 2:110). Three seeds have two degrees of
    freedom: where seeds matter, the interval is as wide as that deserves. A plain bootstrap over three would not be.
    """
    from scipy import stats  # slow to import

    by_patient = first.mean(axis=0) - second.mean(axis=0)
    mean, patients = float(by_patient.mean()), len(by_patient)
    parts = [(by_patient.var(ddof=1) / patients, patients - 1)]
    parts += [(runs.mean(axis=1).var(ddof=1) / len(runs), len(runs) - 1) for runs in (first, second)]
    variance = sum(part for part, _ in parts)
    enough = patients >= LEAST_FOR_INTERVAL
    if variance <= 1e-24:
        return Difference(mean, (mean, mean) if enough else None, 1.0 if abs(mean) < 1e-12 else 0.0)
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    deviation = float(np.sqrt(variance))
    half = float(stats.t.ppf(1 - LEVEL / 2, freedom)) * deviation
    p = float(2 * stats.t.sf(abs(mean) / deviation, freedom))
    return Difference(mean, (mean - half, mean + half) if enough else None, p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected for several comparisons (Holm 1979, Scand J Stat 6:65), in the order given."""
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def rank_shares(values: Float64Array) -> Float64Array:
    """How often each takes each rank when patients are drawn again: `(M, M)`, the highest first; ties share.

    Values are `(M, P)`, or `(M, R, P)` of several regions. What ranks is the mean over regions of the means over
    patients; NaN stands for a patient without the region.
    """
    from scipy import stats  # slow to import

    patients = values.shape[-1]
    drawn = np.random.default_rng(0).integers(patients, size=(REDRAWN, patients))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a region that none of those drawn has
        by_region = [
            np.stack([np.nanmean(one[drawn], axis=1) for one in np.atleast_2d(contender)]) for contender in values
        ]
    means = np.stack([np.nanmean(one, axis=0) for one in by_region])  # (M, draws)
    best, worst = (stats.rankdata(-means, method, axis=0)[..., None] for method in ("min", "max"))  # of ties
    ranks = np.arange(1, len(values) + 1)
    shares = ((best <= ranks) & (ranks <= worst)) / (worst - best + 1)  # (M, draws, M)
    return np.asarray(shares.mean(axis=1))
