"""What a comparison of several models or sets found, as types; see `results` for what they have in common."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from tumorline.config import bare_name
from tumorline.own_files import Count, Limits, Number
from tumorline.results import Figure, Origin, Presence, RegionSummary, Result, ResultWarning, Warned, WarningCode

Measured = Annotated[int | float, Field(ge=-1e15, le=1e15)]
"""A number that stays whole where it was."""
BareName = Annotated[str, AfterValidator(bare_name)]
"""Of a model; older files have the place where it lay."""


class MatrixCell(Warned):
    """One model on one set in one region; where that could not be evaluated, `error` says why, without figures."""

    model: str
    set: str
    folder: str
    domain: str
    error: str | None
    region: str = ""
    """Empty where the cell could not be evaluated, and in files from before there were several."""
    figures: RegionSummary | None = None
    presence: Presence | None = None
    """Image by image, slices of volumes too; None in files from before it was kept."""
    cases: Count = 0
    patients: Count = 0
    warnings: list[ResultWarning] = Field(default=[])
    orientation: str | None = None
    dice_of_cases: list[Number] = Field(default=[])
    dice_of_patients: list[Number] = Field(default=[])
    """Means over the cases of each; empty in files from before it was kept."""

    @property
    def group(self) -> tuple[str, str]:
        return self.model, self.set

    @property
    def patients_unknown(self) -> bool:
        return any(warning.code is WarningCode.PATIENTS_UNKNOWN for warning in self.warnings)


class MatrixModel(Result):
    data: dict[str, Any]
    threshold: Number | list[Number]
    """Of several regions a list."""


class Matrix(Result):
    """The content of `matrix.json`."""

    schema_version: int
    models: dict[str, MatrixModel]
    sets: dict[str, dict[str, Any]]
    cells: list[MatrixCell]
    sentences: list[str]

    @property
    def several_regions(self) -> bool:
        return len({cell.region for cell in self.cells if cell.region}) > 1

    @property
    def warned(self) -> list[str]:
        """Each warning once, with the cells that it holds for."""
        cells: dict[str, list[str]] = {}
        for cell in {cell.group: cell for cell in self.cells}.values():
            for warning in cell.warnings:
                cells.setdefault(warning.text, []).append(f"{cell.model} on {cell.set}")
        return [f"{', '.join(where)}: {warning}" for warning, where in cells.items()]


# ---------------------------------------------------------------- comparison


class ComparedFigures(Result):
    """The metrics that are compared."""

    dice: Figure
    nsd: Figure
    hd95: Figure
    hd95_detected: Figure
    signed_offset: Figure
    volume_ratio: Figure
    volume_error_absolute_ml: Figure | None = None
    """Of volumes."""


class PairDifference(Result):
    """Of first minus second, over the cases for which both have a value, averaged by patient."""

    mean: Number
    ci95: Limits | None
    p: Number
    range: Limits


class CaseGroup(Result):
    """Some of the cases with a tumour: those of one class, or a third of them by their true size."""

    by: Literal["class", "size"]
    name: str
    cases: Count
    patients: Count


class ComparedPair(Result):
    """Two contenders in one metric of one region; p is corrected over all pairs and regions of the metric.

    Of several regions the mean over regions of the Dice stands beside them, corrected over its own pairs. Within groups
    of cases it is corrected over all classes, or all sizes, as well.
    """

    metric: str
    region: str
    first: str
    second: str
    difference: PairDifference
    p_corrected: Number
    noise: bool
    better: str | None
    """None within noise, and of offset and ratio where the means lie on two sides of 0 or 1."""
    within: CaseGroup | None = None
    """None: of all cases."""
    too_few: bool = False
    """Fewer patients than an interval needs, of recipes: whatever p is, nothing is claimed, as within noise."""
    by_patient: list[Number] | None = None
    """None within groups of cases and in a leaderboard, which have no room for it."""

    def without_patients(self) -> "ComparedPair":
        """For where there is no room for a value of each patient."""
        return ComparedPair(**self.model_dump(exclude={"by_patient"}, exclude_unset=True))

    def verdict(self, of_better: str = "is better") -> str:
        """What is to be said of the pair, and of the one that is better."""
        if self.too_few:
            return "too few patients for a claim"
        if self.noise:
            return "within noise"
        return f"{self.better} {of_better}" if self.better else "they differ"


class SeedDice(Result):
    """Dice by patient of one run."""

    name: str
    seed: int | None
    dice: Number


class Contestant(Result):
    """What one contender reaches in one region, over its seeds together, and each of its runs."""

    name: str
    region: str
    figures: ComparedFigures
    by_class: dict[str, Figure]
    by_size: dict[str, Figure] = Field(default={})
    """Thirds of the cases by true size; empty in files from before they were kept."""
    missed: Number
    tumour_cases: Count
    runs: list[SeedDice]
    seed_deviation: Number | None
    seed_range: Limits | None
    leaking: bool


class Ranked(Result):
    name: str
    dice: Number
    """By patient; of several regions the mean over regions."""
    rank_shares: list[Number]


class ShownScores(Result):
    name: str
    dice: Number | None
    truth_px: Count
    predicted_px: Count
    truth_ml: Number | None = None
    predicted_ml: Number | None = None


class Disagreement(Result):
    """A case of which the contenders draw a region differently."""

    case: str
    region: str
    class_name: str
    shown: list[ShownScores]


class Comparison(Result):
    """The content of `compare.json`."""

    schema_version: int
    about: Literal["models", "recipes", "leak"]
    regions: list[str]
    ranked_by: str
    cases: Count
    patients: Count
    source: Origin
    contenders: list[Contestant]
    pairs: list[ComparedPair]
    pairs_within: list[ComparedPair] = Field(default=[])
    """Within classes and thirds by size; none of few patients, and in files from before they were compared."""
    ranking: list[Ranked]
    verdicts: list[str]
    warnings: list[str]
    disagreements: list[Disagreement]
    unverified: list[str] = Field(default=[])
    """Contenders that are another program's masks: what that was trained on is not known."""

    @property
    def names(self) -> list[str]:
        """Of the contenders, in the order in which they were given."""
        return list(dict.fromkeys(one.name for one in self.contenders))

    def of_region(self, region: str) -> list[Contestant]:
        return [one for one in self.contenders if one.region == region]


# ---------------------------------------------------------------- leaderboard


class ArmName(Result):
    name: str
    region: str


class LongerTraining(Result):
    """An arm's first seed at more epochs, on the same patients."""

    epochs: Count
    gain: Number
    """Of Dice by patient, over that of the plan's length."""
    interval: Limits | None
    """95 %, over patients; None where there are too few."""
    still_rises: bool
    """Whether the gain is more than a point, whatever its interval."""

    @property
    def verdict(self) -> str:
        in_noise = self.interval and self.interval[0] <= 0 <= self.interval[1]
        return ("still rising" if self.still_rises else "no more than a point") + (", within noise" if in_noise else "")


class ArmRow(ComparedFigures, ArmName):
    """A finished arm in one region; of its classes the last one's fields are published first."""

    missed: Number
    tumour_cases: Count
    false_lesions: Number | None
    false_positives: Number
    tumour_free_cases: Count
    cases: Count
    patients: Count
    seeds: dict[str, Number | None]
    """Dice by patient of each."""
    mean_dice: Number | None
    """What the arm is ranked by: the mean over regions of the Dice by patient."""
    chosen: dict[str, Any]
    validation_dice: Number | None
    """Mean of the best of each run; None where nobody validates."""
    initialisation: BareName
    parameters: Count
    multiply_adds: Count
    training_images_per_second: Measured | None
    """None where it was trained on another kind of processor than most."""
    inference_images_per_second: Measured | None
    """None where the weights are no longer there."""
    peak_memory_mb: Measured
    training_minutes: Number | None
    machine: str
    """Each kind of processor that it was trained on."""
    device: str
    precision: str
    output_stride: Count | None = None
    """Pixels of the network's input to one of its answer before it is enlarged; None where nobody has measured it."""
    longer: LongerTraining | None = None


class LeaderboardGroup(Result):
    """The arms of one initialisation, from the best down; the regions of an arm follow one another."""

    initialisation: BareName
    about: Literal["models", "recipes"]
    rows: list[ArmRow]
    pairs: list[ComparedPair]
    pairs_within: list[ComparedPair] = Field(default=[])
    """As of a comparison, where there is a reference."""

    @property
    def arms(self) -> list[ArmRow]:
        """One row of each arm."""
        return list({row.name: row for row in reversed(self.rows)}.values())[::-1]


class Unmeasured(Result):
    """An arm that is not finished: why, and by what command it would be."""

    name: str
    reason: str
    command: str


class Leaderboard(Result):
    """The content of `leaderboard.json`."""

    schema_version: int
    name: str
    cells: Count
    finished: Count
    budget: str
    processes: Count
    reference: str
    ranked_by: str
    warnings: list[str]
    groups: list[LeaderboardGroup]
    unmeasured: list[Unmeasured]

    @property
    def rows(self) -> list[ArmRow]:
        return [row for group in self.groups for row in group.rows]

    @property
    def several_regions(self) -> bool:
        return len({row.region for row in self.rows}) > 1
