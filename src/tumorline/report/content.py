"""What the templates of a run's page and of its card are given: each key is a name in them."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from markupsafe import Markup

from tumorline.data.source import Source
from tumorline.report.cases import Picture
from tumorline.results import (
    Baseline,
    Calibration,
    Figure,
    Fold,
    GroupSummary,
    Metrics,
    Presence,
    RegionSummary,
    Summary,
)


class SubsetRow(TypedDict):
    """One subset of the channels."""

    channels: str
    dice: float | None
    lost: float | None
    """Against all channels."""
    missed: int
    cases: int


class FigureCharts(TypedDict):
    """Charts of the Dice of a region, and of its sizes."""

    by_class: Markup
    by_attribute: Mapping[str, Markup]
    by_size: Markup
    areas: Markup
    distribution: Markup


class ThresholdContent(TypedDict):
    """The threshold on the validation part; empty charts where it is not known."""

    curve: str
    ratios: str
    threshold: float | None
    by_hand: bool


class SizeContent(ThresholdContent):
    """Too much or too little."""

    ratio: Figure
    offset: Figure
    lost: float | None
    """Dice that a wrong size costs."""


class CalibrationContent(TypedDict):
    error: float
    margin: int | None
    """In pixels around a tumour, within which it was measured."""
    temperature: float | None
    over: float
    """By how much the probabilities are too high."""
    chart: Markup


class ConfidenceContent(TypedDict):
    """Risk against coverage."""

    chart: Markup
    area: float
    area_random: float
    area_best: float
    dice_of_half: float
    dice_of_all: float
    without: int


class StressPanel(TypedDict):
    title: str
    unit: str
    chart: Markup


class StressContent(TypedDict):
    panels: Sequence[StressPanel]
    fragile: Sequence[str]
    """Changes that cost more than `costly` at every strength."""
    costly: float
    lost: str
    """Of which cases the figures are not."""


class RegionContent(FigureCharts):
    """One region of a page."""

    region: str
    figures: RegionSummary
    validation: Metrics | None
    false_lesions: tuple[str, str]
    """Their number, and where they lie."""
    false_positives: str
    below_background: bool
    headline_bar: Markup
    folds: Sequence[Fold]
    presence: Mapping[str, Presence]
    sources: Mapping[str, GroupSummary]
    dice_of_sources: Mapping[str, Figure]
    distances_by_source: Mapping[str, Figure]
    baselines: Mapping[str, Baseline]
    over_segmentation: SizeContent | None
    calibration: CalibrationContent | None
    confidence: ConfidenceContent | None
    stress: StressContent | None
    subsets: Sequence[SubsetRow]


class Curves(TypedDict):
    """A training epoch by epoch."""

    loss: Markup
    dice: str
    rate: Markup
    validated: bool
    best: int | None
    best_dice: float | None
    epochs: int
    minutes: float
    images_per_second: float


class SplitRow(TypedDict):
    """A part of the split and a class."""

    part: str
    class_name: str
    patients: int
    cases: int


class ScoredRow(TypedDict):
    """What a model knows of cases, and a class."""

    status: str
    class_name: str
    patients: int
    cases: int
    tumours: int


class PageContent(TypedDict):
    """The page of a run, of folds or of an evaluation."""

    title: str
    summary: Summary
    regions: Sequence[RegionContent]
    mean_dice: float | None
    volumes: bool
    mixed: bool
    """Whether pictures stand beside volumes."""
    marks: Sequence[str]
    counted: str
    curves: Curves | None
    pictures: Mapping[str, Sequence[Picture]]
    split: Sequence[SplitRow]
    scored: Sequence[ScoredRow]
    card: bool
    configuration: Markup
    made_with: Mapping[str, str]


class BrowserContent(TypedDict):
    """The table of all cases with their pictures."""

    index: Markup
    packs: Mapping[str, Markup]
    folder: str | None
    megabytes: float
    cases: int
    pictures: int


class StressRow(TypedDict):
    """What one change of the images at one strength costs."""

    change: str
    dice: float | None
    lost: float | None
    missed: int


class CardRegion(TypedDict):
    """One region of a card."""

    name: str
    figures: RegionSummary
    false_lesions: str
    false_positives: str
    volumes: str
    rows: Sequence[tuple[str, int]]
    """Names of figures, each with its digits."""
    calibration: Calibration | None
    dice_of_sources: Mapping[str, Figure]
    groups: Sequence[tuple[str, GroupSummary]]
    presence: Mapping[str, Presence]
    subsets: Sequence[SubsetRow]
    stress: Sequence[StressRow]
    stress_lost: str


class CardFigures(TypedDict):
    """The figures of a card; without an evaluation there are none."""

    counted: str
    mean_dice: float | None
    regions: Sequence[CardRegion]


class ClassRow(TypedDict):
    """The cases of one class of a data set."""

    name: str
    patients: int
    cases: int
    tumours: int
    median: str
    """Of the sizes of its tumours, with the unit."""
    range: str


class HeatMap(TypedDict):
    """How often a tumour lies where."""

    label: str
    peak: float
    cases: int
    image: str


class HeatMaps(TypedDict):
    """Of one region, or of all classes."""

    name: str
    maps: Sequence[HeatMap]


class LabelledChart(TypedDict):
    label: str
    chart: Markup


class ExampleContent(TypedDict):
    case: str
    image: str
    class_name: str
    has_tumour: bool


class FindingContent(TypedDict):
    severity: str
    code: str
    message: str


class PartsContent(TypedDict):
    """How the cases of a data set would be split."""

    split: str
    """Why the cases cannot be split; empty where they can."""
    origin: str
    parts: Sequence[Mapping[str, str | int]]


class DataContent(PartsContent):
    """The page of a data set."""

    title: str
    source: Source
    volumes: bool
    thing: str
    """What a case is called: volume or slice."""
    mixed: bool
    """Whether some are volumes and some pictures."""
    tiles: Sequence[tuple[str, str]]
    classes: Sequence[ClassRow]
    attributes: Mapping[str, Sequence[tuple[str, int]]]
    shapes: Sequence[tuple[str, int]]
    spacings: Sequence[tuple[str, int]]
    size_charts: Mapping[str, Markup]
    patients: Markup
    maps: Sequence[HeatMaps]
    grey: Sequence[LabelledChart]
    examples: Sequence[ExampleContent]
    findings: Sequence[FindingContent]
    more_findings: int
