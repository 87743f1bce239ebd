"""What is measured of each case beside its scores, and not again where an earlier try has it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypedDict, TypeGuard, TypeVar

from tumorline.data.case import Case
from tumorline.groups import group_of
from tumorline.metrics.figure import figure_of
from tumorline.metrics.overlap import OverlapCounts, dice_of_tumour
from tumorline.output.folder import Memory
from tumorline.progress import Progress
from tumorline.results import Figure


class CaseRecord(TypedDict):
    """What is measured of one region of a case, whatever is done to it."""

    case: str
    patient: str | None
    region: str
    dice: float | None
    """None without a tumour."""
    missed: bool


def region_record(case: Case, region: str, counts: OverlapCounts) -> CaseRecord:
    """Of a region whose pixels were counted."""
    return {
        "case": case.id,
        "patient": case.shown_patient,
        "region": region,
        "dice": dice_of_tumour(counts),
        "missed": counts.missed,
    }


def dice_by_patient(records: Iterable[CaseRecord]) -> Figure:
    return figure_of((group_of(record["patient"], record["case"]), record["dice"]) for record in records)


Record = TypeVar("Record", bound=CaseRecord)


class CaseWork(NamedTuple, Generic[Record]):
    """What is done with each case."""

    name: str
    """What it is remembered by, after the case's own name."""
    measure: Callable[[Case], list[Record]]
    columns: Sequence[str]
    expected: Sequence[tuple[object, ...]]
    """What stands in these columns of the records of each case."""

    def is_whole(self, records: Any) -> TypeGuard[list[Record]]:
        """Whether what was remembered of a case is what `measure` would give."""
        return isinstance(records, list) and self.expected == [
            tuple(record.get(name) for name in self.columns) if isinstance(record, dict) else None for record in records
        ]


def measure_once(
    work: CaseWork[Record], cases: Sequence[Case], memory: Memory | None, progress: Progress | None
) -> list[Record]:
    """The records of all cases; those that `memory` holds are not measured again."""
    records: list[Record] = []
    for done, case in enumerate(cases, start=1):
        key = f"{case.id} {work.name}"
        earlier: Any = memory.recall(key) if memory else None
        case_records: list[Record] = earlier if work.is_whole(earlier) else work.measure(case)
        if memory and case_records is not earlier:
            memory.keep(key, case_records)
        records += case_records
        if progress:
            progress(done, len(cases))
    return records
