"""`evaluate`: a model's figures on cases that it was not trained on."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

from tumorline.api.keywords import spelled_out
from tumorline.assessment import (
    add_stress,
    evaluate_and_report,
    images_to_show,
    known_reader,
    open_evaluation,
    open_wanted,
)
from tumorline.cluster import Cluster, open_cluster
from tumorline.data.dataset import Dataset
from tumorline.errors import UserError, require_number
from tumorline.evaluation.provenance import hash_dataset
from tumorline.evaluation.status import Request
from tumorline.evaluation.subsets import add_subsets, require_lacking
from tumorline.inference.model import Model, load
from tumorline.model_file import BUILTIN
from tumorline.output.folder import Memory
from tumorline.output.journal import hash_settings
from tumorline.output.purpose import Purpose
from tumorline.progress import Progress
from tumorline.report import write_report
from tumorline.results import Summary
from tumorline.runtime import DEFAULT
from tumorline.trust import trusting_paths
from tumorline.work_ahead import count_cores


class ScoringKeywords(TypedDict, total=False):
    """What `cross_evaluate` takes by name."""

    output: Path | str | None
    overwrite: bool
    overrides: Iterable[str]
    allow_training_cases: bool
    tta: str
    processes: int
    progress: Progress | None
    precision: str
    runtime: str
    ray: str


class EvaluationKeywords(ScoringKeywords, total=False):
    """What `evaluate` takes by name."""

    trust_paths: bool
    stress: bool
    subsets: bool


@dataclass(frozen=True)
class EvaluationOptions:
    """How an evaluation or a matrix is carried out; see `evaluate`. A matrix has no stress and trusts no paths."""

    output: Path | str | None = None
    overwrite: bool = False
    overrides: Iterable[str] = ()
    allow_training_cases: bool = False
    trust_paths: bool = False
    stress: bool = False
    tta: str = "none"
    processes: int = 1
    progress: Progress | None = None
    subsets: bool = False
    precision: str = "float32"
    runtime: str = DEFAULT
    ray: str = ""
    stress_progress: Progress | None = None
    """Where the scoring under stress is counted by itself; None counts it as the rest is."""
    decoding_progress: Progress | None = None
    """Counts the cases that are decoded, of a source that was not read before."""

    def __post_init__(self) -> None:
        require_number("processes", self.processes, 1)
        if self.ray and (self.stress or self.subsets):
            raise UserError("--ray: stress and subsets are scored on one machine; give it without them")

    def load(self, model: Path | str) -> Model:
        return load(model, self.tta, self.precision, self.runtime, requests=count_cores())

    def cluster(self) -> AbstractContextManager[Cluster | None]:
        """The one at `ray`, connected to; None where none is wanted."""
        return open_cluster(self.ray) if self.ray else nullcontext()

    @property
    def settings(self) -> dict[str, str | bool]:
        """What of them figures depend on. What came later is named only where it is chosen, so that folders stay."""
        chosen = {"precision": self.precision, "runtime": self.runtime}
        later = {name: value for name, value in chosen.items() if value not in ("float32", DEFAULT)}
        return {"tta": self.tta, "training_cases": self.allow_training_cases, **later}


@spelled_out(EvaluationKeywords, EvaluationOptions)
def evaluate(
    model: Path | str = BUILTIN, data: Path | str | None = None, **options: Unpack[EvaluationKeywords]
) -> dict[str, Any]:
    """Score a model on cases that it was not trained on, at the masks' own resolution.

    Cases that the model was trained or validated on are left out. Called again after a stop it goes on.

    Args:
        model: A run folder, a `.safetensors` file with its ONNX file beside it, or a listed model such as 'builtin'.
        data: A source in any supported layout; None is the test part of the data that the model was trained on.
        output: Folder for `evaluation.csv`, `summary.json`, `predictions/` and `report.html`; None makes
            `evaluations/<time>-<model>-<source>`.
        overwrite: Whether to replace other results of Tumorline in that folder; never other files.
        overrides: 'data.key=value' texts, for how the source is read.
        allow_training_cases: Score training cases too, and mark every output.
        trust_paths: Open the data that the configuration names where another user or machine began the run.
        stress: Score again under noise, blur, turns and the like (`stress.csv`); takes about 35 times as long.
        tta: Test-time augmentation: 'none', 'flips' (4 copies) or 'all' (8).
        processes: So many score the masks where that pays; a script then needs `if __name__ == "__main__"`.
        progress: Called with the number of cases that are done and of all.
        subsets: Score again with each subset of the channels (`subsets.csv`), of a model that may do without some.
        precision: In which the network computes, as in `load`; `summary.json` says which it was.
        runtime: The library that runs it, as in `load`.
        ray: Address of a Ray cluster whose machines predict and score, 'HOST:PORT', or 'local'. All need the data and
            the model at the same paths; the results are written by this one and are those of one machine.

    Returns:
        The content of `summary.json`. `regions` has, for each region, figures such as `dice`, `nsd`, `hd95` (in mm,
        else px) and `volume_ratio`, each with `mean`, `median`, `ci95` (None below 20 patients), `mean_over_cases` and
        `patients`; beside them stand `cases`, `patients`, `case_status`, `baselines`, `warnings` and more.

    Raises:
        UserError: For a source or model that cannot be used, where no case is left, and for a folder with other
            results.

    Example:
        >>> summary = tumorline.evaluate("runs/first", "other", output="evaluations/first")
        >>> summary["cases"], sorted(summary["regions"])
        (8, ['tumour'])
        >>> 0 <= summary["regions"]["tumour"]["dice"]["mean"] <= 1
        True
    """
    return write_evaluation(model, data, EvaluationOptions(**options))[1].to_json()


def write_evaluation(model: Path | str, data: Path | str | None, how: EvaluationOptions) -> tuple[Path, Summary]:
    """As `evaluate`, with the folder of the results."""
    loaded = how.load(model)
    if how.subsets:
        require_lacking(loaded.info)
    with trusting_paths(how.trust_paths):
        dataset = open_wanted(loaded, data, how.overrides, how.decoding_progress)
    with open_evaluation(how.output, _purpose(loaded, dataset, how), how.overwrite, [dataset]) as folder:
        shown = images_to_show(loaded, data)
        with how.cluster() as cluster:
            request = Request.of(dataset, Memory(folder), how.allow_training_cases, how.processes, cluster)
            summary = evaluate_and_report(loaded, request, how.progress, shown)
        if how.stress:
            summary = add_stress(loaded, request, summary, how.stress_progress or how.progress)
        if how.subsets:
            summary = add_subsets(loaded, request, summary, progress=how.progress)
        if how.stress or how.subsets:
            write_report(folder.path, known_reader(dataset, shown))
    return folder.path, summary


def _purpose(model: Model, dataset: Dataset, how: EvaluationOptions) -> Purpose:
    """What the folder of an evaluation is for: the same again goes on in it."""
    more = {"subsets": True} if how.subsets else {}
    identity = {
        "inputs": hash_dataset(dataset),
        "model": model.fingerprint,
        "settings": hash_settings(stress=how.stress, **more, **how.settings),
    }
    name = f"{model.info.name}-{dataset.source.name}" + ("" if how.tta == "none" else f"-{how.tta}")
    return Purpose("evaluate", identity, "evaluations", name)
