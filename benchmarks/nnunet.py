"""nnU-Net and MONAI's SegResNet beside Tumorline: same cases, same folds, the same minutes of the same processor.

    python benchmarks/nnunet.py environment --python ../nnunet           # nnU-Net in an environment of its own
    python benchmarks/nnunet.py all --data ../shared/data/brats2021 --output runs/nnunet --python ../nnunet
    python benchmarks/nnunet.py hours                                    # what `all` takes, before it is started

`all` is `prepare`, `train`, `predict` and `table`, each of which goes on where it was stopped and does nothing twice;
`--side` and `--fold` choose. A fold is a folder in nnU-Net's layout that every side reads: imagesTr holds what may be
trained on, imagesTs what is tested, so that no side can see the latter. In three axes all get the cases at 2 mm, in two
as they are. The minutes count from the start of the command: preprocessing and reading are in them. All sides run with
a malloc that keeps its memory (`nnunet_commands.MALLOC`), without which nnU-Net takes three times as long in 2D.

All sides train on all cases of imagesTr and keep their last weights, as nnU-Net does; nothing is chosen on any case.
Writes the tables between the markers of benchmarks/nnunet.md and keeps what was noted of finished folds in
benchmarks/results/nnunet/, from where they count as finished on another machine too.
"""

import argparse
from pathlib import Path

from nnunet_commands import make_environment
from nnunet_data import prepare
from nnunet_folds import SIDES, Fold
from nnunet_page import restore, write_page
from nnunet_predict import predict
from nnunet_train import train
from refusals import said_in_one_line

AFTER_H = 0.15
STEPS = ("environment", "prepare", "train", "predict", "table", "all", "hours")


def count_hours(given: argparse.Namespace) -> None:
    """Before anything is started: the minutes of training, and what was measured beside them."""
    folds = [Fold(given, name, fold) for name in given.side for fold in given.fold]
    waiting = [fold for fold in folds if not fold.note("training")]
    hours = len(waiting) * given.minutes / 60
    print(f"{len(waiting)} of {len(folds)} trainings of {given.minutes:g} minutes are to come: {hours:.1f} hours,")
    print(f"and up to {AFTER_H * len(waiting):.1f} hours of trials, predictions and scores")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--data", type=Path, help="folder of BraTS 2021 cases")
    parser.add_argument("--output", type=Path, default=Path("runs/nnunet"))
    parser.add_argument("--python", type=Path, default=Path("../nnunet"), help="folder of nnU-Net's environment")
    parser.add_argument("--side", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--fold", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of Tumorline's, for a trial")
    parser.add_argument("--minutes", type=float, default=60.0, help="of each training, preprocessing included")
    given = parser.parse_args()
    given.output, given.python = given.output.resolve(), given.python.resolve()
    if given.step in ("prepare", "all") and not given.data:
        parser.error("--data is needed")
    carry_out(given)


def carry_out(given: argparse.Namespace) -> None:
    restore(given)
    if given.step in ("environment", "hours", "table"):
        {"environment": make_environment, "hours": count_hours, "table": write_page}[given.step](given)
        return
    if given.step in ("prepare", "all"):
        prepare(given)
    for fold in [Fold(given, name, number) for number in given.fold for name in given.side]:
        if given.step in ("train", "all"):
            train(fold)
        if given.step in ("predict", "all"):
            predict(fold)
        if given.step == "all":
            write_page(given)


if __name__ == "__main__":
    with said_in_one_line():
        main()
