"""Do simulated volumes help on real ones? Three trainings beside each other on each real case.

    python benchmarks/sim_to_real.py --real ../shared/data/brats2021 --output runs/sim_to_real
    python benchmarks/sim_to_real.py ... --scratch runs/volumes/brats_3d     # folds from scratch that are there already
    python benchmarks/sim_to_real.py ... --recipe configs/brats_25d.toml --spacing-mm 1.5     # any recipe of volumes
    python benchmarks/sim_to_real.py ... --table                             # only the table of what is finished

1. "simulated only": the recipe trained on a simulated cohort, scored on all real cases;
2. "pre-trained": for each fold of the real cases the recipe again, started from 1 (`model.start_from`), at half the
   rate;
3. "from scratch": the same folds without 1.

1, 2 and 3 have equal steps, all in one precision. A step that is finished is not done again, one that was stopped goes
on. In 3D about 2.7 hours on two cores (AMD EPYC, AVX512-BF16) where the folds from scratch are there, 4.7 where not,
reckoned from 25 minutes for each of the trainings; in 2.5D 4 to 5 minutes for each. Writes the tables between the
markers of benchmarks/sim_to_real.md and keeps the rows in benchmarks/results/.
"""

import argparse
import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median

from marked import markdown_table, write_marked
from own_commands import tumorline
from volumes import KEPT, Row, dice_all, finished, keep, number, read_table, shown, tested

HERE = Path(__file__).parent
ARMS = ("simulated only", "pre-trained", "from scratch")
TRAINED, OF_FOLD = 0.8, 7
"""Share of the cohort that trains, and real cases that train in a fold: what the steps are shared by."""
PRECISION = ("--set", "train.precision=bfloat16")
"""That of the folds from scratch, so that all arms have one."""


def set_all(**values: object) -> list[str]:
    return [word for key, value in values.items() for word in ("--set", f"{key.replace('__', '.')}={value}")]


def train_simulated(given: argparse.Namespace) -> Path:
    """On a cohort that is made first, in as many steps as a fold of the real cases has."""
    output: Path = given.output
    cohort, run = output / "cohort", output / "simulated"
    if not (cohort / "simulated.json").exists():
        size = ("--volumes", str(given.volumes), "--spacing-mm", str(given.spacing_mm))
        tumorline("data", "simulate", str(cohort), *size)
    if (run / "config.toml").exists():
        if not (run / "report.html").exists():
            tumorline("train", "--resume", str(run))
        return run
    parts = set_all(name="simulated", split__folds=0, split__train=TRAINED, split__validation=(1 - TRAINED) / 2)
    changes = [*parts, *steps_of_fold(given), *PRECISION]
    tumorline("train", str(given.recipe), "--data", str(cohort), "--output", str(run), *changes)
    return run


def steps_of_fold(given: argparse.Namespace) -> list[str]:
    """What gives the cohort the steps that a fold of the real cases has: patches of a case, or slices of an epoch."""
    if patches := tomllib.loads(given.recipe.read_text())["data"].get("patches"):
        return set_all(data__patches=max(1, round(patches * OF_FOLD / (TRAINED * given.volumes))))
    first_epoch = read_table(finished(given.scratch)[0] / "history.csv")[0]
    return set_all(train__epoch_images=round(float(first_epoch["seconds"]) * float(first_epoch["images_per_second"])))


def train_folds(recipe: Path, real: Path, run: Path, changes: Sequence[str] = ()) -> None:
    """The same command goes on where it was stopped."""
    tumorline("folds", str(recipe), "--data", str(real), "--output", str(run), *PRECISION, *changes)


def carry_out(given: argparse.Namespace) -> None:
    if given.scratch == given.output / "from_scratch":
        train_folds(given.recipe, given.real, given.scratch)
    simulated = train_simulated(given)
    if not (given.output / "on_real" / "report.html").exists():
        tumorline("evaluate", str(simulated), "--data", str(given.real), "--output", str(given.output / "on_real"))
    rate = tomllib.loads(given.recipe.read_text())["train"]["learning_rate"] / 2
    started = set_all(name="pre-trained", model__start_from=(simulated / "model.safetensors").resolve())
    train_folds(given.recipe, given.real, given.output / "pre-trained", [*started, *set_all(train__learning_rate=rate)])


def rows_of_arms(given: argparse.Namespace) -> dict[str, list[Row]]:
    """The rows of the real cases, of the arms that have any."""
    on_real = given.output / "on_real" / "evaluation.csv"
    found = {
        ARMS[0]: read_table(on_real) if on_real.exists() else [],
        ARMS[1]: tested(given.output / "pre-trained"),
        ARMS[2]: tested(given.scratch),
    }
    return {arm: rows for arm, rows in found.items() if rows}


def as_tables(arms: dict[str, list[Row]]) -> str:
    regions = dict.fromkeys(row["region"] for rows in arms.values() for row in rows)
    return "\n\n".join(f"### {region.replace('_', ' ')}\n\n{region_table(arms, region)}" for region in regions)


def region_table(arms: dict[str, list[Row]], region: str) -> str:
    """Dice of each case that has the region, what is drawn where there is none in ml, then median, mean and range."""
    by_case = {arm: {row["case"]: row for row in rows if row["region"] == region} for arm, rows in arms.items()}
    cases = sorted({case for rows in by_case.values() for case in rows})
    lines = [[case, true_ml(by_case, case), *(cell(rows.get(case)) for rows in by_case.values())] for case in cases]
    dice = {
        arm: [value for row in rows.values() if (value := number(row["dice"])) is not None]
        for arm, rows in by_case.items()
    }
    lines.append(
        ["median of those with it", "", *(shown(median(values) if values else None) for values in dice.values())]
    )
    lines.append(["mean of those with it", "", *(shown(fmean(values) if values else None) for values in dice.values())])
    everything = [[dice_all(row) for row in rows.values()] for rows in by_case.values()]
    lines.append(["mean, both empty = 1", "", *(shown(fmean(values)) for values in everything)])
    lines.append(["cases", "", *(str(len(rows)) for rows in by_case.values())])
    return markdown_table(["case", "true ml", *by_case], lines)


def true_ml(by_case: dict[str, dict[str, Row]], case: str) -> str:
    row = next(rows[case] for rows in by_case.values() if case in rows)
    return shown(number(row["truth_ml"]), 2)


def cell(row: Row | None) -> str:
    if row is None:
        return "-"
    dice = number(row["dice"])
    return shown(dice) if dice is not None else f"none; {shown(number(row['predicted_ml']), 2)} ml drawn"


def keep_rows(given: argparse.Namespace) -> None:
    results = given.page.parent / "results" / "sim_to_real"
    own = (given.output / "pre-trained", given.output / "from_scratch")
    for run in own:  # of folds from scratch that are there already volumes.py keeps the rows
        if finished(run):
            keep(run, results)
    folder = results / "on_real"
    folder.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        if (source := given.output / "on_real" / name).exists():
            shutil.copyfile(source, folder / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("runs/sim_to_real"))
    parser.add_argument("--recipe", type=Path, default=Path("configs/brats_3d.toml"))
    parser.add_argument("--volumes", type=int, default=60, help="in the simulated cohort")
    parser.add_argument("--spacing-mm", type=float, default=2.0, help="of the simulated cohort")
    parser.add_argument("--scratch", type=Path, help="folder of folds from scratch; without it they are trained")
    parser.add_argument("--page", type=Path, default=HERE / "sim_to_real.md")
    parser.add_argument("--table", action="store_true", help="only write the tables of what is finished")
    given = parser.parse_args()
    given.scratch = given.scratch or given.output / "from_scratch"
    if not given.table:
        carry_out(given)
    keep_rows(given)
    tables = as_tables(rows_of_arms(given))
    write_marked(given.page, f"\n{tables}\n", title="Simulated volumes before real ones")


if __name__ == "__main__":
    main()
