"""What is measured of each case beside its scores, and not again where an earlier try has it."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar

from tumorline.data.case import Case
from tumorline.output.folder import Memory
from tumorline.progress import Progress


class CaseRecord(TypedDict):
    """What is measured of one region of a case, whatever is done to it."""

    case: str
    patient: str | None
    region: str
    dice: float | None
    """None without a tumour."""
    missed: bool


Record = TypeVar("Record", bound=CaseRecord)


class CaseWork(NamedTuple, Generic[Record]):
    """What is done with each case."""

    name: str
    """What it is remembered by, after the case's own name."""
    measure: Callable[[Case], list[Record]]
    is_whole: Callable[[Any], bool]
    """Whether what was remembered is what `measure` would give."""


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
