"""Whose tumours may be pasted: nobody's who validates or tests."""

from collections.abc import Sequence

from tumorline.config import AugmentConfig
from tumorline.data.dataset import Dataset
from tumorline.data.splits.parts import Split
from tumorline.data.splits.split import patient_groups
from tumorline.data.user_tables import match_most, read_rows_of_cases
from tumorline.errors import UserError
from tumorline.user_text import written_path


def donor_names(settings: AugmentConfig, dataset: Dataset, split: Split) -> list[str]:
    """The cases whose tumours are pasted: those that the settings name, else all that train; none without pasting.

    Raises UserError for one of a patient, or of an image, that is held out.
    """
    if not settings.paste:
        return []
    names = _named(settings, dataset) if settings.donors else split.cases("train")
    refuse_held_out(dataset, split, names)
    return names


def _named(settings: AugmentConfig, dataset: Dataset) -> list[str]:
    path = written_path(settings.donors)
    wanted = [row["id"] for row in read_rows_of_cases(path, ("id",)).values()]
    return list(match_most(path, "id", wanted, dataset.index, f"{dataset.source.path} (cases)").values())


def refuse_held_out(dataset: Dataset, split: Split, names: Sequence[str]) -> None:
    """Raise UserError where a donor shows the same patient, or image, as a case that validates or tests."""
    groups = {case.id: case.id for case in dataset.cases} if split.leaking else patient_groups(dataset)
    held_out = {groups[name]: part for part in ("validation", "test") for name in split.cases(part)}
    if wrong := [name for name in names if groups[name] in held_out]:
        raise UserError(
            f"augment.paste: the donor '{wrong[0]}' is of a patient of the {held_out[groups[wrong[0]]]} part; tumours "
            f"are taken from patients who train ({len(wrong)} of {len(names)} donors are held out)"
        )
