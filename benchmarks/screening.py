"""Remedies against learning the source in place of the tumour, screened over folds.

    python benchmarks/screening.py plan ../shared/data --output runs/screening
    python benchmarks/screening.py run ../shared/data --into benchmarks/screening.md        # leave one source out
    python benchmarks/screening.py measure runs/screening/today runs/screening/three --data ../shared/data
    python benchmarks/screening.py table runs/screening/today runs/screening/three ... --into benchmarks/screening.md
    python benchmarks/screening.py point runs/screening/three
    python benchmarks/screening.py gates runs/screening/presence --data ../shared/data

`plan` prints a command for each arm; `run` carries some of them out, measures them and writes their table, and goes
on where it was stopped: without `--arm` the training on three sources with a presence head and the two that leave out
a source of tumour-free slices, which are then the ones to look at. About 12 minutes a fold and arm on two cores (AMD
EPYC, AVX512-BF16), and 3 to measure it. `measure` scores the model of every finished fold on what it has not seen:
LGG after contrast, the BraTS cases that its fold tests, BRISC's `healthy/`. `table` pairs the arms with the first
one, by patient of Cheng's set, over the folds that all have finished; intervals are bootstrapped over patients. An
arm that was kept may be given by its folder in benchmarks/results/screening/. `point` gives what a training on all
patients states: the medians of temperature, threshold and gate over the folds. `gates` moves the gate of a presence
head and counts, on LGG and on what the fold tests, in how many free slices something is still drawn and how many
tumours are shut out.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

import numpy as np

import tumorline
from refusals import said_in_one_line
from table import write_table
from tumorline.config import load_config
from tumorline.data.dataset import load_dataset
from tumorline.data.joined import load_data
from tumorline.data.splits.split import split_dataset
from tumorline.evaluation.presence import PresenceCounts, PresenceRow, read_presence
from tumorline.evaluation.tables import read_rows
from tumorline.metrics.comparison import Difference, paired
from tumorline.metrics.figure import figure_of
from tumorline.metrics.summary import Row
from tumorline.model_file import read_info
from tumorline.network_file import load_network
from tumorline.run_folder import read_config
from tumorline.training.gate import SeenWindow, look_at_windows, open_windows
from tumorline.wording import tell_p

HERE = Path(__file__).parent
KEPT = HERE / "results" / "screening"
"""Rows of arms that were shown; they stand for a run that is gone."""
HELD_OUT = "held_out"
LGG = "LGG, post-contrast"
SETS = {
    LGG: ("lgg/kaggle_3m", ("channel=post_contrast",)),
    "BraTS": ("brats2021", ("channel=post_contrast",)),
    "healthy": ("healthy", ("tumour_free=true",)),
}
"""What the models of the folds are measured on: folder and settings."""
BRATS = "BraTS"
GATES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998)
TCGA = "LGG and BraTS both draw on TCGA; no audit of pixels finds a patient across registrations."
COMMON = (
    "split.folds=5",
    "data.image_size=160",
    "train.precision=bfloat16",
    "train.epoch_images=1837",
    "model.options.presence=false",
)
CHENG, SCANS, HEADS = "cheng", "brats2021,channel=post_contrast,label_as=tumour,slice_step=2", "healthy_train"
THREE = (CHENG, SCANS, f"{HEADS},tumour_free=true")
PRESENCE = ("model.options.presence=true",)
PASTE_INPAINT = ("augment.paste=0.3", "augment.inpaint=0.2")


class Plan(NamedTuple):
    sources: tuple[str, ...]
    settings: tuple[str, ...] = ()


ARMS = {
    "today": Plan((CHENG,)),
    "three": Plan(THREE),
    "skull_strip": Plan(THREE, ("augment.skull_strip=0.3",)),
    "crop": Plan(THREE, ("augment.crop=0.3",)),
    "appearance": Plan(THREE, ("augment.appearance=0.5",)),
    "paste": Plan(THREE, ("augment.paste=0.3",)),
    "inpaint": Plan(THREE, ("augment.inpaint=0.2",)),
    "paste_inpaint": Plan(THREE, PASTE_INPAINT),
    "presence": Plan(THREE, PRESENCE),
    "presence_appearance": Plan(THREE, (*PRESENCE, "augment.appearance=0.5")),
    "paste_all": Plan(THREE, (*PRESENCE, "augment.paste=0.4", "augment.paste_into=all")),
    "presence_inpaint": Plan(THREE, (*PRESENCE, "augment.inpaint=0.15")),
    "part": Plan(THREE, (*PRESENCE, "augment.part=0.3")),
    "part_lite2": Plan(THREE, (*PRESENCE, "augment.part=0.3", "model.options.encoder=efficientnet_lite2")),
    "part_long": Plan(THREE, (*PRESENCE, "augment.part=0.3", "train.epochs=24")),
    "mirror_half": Plan(THREE, (*PRESENCE, "augment.mirror_half=0.6")),
    "all_remedies": Plan(
        THREE,
        tuple(
            f"augment.{key}" for key in ("skull_strip=0.3", "crop=0.3", "appearance=0.5", "paste=0.3", "inpaint=0.2")
        ),
    ),
    "without_heads": Plan((CHENG, SCANS), PRESENCE),
    "without_free_scans": Plan((CHENG, f"{SCANS},tumour_free_share=0", f"{HEADS},tumour_free=true"), PRESENCE),
}
"""Sources and settings of each arm; the last two leave one source of tumour-free slices out."""
LEAVE_ONE_OUT = ("presence", "without_heads", "without_free_scans")
COLUMNS = (
    "arm",
    "patients, slices",
    "Dice by patient",
    "against the first",
    "over slices",
    "glioma",
    "HD95 detected, px",
    "missed",
    "mean area ratio",
    *(f"false positives, {name}" for name in SETS),
    "LGG tumours missed",
    "BraTS Dice, cases",
)


class Arm(NamedTuple):
    name: str
    folds: dict[str, Path]
    """The finished folds, by the name of their folder."""


class HeldOut(NamedTuple):
    """What the model of a fold does on a set that it has not seen."""

    free: int
    """Images without a tumour."""
    drawn: int
    """Those of them in which something is drawn."""
    tumours: int
    missed: int
    dice: list[float]
    """Of scans, each."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    plan = commands.add_parser("plan")
    plan.add_argument("data", type=Path)
    plan.add_argument("--output", type=Path, default=Path("runs/screening"))
    plan.add_argument("--fold", type=int, action="append", default=[])
    run = commands.add_parser("run")
    run.add_argument("data", type=Path)
    run.add_argument("--arm", choices=ARMS, action="append", default=[], help="may be repeated")
    run.add_argument("--output", type=Path, default=Path("runs/screening"))
    run.add_argument("--fold", type=int, action="append", default=[])
    run.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="for all arms")
    run.add_argument("--into", type=Path, help="Markdown file, between its markers; else printed")
    for name in ("measure", "table", "point", "gates"):
        command = commands.add_parser(name)
        command.add_argument("arms", type=Path, nargs="+")
        if name in ("measure", "gates"):
            command.add_argument("--data", type=Path, required=True)
        if name == "table":
            command.add_argument("--into", type=Path, help="Markdown file, between its markers; else printed")
    given = parser.parse_args()
    if given.command == "plan":
        print(*plan_lines(given.data, given.output, given.fold or [0, 1]), sep="\n")
    elif given.command == "run":
        carry_out(given)
    elif given.command == "measure":
        measure([open_arm(path) for path in given.arms], given.data)
    elif given.command == "gates":
        for arm in map(open_arm, given.arms):
            print(*move_gate(arm, given.data), sep="\n")
    elif given.command == "table":
        show([open_arm(path) for path in given.arms], given.into)
    else:
        print(*(f"{arm.name}: {operating_point(arm)}" for arm in map(open_arm, given.arms)), sep="\n")


def plan_lines(data: Path, output: Path, folds: Sequence[int]) -> Iterator[str]:
    """A command for each arm."""
    for name, (sources, settings) in ARMS.items():
        options = [f"--data {data}/{source}" for source in sources]
        options += [f'--set "{setting}"' for setting in (*COMMON, *settings)]
        options += [f"--fold {fold}" for fold in folds]
        yield f"tumorline folds builtin {' '.join(options)} --output {output / name}"


def carry_out(given: argparse.Namespace) -> None:
    """The folds of each arm, then what they have not seen, then the table."""
    folders = []
    for name in given.arm or LEAVE_ONE_OUT:
        sources, settings = ARMS[name]
        words = [word for source in sources for word in ("--data", f"{given.data}/{source}")]
        words += [word for setting in (*COMMON, *settings, *given.set) for word in ("--set", setting)]
        words += [word for fold in given.fold or [0, 1] for word in ("--fold", str(fold))]
        command = [sys.executable, "-m", "tumorline", "folds", "builtin", *words, "--output", str(given.output / name)]
        print("tumorline", *command[3:], flush=True)
        subprocess.run(command, check=True)
        folders.append(given.output / name)
    measure([open_arm(path) for path in folders], given.data)
    show([open_arm(path) for path in folders], given.into)


def open_arm(path: Path) -> Arm:
    folders = [path] if (path / "summary.json").is_file() and (path / "model.onnx").is_file() else path.glob("fold-*")
    last = "summary.json" if path.resolve().is_relative_to(KEPT) else "report.html"
    return Arm(path.name, {fold.name: fold for fold in sorted(folders) if (fold / last).is_file()})


# ---------------------------------------------------------------- measuring


def measure(arms: Iterable[Arm], data: Path) -> None:
    """Score each fold's model on the sets that are for measuring; what is finished is not done again."""
    for arm in arms:
        for name, fold in arm.folds.items():
            for label, (folder, settings) in SETS.items():
                output = fold / HELD_OUT / Path(folder).parts[0]
                if (output / "report.html").is_file() or not (data / folder).exists():
                    continue
                overrides = [f"data.{setting}" for setting in settings]
                tumorline.evaluate(fold, data / folder, overrides=overrides, output=output)
                note_tested(fold, label, data / folder, output)
                print(arm.name, name, label, flush=True)


def note_tested(fold: Path, label: str, folder: Path, output: Path) -> None:
    """Which of BraTS's cases the fold tests: a model that was trained without the set has seen none of them."""
    if label != BRATS:
        return
    config = read_config(fold)
    dataset = load_dataset(folder, load_config(None, ["data.channel=post_contrast"]).data)
    tested = split_dataset(dataset, config.split).cases("test")
    (output / "tested.txt").write_text("\n".join(sorted(tested)) + "\n")


# ---------------------------------------------------------------- the table


def show(arms: Sequence[Arm], into: Path | None) -> None:
    """The table, and beside it what it was made from."""
    if strange := [arm.name for arm in arms if arm.name not in ARMS]:
        raise SystemExit(
            f"{strange[0]}: no arm of this script; the folder of a run is called as one of {', '.join(ARMS)}"
        )
    shared = sorted(set.intersection(*(set(arm.folds) for arm in arms)))
    if not shared:
        raise SystemExit("no fold is finished in all arms")
    lines = [list(COLUMNS), *(table_row(arm, arms[0], shared) for arm in arms)]
    for arm in arms:
        keep_rows(arm, shared)
    said = f"Folds {', '.join(shared)}; differences are from `{arms[0].name}`, on the same patients. {TCGA}"
    if into:
        write_table(into, lines)
        print(said)
    else:
        print(*(" | ".join(line) for line in lines), said, sep="\n")


def table_row(arm: Arm, first: Arm, folds: Sequence[str]) -> list[str]:
    rows, reference = tested_slices(arm, folds), tested_slices(first, folds)
    dice = figure_of((group_of_row(row), row.scores.dice) for row in rows)
    glioma = figure_of((group_of_row(row), row.scores.dice) for row in rows if row.attributes["class_name"] == "glioma")
    detected = figure_of((group_of_row(row), row.scores.hd95 if row.scores.detected else None) for row in rows)
    ratio = figure_of((group_of_row(row), row.scores.volume_ratio) for row in rows)
    missed = sum(row.scores.missed for row in rows)
    unseen = {label: [one for fold in folds if (one := held_out(arm.folds[fold], label))] for label in SETS}
    return [
        arm.name,
        f"{dice.patients}, {len(rows)}",
        with_limits(dice.mean, dice.ci95),
        "" if arm is first else difference(rows, reference),
        number(dice.mean_over_cases),
        number(glioma.mean),
        number(detected.mean, 1),
        f"{missed} ({missed / len(rows):.1%})",
        number(ratio.mean, 2),
        *(false_positives(found, arm, label) for label, found in unseen.items()),
        missed_tumours(unseen[LGG]),
        dice_of_scans(unseen[BRATS]),
    ]


def tested_slices(arm: Arm, folds: Sequence[str]) -> list[Row]:
    """The rows of Cheng's slices in the test parts, under the names that they have in a set by themselves."""
    rows = [row for fold in folds for row in read_rows(arm.folds[fold]) if row.status == "test"]
    own = [row for row in rows if "/" not in row.case or row.case.startswith(f"{CHENG}/")]
    return [row for row in own if row.scores.has_tumour]


def group_of_row(row: Row) -> str:
    return row.group.removeprefix(f"{CHENG}-")


def difference(rows: Sequence[Row], reference: Sequence[Row]) -> str:
    """Of the means by patient, on the patients of both."""
    first, second = by_patient(rows), by_patient(reference)
    shared = sorted(first.keys() & second.keys())
    if len(shared) < len(first):
        raise SystemExit(f"{len(first) - len(shared)} patients are in one arm only; are the folds the same?")
    found: Difference = paired(np.array([first[name] for name in shared]), np.array([second[name] for name in shared]))
    return f"{with_limits(found.mean, found.ci95, sign='+')}, {tell_p(found.p)}"


def by_patient(rows: Sequence[Row]) -> dict[str, float]:
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        values[group_of_row(row)].append(row.scores.dice or 0.0)
    return {name: fmean(own) for name, own in values.items()}


def held_out(fold: Path, label: str) -> HeldOut | None:
    """From the rows of an evaluation, or where only its summary was kept, from that."""
    name = Path(SETS[label][0]).parts[0]
    folder, kept = fold / HELD_OUT / name, fold / f"{name}.json"
    if (folder / "evaluation.csv").is_file():
        return held_out_of_rows(folder, label)
    return held_out_of_summary(json.loads(kept.read_text()), label) if kept.is_file() else None


def held_out_of_rows(folder: Path, label: str) -> HeldOut:
    """Of BraTS the cases that the fold tests."""
    presence, rows = read_presence(folder) or pictures_as_rows(folder), read_rows(folder)
    if label == BRATS:
        tested = (folder / "tested.txt").read_text().split("\n")
        presence, rows = [row for row in presence if row.case in tested], [row for row in rows if row.case in tested]
    free, drawn, tumours, found = (
        sum(getattr(row.counts, name) for row in presence) for name in ("free", "false", "tumour", "found")
    )
    dice = [row.scores.dice for row in rows if row.scores.dice is not None]
    return HeldOut(free, drawn, tumours, tumours - found, dice)


def held_out_of_summary(summary: dict[str, Any], label: str) -> HeldOut | None:
    """None for scans of which more were scored than the fold tests."""
    region = summary["regions"]["tumour"]
    if label != BRATS:
        free, tumours, missed = (region[name] for name in ("tumour_free_cases", "tumour_cases", "missed"))
        return HeldOut(free, round(free * (region["false_positive_rate"] or 0)), tumours, missed, [])
    if "test" not in summary["case_status"]:
        return None
    counts = summary["presence"]["tumour"]["all"]
    missed = counts["tumour"] - counts["found"]
    dice = sorted(set(region["dice"]["range"]))  # a fold tests one scan or two
    return HeldOut(counts["free"], counts["false_positives"], counts["tumour"], missed, dice)


def pictures_as_rows(folder: Path) -> list[PresenceRow]:
    """Of a set of pictures there is no table of presence: a row of its figures says the same."""
    rows = []
    for row in read_rows(folder):
        has, scores = int(row.scores.has_tumour), row.scores
        counts = PresenceCounts(has, int(scores.detected), 1 - has, int(scores.invented), 0, 0)
        rows.append(PresenceRow(row.case, row.group, row.status, row.region, "", counts))
    return rows


def false_positives(found: Sequence[HeldOut], arm: Arm, label: str) -> str:
    """Share of the tumour-free images in which something is drawn, the mean over folds; whether the arm knows such."""
    shares = [one.drawn / one.free for one in found if one.free]
    if not shares:
        return "not measured"
    learnt = ", learnt" if has_learnt(arm, label) else ""
    return f"{fmean(shares):.1%} ({sum(one.drawn for one in found)} of {sum(one.free for one in found)}{learnt})"


def missed_tumours(found: Sequence[HeldOut]) -> str:
    """Share of the images with a tumour in which none of it is found: what an arm that stays silent pays."""
    present, missed = sum(one.tumours for one in found), sum(one.missed for one in found)
    return f"{missed / present:.1%} ({missed} of {present})" if present else "not measured"


def has_learnt(arm: Arm, label: str) -> bool:
    """Whether tumour-free images of the same source were among the training images."""
    folder = {"healthy": HEADS, BRATS: "brats2021"}.get(label)
    return any(
        source.split(",")[0] == folder and "tumour_free_share=0" not in source for source in ARMS[arm.name].sources
    )


def dice_of_scans(found: Sequence[HeldOut]) -> str:
    """Of each BraTS case that a fold tests, tumour core, as a volume."""
    return " ".join(f"{value:.2f}" for value in sorted(value for one in found for value in one.dice)) or "not measured"


def keep_rows(arm: Arm, folds: Sequence[str]) -> None:
    """Rows and summaries go to benchmarks/results/screening/, if they are not from there."""
    for fold in folds:
        source, target = arm.folds[fold], KEPT / arm.name / fold
        if source.resolve() == target:
            continue
        target.mkdir(parents=True, exist_ok=True)
        for name in ("summary.json", "evaluation.csv", "presence.csv", "history.csv"):
            if (source / name).is_file():
                shutil.copyfile(source / name, target / name)
        for table in sorted((source / HELD_OUT).glob("*/summary.json")):
            shutil.copyfile(table, target / f"{table.parent.name}.json")


# ---------------------------------------------------------------- what a final training states


def operating_point(arm: Arm) -> str:
    """Medians over the folds, each of which chose on its own validation patients."""
    infos = [read_info(fold / "model.safetensors") for fold in arm.folds.values()]
    if not infos:
        return "no fold is finished"
    settings = {
        "split.train": "1",
        "model.temperature": f"{median(info.temperatures[0] for info in infos):.3f}",
        "model.threshold": f"{median(info.thresholds[0] for info in infos):.2f}",
    }
    gates = [gate.probability for info in infos for gate in info.metrics.presence_gate.values()]
    settings |= {"model.gate": f"{median(gates):.2f}"} if gates else {}
    pixels = [info.postprocessing.smallest_px.get(info.regions[0], 0) for info in infos]
    settings |= (
        {f"model.postprocessing.smallest_px.{infos[0].regions[0]}": str(int(median(pixels)))} if any(pixels) else {}
    )
    return " ".join(f"--set {key}={value}" for key, value in settings.items()) + f"  # medians of {len(infos)} folds"


# ---------------------------------------------------------------- the gate moved


def move_gate(arm: Arm, data: Path) -> Iterator[str]:
    """Of each fold what a gate leaves drawn in free slices, and which tumours it shuts out: on LGG and at home."""
    folder, settings = SETS[LGG]
    for name, fold in arm.folds.items():
        network, info = load_network(fold / "model.safetensors")
        wanted = [f"data.{setting}" for setting in (*settings, f"image_size={info.image_size}")]
        lgg = load_dataset(data / folder, load_config(None, wanted).data)
        config = read_config(fold)
        home = load_data(config)
        sets = {
            LGG: (lgg, [case.id for case in lgg.cases]),
            "tested": (home, split_dataset(home, config.split).cases("test")),
        }
        for label, (dataset, cases) in sets.items():
            seen = [first for first, *_ in look_at_windows(network, open_windows(dataset), dataset, cases, info)]
            yield from (f"{arm.name} {name} {line}" for line in gate_lines(label, seen))


def gate_lines(label: str, seen: Sequence[SeenWindow]) -> Iterator[str]:
    for source in sorted({one.source for one in seen}):
        own = [one for one in seen if one.source == source]
        free = [one for one in own if not one.truth and not one.is_other]
        tumours = [one for one in own if one.truth]
        for gate in GATES:
            drawn = sum(bool(one.predicted) and one.is_let_through(gate) for one in free)
            shut = sum(not one.is_let_through(gate) for one in tumours)
            said = f"{drawn} of {len(free)} free drawn, {shut} of {len(tumours)} shut out"
            yield f"{label}{source and f' {source}'} gate {gate}: {said}"


def with_limits(mean: float | None, limits: Any, sign: str = "") -> str:
    if mean is None:
        return "undefined"
    said = f" ({limits[0]:{sign}.3f} to {limits[1]:{sign}.3f})" if limits else ""
    return f"{mean:{sign}.3f}{said}"


def number(value: float | None, digits: int = 3) -> str:
    return "undefined" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    with said_in_one_line():
        main()
