"""Which cases a model knows, and which are to be scored."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tumorline.cluster import Cluster
from tumorline.data.dataset import Dataset
from tumorline.data.near.looks import looks_of, most_alike
from tumorline.model_info import ModelInfo
from tumorline.output.folder import Memory

HEADLINE = ("test", "unseen")
SEEN = ("train", "validation")
UNVERIFIED = "unverified"
"""Status of a case with a mask of another program, of which nobody knows here whether that was trained on it."""
SEVERITY = {"train": 0, "validation": 1, "test": 2, "unseen": 3}
"""Of statuses, the worst first."""


@dataclass(frozen=True)
class Request:
    """What is to be scored: cases of the statuses `include` are predicted, and figures are of those of `headline`."""

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
    status = case_status(info, request.dataset)
    for case_id in request.left_out:
        del status[case_id]
    return {
        case_id: min(known_as, request.parts.get(case_id, known_as), key=SEVERITY.__getitem__)
        for case_id, known_as in status.items()
    }


def case_status(info: ModelInfo, dataset: Dataset, by_look: bool = True) -> dict[str, str]:
    """Status of each case for this model: train, validation, test or unseen.

    A case is known by the content of its image, or of any of its channels whatever others stand beside it; where
    that is not known, `by_look` (`data.near.looks`), as a copy; and by its patient. The worst of these counts: one
    member of an ensemble may have tested the image itself where another was trained on the patient, and version
    0.1.0 took visits of one patient for patients. Only where slices of one patient were split on purpose does the
    image alone decide.
    """
    patients = _part_of_each(info.known_cases.patients)
    by_slice = info.split.leaking and not info.members
    status = {}
    for case, facts, by_image in zip(
        dataset.cases, dataset.facts, _parts_of_images(info, dataset, by_look), strict=True
    ):
        by_patient = [patients.get(key, "unseen") for key in dataset.known_patient_keys(case, facts)]
        parts = by_image or by_patient if by_slice else by_image + by_patient
        status[case.id] = min(parts, key=SEVERITY.__getitem__, default="unseen")
    return status


def copies_among(info: ModelInfo, dataset: Dataset, status: Mapping[str, str]) -> list[str]:
    """Ids of the cases that count as trained or tuned on for what they look like, and for nothing else."""
    if not any(info.known_cases.looks.values()):
        return []
    exact = case_status(info, dataset, by_look=False)
    return [case_id for case_id, known_as in status.items() if known_as in SEEN and exact[case_id] not in SEEN]


def _part_of_each(keys_by_part: Mapping[str, Collection[str]]) -> dict[str, str]:
    """The worst part of each key."""
    return {key: part for part in reversed(SEVERITY) for key in keys_by_part.get(part, ())}


def _parts_of_images(info: ModelInfo, dataset: Dataset, by_look: bool) -> list[list[str]]:
    """The parts that hold each case's image, or one of its channels; else that of the picture it is a copy of."""
    contents, looks = _part_of_each(info.known_cases.contents), _part_of_each(info.known_cases.looks)
    parts = [[contents[name] for name in facts.contents if name in contents] for facts in dataset.facts]
    strange = [number for number, case_parts in enumerate(parts) if not case_parts] if by_look and looks else []
    own_looks = looks_of([dataset.facts[number].thumbnail for number in strange])
    parts_of_looks = list(looks.values())
    for number, index in zip(strange, most_alike(own_looks, list(looks)), strict=True):
        parts[number] = [] if index is None else [parts_of_looks[index]]
    return parts


def explain_nothing_left(info: ModelInfo, dataset: Dataset, status: Mapping[str, str]) -> str:
    counts = Counter(status.values())
    seen = ", ".join(f"{counts[part]} {part}" for part in SEEN if counts[part])
    if copies := copies_among(info, dataset, status):
        seen += f"; {len(copies)} of them as copies, by what they look like"
    training = f"the training of one or another of its {len(info.members)} members" if info.members else "its training"
    message = f"{dataset.source.path}: every case is known to this model from {training} ({seen})"
    if info.split.trains_on_all:
        return (
            f"{message}: it was trained on all patients. {_out_of_fold(info)}; give other cases, or "
            "--allow-training-cases, which marks every output"
        )
    return (
        f"{message}; figures on them say nothing about new patients. Give other cases, or --allow-training-cases, "
        "which marks every output"
    )


def _out_of_fold(info: ModelInfo) -> str:
    """Where figures of the model's own patients are to be had."""
    headline = info.metrics.headline
    if not headline:
        return "Figures of its own patients are those of the folds of its recipe ('tumorline folds')"
    means = ", ".join(text for figures in headline["regions"].values() for text in _means(figures))
    return f"Its figures out of fold stand in its card ('tumorline models' shows them): Dice by patient {means}"


def _means(figures: Mapping[str, Any]) -> list[str]:
    """Of a region, of several sources that of each."""
    by_source = figures.get("dice_of_sources") or {"": figures["dice"]}
    return [
        ("undefined" if dice["mean"] is None else f"{dice['mean']:.3f}") + (f" ({source})" if source else "")
        for source, dice in by_source.items()
    ]
