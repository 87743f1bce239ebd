"""Do the intervals hold what they promise, and do the tests cry wolf? Simulated patients, the shipped functions.

    python benchmarks/intervals.py

Writes the tables of benchmarks/intervals.md and benchmarks/results/intervals.json. A patient's Dice is 0 for 5 % of the
patients and Beta(6, 1.5) for the others (mean 0.8, skewed to the left, as on real sets): mean 0.76 over all.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from table import write_table
from tumorline.arrays import Float64Array
from tumorline.metrics import comparison
from tumorline.metrics.figure import interval

HERE = Path(__file__).parent
DRAWS, PATIENTS, FAILURES = 2000, (20, 40, 160), 0.05
A, B = 6.0, 1.5
MEAN = (1 - FAILURES) * A / (A + B)
SEEDS, SEED_DEVIATION, NOISE = 3, 0.01, 0.05


def population(random: np.random.Generator, patients: int) -> Float64Array:
    values = random.beta(A, B, patients)
    values[random.random(patients) < FAILURES] = 0
    return values


def coverage(patients: int) -> dict[str, float]:
    """How often the interval holds the true mean, and on which side it fails."""
    random = np.random.default_rng(patients)
    found = [interval(np.sort(population(random, patients))) for _ in range(DRAWS)]
    limits = np.array([limit for limit in found if limit is not None])
    below, above = (limits[:, 1] < MEAN).mean(), (limits[:, 0] > MEAN).mean()
    width = (limits[:, 1] - limits[:, 0]).mean()
    return {
        "coverage": float(1 - below - above),
        "too low": float(below),
        "too high": float(above),
        "width": float(width),
    }


def equal_models(random: np.random.Generator, patients: int) -> tuple[Float64Array, Float64Array]:
    """Two models of the same quality: a shared difficulty, errors and failures of their own."""
    difficulty = random.beta(A, B, patients)
    both = np.clip(difficulty + NOISE * random.standard_normal((2, patients)), 0, 1)
    both[random.random((2, patients)) < FAILURES] = 0
    return both[0], both[1]


def unequal_spread(random: np.random.Generator, patients: int) -> tuple[Float64Array, Float64Array]:
    """The same mean, but the first fails altogether where the second is a little worse everywhere."""
    first = population(random, patients)
    steady = random.beta(A, B, patients) * (1 - FAILURES)
    return first, steady


def equal_recipes(random: np.random.Generator, patients: int) -> tuple[Float64Array, Float64Array]:
    """Two recipes of the same quality, three seeds each: difficulty, luck of the seed, errors and failures."""
    difficulty = random.beta(A, B, patients)
    luck = SEED_DEVIATION * random.standard_normal((2, SEEDS, 1))
    values = np.clip(difficulty + luck + NOISE * random.standard_normal((2, SEEDS, patients)), 0, 1)
    values[random.random(values.shape) < FAILURES] = 0
    return values[0], values[1]


def sign_flip(first: Float64Array, second: Float64Array) -> float:
    return comparison.sign_flip_test(first - second)


def level(patients: int) -> dict[str, float]:
    """How often p is below 0.05 where there is nothing to find."""
    tests: dict[str, Callable[[np.random.Generator], float]] = {
        "two equal models": lambda random: sign_flip(*equal_models(random, patients)),
        "equal means, unequal spread": lambda random: sign_flip(*unequal_spread(random, patients)),
        "two equal recipes, three seeds each": lambda random: (
            comparison.between_recipes(*equal_recipes(random, patients)).p
        ),
        "two equal recipes, one seed each": lambda random: sign_flip(
            *(runs[0] for runs in equal_recipes(random, patients))
        ),
    }
    return {
        name: float(np.mean([test(np.random.default_rng((patients, draw))) < 0.05 for draw in range(DRAWS)]))
        for name, test in tests.items()
    }


def main() -> None:
    began = time.perf_counter()
    covered = {patients: coverage(patients) for patients in PATIENTS}
    levels = {patients: level(patients) for patients in PATIENTS}
    seconds = round(time.perf_counter() - began)
    result = {"draws": DRAWS, "true_mean": MEAN, "coverage": covered, "level": levels, "seconds": seconds}
    (HERE / "results" / "intervals.json").write_text(json.dumps(result, indent=2) + "\n")
    rows = [["patients", *(f"{patients}" for patients in PATIENTS)]]
    rows += [[f"interval: {name}", *(f"{covered[p][name]:.3f}" for p in PATIENTS)] for name in covered[PATIENTS[0]]]
    rows += [[f"level: {name}", *(f"{levels[p][name]:.3f}" for p in PATIENTS)] for name in levels[PATIENTS[0]]]
    write_table(HERE / "intervals.md", rows)
    print(f"{seconds} s")


if __name__ == "__main__":
    main()
