"""Prediction by the machines of a Ray cluster: they read, ask and compress; this one writes what they found.

All machines need the inputs and the model at the same paths. No other one writes to the folder of results, so that what
holds for it on one machine holds here: nothing half-written, nothing of the user's replaced, and a batch that was
interrupted goes on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tumorline.cluster import Cluster, map_chunks
from tumorline.environment import versions
from tumorline.errors import UserError, WriteError
from tumorline.files import write_bytes
from tumorline.inference.jobs import PredictionJob
from tumorline.inference.model import Model, batched, count_workers, load
from tumorline.inference.predict import FILES, Rows, failed_row, keep_row, predict_case, recalled
from tumorline.inference.predictor import CaseRow, Predictor
from tumorline.output.folder import OutputFolder
from tumorline.work_ahead import map_ahead

PICTURES = 32
"""In a chunk; a volume is one by itself."""
SETTINGS = ("labels", "of_dicom", "of_series", "keep_identifiers", "overlays")
"""Of the `Predictor`, what goes to the other machines beside its model."""


@dataclass(frozen=True)
class ModelSpec:
    """A model as another machine is to open it."""

    path: str
    tta: str
    precision: str
    runtime: str
    fingerprint: str
    version: str
    cores: int

    def open(self) -> Model:
        """Raises UserError where the machine has another model at this path, or another version of Tumorline."""
        return _opened(self)


@cache
def _opened(spec: ModelSpec) -> Model:
    """Once in each process."""
    if (version := versions()["tumorline"]) != spec.version:
        raise UserError(f"Tumorline {version} is installed, here it is {spec.version}; install the same on all")
    model = load(spec.path, spec.tta, spec.precision, spec.runtime, requests=spec.cores, threads=spec.cores)
    if model.fingerprint != spec.fingerprint:
        raise UserError(f"{spec.path}: another model than that of this name here; copy it to all machines")
    return model


def spec_of(model: Model, cluster: Cluster) -> ModelSpec:
    how = (model.tta, model.precision, model.runtime_name, model.fingerprint, versions()["tumorline"])
    return ModelSpec(str(model.path), *how, cluster.cores)


class Predicted(NamedTuple):
    """The row of a case, and what is to be written for it by paths within the folder of results."""

    row: CaseRow
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Prediction:
    """What all chunks of a prediction share."""

    model: ModelSpec
    output: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the `Predictor`."""

    def chunk(self, jobs: Sequence[PredictionJob]) -> list[Predicted]:
        """On a machine of the cluster."""
        predictor = Predictor(self.model.open(), **self.settings)
        workers = count_workers(predictor.model, any(job.is_volume for job in jobs), len(jobs))
        with TemporaryDirectory(prefix="tumorline-") as folder:
            rows = map_ahead(lambda job: predict_case(job, predictor, Path(folder)), jobs, workers)
            return [self._gathered(row, Path(folder)) for row in rows]

    def _gathered(self, row: CaseRow, folder: Path) -> Predicted:
        paths = [Path(row[name]) for name in FILES if row.get(name)]
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
        moved = {
            name: value.replace(str(folder), self.output) if isinstance(value, str) else value
            for name, value in row.items()
        }
        return Predicted(moved, files)


def predict_chunk(shared: Prediction, jobs: Sequence[PredictionJob]) -> list[Predicted]:
    return shared.chunk(jobs)


def rows_on(cluster: Cluster) -> Rows:
    """The rows of cases as `predict` asks for them, found by a cluster."""

    def rows(jobs: Sequence[PredictionJob], predictor: Predictor, folder: OutputFolder) -> Iterator[CaseRow]:
        earlier = {job.target: row for job in jobs if (row := recalled(job, predictor, folder))}
        todo = [job for job in jobs if job.target not in earlier]
        size = 1 if any(job.is_volume for job in todo) else PICTURES
        settings = {name: getattr(predictor, name) for name in SETTINGS}
        shared = Prediction(spec_of(predictor.model, cluster), str(folder.path), settings)

        def lost(job: PredictionJob, why: str) -> Predicted:
            return Predicted(failed_row(job, predictor, f"{job.path}: {why}"), {})

        predicted = map_chunks(cluster, predict_chunk, shared, batched(todo, size), lost)
        for job in jobs:
            yield earlier[job.target] if job.target in earlier else _taken(next(predicted), job, predictor, folder)

    return rows


def _taken(predicted: Predicted, job: PredictionJob, predictor: Predictor, folder: OutputFolder) -> CaseRow:
    """Write what another machine found, and note it as done. Raises WriteError where nothing more can be written."""
    try:
        for relative, content in predicted.files.items():
            write_bytes(folder.path / relative, content)
    except WriteError as error:
        if not error.only_this:
            raise
        return failed_row(job, predictor, str(error))
    return keep_row(job, predicted.row, folder)
