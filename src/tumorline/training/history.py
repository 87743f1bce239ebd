"""The columns of a training's history, and what the validation of an epoch puts into them."""

from collections.abc import Sequence
from dataclasses import dataclass

from tumorline.run_folder import region_column, source_columns
from tumorline.training.validation import Validation

COLUMNS = (
    "epoch",
    "learning_rate",
    "train_loss",
    "validation_loss",
    "validation_dice",
    "best",
    "seconds",
    "images_per_second",
)
BEFORE_PARTS = COLUMNS.index("best")


@dataclass(frozen=True)
class HistoryParts:
    """The regions and the sources of a training, which have columns of their own where there are several."""

    regions: Sequence[str]
    sources: Sequence[str]
    """Their names; empty where there is one."""

    def columns(self) -> list[str]:
        """All of the history."""
        of_regions = map(region_column, self.regions) if len(self.regions) > 1 else ()
        of_sources = (column for name in self.sources for column in source_columns(name))
        return [*COLUMNS[:BEFORE_PARTS], *of_regions, *of_sources, *COLUMNS[BEFORE_PARTS:]]

    def values(self, result: Validation | None) -> dict[str, float | None]:
        """By column; None where no case has the region and where a source cannot tell."""
        return self.of_regions(result) | self.of_sources(result)

    def of_regions(self, result: Validation | None) -> dict[str, float | None]:
        if len(self.regions) == 1:
            return {}
        values = result.by_region if result else (None,) * len(self.regions)
        return dict(zip(map(region_column, self.regions), values, strict=True))

    def of_sources(self, result: Validation | None) -> dict[str, float | None]:
        figures = result.by_source if result else {}
        return {
            column: value
            for name in self.sources
            for column, value in zip(source_columns(name), figures.get(name, (None, None)), strict=True)
        }
