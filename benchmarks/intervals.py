"""Do the intervals hold what they promise, and do the tests cry wolf? Simulated patients, the shipped functions.

    python benchmarks/intervals.py
    python benchmarks/intervals.py --reaction 0.1     # patients who react differently to two equal recipes

Writes the tables of benchmarks/intervals.md and benchmarks/results/intervals.json. A patient's Dice is 0 for 5 % of the
patients and Beta(6, 1.5) for the others (mean 0.8, skewed to the left, as on real sets): mean 0.76 over all. With
--reaction what one recipe gives a patient more than the other varies over patients, by that deviation and around 0.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from refusals import said_in_one_line
from table import write_table
from tumorline.arrays import Float64Array
from tumorline.metrics import comparison
from tumorline.metrics.figure import interval
from tumorline.wording import LEVEL

HERE = Path(__file__).parent
KEPT = HERE / "results" / "intervals.json"
DRAWS, PATIENTS, FAILURES = 2000, (20, 40, 160), 0.05
OF_REACTION = (2, 3, 5, 10, 20, 40, 160)
A, B = 6.0, 1.5
MEAN = (1 - FAILURES) * A / (A + B)
SEEDS, SEED_DEVIATION, NOISE = 3, 0.01, 0.05
AGREEING = 0.02
"""Errors of runs of one recipe that fail in no patient."""


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


class Spread(NamedTuple):
    """Deviations over patients: of what a recipe gives them more than the other, whatever the seed, and of each run."""

    reaction: float = 0.0
    errors: float = NOISE
    failures: float = FAILURES


OF_RUNS = Spread()


def equal_recipes(
    random: np.random.Generator, patients: int, spread: Spread = OF_RUNS
) -> tuple[Float64Array, Float64Array]:
    """Two recipes of the same quality, three seeds each: difficulty, luck of the seed, errors and failures."""
    difficulty = random.beta(A, B, patients)
    luck = SEED_DEVIATION * random.standard_normal((2, SEEDS, 1))
    errors = spread.errors * random.standard_normal((2, SEEDS, patients))
    fails = random.random(errors.shape) < spread.failures
    reacts = spread.reaction / 2**0.5 * random.standard_normal((2, 1, patients))
    values = np.where(fails, 0, np.clip(difficulty + luck + errors + reacts, 0, 1))
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


def level_of_recipes(patients: int, spread: Spread) -> float:
    draws = (np.random.default_rng((patients, draw)) for draw in range(DRAWS))
    p_values = [comparison.between_recipes(*equal_recipes(random, patients, spread)).p for random in draws]
    return float(np.mean(np.array(p_values) < LEVEL))


def measure_reaction(reaction: float) -> None:
    spreads = {"runs as above": Spread(reaction), "runs that agree": Spread(reaction, AGREEING, 0.0)}
    levels = {
        name: {patients: level_of_recipes(patients, spread) for patients in OF_REACTION}
        for name, spread in spreads.items()
    }
    kept = json.loads(KEPT.read_text())
    KEPT.write_text(json.dumps({**kept, "reaction": {"deviation": reaction, "level": levels}}, indent=2) + "\n")
    rows = [["patients", *map(str, OF_REACTION)]]
    rows += [[f"level: {name}", *(f"{level:.3f}" for level in found.values())] for name, found in levels.items()]
    write_table(HERE / "intervals.md", rows, "reaction")


def measure_all() -> None:
    began = time.perf_counter()
    covered = {patients: coverage(patients) for patients in PATIENTS}
    levels = {patients: level(patients) for patients in PATIENTS}
    seconds = round(time.perf_counter() - began)
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    result = {"draws": DRAWS, "true_mean": MEAN, "coverage": covered, "level": levels, "seconds": seconds}
    KEPT.write_text(json.dumps({**result, "reaction": kept.get("reaction")}, indent=2) + "\n")
    rows = [["patients", *(f"{patients}" for patients in PATIENTS)]]
    rows += [[f"interval: {name}", *(f"{covered[p][name]:.3f}" for p in PATIENTS)] for name in covered[PATIENTS[0]]]
    rows += [[f"level: {name}", *(f"{levels[p][name]:.3f}" for p in PATIENTS)] for name in levels[PATIENTS[0]]]
    write_table(HERE / "intervals.md", rows)
    print(f"{seconds} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reaction", type=float, help="deviation over patients, of Dice")
    given = parser.parse_args()
    if given.reaction is None:
        measure_all()
    else:
        measure_reaction(given.reaction)


if __name__ == "__main__":
    with said_in_one_line():
        main()
