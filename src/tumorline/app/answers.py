"""From uploads to the answer of a request: a file of JSON, an archive, or one mask."""

import base64
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import perf_counter

from tumorline.app.inputs import CaseGatherer, Gathered
from tumorline.app.records import Record, Send
from tumorline.app.uploads import Upload
from tumorline.app.views import ViewWriter
from tumorline.app.watched import WatchedModel
from tumorline.escaping import one_line
from tumorline.file_names import PREDICTED_NAME, PREDICTED_TABLE_NAME
from tumorline.files import write_csv, write_json
from tumorline.geometry.grid import UNITS
from tumorline.inference.jobs import PredictionJob
from tumorline.inference.label_map import region_labels
from tumorline.inference.predict import describe_predictor, predict
from tumorline.inference.predictor import Predictor
from tumorline.output.folder import open_output
from tumorline.output.purpose import Purpose
from tumorline.viewer.encoding import EncodedCase

MEDIA_TYPES = {
    ".png": "image/png",
    ".nii.gz": "application/gzip",
    ".dcm": "application/dicom",
    ".zip": "application/zip",
    ".json": "application/json",
}
KINDS = ("mask", "segmentation", "overlay")
"""Files that `predict` leaves of a case; the first of them is what it was asked for."""
LONGEST_STEM = 100
IDENTIFIED = "the mask as DICOM identifies the patient, as its series does"
TOO_MUCH_MEMORY = "needs more memory than the app may use; see 'tumorline app --max-memory'"


@dataclass(frozen=True)
class Task:
    """What the server asks of the process that predicts."""

    folder: str
    uploads: list[tuple[str, str, str]]
    """As `Upload`."""
    model: str
    """Its file."""
    name: str
    """By which the client asked for it."""
    tta: str = "none"
    enhancing_label: int | None = None
    answer: str = "json"
    """'json', 'zip' or 'mask'."""
    view: bool = False
    """Whether what the case viewer shows is sent too."""


class AnswerWriter:
    """Predicts the cases of a task and writes the answer."""

    def __init__(self, task: Task, model: WatchedModel, notify: Send) -> None:
        self.task, self.model, self.notify = task, model, notify
        self.folder = Path(task.folder)
        uploads = [Upload(shown, Path(path), channel) for shown, path, channel in task.uploads]
        self.gatherer = CaseGatherer(
            uploads, uploads[0].path.parent, model.channels, model.info.input.may_lack_channels
        )
        self.labels = region_labels(model.info.regions, task.enhancing_label)
        self.views = ViewWriter(model, self.labels)
        self.stems: set[str] = set()
        """With which files that are given out begin, in small letters."""

    def write(self) -> Record:
        """The outcome: a status, and the file that is the answer or the error. Raises UserError, as `predict` does."""
        began = perf_counter()
        gathered = self.gatherer.gather()
        predictor = Predictor(self.model, self.labels, of_series=any(job.series for job in gathered.jobs))
        rows = self._predict(gathered, predictor)
        if all(row["error"] for row in rows):
            return refusal(422, self._why_nothing([str(row["error"]) for row in rows]))
        about = {
            **describe_predictor(predictor),
            "model": self.task.name,
            "seconds": round(perf_counter() - began, 2),
            "left_out": [f"{name}: {reason}" for name, reason in gathered.left_out.items()],
            "remarks": [
                *map(self.gatherer.shown, gathered.remarks),
                *([IDENTIFIED] if any(row.get("segmentation") for row in rows) else []),
            ],
        }
        cases = [self._case(*parts) for parts in zip(gathered.names, gathered.jobs, rows, self.views.made, strict=True)]
        writers = {"json": self._write_json, "zip": self._write_archive, "mask": self._give_mask}
        return writers[self.task.answer](about, cases)

    def _predict(self, gathered: Gathered, predictor: Predictor) -> list[Record]:
        def after_case(done: int, of: int) -> None:
            job, name = gathered.jobs[done - 1], gathered.names[done - 1]
            self.views.add(name, not job.is_volume, self.task.view)
            self.notify({"done": done, "of": of})

        self.notify({"done": 0, "of": len(gathered.jobs)})
        with open_output(self.folder / "out", Purpose("predict", {})) as output:
            return predict(gathered.jobs, predictor, output, after_case)

    def _why_nothing(self, errors: Sequence[str]) -> str:
        first = self._told(errors[0])
        return first if len(errors) == 1 else f"none of {len(errors)} cases can be predicted; the first: {first}"

    def _told(self, error: str) -> str:
        return TOO_MUCH_MEMORY if "(MemoryError" in error else self.gatherer.shown(error)

    def _case(self, name: str, job: PredictionJob, row: Record, view: EncodedCase | None) -> Record:
        error = self._told(row["error"]) if row["error"] else None
        regions = self.labels if len(self.labels) > 1 else ()
        return {
            "name": name,
            "inputs": self.gatherer.client_names(job),
            "tumour_found": None if error else row["tumour_px"] > 0,
            **_sizes(row, "tumour", "tumour_"),
            "tumour_share": row["tumour_share"],
            "confidence": row["confidence"],
            "regions": [{"region": region, **_sizes(row, region)} for region in regions],
            "note": self.gatherer.shown(row["note"]) if row["note"] else None,
            "error": error,
            "files": [] if error else list(self._files(name, row)),
            "view": view,
        }

    def _files(self, name: str, row: Record) -> Iterator[Record]:
        stem = self._free_stem(name)
        for kind in KINDS:
            if path := row.get(kind):
                ending = re.sub(r"^case-\d+", "", Path(path).name)
                yield {"kind": kind, "name": stem + ending, "media_type": media_type(ending), "path": path}

    def _free_stem(self, name: str) -> str:
        """With what a browser or an archive may begin the names of a case's files."""
        stem = re.sub(r"[^\w.-]+", "_", name).strip("._")[:LONGEST_STEM] or "case"
        candidates = (f"{stem}{f'-{number}' if number > 1 else ''}" for number in count(1))
        free = next(candidate for candidate in candidates if candidate.lower() not in self.stems)
        self.stems.add(free.lower())
        return free

    def _write_json(self, about: Record, cases: Sequence[Record]) -> Record:
        for case in cases:
            for file in case["files"]:
                file["data"] = base64.b64encode(Path(file.pop("path")).read_bytes()).decode()
        path = self.folder / "answer.json"
        path.write_text(json.dumps({**about, "cases": cases}), encoding="utf-8")
        return answer_file(path, "answer.json")

    def _write_archive(self, about: Record, cases: Sequence[Record]) -> Record:
        """Masks, overlays, `predictions.json` and `.csv`, with names in place of the data."""
        path = self.folder / "answer.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in (file for case in cases for file in case["files"]):
                archive.write(file.pop("path"), file["name"])
            records = [{key: value for key, value in case.items() if key != "view"} for case in cases]
            write_json(self.folder / PREDICTED_NAME, {**about, "cases": records})
            rows = list(map(_as_row, records))
            write_csv(self.folder / PREDICTED_TABLE_NAME, rows[0], rows)
            for name in (PREDICTED_NAME, PREDICTED_TABLE_NAME):
                archive.write(self.folder / name, name)
        return answer_file(path, "predictions.zip")

    def _give_mask(self, _about: Record, cases: Sequence[Record]) -> Record:
        if len(cases) > 1:
            return refusal(422, f"{len(cases)} cases have {len(cases)} masks; ask for answer=zip or answer=json")
        file = cases[0]["files"][0]
        return answer_file(Path(file["path"]), file["name"])


def _sizes(row: Record, region: str, prefix: str = "") -> Record:
    return {f"{prefix}{unit}": row[f"{region}_{unit}"] for unit in UNITS}


def _as_row(case: Record) -> Record:
    """A case in one line of a table."""
    row = {key: value for key, value in case.items() if key not in ("files", "regions", "inputs")}
    by_region = {f"{figures['region']}_{unit}": figures[unit] for figures in case["regions"] for unit in UNITS}
    names = dict.fromkeys(KINDS, "") | {file["kind"]: file["name"] for file in case["files"]}
    return {**row, **by_region, **names, "inputs": "; ".join(case["inputs"])}


def media_type(name: str) -> str:
    return next((kind for ending, kind in MEDIA_TYPES.items() if name.endswith(ending)), "application/octet-stream")


def answer_file(path: Path, name: str) -> Record:
    return {"status": 200, "path": str(path), "media_type": media_type(name), "name": name}


def refusal(status: int, message: str) -> Record:
    return {"status": status, "error": one_line(message)}
