"""What is found of one case: its masks, how they score, and what else is to be known of it, in one reading."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from tumorline.arrays import MaskArray
from tumorline.data.case import Case
from tumorline.data.dataset import Dataset
from tumorline.data.sample import Sample
from tumorline.evaluation import baselines
from tumorline.evaluation.predictions import find_prediction, read_prediction, write_prediction
from tumorline.evaluation.presence import PresenceRow, count_presence, is_worth_counting
from tumorline.evaluation.status import Request
from tumorline.file_names import PREDICTIONS_NAME
from tumorline.geometry.grid import Grid
from tumorline.inference.model import Model
from tumorline.metrics import calibration
from tumorline.metrics.calibration import Certainty
from tumorline.metrics.case import Pair
from tumorline.model_info import one_or_list


class Answered(NamedTuple):
    """Masks `(R, *space)` of a case and how certain the model is of each."""

    certainties: list[Certainty]
    masks: MaskArray


class CaseFound(NamedTuple):
    """What is found of one case, of all its regions."""

    answered: Answered
    pairs: list[Pair]
    records: list[baselines.Record]
    presence: list[PresenceRow]
    grid: Grid


@dataclass(frozen=True)
class Judging:
    """What is the same for all cases of an evaluation."""

    dataset: Dataset
    status: Mapping[str, str]
    headline: Collection[str]
    constants: Mapping[str, Sequence[MaskArray]]
    """The masks that say the same of every case, by region: of pictures, of volumes or both."""
    counts: bool
    """Whether presence is counted."""

    @classmethod
    def of(cls, request: Request, status: Mapping[str, str], constant_masks: Mapping[str, Sequence[str]]) -> "Judging":
        """`constant_masks` are those of a model, as its file has them."""
        constants = {region: [*map(baselines.from_text, texts)] for region, texts in constant_masks.items()}
        return cls(request.dataset, status, request.headline, constants, is_worth_counting(request.dataset))

    def without_facts(self) -> "Judging":
        """As little as another machine has to have."""
        members = tuple(replace(member, facts=()) for member in self.dataset.members)
        return replace(self, dataset=replace(self.dataset, facts=(), members=members))

    def case(self, model: Model, case: Case, earlier: Answered | None) -> CaseFound:
        """Judge a case by what an earlier try has found, or ask the model."""
        sample = self.dataset.read(case)
        return self.answered(case, sample, earlier or self._ask(model, case, sample), model.info.regions)

    def answered(self, case: Case, sample: Sample, answered: Answered, regions: Sequence[str]) -> CaseFound:
        """Judge an answer to a case, wherever it comes from."""
        status = self.status[case.id]
        is_headline = status in self.headline
        records = [*baselines.measure_baselines(case, sample, regions, self.constants)] if is_headline else []
        presence = count_presence(self.dataset, case, sample, answered.masks, regions, status) if self.counts else []
        grid, both = sample.grid, zip(sample.truth, answered.masks, strict=True)
        pairs = [Pair(*masks, grid.spacing_mm, voxel_ml=grid.voxel_ml) for masks in both]
        return CaseFound(answered, pairs, records, presence, grid)

    def _ask(self, model: Model, case: Case, sample: Sample) -> Answered:
        image, truth, grid = sample
        completed = model.complete(image, self.dataset.channel_names)
        probability = model.answer(completed, case.images[0], grid).probability
        masks = model.masks(probability, grid)
        certainties = [
            calibration.judge(case.shown_patient or case.id, *arrays)
            for arrays in zip(probability, truth, masks, strict=True)
        ]
        return Answered(certainties, masks)


def recall_answer(request: Request, case: Case, regions: Sequence[str]) -> Answered | None:
    """What an earlier try has found, with the masks that it wrote; None where the case is still to be done."""
    folder = request.output / PREDICTIONS_NAME
    recalled = request.memory.recall(case.id) if request.memory else None
    records = recalled if isinstance(recalled, list) else [recalled]
    certainties = [certainty for record in records if (certainty := calibration.from_record(record))]
    if len(certainties) != len(regions) or not find_prediction(folder, case.id, regions):
        return None
    return Answered(certainties, read_prediction(folder, case.id, regions))


def write_answer(request: Request, case: Case, regions: Sequence[str], found: CaseFound) -> None:
    """Write the masks of a case and note it as done."""
    write_prediction(request.output / PREDICTIONS_NAME, case.id, regions, found.answered.masks, found.grid)
    note_answer(request, case, found.answered.certainties)


def note_answer(request: Request, case: Case, certainties: Sequence[Certainty]) -> None:
    if request.memory:
        request.memory.keep(case.id, one_or_list([calibration.to_record(certainty) for certainty in certainties]))
