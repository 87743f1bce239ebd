"""How well near duplicates are told from neighbouring slices, on the 2468 Cheng slices.

    python benchmarks/near_duplicates.py ../shared/data/cheng/images --output benchmarks/near_duplicates.md \\
        --json benchmarks/results/near_duplicates.json

Prints (and with --output writes between the markers of the Markdown file) the highest correlations of pairs that are
different slices, the correlations of true pairs after JPEG, resizing, gamma, brightness and crops, how many hidden
copies are found within a set and between two, what it costs, and how far a model knows copies by what it keeps. The
figures of two sets also go to --json; --only sets and --only looks make one section alone.
"""

import argparse
import csv
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from refusals import said_in_one_line
from tumorline.audit.between import compare_sets, load_pictures
from tumorline.config import DataConfig
from tumorline.data.near import duplicates
from tumorline.data.near.looks import LEAST_ALIKE, looks_of, most_alike
from tumorline.geometry.symmetry import TRANSFORMS, transformed

Picture = npt.NDArray[np.uint8]
Random = np.random.Generator
QUANTILES = (0, 0.01, 0.05, 0.5)


def saved(picture: npt.NDArray[np.generic], side: int, quality: int) -> Picture:
    """The picture resized to a square and decoded from its JPEG."""
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).resize((side, side)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def cropped(picture: Picture, cut: npt.NDArray[np.float64]) -> Picture:
    """Without these shares of the side: top, bottom, left, right."""
    top, bottom, left, right = (cut * len(picture)).round().astype(int)
    return picture[top : len(picture) - bottom, left : len(picture) - right]


def grey_curve(picture: Picture, random: Random) -> Picture:
    """Gamma 0.8 to 1.25, contrast 0.8 to 1.1, brightness -15 to 25."""
    values = 255 * (picture / 255) ** np.exp(random.uniform(np.log(0.8), np.log(1.25)))
    changed: npt.NDArray[np.float64] = values * random.uniform(0.8, 1.1) + random.uniform(-15, 25)
    return changed.clip(0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[Picture, Random], Picture]] = {
    "JPEG 80 at 256": lambda p, r: saved(p, 256, 80),
    "JPEG 60 to 95 at 128 to 512": lambda p, r: saved(p, int(r.integers(128, 513)), int(r.integers(60, 96))),
    "the same with gamma, contrast, brightness": lambda p, r: saved(
        grey_curve(p, r), int(r.integers(128, 513)), int(r.integers(60, 96))
    ),
    "JPEG 60 at 128 with gamma, contrast, brightness": lambda p, r: saved(grey_curve(p, r), 128, 60),
    "up to 5 % of the side cut in all, JPEG 80 at 256": lambda p, r: saved(cropped(p, r.uniform(0, 0.025, 4)), 256, 80),
    "5 % of the side cut from one edge, JPEG 80 at 256": lambda p, r: saved(
        cropped(p, 0.05 * np.eye(4)[r.integers(4)]), 256, 80
    ),
    "5 % cut from two edges that meet, JPEG 80 at 256": lambda p, r: saved(
        cropped(p, 0.05 * np.eye(4)[r.integers(2)] + 0.05 * np.eye(4)[2 + r.integers(2)]), 256, 80
    ),
    "5 % cut from every edge, JPEG 80 at 256": lambda p, r: saved(cropped(p, np.full(4, 0.05)), 256, 80),
    "up to 5 % cut from every edge, JPEG 80 at 256": lambda p, r: saved(cropped(p, r.uniform(0, 0.05, 4)), 256, 80),
}

HIDDEN = ("JPEG 80 at 256", "5 % of the side cut from one edge, JPEG 80 at 256")
BETWEEN = (*HIDDEN, "up to 5 % of the side cut in all, JPEG 80 at 256", "up to 5 % cut from every edge, JPEG 80 at 256")


def thumbnails(pictures: list[Picture]) -> npt.NDArray[np.float32]:
    return duplicates.unpack([duplicates.thumbnail(picture[None].astype(np.float32)) for picture in pictures])


def changed(pictures: list[Picture], change: str, random: Random) -> tuple[npt.NDArray[np.float32], list[int]]:
    """Thumbnails of changed and turned copies, and the number of each one's transform."""
    numbers = random.integers(0, len(TRANSFORMS), len(pictures)).tolist()
    turned = [transformed(picture, number) for picture, number in zip(pictures, numbers, strict=True)]
    return thumbnails([CHANGES[change](picture, random) for picture in turned]), numbers


def true_pairs(pictures: list[Picture], known: npt.NDArray[np.float32], random: Random, count: int) -> Iterator[str]:
    yield "| change (and one of the eight symmetries) | found | false pairs | correlation: lowest, 1 %, 5 %, median |"
    yield "|---|---|---|---|"
    for change in CHANGES:
        chosen = random.choice(len(pictures), count, replace=False)
        copies, numbers = changed([pictures[place] for place in chosen], change, random)
        right, false = [], 0
        for pair in duplicates.near_pairs(known, copies):
            is_true = chosen[pair.b] == pair.a and TRANSFORMS[numbers[pair.b]] == pair.transform
            false += not is_true
            right += [pair.correlation] if is_true else []
        spread = ", ".join(f"{value:.3f}" for value in np.quantile(right, QUANTILES))
        yield f"| {change} | {len(right)} of {count} | {false} | {spread} |"


def false_pairs(known: npt.NDArray[np.float32], names: list[str]) -> Iterator[str]:
    """The original set against itself with the last level's limit lowered."""
    levels = duplicates.LEVELS
    duplicates.LEVELS = (*levels[:2], (*levels[2][:2], 0.80))
    found = sorted(duplicates.near_pairs(known), key=lambda pair: -pair.correlation)
    duplicates.LEVELS = levels
    yield f"The {len(known)} original slices among themselves (limit {levels[2][2]}), the most alike:"
    yield ""
    for pair in found[:8]:
        yield f"- {names[pair.a]} and {names[pair.b]}: {pair.correlation:.3f} ({pair.transform})"
    yield ""
    counts = ", ".join(
        f"{sum(p.correlation > least for p in found)} above {least}" for least in (0.94, 0.92, 0.9, 0.85)
    )
    yield f"Pairs: {counts}."


def hidden(pictures: list[Picture], known: npt.NDArray[np.float32], random: Random, change: str) -> str:
    """Fifty changed copies among a thousand slices that lie in blocks, so that neighbours are among them."""
    start = int(random.integers(0, len(pictures) - 1000))
    chosen = start + random.choice(1000, 50, replace=False)
    copies, numbers = changed([pictures[place] for place in chosen], change, random)
    found = duplicates.near_pairs(np.concatenate([known[start : start + 1000], copies]))
    truth = {(int(place) - start, 1000 + n, TRANSFORMS[numbers[n]]) for n, place in enumerate(chosen)}
    right = sum((pair.a, pair.b, pair.transform) in truth for pair in found)
    return f"| {change} | slices {start} to {start + 999} | {right} of 50 | {len(found) - right} |"


def between(pictures: list[Picture], known: npt.NDArray[np.float32], change: str, seed: int) -> dict[str, Any]:
    """Fifty slices against their changed copies among a thousand others; all lie in one block, as patients do."""
    random = np.random.default_rng(seed)
    start = int(random.integers(0, len(pictures) - 1050))
    chosen = start + random.permutation(1050)
    copies, numbers = changed([pictures[place] for place in chosen[:50]], change, random)
    found = duplicates.near_pairs(known[chosen[:50]], np.concatenate([copies, known[chosen[50:]]]))
    right = sum(pair.a == pair.b and pair.transform == TRANSFORMS[numbers[pair.a]] for pair in found)
    return {"change": change, "seed": seed, "found": right, "of": 50, "false_pairs": len(found) - right}


def whole_audit(folder: Path, pictures: list[Picture], seed: int) -> dict[str, Any]:
    """The set against changed copies of all its slices, from files to pairs."""
    random = np.random.default_rng(seed)
    change = CHANGES["up to 5 % cut from every edge, JPEG 80 at 256"]
    numbers = random.integers(0, len(TRANSFORMS), len(pictures)).tolist()
    with tempfile.TemporaryDirectory() as copies:
        for place, (picture, number) in enumerate(zip(pictures, numbers, strict=True)):
            copy = change(transformed(picture, number), random)
            Image.fromarray(copy).save(Path(copies) / f"{place}.jpg", quality=80)
        wall, core = time.perf_counter(), time.process_time()
        audit = compare_sets(load_pictures(folder, DataConfig()), load_pictures(Path(copies), DataConfig()))
        wall, core = time.perf_counter() - wall, time.process_time() - core
    names = [file.stem for file in listed(folder)]
    truth = {(name, str(n), TRANSFORMS[numbers[n]]) for n, name in enumerate(names)}
    right = sum((pair.a.id, pair.b.id, pair.transform) in truth for pair in audit.pairs)
    figures = {"slices": len(pictures), "found": right, "false_pairs": len(audit.pairs) - right}
    return {**figures, "elapsed_s": round(wall, 1), "core_s": round(core, 1), "load": os.getloadavg()[0]}


def between_lines(figures: dict[str, Any]) -> Iterator[str]:
    yield "| fifty against their copies among a thousand others | seed | found | false pairs |"
    yield "|---|---|---|---|"
    for row in figures["hidden"]:
        yield f"| {row['change']} | {row['seed']} | {row['found']} of {row['of']} | {row['false_pairs']} |"
    yield ""
    whole = figures["whole"]
    yield (
        f"- `data check A --against B`, {whole['slices']} slices and as many turned, cut copies (up to 5 % from every "
        f"edge, JPEG 80 at 256), files to pairs: {whole['found']} found, {whole['false_pairs']} false pairs, "
        f"{whole['elapsed_s']:.1f} s elapsed, {whole['core_s']:.1f} s of core time (load of the machine "
        f"{whole['load']:.1f})"
    )


def kept_looks(folder: Path, pictures: list[Picture], known: npt.NDArray[np.float32], count: int) -> Iterator[str]:
    """What a model keeps of its pictures: are copies known by it, and slices of other patients not?"""
    patients = patients_of(folder)
    theirs = looks(known)
    random = np.random.default_rng(0)
    yield f"| change (and one of the eight symmetries) | known as a copy, of {count} | as one of another picture |"
    yield "|---|---|---|"
    for change in CHANGES:
        chosen = random.choice(len(pictures), count, replace=False)
        copies, _ = changed([pictures[place] for place in chosen], change, random)
        found = most_alike(looks(copies), theirs)
        right = sum(place == own for place, own in zip(found, chosen, strict=True))
        yield f"| {change} | {right} | {sum(place is not None for place in found) - right} |"
    strange = sum(taken_for_others(patient, theirs, patients) for patient in set(patients))
    yield ""
    yield (
        f"- of {len(theirs)} slices {strange} are taken for a copy of another patient's "
        f"(limit {LEAST_ALIKE}, every slice against all of other patients)"
    )


def looks(small: npt.NDArray[np.float32]) -> list[str]:
    return looks_of([thumbnail.astype(np.float16).tobytes() for thumbnail in small])


def taken_for_others(patient: str, known: list[str], patients: list[str]) -> int:
    """How many slices of a patient would be known as copies of another's."""
    own, others = (
        [look for look, whose in zip(known, patients, strict=True) if (whose == patient) is is_own]
        for is_own in (True, False)
    )
    return sum(place is not None for place in most_alike(own, others))


def patients_of(folder: Path) -> list[str]:
    with (folder.parent / "patients.csv").open(newline="") as file:
        by_id = {row["id"]: row.get("patient_group") or row["patient"] for row in csv.DictReader(file)}
    return [by_id[file.stem] for file in listed(folder)]


def cost(known: npt.NDArray[np.float32], pictures: list[Picture]) -> Iterator[str]:
    big = np.resize(pictures[0], (1, 512, 512)).astype(np.float32)
    started = time.process_time()
    for _ in range(100):
        duplicates.thumbnail(big)
    yield f"- one thumbnail of a 512 x 512 slice: {(time.process_time() - started) * 10:.2f} ms of one core"
    for what, *searched in (
        (f"{len(known)} slices among themselves", known),
        (f"{len(known)} against {len(known)}", known, known[:, ::-1]),
    ):
        wall, core = time.perf_counter(), time.process_time()
        duplicates.near_pairs(*searched)
        yield f"- {what}: {time.process_time() - core:.1f} s of core time, {time.perf_counter() - wall:.1f} s elapsed"


def listed(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jpg"), key=lambda file: int(file.stem))


def two_sets(folder: Path, pictures: list[Picture], known: npt.NDArray[np.float32], seed: int) -> dict[str, Any]:
    seeds = range(seed, seed + 5)
    hidden = [between(pictures, known, change, number) for change in BETWEEN for number in seeds]
    return {"hidden": hidden, "whole": whole_audit(folder, pictures, seed)}


def read(folder: Path) -> list[Picture]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda file: np.asarray(Image.open(file).convert("L")), listed(folder)))


def one_set(folder: Path, pictures: list[Picture], known: npt.NDArray[np.float32], count: int) -> Iterator[str]:
    random = np.random.default_rng(0)
    yield from false_pairs(known, [file.stem for file in listed(folder)])
    yield ""
    yield from true_pairs(pictures, known, random, count)
    yield ""
    yield "| fifty hidden among a thousand | where | found | false pairs |"
    yield "|---|---|---|---|"
    for change in HIDDEN:
        for _ in range(5):
            yield hidden(pictures, known, random, change)
    yield ""
    yield from cost(known, pictures)


def show(name: str, lines: Iterator[str], page: Path | None, started: float) -> None:
    """Print a section, and put it between its markers of the page."""
    text = "\n".join(lines) + f"\n- these figures: {time.perf_counter() - started:.0f} s elapsed"
    print(text, flush=True)
    if page:
        begin, end = f"<!-- {name} begin -->", f"<!-- {name} end -->"
        old = page.read_text(encoding="utf-8")
        new = re.sub(f"{begin}.*{end}", lambda _: f"{begin}\n{text}\n{end}", old, flags=re.DOTALL)
        page.write_text(new, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="first of five seeds for two sets; one set has seed 0")
    parser.add_argument("--count", type=int, default=200, help="true pairs of each kind")
    parser.add_argument("--only", choices=("sets", "looks"), help="one section alone; default: all three")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    pictures = read(arguments.images)
    known = thumbnails(pictures)
    if arguments.only != "looks":
        started = time.perf_counter()
        figures = two_sets(arguments.images, pictures, known, arguments.seed)
        if arguments.json:
            arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        show("two sets", between_lines(figures), arguments.output, started)
    if arguments.only != "sets":
        started = time.perf_counter()
        show("looks", kept_looks(arguments.images, pictures, known, arguments.count), arguments.output, started)
    if not arguments.only:
        started = time.perf_counter()
        show("results", one_set(arguments.images, pictures, known, arguments.count), arguments.output, started)


if __name__ == "__main__":
    with said_in_one_line():
        main()
