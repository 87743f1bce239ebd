"""Whether there is a tumour at all, image by image: pictures one by one, volumes slice by slice.

Images without any label, images that hold other labels only (BraTS's oedema, where the tumour core is asked for) and
images with a tumour are counted apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from tumorline.arrays import MaskArray
from tumorline.data.case import Case
from tumorline.data.dataset import Dataset
from tumorline.data.joined import SOURCE
from tumorline.data.sample import Sample
from tumorline.evaluation.status import HEADLINE
from tumorline.file_names import PRESENCE_NAME
from tumorline.files import write_csv
from tumorline.geometry.slices import slices_with_any, to_slices
from tumorline.groups import grouped
from tumorline.metrics.figure import figure_of
from tumorline.own_files import EVALUATE_AGAIN, Cell, any_text, case_name, read_own_csv, whole_number
from tumorline.results import Presence

ALL = "all"
"""What stands for all sources together."""


@dataclass(frozen=True)
class PresenceCounts:
    """Of one region of a case: its images, in how many of them something is drawn, or found."""

    tumour: int
    """Images with the region."""
    found: int
    """Those of them in which some of it is found."""
    free: int
    """Images that show something and no label of any kind."""
    false: int
    """Those of them in which something is drawn."""
    other: int
    """Images that hold other labels only."""
    other_drawn: int


@dataclass(frozen=True)
class PresenceRow:
    case: str
    patient: str
    """Or the case, where the patient is unknown."""
    status: str
    region: str
    source: str
    counts: PresenceCounts


COUNTS = tuple(field.name for field in fields(PresenceCounts))
ID_COLUMNS = ("case", "patient", "status", "region", "source")
COLUMNS = (*ID_COLUMNS, *COUNTS)


def is_worth_counting(dataset: Dataset) -> bool:
    """Whether there is more to say than the figures of whole cases do: slices of volumes, or several sources."""
    return bool(dataset.members) or any(case.is_volume for case in dataset.cases)


def count_presence(
    dataset: Dataset, case: Case, sample: Sample, masks: MaskArray, regions: Sequence[str], status: str
) -> list[PresenceRow]:
    """A row for each region, from its predicted masks `(R, *space)`."""
    axis, other_labels = dataset.plane_of(case), dataset.read_other_labels(case)
    truth, drawn = _slices(sample.truth, axis), _slices(masks, axis)
    labelled: MaskArray = np.asarray(truth.any((0, 2, 3)))
    if other_labels is not None:
        labelled |= slices_with_any(other_labels, axis)
    free: MaskArray = np.logical_and(_shows_anything(sample, axis), ~labelled)
    source = case.attributes.get(SOURCE, "")
    return [
        PresenceRow(case.id, case.group, status, region, source, _count(true, predicted, free, labelled))
        for region, true, predicted in zip(regions, truth, drawn, strict=True)
    ]


def _slices(masks: MaskArray, axis: str) -> MaskArray:
    """`(R, H, W)` or `(R, D, H, W)` as `(R, N, A, B)`."""
    return to_slices(masks, axis) if masks.ndim == 4 else masks[:, None]


def _shows_anything(sample: Sample, axis: str) -> MaskArray:
    """`(N,)`: in which slices any channel shows anything; a picture always counts."""
    if sample.image.ndim == 3:
        return np.full(1, True)
    slices = to_slices(sample.image, axis)
    return np.asarray((slices.max((2, 3)) > slices.min((2, 3))).any(0))


def _count(true: MaskArray, predicted: MaskArray, free: MaskArray, labelled: MaskArray) -> PresenceCounts:
    """Of masks `(N, A, B)` of one region."""
    has, draws, found = (mask.any((1, 2)) for mask in (true, predicted, true & predicted))
    other = labelled & ~has
    flags = (has, found, free, free & draws, other, other & draws)
    return PresenceCounts(*(int(flag.sum()) for flag in flags))


def summarise_presence(rows: Sequence[PresenceRow]) -> dict[str, dict[str, Presence]]:
    """By region, of each source and of all together."""
    summaries = {}
    for region, region_rows in grouped(rows, lambda row: row.region).items():
        by_source = grouped(region_rows, lambda row: row.source)
        of_sources = {source: _summarise(members) for source, members in sorted(by_source.items()) if source}
        summaries[region] = {ALL: _summarise(region_rows), **of_sources}
    return summaries


def _summarise(rows: Sequence[PresenceRow]) -> Presence:
    totals = {name: sum(getattr(row.counts, name) for row in rows) for name in COUNTS}
    rate = figure_of((row.patient, row.counts.false / row.counts.free if row.counts.free else None) for row in rows)
    return Presence(
        tumour=totals["tumour"],
        found=totals["found"],
        free=totals["free"],
        false_positives=totals["false"],
        other=totals["other"],
        other_drawn=totals["other_drawn"],
        false_positive=rate,
    )


def write_presence(output: Path, rows: Sequence[PresenceRow]) -> None:
    table = [{name: getattr(row, name) for name in ID_COLUMNS} | asdict(row.counts) for row in rows]
    write_csv(output / PRESENCE_NAME, COLUMNS, table)


CELLS: dict[str, Cell] = {
    **dict.fromkeys(ID_COLUMNS, any_text),
    "case": case_name,
    **dict.fromkeys(COUNTS, whole_number),
}


def read_presence(folder: Path, statuses: Sequence[str] = HEADLINE) -> list[PresenceRow]:
    """The rows of a folder's `presence.csv`; none where it has none."""
    if not (folder / PRESENCE_NAME).is_file():
        return []
    return [
        _parse_row(record)
        for record in read_own_csv(folder / PRESENCE_NAME, CELLS, EVALUATE_AGAIN)
        if record["status"] in statuses
    ]


def _parse_row(record: Mapping[str, str]) -> PresenceRow:
    counts = PresenceCounts(**{name: int(record[name]) for name in COUNTS})
    case, patient, status, region, source = (record[name] for name in ID_COLUMNS)
    return PresenceRow(case, patient, status, region, source, counts)
