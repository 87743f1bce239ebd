"""Differences within classes and sizes: one mean over all cases can hide where a model is better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tumorline.comparison.figures import (
    PatientMeans,
    average_patients,
    classes_in,
    compare_pairs,
    sizes_in,
)
from tumorline.comparison.runs import Contender, Run
from tumorline.metrics.figure import LEAST_FOR_INTERVAL
from tumorline.metrics.summary import Row
from tumorline.results.compared import CaseGroup, ComparedPair

GroupedBy = Literal["class", "size"]
MOST_COMPARED = 6
"""Of contenders that are compared within groups: each takes as many tests in each of them as over all cases."""


@dataclass(frozen=True)
class Within:
    """What is the same for all groups of cases."""

    runs: Sequence[Run]
    regions: Sequence[str]
    metrics: Sequence[str]
    class_of: Mapping[str, str]
    """Of each case; "" where it is unknown."""

    def pairs(self, matched: Sequence[tuple[Contender, Contender]], recipes: bool) -> list[ComparedPair]:
        """In each metric, within each class and each third by size; none of one class, or of too many contenders."""
        if len(matched) > MOST_COMPARED:
            return []
        means = {by: self._means(by) for by in ("class", "size")}
        return [
            pair.without_patients()
            for groups in means.values()
            if len({group.within.name for group in groups if group.within}) > 1
            for metric in self.metrics
            for pair in compare_pairs(metric, matched, groups, recipes)
        ]

    def _means(self, by: GroupedBy) -> list[PatientMeans]:
        """Of each region and group, of regions that enough patients have for groups of them to say something."""
        of_regions = (self._of_region(by, region) for region in self.regions)
        return [means for groups in of_regions for means in groups if _patients(groups) >= LEAST_FOR_INTERVAL]

    def _of_region(self, by: GroupedBy, region: str) -> list[PatientMeans]:
        groups = classes_in(self.class_of) if by == "class" else sizes_in(self._rows(region))
        return [self._of_group(by, name, sorted(cases), region) for name, cases in groups]

    def _rows(self, region: str) -> list[Row]:
        return [self.runs[0].rows[case, region] for case in self.class_of]

    def _of_group(self, by: GroupedBy, name: str, cases: Sequence[str], region: str) -> PatientMeans:
        means = average_patients(self.runs, cases, region, self.metrics)
        with_region = sum(self.runs[0].rows[case, region].scores.has_tumour for case in cases)
        return replace(means, within=CaseGroup(by=by, name=name, cases=with_region, patients=len(means.patients)))


def _patients(groups: Sequence[PatientMeans]) -> int:
    return len({patient for group in groups for patient in group.patients})
