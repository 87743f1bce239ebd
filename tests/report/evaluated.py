"""Writes evaluated folders of artificial cases of any number of regions and axes, as `evaluate` leaves them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tumorline.arrays import MaskArray
from tumorline.data.sample import Sample
from tumorline.evaluation.predictions import write_prediction
from tumorline.evaluation.summary import region_figures, with_baselines
from tumorline.evaluation.tables import write_evaluation
from tumorline.geometry.grid import Grid, grid_of
from tumorline.metrics.case import Pair, score_cases
from tumorline.metrics.summary import Row, of_region
from tumorline.report.cases import CaseReader
from tumorline.results import Summary

REGIONS = ("whole_tumour", "tumour_core", "enhancing_tumour")
FROZEN = Path(__file__).parents[1] / "frozen" / "0.1.0" / "run" / "summary.json"
AFFINE = np.array([[0, 0, -1, 90], [0, -1, 0, 80], [3, 0, 0, -60], [0, 0, 0, 1.0]])
"""Slices of 3 mm, pixels of 1 mm."""


@dataclass(frozen=True)
class Evaluated:
    folder: Path
    samples: Mapping[str, Sample]

    @property
    def read_case(self) -> CaseReader:
        return self.samples.__getitem__


def nested_balls(space: tuple[int, ...], radius: float, shift: int = 0, regions: int = 3) -> MaskArray:
    """Regions within one another, `(R, *space)`, around the middle, moved along the last axis."""
    spacing = np.array([3.0, 1, 1])[-len(space) :]
    middle = np.array(space) / 2
    middle[-1] += shift
    places = np.stack(np.meshgrid(*map(np.arange, space), indexing="ij"), axis=-1)
    distances = np.linalg.norm((places - middle) * spacing, axis=-1)
    return np.stack([distances < radius * (1 - 0.3 * number) for number in range(regions)])


def evaluated(
    folder: Path, space: tuple[int, ...], cases: int = 6, regions: int = 3, lost: int | None = None
) -> Evaluated:
    """Cases of growing tumours, found the worse the larger they are; the last one has no innermost region.

    Of the region that is `lost` nothing is found.
    """
    grid = grid_of(space, AFFINE) if len(space) > 2 else Grid(space)
    samples, rows = {}, []
    for number in range(cases):
        name, radius = f"scan{number}", 5.0 + number
        truth = nested_balls(space, radius, regions=regions)
        if number == cases - 1 and regions > 1:
            truth[-1] = False
        predicted = nested_balls(space, radius, shift=number, regions=regions)
        if lost is not None:
            predicted[lost] = False
        image = np.random.default_rng(number).random((2, *space), np.float32) + truth[0] * 0.5
        samples[name] = Sample(image.astype(np.float32), truth, grid)
        write_prediction(folder / "predictions", name, REGIONS[:regions], predicted, grid)
        pairs = [Pair(*both, grid.spacing_mm, voxel_ml=grid.voxel_ml) for both in zip(truth, predicted, strict=True)]
        rows += [
            Row(name, f"P{number}", {"class_name": ""}, "test", region, scores)
            for region, scores in zip(REGIONS[:regions], score_cases(pairs), strict=True)
        ]
    write_evaluation(folder, rows, with_baselines(summary_of(rows), []))
    return Evaluated(folder, samples)


def summary_of(rows: list[Row]) -> Summary:
    frozen = json.loads(FROZEN.read_text())
    regions = dict.fromkeys(row.region for row in rows)
    figures = {region: region_figures(of_region(rows, region)).to_json() for region in regions}
    kept = {key: frozen[key] for key in ("model", "source", "split", "headline_status", "conventions", "warnings")}
    cases = len({row.case for row in rows})
    counted = {"cases": cases, "patients": cases, "case_status": {"test": cases}}
    return Summary.model_validate({**kept, **counted, "schema_version": 2, "regions": figures, "baselines": {}})
