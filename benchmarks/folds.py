"""Write the out-of-fold tables of a cross-validation into benchmarks/folds.md, and keep what they were made from.

    python benchmarks/folds.py runs/builtin-5folds-three

Of the first source a row for all patients, for each class, each tercile of tumour size and each fold that is finished;
of the others one row. Below it what is drawn and found image by image, by source.
"""

import argparse
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from refusals import said_in_one_line
from table import keep, write_table
from tumorline.data.joined import SOURCE
from tumorline.evaluation.presence import PresenceRow, read_presence, summarise_presence
from tumorline.evaluation.tables import read_rows
from tumorline.file_names import EVALUATION_NAME, PRESENCE_NAME, SUMMARY_NAME
from tumorline.metrics.summary import Row, by_group, by_size, summarise_rows
from tumorline.results import Figure, GroupSummary, Metrics
from volumes import shown

HERE = Path(__file__).parent
RESULTS = HERE / "results"
COLUMNS = (
    "test cases",
    "patients",
    "cases",
    "Dice by patient",
    "over cases",
    "HD95 detected",
    "missed",
    "mean size ratio",
)
PRESENCE = ("images of", "without a label", "a tumour drawn there", "other labels only", "drawn", "tumour", "found")


def main(run: Path) -> None:
    folds = sorted(folder for folder in run.glob("fold-*") if (folder / SUMMARY_NAME).exists())
    for fold in folds:
        kept = keep(fold, RESULTS / run.name)
        for name in (EVALUATION_NAME, PRESENCE_NAME):
            if (fold / name).exists():
                shutil.copyfile(fold / name, kept / name)
    by_fold = {fold.name: [row for row in read_rows(fold) if row.status == "test"] for fold in folds}
    write_table(HERE / "folds.md", [list(COLUMNS), *(as_cells(*line) for line in figure_lines(by_fold))])
    presence = [row for fold in folds for row in read_presence(fold, ("test",))]
    if presence:
        write_table(HERE / "folds.md", [list(PRESENCE), *presence_lines(presence)], "presence")


def figure_lines(by_fold: dict[str, list[Row]]) -> Iterator[tuple[str, Metrics | GroupSummary]]:
    """Name and figures of each line."""
    rows = [row for own in by_fold.values() for row in own]
    first, *others = dict.fromkeys(row.attributes.get(SOURCE, "all") for row in rows)
    own = of_source(rows, first)
    yield first, summarise_rows(own)
    yield from by_group(own, "class_name").items()
    yield from ((f"{name} tumours", group) for name, group in by_size(own).items())
    yield from ((f"{first}, {fold}", summarise_rows(of_source(part, first))) for fold, part in by_fold.items())
    yield from ((name, summarise_rows(of_source(rows, name))) for name in others)


def of_source(rows: Sequence[Row], name: str) -> list[Row]:
    return [row for row in rows if row.attributes.get(SOURCE, "all") == name]


def as_cells(name: str, figures: Metrics | GroupSummary) -> list[str]:
    hd95, ratio = figures.hd95_detected, figures.volume_ratio
    return [
        name,
        str(figures.patients),
        str(figures.cases),
        with_limits(figures.dice),
        shown(figures.dice.mean_over_cases, 3),
        f"{shown(hd95.mean, 1)} {hd95.unit}" if hd95.mean is not None else "-",
        f"{figures.missed} of {figures.tumour_cases} ({figures.missed / figures.tumour_cases:.1%})"
        if figures.tumour_cases
        else "-",
        f"{shown(ratio.mean, 2)} (median {shown(ratio.median, 2)})" if ratio.mean is not None else "-",
    ]


def presence_lines(rows: Sequence[PresenceRow]) -> Iterator[list[str]]:
    for source, found in next(iter(summarise_presence(rows).values())).items():
        share = f" ({found.false_positives / found.free:.1%})" if found.free else ""
        yield [
            source,
            str(found.free),
            f"{found.false_positives}{share}",
            str(found.other),
            str(found.other_drawn),
            str(found.tumour),
            str(found.found),
        ]


def with_limits(figure: Figure) -> str:
    if figure.mean is None:
        return "-"
    low, high = figure.ci95 or figure.range or (figure.mean, figure.mean)
    return f"{figure.mean:.3f} ({'' if figure.ci95 else 'range '}{low:.3f} to {high:.3f})"


if __name__ == "__main__":
    with said_in_one_line():
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("folds", type=Path, help="folder of 'tumorline folds'")
        main(parser.parse_args().folds)
