"""How a model that may do without some of its channels does with each subset of them."""

from collections.abc import Sequence
from functools import partial
from itertools import combinations
from pathlib import Path

from tumorline.data.case import Case
from tumorline.data.dataset import Dataset
from tumorline.errors import UserError
from tumorline.evaluation.measured_once import CaseRecord, CaseWork, dice_by_patient, measure_once, region_record
from tumorline.evaluation.status import Request
from tumorline.evaluation.tables import read_rows, write_evaluation
from tumorline.file_names import SUBSETS_NAME
from tumorline.files import write_csv
from tumorline.groups import grouped
from tumorline.inference.model import Model
from tumorline.metrics.overlap import count_overlap
from tumorline.model_info import ModelInfo
from tumorline.output.folder import Memory
from tumorline.own_files import (
    EVALUATE_AGAIN,
    Cell,
    any_text,
    case_name,
    is_true,
    number_or_none,
    or_empty,
    read_own_csv,
    share,
    truth_value,
    whole_number,
)
from tumorline.progress import Progress
from tumorline.results import SubsetLevel, Summary
from tumorline.spread import spread_evenly

COLUMNS = ("case", "patient", "region", "channels", "dice", "missed", "predicted_px")


class SubsetRecord(CaseRecord):
    """With one subset of the channels."""

    channels: str
    """Names, joined by `AND`."""
    predicted_px: int


CELLS: dict[str, Cell] = {
    "case": case_name,
    **dict.fromkeys(("patient", "region", "channels"), any_text),
    "missed": truth_value,
    "dice": or_empty(share),
    "predicted_px": whole_number,
}
MOST_WITH_ALL = 4
"""Of so many channels every subset is measured; of more all, all but one, and each alone."""
AFTER_TRAINING = 20
"""Cases that are measured where nobody asked for the table, at the end of a training."""
AND = "+"
"""Between the names of the channels in the table."""


def require_lacking(info: ModelInfo) -> None:
    """Raise UserError for a model that was trained with all of its channels."""
    if not info.input.may_lack_channels:
        raise UserError(
            f"--subsets: '{info.name}' was trained with all of its channels; train with augment.channel_dropout=0.3 "
            "for one that may do without some"
        )


def channel_subsets(channels: Sequence[str]) -> list[tuple[str, ...]]:
    """Those that are measured, from all channels down to each alone."""
    sizes = range(len(channels), 0, -1)
    subsets = [subset for size in sizes for subset in combinations(channels, size)]
    few = (len(channels), len(channels) - 1, 1)
    return subsets if len(channels) <= MOST_WITH_ALL else [subset for subset in subsets if len(subset) in few]


def add_subsets(
    model: Model, request: Request, summary: Summary, most: int | None = None, progress: Progress | None = None
) -> Summary:
    """Score the cases of the headline, `most` of them, with each subset of their channels; writes `subsets.csv`."""
    rows = read_rows(request.output)
    case_ids = spread_evenly([*dict.fromkeys(row.case for row in rows if row.status in request.headline)], most)
    records = measure_subsets(model, request.dataset, case_ids, request.memory, progress)
    summary = summary.model_copy(update={"subsets": summarise_subsets(records)})
    write_subsets(request.output, records)
    write_evaluation(request.output, rows, summary)
    return summary


def measure_subsets(
    model: Model,
    dataset: Dataset,
    case_ids: Sequence[str],
    memory: Memory | None = None,
    progress: Progress | None = None,
) -> list[SubsetRecord]:
    """Dice of the cases `case_ids` with each subset; the cases that `memory` holds are not measured again."""
    subsets = channel_subsets(dataset.channel_names)
    expected = [(AND.join(subset), region) for subset in subsets for region in model.info.regions]
    work = CaseWork("by subset", partial(_measure_case, model, dataset), ("channels", "region"), expected)
    return measure_once(work, [dataset.case(case_id) for case_id in case_ids], memory, progress)


def _measure_case(model: Model, dataset: Dataset, case: Case) -> list[SubsetRecord]:
    image, truth, grid = dataset.read(case)
    channels = dataset.channel_names
    records = list[SubsetRecord]()
    for subset in channel_subsets(channels):
        some = image[[channels.index(name) for name in subset]]
        masks = model.mask(model.complete(some, subset), grid)
        for region, true, predicted in zip(model.info.regions, truth, masks, strict=True):
            counts = count_overlap(true, predicted)
            record = region_record(case, region, counts)
            records.append({**record, "channels": AND.join(subset), "predicted_px": counts.predicted})
    return records


def write_subsets(folder: Path, records: Sequence[SubsetRecord]) -> None:
    write_csv(folder / SUBSETS_NAME, COLUMNS, records)


def read_subsets(folder: Path) -> list[SubsetRecord]:
    """The records of a folder's `subsets.csv`; none where it was not asked for."""
    if not (folder / SUBSETS_NAME).is_file():
        return []
    return [
        {
            "case": record["case"],
            "patient": record["patient"],
            "region": record["region"],
            "channels": record["channels"],
            "dice": number_or_none(record["dice"]),
            "missed": is_true(record["missed"]),
            "predicted_px": int(record["predicted_px"]),
        }
        for record in read_own_csv(folder / SUBSETS_NAME, CELLS, EVALUATE_AGAIN)
    ]


def summarise_subsets(records: Sequence[SubsetRecord]) -> dict[str, list[SubsetLevel]]:
    """By region, Dice by patient and missed tumours with each subset, in the order in which they were measured."""
    return {
        region: [_summarise_subset(*subset) for subset in grouped(members, lambda record: record["channels"]).items()]
        for region, members in grouped(records, lambda record: record["region"]).items()
    }


def _summarise_subset(channels: str, records: Sequence[SubsetRecord]) -> SubsetLevel:
    return SubsetLevel(
        channels=channels.split(AND),
        cases=len(records),
        dice=dice_by_patient(records),
        missed=sum(record["missed"] for record in records),
    )
