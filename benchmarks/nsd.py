"""NSD of a benchmark's finished cells at another tolerance than 2 px, from the masks that they have written.

    python benchmarks/nsd.py boundary runs/boundary benchmarks/boundary.md --data ../shared/data/cheng --tolerance 1

For plans of recipes with a reference and three seeds or more. Writes a table between the markers `nsd` of the page, and
what it is made from to benchmarks/results/<name of the page>/nsd.json.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from comparison import RESULTS, limits
from marked import markdown_table, write_marked
from refusals import said_in_one_line
from tumorline.arrays import MaskArray
from tumorline.benchmarking import read_plan
from tumorline.benchmarking.plan import arms, cells
from tumorline.comparison import compare
from tumorline.config import load_config
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.evaluation.predictions import read_prediction
from tumorline.evaluation.summary import region_figures
from tumorline.evaluation.tables import read_headline_rows, write_evaluation
from tumorline.file_names import CONFIG_NAME, PREDICTIONS_NAME, SPLIT_NAME, SUMMARY_NAME
from tumorline.files import JsonObject
from tumorline.metrics.case import Pair, score_cases
from tumorline.metrics.summary import of_region
from tumorline.recipe_files import find_recipe
from tumorline.regions import REGION
from tumorline.report.comparison import tell_difference
from tumorline.results import read_summary
from tumorline.results.compared import ComparedPair, Comparison
from tumorline.run_folder import is_finished
from tumorline.work_ahead import count_cores

REGIONS = (REGION,)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan")
    parser.add_argument("folder", type=Path)
    parser.add_argument("page", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tolerance", type=float, default=1.0, help="pixels, or mm where their size is known")
    given = parser.parse_args()
    plan = read_plan(find_recipe(given.plan, "benchmark"), given.data)
    runs = {arm.name: [given.folder / "cells" / cell.name for cell in cells(plan, arm)] for arm in arms(plan)}
    finished = {name: folders for name, folders in runs.items() if all(map(is_finished, folders))}
    truths = Truths(load_dataset(given.data, load_config(None).data))
    with tempfile.TemporaryDirectory() as scratch:
        groups = {
            name: score_again(folders, truths, given.tolerance, Path(scratch)) for name, folders in finished.items()
        }
        result = compare({}, groups, reference=plan.reference)
    write_marked(given.page, table(result, plan.reference, given.tolerance), name="nsd")
    kept = {"tolerance": given.tolerance, **figures(result)}
    (RESULTS / given.page.stem / "nsd.json").write_text(json.dumps(kept, indent=1) + "\n")


class Truths:
    """True masks `(R, *space)` by case, read once for all cells."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.read: dict[str, MaskArray] = {}

    def __call__(self, case_id: str) -> MaskArray:
        if case_id not in self.read:
            self.read[case_id] = self.dataset.read_truth(self.dataset.case(case_id))
        return self.read[case_id]

    def pair(self, cell: Path, case_id: str, tolerance: float) -> Pair:
        (truth,), (predicted,) = self(case_id), read_prediction(cell / PREDICTIONS_NAME, case_id, REGIONS)
        return Pair(truth, predicted, self.dataset.spacing_mm(self.dataset.case(case_id)), tolerance)


def score_again(cell_folders: Sequence[Path], truths: Truths, tolerance: float, scratch: Path) -> list[Path]:
    """What a comparison needs of each cell, in folders of their own, with NSD at the tolerance."""
    return [_score_again(cell, truths, tolerance, scratch / cell.name) for cell in cell_folders]


def _score_again(cell: Path, truths: Truths, tolerance: float, target: Path) -> Path:
    target.mkdir(parents=True)
    for name in (CONFIG_NAME, SPLIT_NAME):
        shutil.copyfile(cell / name, target / name)
    rows = read_headline_rows(cell)
    scores = score_cases((truths.pair(cell, row.case, tolerance) for row in rows), count_cores())
    changed = [replace(row, scores=replace(row.scores, nsd=score.nsd)) for row, score in zip(rows, scores, strict=True)]
    regions = {region: region_figures(of_region(changed, region)) for region in REGIONS}
    write_evaluation(target, changed, read_summary(cell / SUMMARY_NAME).model_copy(update={"regions": regions}))
    return target


def table(result: Comparison, reference: str, tolerance: float) -> str:
    """A line for each arm: its NSD, the difference from the reference, and that within each third by size."""
    pairs = {(pair.first, pair.within.name if pair.within else ""): pair for pair in _nsd_pairs(result)}
    sizes = list(result.contenders[0].by_size)
    head = ["arm", f"NSD at {tolerance:g} px", f"minus {reference}", *(f"within {size}" for size in sizes)]
    lines = [
        [
            one.name,
            limits(one.figures.nsd.model_dump()),
            *(tell_difference(pairs[one.name, group]) if one.name != reference else "" for group in ("", *sizes)),
        ]
        for one in result.contenders
    ]
    return markdown_table(head, lines)


def figures(result: Comparison) -> JsonObject:
    return {
        "nsd": {one.name: one.figures.nsd.to_json() for one in result.contenders},
        "pairs": [pair.without_patients().to_json() for pair in _nsd_pairs(result)],
    }


def _nsd_pairs(result: Comparison) -> Iterator[ComparedPair]:
    """Of all cases and within each third by size."""
    for pair in (*result.pairs, *result.pairs_within):
        if pair.metric == "nsd" and (pair.within is None or pair.within.by == "size"):
            yield pair


if __name__ == "__main__":
    with said_in_one_line():
        main()
