"""What test-time augmentation and an ensemble change: validation and test figures, misses, and the time that they cost.

    python benchmarks/ensembles.py path/to/cheng work builtin
    python benchmarks/ensembles.py path/to/cheng work runs/honest-0 runs/honest-1 runs/honest-2

Several models are measured alone and as one ensemble, which is written to `work`; so are the evaluations, of which a
finished one is not repeated. Each line is compared with the first one on the same test patients. Writes the table
between the markers of benchmarks/ensembles.md, after those of earlier calls for other models, from
benchmarks/results/ensembles.json.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

import tumorline
from refusals import said_in_one_line
from table import write_table
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.evaluation.scoring import evaluate
from tumorline.evaluation.status import Request
from tumorline.inference.model import TTA, Model, load
from tumorline.wording import short_p

HERE = Path(__file__).parent
KEPT = HERE / "results" / "ensembles.json"
COLUMNS = (
    "model",
    "test-time augmentation",
    "validation Dice by patient",
    "test Dice by patient",
    "minus the first line",
    "p",
    "over slices",
    "missed",
    "HD95 detected",
    "mean area ratio",
    "ms per picture",
)


def milliseconds(model: Model, dataset: Dataset, pictures: int = 20) -> float:
    """Median time of the probability of a picture, after two to warm up."""
    images = [dataset.read(case)[0] for case in dataset.cases[: pictures + 2]]
    seconds = []
    for image in images:
        start = time.perf_counter()
        model.probability(image)
        seconds.append(time.perf_counter() - start)
    return 1000 * float(np.median(seconds[2:]))


def measure(model: Model, dataset: Dataset, folder: Path) -> dict[str, Any]:
    """Evaluation of the validation and test cases, and the time of a picture, from `folder` where they are there."""
    kept = folder / "measured.json"
    if not kept.exists():
        summary = evaluate(model, Request(dataset, folder, include=("validation", "test")))
        found = {"summary": summary.to_json(), "ms": milliseconds(model, dataset)}
        kept.write_text(json.dumps(found))
    return dict(json.loads(kept.read_text()))


def row(name: str, tta: str, found: dict[str, Any], pair: dict[str, Any] | None) -> list[str]:
    test, validation = (found["summary"][part]["tumour"] for part in ("regions", "validation"))
    low, high = test["dice"]["ci95"]
    change = [-pair["difference"]["mean"], *sorted(-limit for limit in pair["difference"]["ci95"])] if pair else []
    return [
        name,
        tta,
        f"{validation['dice']['mean']:.3f}",
        f"{test['dice']['mean']:.3f} ({low:.3f} to {high:.3f})",
        "{:+.3f} ({:+.3f} to {:+.3f})".format(*change) if pair else "",
        short_p(pair["difference"]["p"]) if pair else "",
        f"{test['dice']['mean_over_cases']:.3f}",
        f"{test['missed']} of {test['tumour_cases']}",
        f"{test['hd95_detected']['mean']:.1f} {test['hd95']['unit']}",
        f"{test['volume_ratio']['mean']:.2f}",
        f"{found['ms']:.0f}",
    ]


def plan(models: list[str], work: Path) -> list[tuple[str, str, str]]:
    """Name, model and test-time augmentation of each line; the first is what the others are compared with."""
    first = [(Path(models[0]).name, models[0], tta) for tta in TTA]
    if len(models) == 1:
        return first
    together = work / f"{'-'.join(Path(model).name for model in models)}.safetensors"
    if not together.exists():
        tumorline.ensemble(models, together)
    others = [(Path(model).name, model, "none") for model in models[1:]]
    return [*first, *others, *((f"ensemble of {len(models)}", str(together), tta) for tta in TTA)]


def main(source: Path, work: Path, models: list[str]) -> None:
    lines = plan(models, work)
    dataset = load_dataset(source, tumorline.Config().data)
    folders = [work / f"{Path(model).stem}-{tta}" for _, model, tta in lines]
    measured = [
        measure(load(model, tta), dataset, folder) for (_, model, tta), folder in zip(lines, folders, strict=True)
    ]
    pairs = [None]
    for folder in folders[1:]:
        result = tumorline.compare([folders[0], folder], output=work / "compare")
        pairs.append(next(pair for pair in result["pairs"] if pair["metric"] == "dice"))
    rows = [row(name, tta, found, pair) for (name, _, tta), found, pair in zip(lines, measured, pairs, strict=True)]
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    kept[lines[0][0]] = rows
    KEPT.write_text(json.dumps(kept, indent=1) + "\n")
    write_table(HERE / "ensembles.md", [list(COLUMNS), *(line for group in kept.values() for line in group)])


if __name__ == "__main__":
    with said_in_one_line():
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("source", type=Path)
        parser.add_argument("work", type=Path)
        parser.add_argument("models", nargs="+")
        given = parser.parse_args()
        main(given.source, given.work, given.models)
