"""What charts and tables of every kind of folder are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tumorline.paper.methods import Paragraph
from tumorline.paper.tables import Cell, Column, Table
from tumorline.results import Fold, GroupSummary, RegionSummary
from tumorline.results.compared import ComparedFigures

COMPARE_AGAIN = "run the command that made it again"
REGION = Column("region", "region")
PATIENTS, CASES = Column("patients", "patients", 0), Column("cases", "cases", 0)
DICE, INTERVAL = Column("dice", "Dice", 3), Column("ci95", "95 % interval", 3, has_limits=True)
SIZE_RATIO, MISSED = Column("volume_ratio", "mean size ratio", 2), Column("missed", "missed", 0)
GROUP = (
    *(Column("group", "group"), PATIENTS, CASES, DICE, INTERVAL, Column("nsd", "NSD", 3)),
    *(Column("hd95_detected", "HD95, detected", 1), Column("hd95_unit", "unit"), SIZE_RATIO, MISSED),
)

Rows = list[dict[str, Cell]]


@dataclass(frozen=True)
class Contents:
    title: str
    charts: Mapping[str, object]
    """Content of the page, in which the charts are."""
    tables: Sequence[Table]
    methods: Sequence[Paragraph] = ()


def chosen(found: object, *keys: str) -> dict[str, Cell]:
    """Some of the fields of a result, by name."""
    return {key: getattr(found, key) for key in keys}


def group_row(found: GroupSummary | Fold) -> dict[str, Cell]:
    """Patients and cases are those of the Dice, which have the region."""
    counted = {"patients": found.dice.patients, "cases": found.tumour_cases}
    return {**figures_of_group(found), **counted, **chosen(found, "missed")}


def figures_of_group(found: GroupSummary | RegionSummary | ComparedFigures) -> dict[str, Cell]:
    """Of whatever has these figures."""
    means = {key: getattr(found, key).mean for key in ("dice", "nsd", "hd95_detected", "volume_ratio")}
    unit = found.hd95_detected.unit
    return {**means, "hd95_unit": unit, "ci95": found.dice.ci95, "missed": getattr(found, "missed", None)}


def over_seeds(columns: Sequence[Column]) -> list[Column]:
    """The same where what is missed is a mean over seeds."""
    return [replace(column, digits=1) if column.key == "missed" else column for column in columns]


def with_region(columns: Sequence[Column], several: bool) -> list[Column]:
    return [REGION, *columns] if several else list(columns)
