"""Evaluation by the machines of a Ray cluster: they read, ask and score; this one writes masks and tables.

All machines need the data and the model at the same paths.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tumorline.cluster import Cluster, map_chunks
from tumorline.data.case import Case
from tumorline.errors import UserError
from tumorline.evaluation.baselines import Record
from tumorline.evaluation.judging import Answered, Judging, note_answer, recall_answer
from tumorline.evaluation.predictions import write_prediction
from tumorline.evaluation.presence import PresenceRow
from tumorline.evaluation.status import Request
from tumorline.file_names import PREDICTIONS_NAME
from tumorline.files import write_bytes
from tumorline.inference.model import Model, batched, count_workers
from tumorline.inference.on_cluster import PICTURES, ModelSpec, spec_of
from tumorline.metrics.calibration import Certainty
from tumorline.metrics.case import CaseScores, score_cases
from tumorline.work_ahead import map_ahead

Todo = tuple[Case, Answered | None]
"""A case, and what an earlier try has found of it."""


class Judged(NamedTuple):
    """What is found of a case, and its masks as files below `predictions` where they are new."""

    scores: list[CaseScores]
    certainties: list[Certainty]
    records: list[Record]
    presence: list[PresenceRow]
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Evaluation:
    """What all chunks of an evaluation share."""

    model: ModelSpec
    judging: Judging


def judge_chunk(shared: Evaluation, chunk: Sequence[Todo]) -> list[Judged]:
    """On a machine of the cluster."""
    model = shared.model.open()

    def work(todo: Todo) -> Judged:
        case, earlier = todo
        judged = shared.judging.case(model, case, earlier)
        files = {}
        if earlier is None:
            with TemporaryDirectory(prefix="tumorline-") as folder:
                write_prediction(Path(folder), case.id, model.info.regions, judged.answered.masks, judged.grid)
                paths = [path for path in Path(folder).rglob("*") if path.is_file()]
                files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
        scores = score_cases(judged.pairs)
        return Judged(scores, judged.answered.certainties, judged.records, judged.presence, files)

    workers = count_workers(model, any(case.is_volume for case, _ in chunk), len(chunk))
    return [*map_ahead(work, chunk, workers)]


def judge_on(
    cluster: Cluster, model: Model, request: Request, judging: Judging, cases: Sequence[Case]
) -> Iterator[Judged]:
    """What is found of each case, in their order, with its masks written. Raises UserError for one that is lost."""
    shared = Evaluation(spec_of(model, cluster), judging.without_facts())
    size = 1 if any(case.is_volume for case in cases) else PICTURES
    regions = model.info.regions
    chunks = ([(case, recall_answer(request, case, regions)) for case in chunk] for chunk in batched(cases, size))
    for case, judged in zip(cases, map_chunks(cluster, judge_chunk, shared, chunks, _lost), strict=True):
        for relative, content in judged.files.items():
            write_bytes(request.output / PREDICTIONS_NAME / relative, content)
        if judged.files:
            note_answer(request, case, judged.certainties)
        yield judged


def _lost(todo: Todo, why: str) -> Judged:
    raise UserError(f"{todo[0].images[0]}: {why}; the same command goes on with the other cases done")
