"""Keep what the models of folds lose as their pictures get worse, for a page and for the card of the model that ships.

    tumorline evaluate runs/builtin-5folds-three/fold-0 --stress --data DATA/cheng --output runs/stress-fold-0
    python benchmarks/stress.py runs/stress-fold-0 [runs/stress-fold-1 ...]

The model that ships has seen all patients, so that no case is left to try it on: each evaluation is of the model of a
fold, on the patients that this fold has not seen. The figures go to benchmarks/results/stress.json and the table into
benchmarks/stress.md (between its markers); `python benchmarks/ship.py` without a run puts it into the card.
"""

import argparse
import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from marked import markdown_table, write_marked
from refusals import said_in_one_line
from tumorline.evaluation.robustness import ChangeRecord, summarise_robustness
from tumorline.file_names import STRESS_NAME
from tumorline.report.card import stress_rows
from tumorline.results import Robustness

KEPT = Path(__file__).parent / "results" / "stress.json"
PAGE = Path(__file__).with_suffix(".md")
HEAD = ("change", "Dice by patient", "lost", "missed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("evaluations", type=Path, nargs="+")
    keep(parser.parse_args().evaluations)
    write_marked(PAGE, stress_table())


def keep(evaluations: Sequence[Path]) -> None:
    records = [record for evaluation in evaluations for record in read_stress(evaluation)]
    (robustness,) = summarise_robustness(records).values()
    counts = {name: len({record[name] for record in records}) for name in ("case", "patient")}
    content = {"models": len(evaluations), **counts, "robustness": robustness.model_dump(mode="json")}
    KEPT.write_text(json.dumps(content, indent=1) + "\n")


def read_stress(evaluation: Path) -> Iterator[ChangeRecord]:
    with (evaluation / STRESS_NAME).open(newline="") as file:
        for row in csv.DictReader(file):
            yield {
                "case": row["case"],
                "patient": row["patient"] or None,
                "region": row["region"],
                "change": row["change"],
                "strength": float(row["strength"]),
                "dice": float(row["dice"]) if row["dice"] else None,
                "missed": row["missed"] in ("True", "true", "1"),
            }


def stress_table() -> str:
    """Of the pictures as they are, and of each change at each strength."""
    robustness = Robustness.model_validate(json.loads(KEPT.read_text())["robustness"])
    rows = [
        [row["change"], f"{row['dice']:.3f}", f"{row['lost']:.3f}", str(row["missed"])]
        for row in stress_rows(robustness)
    ]
    return markdown_table(HEAD, rows)


def told_in_card() -> str:
    """The section of the card; empty where nothing is kept."""
    if not KEPT.is_file():
        return ""
    kept = json.loads(KEPT.read_text())
    models = "the model of one fold" if kept["models"] == 1 else f"the models of {kept['models']} folds"
    whose = f"Of {models} of the same recipe, on {kept['case']} pictures of {kept['patient']} patients not seen there."
    return f"\n## Under changes of the pictures\n\n{whose}\n\n{stress_table()}\n"


if __name__ == "__main__":
    with said_in_one_line():
        main()
