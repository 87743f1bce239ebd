"""A model's figures on cases that it has not seen, at native resolution, with all conventions stated."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from tumorline.data.case import Case
from tumorline.data.dataset import Dataset
from tumorline.errors import UserError
from tumorline.evaluation import baselines
from tumorline.evaluation.judging import CaseFound, Judging, recall_answer, write_answer
from tumorline.evaluation.on_cluster import judge_on
from tumorline.evaluation.presence import (
    PresenceRow,
    summarise_presence,
    write_presence,
)
from tumorline.evaluation.provenance import describe_provenance
from tumorline.evaluation.status import Request, explain_nothing_left, status_in
from tumorline.evaluation.summary import summarise_evaluation, with_baselines
from tumorline.evaluation.tables import write_certainties, write_evaluation
from tumorline.file_names import BASELINES_NAME
from tumorline.files import write_csv
from tumorline.inference.model import Model, count_workers
from tumorline.metrics import calibration
from tumorline.metrics.calibration import Certainty
from tumorline.metrics.case import CaseScores, Pair, score_cases
from tumorline.metrics.summary import Row
from tumorline.model_info import ModelInfo
from tumorline.progress import Progress
from tumorline.results import Calibration, Summary
from tumorline.wording import numbered
from tumorline.work_ahead import map_ahead


def evaluate(model: Model, request: Request, progress: Progress | None = None) -> Summary:
    """Score a model and write `evaluation.csv`, `summary.json` and `predictions/` below the output folder.

    Returns the summary. Raises UserError where no case is left that the model has not been trained on.
    """
    status = status_in(request, model.info)
    case_ids = [case_id for case_id in status if status[case_id] in request.include]
    if not any(status[case_id] in request.headline for case_id in case_ids):
        raise UserError(explain_nothing_left(model.info, request.dataset, status))
    require_input(model.info, request.dataset)
    notes = Found()
    cases = [request.dataset.case(case_id) for case_id in case_ids]
    judging = Judging.of(request, status, model.info.constant_masks)
    scores = _scores(model, request, judging, cases, notes, progress)
    rows = rows_of(cases, model.info.regions, status, scores)
    summary = summarise_evaluation(model, request, rows, status)
    summary = summary.model_copy(update={"calibration": _calibrations(request, rows, notes.certainties)})
    if not request.parts:
        made_with = describe_provenance(model.fingerprint, request.dataset)
        summary = summary.model_copy(update={"made_with": made_with})
    write_certainties(request.output, rows, notes.certainties)
    return write_found(request, rows, notes, summary)


@dataclass
class Found:
    """What is noted of the cases while they are scored, so that none has to be read twice."""

    certainties: list[Certainty] = field(default_factory=list)
    """Of each case and region."""
    records: list[baselines.Record] = field(default_factory=list)
    """Of the baselines, on the headline's cases."""
    presence: list[PresenceRow] = field(default_factory=list)
    """Of each case and region, where that is worth counting."""

    def note(
        self, certainties: Sequence[Certainty], records: Sequence[baselines.Record], presence: Sequence[PresenceRow]
    ) -> None:
        """Of one case."""
        self.certainties += certainties
        self.records += records
        self.presence += presence


def rows_of(
    cases: Sequence[Case], regions: Sequence[str], status: Mapping[str, str], scores: Sequence[CaseScores]
) -> list[Row]:
    """`scores` are those of each case and region."""
    return [
        Row(case.id, case.shown_patient, _attributes(case), status[case.id], region, score)
        for (case, region), score in zip(product(cases, regions), scores, strict=True)
    ]


def write_found(request: Request, rows: Sequence[Row], found: Found, summary: Summary) -> Summary:
    """Write rows, baselines and presence with the summary; returns that with what the latter two add."""
    summary = with_baselines(summary, found.records)
    if found.presence:
        counted = [row for row in found.presence if row.status in request.headline]
        summary = summary.model_copy(update={"presence": summarise_presence(counted)})
        write_presence(request.output, found.presence)
    write_csv(request.output / BASELINES_NAME, baselines.COLUMNS, found.records)
    write_evaluation(request.output, rows, summary)
    return summary


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


def _calibrations(request: Request, rows: Sequence[Row], certainties: Sequence[Certainty]) -> dict[str, Calibration]:
    headline: dict[str, list[Certainty]] = {row.region: [] for row in rows}
    for row, certainty in zip(rows, certainties, strict=True):
        if row.status in request.headline:
            headline[row.region].append(certainty)
    return {region: calibration.summarise_calibration(members) for region, members in headline.items()}


def _scores(
    model: Model, request: Request, judging: Judging, cases: Sequence[Case], notes: Found, progress: Progress | None
) -> list[CaseScores]:
    """Of each case and region; masks are written and the rest is noted on the way."""
    if request.cluster is None:
        return score_cases(_judged_here(model, request, judging, cases, notes, progress), request.processes)
    scores: list[CaseScores] = []
    for done, judged in enumerate(judge_on(request.cluster, model, request, judging, cases), start=1):
        notes.note(judged.certainties, judged.records, judged.presence)
        scores += judged.scores
        if progress:
            progress(done, len(cases))
    return scores


def _judged_here(
    model: Model,
    request: Request,
    judging: Judging,
    cases: Sequence[Case],
    notes: Found,
    progress: Progress | None,
) -> Iterator[Pair]:
    """Truth and prediction of each case and region, as they are asked for."""
    regions = model.info.regions

    def work(case: Case) -> CaseFound:
        earlier = recall_answer(request, case, regions)
        judged = judging.case(model, case, earlier)
        if earlier is None:
            write_answer(request, case, regions, judged)
        return judged

    ahead = map_ahead(work, cases, count_workers(model, any(case.is_volume for case in cases), len(cases)))
    for done, judged in enumerate(ahead, start=1):
        notes.note(judged.answered.certainties, judged.records, judged.presence)
        yield from judged.pairs
        if progress:
            progress(done, len(cases))


def _attributes(case: Case) -> dict[str, str]:
    return {**case.attributes, "class_name": case.class_name}
