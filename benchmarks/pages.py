"""How long the page of N cases takes to make and to open, and how large it is.

    PYTHONPATH=. python benchmarks/pages.py N FOLDER

Images are those of ../shared/data/cheng, predictions are the truth moved by a few pixels, one in 17 empty. Run it from
the checkout; opening needs playwright and /usr/bin/chromium.
"""

import argparse
import csv
import json
import resource
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tests.conftest import REAL
from tests.report.evaluated import summary_of
from tests.viewer.conftest import CHROMIUM, FLAGS

from refusals import said_in_one_line
from tumorline.arrays import MaskArray
from tumorline.data.masks.read import read_mask
from tumorline.data.sample import Sample
from tumorline.evaluation.predictions import write_prediction
from tumorline.evaluation.summary import with_baselines
from tumorline.evaluation.tables import write_evaluation
from tumorline.geometry.grid import Grid
from tumorline.metrics.case import Pair, score_cases
from tumorline.metrics.summary import Row
from tumorline.report import write_report

CHENG = REAL / "cheng"
RNG = np.random.default_rng(0)


def read_case(names: dict[str, str], name: str) -> Sample:
    with Image.open(CHENG / "images" / f"{names[name]}.jpg") as image:
        grey = np.asarray(image.convert("L"), np.float32)[None]
    return Sample(grey, read_mask(CHENG / "masks" / f"{names[name]}.png")[None], Grid(grey.shape[1:]))


def predicted(truth: MaskArray) -> MaskArray:
    shift = tuple(int(step) for step in RNG.integers(-9, 9, 2))
    return np.zeros_like(truth) if RNG.random() < 1 / 17 else np.roll(truth, shift, (0, 1))


def evaluate(names: dict[str, str], folder: Path) -> None:
    with (CHENG / "patients.csv").open(encoding="utf-8") as file:
        stated = {row["id"]: row for row in csv.DictReader(file)}
    pairs = []
    for name, number in names.items():
        truth = read_mask(CHENG / "masks" / f"{number}.png")
        pairs.append(Pair(truth, predicted(truth)))
        write_prediction(folder / "predictions", name, ["tumour"], pairs[-1].predicted[None], Grid(truth.shape))
    rows = [
        Row(
            name,
            stated[number]["patient_group"],
            {"class_name": stated[number]["class_name"]},
            "test",
            "tumour",
            scores,
        )
        for (name, number), scores in zip(names.items(), score_cases(pairs), strict=True)
    ]
    write_evaluation(folder, rows, with_baselines(summary_of(rows), []))


def make(names: dict[str, str], folder: Path) -> dict[str, Any]:
    memory, began, used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter(), time.process_time()
    page = write_report(folder, partial(read_case, names))
    images = list((folder / "report-images").glob("*"))
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "processor_seconds": round(time.process_time() - used, 1),
        "more_memory_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) // 1024,
        "page_mb": round(page.stat().st_size / 1e6, 2),
        "folder_mb": round(sum(path.stat().st_size for path in images) / 1e6, 1),
        "files": len(images),
    }


def open_page(page: Path) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        tab = browser.new_page(viewport={"width": 1280, "height": 1000})
        began = time.perf_counter()
        tab.goto(f"file://{page.resolve()}")
        loaded = time.perf_counter() - began
        tab.wait_for_selector("[data-ready]")
        shown = time.perf_counter() - began
        browser.close()
    return {"loaded_s": round(loaded, 2), "first_case_shown_s": round(shown, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, metavar="N")
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    count, folder = given.count, given.folder
    numbers = sorted((path.stem for path in (CHENG / "images").iterdir()), key=int)
    names = {f"case-{place}": numbers[place % len(numbers)] for place in range(count)}
    if not (folder / "summary.json").exists():
        evaluate(names, folder)
    print(json.dumps({"cases": count, **make(names, folder), **open_page(folder / "report.html")}))


if __name__ == "__main__":
    with said_in_one_line():
        main()
