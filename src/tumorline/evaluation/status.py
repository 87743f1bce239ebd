"""Which cases a model knows, and which are to be scored."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tumorline.cluster import Cluster
from tumorline.data.dataset import Dataset
from tumorline.model_info import ModelInfo
from tumorline.output.folder import Memory

HEADLINE = ("test", "unseen")
SEEN = ("train", "validation")
SEVERITY = {"train": 0, "validation": 1, "test": 2, "unseen": 3}
"""Of statuses, the worst first."""


@dataclass(frozen=True)
class Request:
    """What is to be scored. `include` are the statuses whose cases are predicted at all; see `score_cases`."""

    dataset: Dataset
    output: Path
    include: Collection[str] = HEADLINE
    headline: Collection[str] = HEADLINE
    parts: Mapping[str, str] = field(default_factory=dict)
    """Of a run's own evaluation the part of each case; those in none are counted and not scored."""
    processes: int = 1
    memory: Memory | None = None
    """What an earlier try has finished in the same folder."""
    cluster: Cluster | None = None
    """Whose machines do it; None: this one."""

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        memory: Memory,
        allow_training_cases: bool = False,
        processes: int = 1,
        cluster: Cluster | None = None,
    ) -> "Request":
        """An evaluation of `dataset` into a folder; training cases are left out unless they are allowed."""
        statuses = (*HEADLINE, *SEEN) if allow_training_cases else HEADLINE
        return cls(dataset, memory.path, statuses, statuses, processes=processes, memory=memory, cluster=cluster)

    @property
    def left_out(self) -> list[str]:
        """Cases that are in no part of the split."""
        return [case_id for case_id, part in self.parts.items() if part not in SEVERITY]


def status_in(request: Request, info: ModelInfo) -> dict[str, str]:
    """Status of each case that may be scored: the worst of what the model knows of it and its part of the split."""
    known = case_status(info, request.dataset)
    for case_id in request.left_out:
        del known[case_id]
    return {
        case_id: min(own, request.parts.get(case_id, own), key=SEVERITY.__getitem__) for case_id, own in known.items()
    }


def case_status(info: ModelInfo, dataset: Dataset) -> dict[str, str]:
    """Status of each case for this model: train, validation, test or unseen.

    A case is known by the content of its image, or of any of its channels whatever others stand beside it, and by its
    patient, and the worst of these counts: one member of an ensemble may have tested the image itself where another was
    trained on the patient, and version 0.1.0 took visits of one patient for patients. Only where slices of one patient
    were split on purpose does the image alone decide.
    """
    contents = {name: part for part in (*HEADLINE, *SEEN) for name in info.known_cases.contents.get(part, [])}
    patients = {name: part for part in (*HEADLINE, *SEEN) for name in info.known_cases.patients.get(part, [])}
    by_slice = info.split.leaking and not info.members
    status = {}
    for case, facts in zip(dataset.cases, dataset.facts, strict=True):
        by_content = [contents[name] for name in facts.contents if name in contents]
        by_patient = [patients.get(key, "unseen") for key in dataset.known_patient_keys(case, facts)]
        found = by_content or by_patient if by_slice else by_content + by_patient
        status[case.id] = min(found, key=SEVERITY.__getitem__, default="unseen")
    return status


def explain_nothing_left(info: ModelInfo, dataset: Dataset, status: Mapping[str, str]) -> str:
    counts = Counter(status.values())
    seen = ", ".join(f"{counts[part]} {part}" for part in SEEN if counts[part])
    training = f"the training of one or another of its {len(info.members)} members" if info.members else "its training"
    known = f"{dataset.source.path}: every case is known to this model from {training} ({seen})"
    if info.split.trains_on_all:
        return (
            f"{known}: it was trained on all patients. {_out_of_fold(info)}; give other cases, or "
            "--allow-training-cases, which marks every output"
        )
    return (
        f"{known}; figures on them "
        "say nothing about new patients. Give other cases, or --allow-training-cases, which marks every output"
    )


def _out_of_fold(info: ModelInfo) -> str:
    """Where figures of the model's own patients are to be had."""
    headline = info.metrics.headline
    if not headline:
        return "Figures of its own patients are those of the folds of its recipe ('tumorline folds')"
    dice = [figures["dice"]["mean"] for figures in headline["regions"].values()]
    said = ", ".join("undefined" if value is None else f"{value:.3f}" for value in dice)
    return f"Its figures out of fold stand in its card ('tumorline models' shows them): Dice by patient {said}"
