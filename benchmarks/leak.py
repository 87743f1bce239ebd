"""What a split by slice adds to the score, paired over all patients: two arms out of fold, and their comparison.

    python benchmarks/leak.py --data ../shared/data/cheng --output runs/leak        # goes on where it was stopped
    python benchmarks/leak.py --output runs/leak --table                            # only the page

`configs/leak.toml` over five folds, one seed: in the leaking arm half of each test patient's slices train, in place of
as many others; the honest arm trains on as many without a leak. Both are scored on the other half. Writes the table
between the markers of benchmarks/leak.md and keeps the figures in benchmarks/results/leak.json.

Hours: about 1.6 on two cores (AMD EPYC, AVX512-BF16): ten trainings of 17 000 images at 128 px, 40 images a second.
"""

import argparse
from pathlib import Path

from comparison import write_comparison
from own_commands import tumorline
from refusals import said_in_one_line

HERE = Path(__file__).parent
ARMS = {"leaking": [], "honest": ["split.leak=0"]}
SETTINGS = ("split.folds=5", "train.precision=bfloat16")


def carry_out(given: argparse.Namespace) -> None:
    recipe = HERE.parent / "configs" / "leak.toml"
    for arm, changes in ARMS.items():
        words = [word for change in (*SETTINGS, *changes, *given.set) for word in ("--set", change)]
        tumorline("folds", str(recipe), "--data", str(given.data), "--output", str(given.output / arm), *words)
    folders = [str(given.output / arm) for arm in ARMS]
    tumorline("compare", "--study", "leak", *folders, "--output", str(given.output / "compared"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="Cheng's set")
    parser.add_argument("--output", type=Path, default=Path("runs/leak"))
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="for a trial")
    parser.add_argument("--page", type=Path, default=HERE / "leak.md")
    parser.add_argument("--table", action="store_true", help="only write the page")
    given = parser.parse_args()
    if not given.table:
        if not given.data:
            parser.error("--data is needed")
        carry_out(given)
    write_comparison(given.output / "compared", given.page)


if __name__ == "__main__":
    with said_in_one_line():
        main()
