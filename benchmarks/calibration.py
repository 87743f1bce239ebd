"""Which temperature: fitted over the whole picture or near tumours only, and what each does to calibration and ranking.

    python benchmarks/calibration.py runs/honest-0 runs/honest-1 runs/honest-2

Reads finished runs whose source is where it was. For each the temperature is fitted on the validation cases in both
ways; the table has the expected calibration error near tumours and the area under the risk-coverage curve.
Writes benchmarks/calibration.md (between its markers) and benchmarks/results/calibration.json.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from refusals import said_in_one_line
from table import write_table
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.files import read_csv
from tumorline.inference.model import Model, load
from tumorline.inference.probability import to_probability
from tumorline.metrics import calibration
from tumorline.network_input.fit import mask_to_network, to_native
from tumorline.run_folder import read_config

HERE = Path(__file__).parent
COLUMNS = (
    "run",
    "temperature",
    "fitted on",
    "calibration error near tumours, validation",
    "the same, test",
    "area under risk-coverage, test (lower is better)",
    "without knowledge",
)
Answer = tuple[str, Any, Any, npt.NDArray[np.bool_]]


def answers(model: Model, dataset: Dataset, names: list[str]) -> list[Answer]:
    """Patient, logits `(R, S, S)`, placement and truth `(H, W)` of each case."""
    found = []
    for name in names:
        case = dataset.case(name)
        image, (truth, *_), grid = dataset.read(case)
        found.append((case.patient or name, *model.logits(image, grid), truth))
    return found


def fitted(cases: list[Answer], near: bool) -> float:
    """The temperature over all pixels at the network's size, or over those near true or predicted tumours."""
    logits, truths = [], []
    for _, values, placement, truth in cases:
        small = mask_to_network(truth, placement)
        region = calibration.region_of_interest(small, values[0] >= 0) if near else np.ones_like(small)
        logits.append(values[0][region])
        truths.append(small[region])
    return calibration.fit_temperature(np.concatenate(logits), np.concatenate(truths))


def judged(cases: list[Answer], temperature: float) -> dict[str, Any]:
    found = []
    for patient, logits, placement, truth in cases:
        probability = to_native(to_probability(logits, temperature), placement)[0]
        found.append(calibration.judge(patient, probability, truth, probability >= 0.5))
    return calibration.summarise_calibration(found).to_json()


def measure(run: Path) -> list[dict[str, Any]]:
    config = read_config(run)
    dataset, model = load_dataset(Path(config.data.source), config.data), load(run)
    parts = {row["case"]: row["part"] for row in read_csv(run / "split.csv")}
    cases = {
        part: answers(model, dataset, [name for name in parts if parts[name] == part])
        for part in ("validation", "test")
    }
    temperatures = {
        "nothing": 1.0,
        "whole picture": fitted(cases["validation"], near=False),
        "near tumours": fitted(cases["validation"], near=True),
    }
    rows = []
    for name, temperature in temperatures.items():
        validation, test = (judged(cases[part], temperature) for part in ("validation", "test"))
        rows.append(
            {
                "run": run.name,
                "fitted on": name,
                "temperature": temperature,
                "validation_error": validation["expected_calibration_error"],
                "test_error": test["expected_calibration_error"],
                "area": test["risk_coverage"]["area"],
                "area_random": test["risk_coverage"]["area_random"],
            }
        )
    return rows


def main(runs: list[Path]) -> None:
    start = time.perf_counter()
    rows = [row for run in runs for row in measure(run)]
    result = {"rows": rows, "seconds": round(time.perf_counter() - start)}
    (HERE / "results" / "calibration.json").write_text(json.dumps(result, indent=1) + "\n")
    table = [
        [row["run"], f"{row['temperature']:.2f}", row["fitted on"]]
        + [f"{row[name]:.3f}" for name in ("validation_error", "test_error", "area", "area_random")]
        for row in rows
    ]
    write_table(HERE / "calibration.md", [list(COLUMNS), *table])


if __name__ == "__main__":
    with said_in_one_line():
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("runs", type=Path, nargs="+")
        main(parser.parse_args().runs)
