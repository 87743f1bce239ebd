"""What another threshold and post-processing would give on the cases of a run, or of folds: one pass, many masks.

    python benchmarks/postprocessing.py runs/builtin-5folds-three

Limits are chosen on validation cases; what they give on test cases stands below. Folds are pooled, each case answered
by the model of the fold that validates, or tests, on it. Writes benchmarks/postprocessing.md between its markers.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from folds import with_limits
from hardening_speed import describe_machine
from marked import markdown_table, write_marked
from refusals import said_in_one_line
from tumorline.arrays import Float32Array, MaskArray
from tumorline.assessment import open_wanted
from tumorline.config import Postprocessing
from tumorline.data.joined import SOURCE
from tumorline.evaluation.status import case_status
from tumorline.inference.model import Model, load
from tumorline.inference.post import Drawn, label_components, postprocess
from tumorline.metrics.case import CaseScores, score_case
from tumorline.metrics.summary import Row, summarise_rows
from volumes import shown

PAGE = Path(__file__).with_suffix(".md")
PARTS = ("validation", "test")
PEAKS, SIZES, THRESHOLDS = (0.7, 0.8, 0.85, 0.9, 0.95), (50, 100, 200, 400), (0.3, 0.4, 0.6, 0.7)
COLUMNS = ("what goes", "Dice by patient", "over cases", "HD95 detected", "missed", "false lesions", "mean size ratio")


def limits_of(region: str) -> dict[str, Postprocessing]:
    """What is tried, in words; no limit comes first."""
    return {
        "nothing else": Postprocessing(),
        **{f"fewer than {size} px": Postprocessing(smallest_px={region: size}) for size in SIZES},
        **{f"below {peak} of the peak": Postprocessing(least_relative_peak=peak) for peak in PEAKS},
    }


def largest_component(mask: MaskArray) -> MaskArray:
    components, sizes = label_components(mask)
    return np.asarray(components == sizes.argmax()) & mask


def masks_of(model: Model, probability: Float32Array) -> Iterator[tuple[str, MaskArray]]:
    """The mask `(*space)` of the first region by each way to draw it, from probabilities `(R, *space)`."""
    regions = model.info.regions
    above = np.asarray(probability >= model.info.thresholds[0])
    for name, limits in limits_of(regions[0]).items():
        yield name, postprocess(Drawn(above, probability), regions, limits, None)[0]
    yield "all but the largest component", largest_component(above[0])
    for threshold in THRESHOLDS:
        yield f"below a probability of {threshold}", probability[0] >= threshold


def scores_of(model: Model, case_id: str, read: Float32Array, truth: MaskArray) -> Iterator[tuple[str, CaseScores]]:
    """Of each way to draw; masks that are alike are scored once."""
    known: dict[bytes, CaseScores] = {}
    for name, mask in masks_of(model, model.answer(read, case_id).probability):
        key = np.packbits(mask).tobytes()
        known[key] = known.get(key) or score_case(truth, mask, None)
        yield name, known[key]


def rows_of_run(run: Path) -> Iterator[tuple[str, Row]]:
    """A row for each picture of the validation and test part, and each way to draw."""
    model = load(run)
    dataset = open_wanted(model, None, ())
    for case_id, status in case_status(model.info, dataset).items():
        case = dataset.case(case_id)
        if status in PARTS and not case.is_volume:
            image, truth, _ = dataset.read(case)
            for name, scores in scores_of(model, case_id, image, truth[0]):
                yield name, Row(case_id, case.patient, case.attributes, status, model.info.regions[0], scores)


def as_cells(name: str, rows: list[Row]) -> list[str]:
    figures = summarise_rows(rows)
    return [
        name,
        with_limits(figures.dice),
        shown(figures.dice.mean_over_cases, 3),
        f"{shown(figures.hd95_detected.mean, 1)} px",
        f"{figures.missed} of {figures.tumour_cases}",
        str(figures.lesions.invented if figures.lesions else 0),
        f"{shown(figures.volume_ratio.mean, 2)} (median {shown(figures.volume_ratio.median, 2)})",
    ]


def of_first_source(rows: list[Row], source: str) -> list[Row]:
    return [row for row in rows if row.attributes.get(SOURCE, "") == source]


def main(folder: Path) -> None:
    began = time.perf_counter()
    runs = sorted(path.parent for path in folder.glob("fold-*/model.safetensors")) or [folder]
    rows: dict[tuple[str, str], list[Row]] = {}
    for run in runs:
        for name, row in rows_of_run(run):
            rows.setdefault((row.status, name), []).append(row)
    first = next(row.attributes.get(SOURCE, "") for own in rows.values() for row in own)
    tables = []
    for part in PARTS:
        cells = [as_cells(name, of_first_source(own, first)) for (status, name), own in rows.items() if status == part]
        tables.append(f"{part.capitalize()}, {first or 'all'}:\n\n{markdown_table(COLUMNS, cells)}")
    content = "\n\n".join(tables)
    write_marked(PAGE, content)
    minutes = (time.perf_counter() - began) / 60
    print(
        content, f"{len(runs)} models, {describe_machine()}, {time.strftime('%Y-%m-%d')}, {minutes:.0f} min", sep="\n"
    )


if __name__ == "__main__":
    with said_in_one_line():
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("run", type=Path)
        main(parser.parse_args().run)
