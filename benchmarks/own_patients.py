"""What the model that comes with the package gains from a few patients of one's own, each tested out of fold.

    python benchmarks/own_patients.py [SOURCE] [--output runs/own_patients] [--set section.key=value ...]

`builtin` is scored on all patients as it is; then the recipe `own_patients` trains five folds from its weights, so
that every patient is tested once by a model that has not seen him; then both are compared on the same patients.
Without a source 20 simulated patients with 2 slices each, which no model was trained on (and which say nothing of real
ones). Patients of Cheng's set are refused: `builtin` knows them.
"""

import argparse
from pathlib import Path

import tumorline
from refusals import said_in_one_line


def main(source: Path | None, output: Path, overrides: list[str]) -> None:
    if source is None:
        source = output / "simulated"
        if not source.exists():
            tumorline.simulate(source, patients=20, slices=2, seed=7)
    of_data = [text for text in overrides if text.startswith("data.")]
    before = tumorline.evaluate("builtin", source, output=output / "before", overwrite=True, overrides=of_data)
    after = tumorline.cross_validate(
        "own_patients", data=source, overrides=overrides, output=output / "folds", notify=print
    )
    print("builtin as it is:", before["regions"]["tumour"]["dice"])
    result = tumorline.compare([after, output / "before"], output=output / "comparison")
    print(*result["warnings"], *result["verdicts"], sep="\n")


if __name__ == "__main__":
    with said_in_one_line():
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("source", type=Path, nargs="?")
        parser.add_argument("--output", type=Path, default=Path("runs/own_patients"))
        parser.add_argument("--set", dest="overrides", action="append", default=[])
        given = parser.parse_args()
        main(given.source, given.output, given.overrides)
