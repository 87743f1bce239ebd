"""A model's figures on cases that it has not seen, at native resolution, with all conventions stated."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

import numpy as np

from tumorline.arrays import MaskArray
from tumorline.data.case import Case
from tumorline.data.dataset import Dataset
from tumorline.data.sample import Sample
from tumorline.errors import UserError
from tumorline.evaluation import baselines
from tumorline.evaluation.predictions import find_prediction, read_prediction, write_prediction
from tumorline.evaluation.presence import (
    PresenceRow,
    count_presence,
    is_worth_counting,
    summarise_presence,
    write_presence,
)
from tumorline.evaluation.status import Request, case_status, explain_nothing_left
from tumorline.evaluation.summary import summarise_evaluation, with_baselines
from tumorline.evaluation.tables import write_certainties, write_evaluation
from tumorline.files import write_csv
from tumorline.geometry.grid import Grid
from tumorline.inference.model import Model, count_workers
from tumorline.metrics import calibration
from tumorline.metrics.calibration import Certainty
from tumorline.metrics.case import Pair, score_cases
from tumorline.metrics.summary import Row
from tumorline.model_info import ModelInfo, one_or_list
from tumorline.results import Calibration, Summary
from tumorline.run_folder import BASELINES_NAME, PREDICTIONS_NAME
from tumorline.wording import numbered
from tumorline.work_ahead import map_ahead

Progress = Callable[[int, int], None]


def evaluate(model: Model, wanted: Request, progress: Progress | None = None) -> Summary:
    """Score a model and write `evaluation.csv`, `summary.json` and `predictions/` below the output folder.

    Returns the summary. Raises UserError where no case is left that the model has not been trained on.
    """
    status = case_status(model.info, wanted.dataset)
    names = [name for name in status if status[name] in wanted.include]
    if not any(status[name] in wanted.headline for name in names):
        raise UserError(explain_nothing_left(model.info, wanted.dataset, status))
    require_input(model.info, wanted.dataset)
    found = _Found(status)
    scores = score_cases(_predicted(model, wanted, names, found, progress), wanted.processes)
    cases = [wanted.dataset.cases[wanted.dataset.index[name]] for name in names]
    rows = [
        Row(case.id, case.shown_patient, _attributes(case), status[case.id], region, score)
        for (case, region), score in zip(product(cases, model.info.regions), scores, strict=True)
    ]
    summary = with_baselines(summarise_evaluation(model, wanted, rows, status), found.records)
    summary = summary.model_copy(update={"calibration": _calibrations(wanted, rows, found.certainties)})
    if found.presence:
        counted = [row for row in found.presence if row.status in wanted.headline]
        summary = summary.model_copy(update={"presence": summarise_presence(counted)})
        write_presence(wanted.output, found.presence)
    write_csv(wanted.output / BASELINES_NAME, baselines.COLUMNS, found.records)
    write_certainties(wanted.output, rows, found.certainties)
    write_evaluation(wanted.output, rows, summary)
    return summary


@dataclass
class _Found:
    """What is noted of the cases while they are scored, so that none has to be read twice."""

    status: Mapping[str, str]
    certainties: list[Certainty] = field(default_factory=list)
    """Of each case and region."""
    records: list[baselines.Record] = field(default_factory=list)
    """Of the baselines, on the headline's cases."""
    presence: list[PresenceRow] = field(default_factory=list)
    """Of each case and region, where that is worth counting."""


def require_input(info: ModelInfo, dataset: Dataset) -> None:
    """Raises UserError where a data set has not the channels and regions of a model, in the model's order.

    A model that may do without some of its channels takes any of them, in any order.
    """
    _require_channels(info, dataset)
    where, one_each = dataset.source.path, len(dataset.regions) == len(info.regions) == 1
    if not one_each and list(dataset.regions) != info.regions:
        have, needed = ", ".join(dataset.regions), ",".join(info.regions)
        raise UserError(f"{where}: outlines {have}; the model needs --set data.regions={needed}")


def _require_channels(info: ModelInfo, dataset: Dataset) -> None:
    where, stated = dataset.source.path, [name for name in dataset.channel_names if name]
    if info.input.may_lack_channels and stated and {*stated} <= {*info.input.channels}:
        return
    if dataset.channels != info.image_channels:
        raise UserError(f"{where}: {numbered(dataset.channels, 'channel')}; the model takes {info.image_channels}")
    if stated and len(info.input.channels) > 1 and stated != info.input.channels:
        raise UserError(f"{where}: the channels {', '.join(stated)}; the model takes {', '.join(info.input.channels)}")


def _calibrations(wanted: Request, rows: Sequence[Row], certainties: Sequence[Certainty]) -> dict[str, Calibration]:
    headline: dict[str, list[Certainty]] = {row.region: [] for row in rows}
    for row, certainty in zip(rows, certainties, strict=True):
        if row.status in wanted.headline:
            headline[row.region].append(certainty)
    return {region: calibration.summarise_calibration(members) for region, members in headline.items()}


def _predicted(
    model: Model, wanted: Request, names: Sequence[str], found: _Found, progress: Progress | None
) -> Iterator[Pair]:
    """Truth and prediction of each case and region, as they are asked for; writes the masks and notes the rest."""
    dataset, regions = wanted.dataset, model.info.regions
    counts = is_worth_counting(dataset)
    constants = {region: baselines.from_text(text) for region, text in model.info.constant_masks.items()}
    cases = [dataset.cases[dataset.index[name]] for name in names]

    def work(case: Case) -> _CaseFound:
        sample, status = dataset.read(case), found.status[case.id]
        certainties, pairs = _recalled(model, wanted, case, sample) or _answered(model, wanted, case, sample)
        is_headline = status in wanted.headline
        records = [*baselines.measure_baselines(case, sample, regions, constants)] if is_headline else []
        masks = np.stack([pair.predicted for pair in pairs])
        presence = count_presence(dataset, case, sample, masks, regions, status) if counts else []
        return _CaseFound(pairs, certainties, records, presence)

    ahead = map_ahead(work, cases, count_workers(model, any(case.is_volume for case in cases), len(cases)))
    for done, (pairs, certainties, records, presence) in enumerate(ahead, start=1):
        found.certainties += certainties
        found.records += records
        found.presence += presence
        yield from pairs
        if progress:
            progress(done, len(names))


class _CaseFound(NamedTuple):
    """What is found of one case, of all its regions."""

    pairs: list[Pair]
    certainties: list[Certainty]
    records: list[baselines.Record]
    presence: list[PresenceRow]


Answered = tuple[list[Certainty], list[Pair]]
"""Of each region of a case."""


def _answered(model: Model, wanted: Request, case: Case, sample: Sample) -> Answered:
    image, truth, grid = sample
    whole = model.complete(image, wanted.dataset.channel_names)
    probability = model.answer(whole, case.images[0], grid).probability
    masks = model.masks(probability, grid)
    found = [
        calibration.judge(case.shown_patient or case.id, *arrays)
        for arrays in zip(probability, truth, masks, strict=True)
    ]
    write_prediction(wanted.output / PREDICTIONS_NAME, case.id, model.info.regions, masks, grid)
    if wanted.memory:
        wanted.memory.keep(case.id, one_or_list([calibration.to_record(certainty) for certainty in found]))
    return found, _pairs(truth, masks, grid)


def _recalled(model: Model, wanted: Request, case: Case, sample: Sample) -> Answered | None:
    """What an earlier try has found, with the masks that it wrote; None where the case is still to be done."""
    regions, folder = model.info.regions, wanted.output / PREDICTIONS_NAME
    recalled = wanted.memory.recall(case.id) if wanted.memory else None
    records = recalled if isinstance(recalled, list) else [recalled]
    certainties = [certainty for record in records if (certainty := calibration.from_record(record))]
    if len(certainties) != len(regions) or not find_prediction(folder, case.id, regions):
        return None
    return certainties, _pairs(sample.truth, read_prediction(folder, case.id, regions), sample.grid)


def _pairs(truth: MaskArray, masks: MaskArray, grid: Grid) -> list[Pair]:
    return [Pair(*both, grid.spacing_mm, voxel_ml=grid.voxel_ml) for both in zip(truth, masks, strict=True)]


def _attributes(case: Case) -> dict[str, str]:
    return {**case.attributes, "class_name": case.class_name}
