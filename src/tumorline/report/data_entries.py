"""The cases of a data set with what decoding showed of them, for its page."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from tumorline.data.case import Case
from tumorline.data.dataset import Dataset
from tumorline.data.facts import Facts
from tumorline.data.finding import Finding
from tumorline.data.splits.parts import Split
from tumorline.groups import grouped
from tumorline.report.observation import Observer, Seen
from tumorline.wording import NOT_STATED

PX = "px"


@dataclass(frozen=True)
class Entry:
    """A case with what decoding showed of it."""

    case: Case
    facts: Facts
    seen: Seen | None
    spacing_mm: tuple[float, ...] | None

    @property
    def class_name(self) -> str:
        return self.case.class_name or NOT_STATED

    @property
    def pixel(self) -> float | None:
        """Size of a pixel in mm2, of a voxel in ml; None where it is unknown."""
        if self.case.grid is not None:
            return self.case.grid.voxel_ml
        return prod(self.spacing_mm) if self.spacing_mm else None

    def sizes(self, unit: str) -> list[float | None]:
        """Of each region; None where it is not there."""
        elements = prod(self.facts.shape[1:])
        scale = 1.0 if unit == PX else self.pixel or 1.0
        return [share * elements * scale or None for share in self.facts.foregrounds]


@dataclass(frozen=True)
class Described:
    """A data set that was looked at, with what was found."""

    dataset: Dataset
    observer: Observer
    findings: Sequence[Finding]
    split: Split | str
    """How the cases would be split, or why they cannot be."""


def list_entries(described: Described) -> list[Entry]:
    dataset, seen = described.dataset, described.observer.seen
    pairs = zip(dataset.cases, dataset.facts, strict=True)
    return [Entry(case, facts, seen.get(case.id), dataset.spacing_mm(case)) for case, facts in pairs]


def by_kind(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Pictures and volumes, whose sizes and places are not of one kind; a set of one kind is all under no name."""
    kinds = grouped(entries, lambda entry: "volumes" if entry.case.is_volume else "pictures")
    return kinds if len(kinds) > 1 else {"": [*entries]}


def size_unit(entries: Sequence[Entry]) -> str:
    """In what tumours of one kind are measured: ml or mm2 where every usable case has a pixel size, else px."""
    decoded = [entry for entry in entries if entry.facts.shape]
    if not decoded or any(entry.pixel is None for entry in decoded):
        return PX
    return "ml" if decoded[0].case.is_volume else "mm²"


def round_number(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def attribute_tables(entries: Sequence[Entry]) -> dict[str, list[tuple[str, int]]]:
    """How often the values of the source's further columns are there, of those with few."""
    values: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        for name, value in entry.case.attributes.items():
            values[name][value or NOT_STATED] += 1
    return {name: counts.most_common() for name, counts in sorted(values.items()) if 1 < len(counts) <= 12}


def spacing_in_words(entry: Entry) -> str:
    """In the order of sizes: width first."""
    spacing = (entry.case.grid.spacing_mm if entry.case.grid else None) or entry.spacing_mm
    return " x ".join(f"{side:.3g}" for side in spacing[::-1]) + " mm" if spacing else "not known"
