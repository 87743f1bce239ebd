"""`[split]`: which patients train, validate and test."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tumorline.config.section import MANY, Section, Seed


class SplitConfig(Section):
    """Which patients train, validate and test."""

    by: Literal["patient", "slice"] = "patient"
    """'slice' exists to study the leak; every output is then marked LEAKING."""
    train: float = Field(default=0.7, ge=1e-6, le=1)
    """Share of the patients that train; with folds it is what the folds leave. With 1 all train and none is left to
    validate or test: the last averaged weights are kept, and the recipe states threshold, temperature and, of a
    presence head, gate (`model`), chosen in folds beforehand."""
    validation: float = Field(default=0.1, ge=0, lt=1)
    """Share of the patients on which epoch, threshold and temperature are chosen; what is left tests. With 0 nobody
    validates, for sets so small that a few patients would choose badly: those whom the source states for validation
    train, the last averaged weights are kept, and the recipe states threshold, temperature and, of a presence head,
    gate (`model`)."""
    seed: Seed = 0
    """Draws which patient goes where; equal seeds give equal parts, whatever `seed` of the run."""
    folds: int = Field(default=0, ge=0, le=MANY)
    """Number of folds; 0 is one split by the shares above. With folds, the test part is one of them and the validation
    part is carved from the rest."""
    fold: int = Field(default=0, ge=0, le=MANY)
    """Which fold is the test part, counted from 0."""
    folds_from: Literal["patients", "source"] = "patients"
    """Folds computed over the patients, or those that the source states (a `fold` column; `cvind.mat` of figshare)."""
    file: str = ""
    """CSV with `patient_group` (or `patient`, or `id`) and `split` that fixes the parts by hand. Cases that it lacks
    are left out, those of a source with a `part` stay in it."""
    stated: bool = True
    """Use the parts that the source states (a `split` column, folders `train/` and `test/`); where false, the patients
    are split as if none were stated."""
    leak: float = Field(default=0.0, ge=0, lt=1)
    """Share of each test patient's slices that trains, in place of as many slices of training patients: to measure what
    the leak is worth (recipe `leak`). Every output is then marked LEAKING."""

    trained_share: float = Field(default=1.0, ge=1e-6, le=1)
    """Share of the training patients that are trained on, of each class alike; the others are left out. A larger share
    keeps those of a smaller one: whether more patients would help."""

    @model_validator(mode="after")
    def leaves_a_test_part(self) -> Self:
        by_shares = not (self.folds or self.file)
        if by_shares and self.train < 1 <= self.train + self.validation:
            raise ValueError("split.train + split.validation leave nothing for the test part")
        return self

    @property
    def trains_on_all(self) -> bool:
        """Whether no patient is left to validate or test."""
        return self.train == 1

    @property
    def validates(self) -> bool:
        """Whether patients are left on which something can be chosen."""
        return not self.trains_on_all and self.validation > 0

    @property
    def why_nobody_validates(self) -> str:
        return "split.train is 1" if self.trains_on_all else "split.validation is 0"

    @model_validator(mode="after")
    def splits_what_it_trains_on(self) -> Self:
        for key in ("folds", "file", "leak"):
            if self.trains_on_all and getattr(self, key):
                raise ValueError(f"split.train is 1, so that all patients train; leave out split.{key}")
        return self

    @model_validator(mode="after")
    def leaks_once(self) -> Self:
        if self.leak and self.by == "slice":
            raise ValueError("split.leak needs split.by = 'patient'; a split by slice leaks already")
        return self

    @model_validator(mode="after")
    def names_a_fold(self) -> Self:
        if self.folds == 1:
            raise ValueError("split.folds is 1; expected 0 (no folds) or 2 and more")
        if self.fold >= max(1, self.folds):
            raise ValueError(
                f"split.fold is {self.fold}; expected 0 to {max(1, self.folds) - 1}: there are {self.folds} folds"
            )
        if self.folds and self.file:
            raise ValueError("split.folds and split.file exclude one another")
        if self.folds and 1 / self.folds + self.validation >= 1:
            raise ValueError("split.folds and split.validation leave nothing to train on")
        return self
