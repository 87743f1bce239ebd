"""One TOML file is one run: typed sections, unknown keys refused with the nearest name."""

import copy
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import tomli_w
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from tumorline.errors import UserError, did_you_mean
from tumorline.files import write_text
from tumorline.options import checked_options
from tumorline.regions import ENHANCING, REGION
from tumorline.user_text import parse_user_toml, read_user_text

ONE_CYCLE_RISE = 0.3
"""Share of the steps over which the one-cycle schedule rises where `warmup` is not given."""

RUN_NAME = r"^[^\W_][\w.-]*$"
"""What the names of runs, benchmarks and models look like: they become names of folders."""

LOGGERS = {"tensorboard": "TensorBoard", "mlflow": "MLflow"}
"""Callbacks that come with the package: names, each with its class."""

AFTER_TRAINING = ("model.threshold", "model.temperature", "model.gate", "model.storage", "model.postprocessing")
"""Keys that change nothing in a training, and so nothing in its validation figure."""


def is_after_training(key: str) -> bool:
    return any(f"{key}.".startswith(f"{after}.") for after in AFTER_TRAINING)


MOST_CHANNELS = 64
"""That an image may have."""
ABSENT = 0.0
"""What a network sees everywhere in a channel that is not there: the mean of a head that is normalised."""
SHOWN = 80
"""Characters of a value in a message."""
MANY = 10**6
"""More epochs, cases or the like than anybody means."""

Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
"""Of a channel or a region."""
Side = Annotated[int, Field(ge=8, le=512)]
Spacing = Annotated[float, Field(ge=0.1, le=20)]
Options = Annotated[dict[str, Any], AfterValidator(checked_options)]
"""Of a network or a loss: numbers, texts, lists and tables of a size that somebody may mean."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def is_no_truth_value(cls, value: Any, field: ValidationInfo) -> Any:
        kinds = get_args(kind := cls.model_fields[str(field.field_name)].annotation) or (kind,)
        if type(value) is bool and bool not in kinds and {int, float} & {*kinds}:
            raise ValueError("expected a number")
        return value

    @field_validator("*", mode="after")
    @classmethod
    def has_no_negative_zero(cls, value: Any) -> Any:
        return value + 0.0 if isinstance(value, float) else value


class SourceConfig(Section):
    """One of several sources. What is not given is as in `[data]`."""

    path: str = Field(min_length=1)
    """Folder in a supported layout, or CSV."""
    name: str = Field(default="", pattern=r"^(?:[^\W_][\w.-]{0,49})?$")
    """How it is called in tables and case names; empty means the name of its folder."""
    share: float | None = Field(default=None, gt=0, le=1)
    """Of the training images those from here; of the sources without it each as it comes."""
    part: Literal["", "train", "validation", "test"] = ""
    """All of it is in this part; empty means that its patients are split."""
    licence: str = Field(default="", max_length=1000)
    """Its terms, where they are not known or are others: the model file and its card hand them on."""
    attribution: str = Field(default="", max_length=1000)
    """Whom its terms want to be named."""
    channel_as: Name | Literal[""] = ""
    """The sequence that its images count as, where they are of another."""
    label_as: Name | Literal[""] = ""
    """What its masks count as, where they outline something else; `tumour` counts as whatever the others outline."""
    mask_threshold: float | None = None
    spacing_mm: float | None = None
    channel: str | None = None
    label: str | None = None
    enhancing_label: int | None = None
    channels: tuple[str, ...] | str | None = None
    slice_step: int | None = None
    tumour_free_share: float | None = None
    other_labels: str | None = None
    tumour_free: bool | None = None

    @property
    def own_settings(self) -> dict[str, Any]:
        """What it says of `[data]`."""
        return {key: value for key in OWN_SETTINGS if (value := getattr(self, key)) is not None}


OWN_SETTINGS = (
    *("mask_threshold", "spacing_mm", "channel", "label", "enhancing_label", "channels", "slice_step"),
    *("tumour_free_share", "other_labels", "tumour_free"),
)
"""Keys of `[data]` that each of several sources may have for itself."""


class DataConfig(Section):
    """Where the cases come from and how they reach the network."""

    source: str = ""
    """Folder in a supported layout or CSV; empty means the simulated cohort."""
    sources: tuple[SourceConfig, ...] = ()
    """Several sources that train together, in place of `source`: tables `[[data.sources]]`, each with a `path`, and
    where wanted a `name`, its `share` of the training images, the one `part` it is in, `licence` and `attribution`, the
    sequence and outline that it counts as (`channel_as`, `label_as`), and keys of `[data]` of its own."""
    image_size: int = Field(default=192, ge=16, le=4096)
    """Side in pixels of the square that the network sees; images keep their aspect ratio."""
    mask_threshold: float | None = Field(default=None, ge=-(2**32), le=2**32)
    """Accept masks with more than two values: foreground is what lies above this value."""
    spacing_mm: float | None = Field(default=None, ge=1e-3, le=1e3)
    """Pixel size for files that carry none (PNG, JPEG); without it distances are in pixels."""
    channel: str = ""
    """Which sequence to read where there are several: flair, post_contrast, pre_contrast, all; of BraTS t2 as well."""
    label: Literal["", "whole_tumour", "tumour_core", "enhancing_tumour"] = ""
    """What of BraTS's labels is the tumour; empty means tumour_core."""
    enhancing_label: Literal[0, 1, 3, 4] = 0
    """Of volumes in BraTS's names, the label of enhancing tumour where names and labels of the set leave it open."""
    channels: tuple[Name, ...] = ()
    """Several sequences by name, in the order in which the network gets them, for example flair, post_contrast."""
    regions: tuple[Name, ...] = ()
    """What is outlined, one target each: of BraTS whole_tumour, tumour_core, enhancing_tumour; of a CSV the columns
    `mask_NAME`. Empty means one target, `tumour`, which `label` chooses."""
    axis: Literal["axial", "coronal", "sagittal"] = "axial"
    """Of volumes, how the slices lie that the network sees."""
    slice_step: int = Field(default=1, ge=1, le=MANY)
    """Of volumes, train on every n-th slice; validation, test and prediction see all."""
    context: int = Field(default=0, ge=0, le=16)
    """Of volumes, so many neighbouring slices on each side are further channels."""
    tumour_free_share: float | None = Field(default=None, ge=0, le=1)
    """Of volumes, the share of training slices without any region; without it as they come."""
    other_labels: Literal["", "negative", "left_out"] = ""
    """Of label maps, slices that hold labels, but none of a region: whether they train as free of a tumour. Empty means
    that they do, unless the source counts as another's meaning (`label_as`): such slices then are left out."""
    normalisation: Literal["picture", "volume"] = "picture"
    """Whether brightness is measured over each slice or over the whole volume."""
    window: tuple[Side, Side, Side] | None = None
    """Of volumes, the patches (slices, rows, columns) that a network of three axes sees; without it it sees slices."""
    voxel_mm: tuple[Spacing, Spacing, Spacing] = (1.0, 1.0, 1.0)
    """With a window: the spacing (slices, rows, columns) to which volumes are resampled."""
    overlap: float = Field(default=0.5, ge=0, le=0.9)
    """With a window: the share of a patch that the next one covers again when a volume is answered."""
    region_share: float = Field(default=0.5, ge=0, le=1)
    """With a window: the share of the training patches that are drawn around a voxel of a region."""
    patches: int = Field(default=8, ge=1, le=MANY)
    """With a window: patches of each training volume in one epoch."""
    keep_identifiers: bool = False
    """Show the patients' ids of DICOM headers in tables, logs and reports instead of their hashes."""
    tumour_free: bool = False
    """The pictures have no masks and show no tumour: to count what a model invents."""
    cache: str = ""
    """Folder of the decoded cache; empty means the user's cache folder."""

    @field_validator("channels", "regions", mode="before")
    @classmethod
    def splits_at_commas(cls, value: Any) -> Any:
        return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value

    @field_validator("channels", "regions")
    @classmethod
    def names_each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if twice := [name for name in value if value.count(name) > 1]:
            raise ValueError(f"'{twice[0]}' stands in it more than once")
        return value

    @model_validator(mode="after")
    def chooses_once(self) -> Self:
        for one, several in (("channel", "channels"), ("label", "regions")):
            if getattr(self, one) and getattr(self, several):
                raise ValueError(f"data.{one} and data.{several} are both given; keep one of them")
        return self

    @model_validator(mode="after")
    def has_one_source_or_several(self) -> Self:
        if self.sources and (self.source or self.tumour_free):
            other = "source" if self.source else "tumour_free"
            raise ValueError(f"data.sources and data.{other} exclude one another; give it to one of the sources")
        names = [name for source in self.sources if (name := source.name)]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"data.sources: two are called '{twice[0]}'; give one another name")
        _check_shares([source.share for source in self.sources if source.part in ("", "train")])
        for number, source in enumerate(self.sources):
            self._settings_of(number, source)
        return self

    @property
    def of_each_source(self) -> "tuple[DataConfig, ...]":
        """The settings of each of several sources; none where there is one."""
        return tuple(self._settings_of(*pair) for pair in enumerate(self.sources))

    def _settings_of(self, number: int, source: SourceConfig) -> "DataConfig":
        own = source.own_settings
        replaced = {"channel": "channels", "channels": "channel"}
        shared = self.model_dump(exclude={"sources", "source", *(replaced[key] for key in own if key in replaced)})
        try:
            return DataConfig.model_validate({**shared, **own, "source": source.path})
        except ValidationError as error:
            raise ValueError(f"data.sources.{number}.{explain(error, DataConfig)}") from None

    @model_validator(mode="after")
    def sees_patches_or_slices(self) -> Self:
        if self.window and (self.context or self.axis != "axial"):
            raise ValueError("data.window is for networks of three axes; data.context and data.axis are for slices")
        return self


def _check_shares(shares: Sequence[float | None]) -> None:
    """Raise ValueError where the shares of sources leave nothing for one, or do not make a whole."""
    given = [share for share in shares if share is not None]
    total, rest = sum(given), len(shares) - len(given)
    if given and (total > 1 - 1e-6 if rest else abs(total - 1) > 1e-6):
        need = "leave something for the sources without one" if rest else "make 1 (or one source goes without)"
        raise ValueError(f"data.sources: the shares add up to {total:g}; they have to {need}")


class SplitConfig(Section):
    """Which patients train, validate and test."""

    by: Literal["patient", "slice"] = "patient"
    """'slice' exists to study the leak; every output is then marked LEAKING."""
    train: float = Field(default=0.7, ge=1e-6, le=1)
    """Share of the patients. With 1 all train and none is left to validate or test: the last averaged weights are kept,
    and the recipe states threshold and temperature (`model`), chosen in folds beforehand."""
    """Share of the patients that train; with folds the share is what the folds leave."""
    validation: float = Field(default=0.1, ge=1e-6, lt=1)
    """Share of the patients on which epoch, threshold and temperature are chosen; what is left tests."""
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
    """CSV with `patient_group` (or `patient`, or `id`) and `split` that fixes the parts by hand."""
    stated: bool = True
    """Use the parts that the source states (a `split` column, folders `train/` and `test/`); where false, the patients
    are split as if none were stated."""
    leak: float = Field(default=0.0, ge=0, lt=1)
    """Share of each test patient's slices that trains, in place of as many slices of training patients: to measure what
    the leak is worth (recipe `leak`). Every output is then marked LEAKING."""

    @model_validator(mode="after")
    def leaves_a_test_part(self) -> Self:
        if self.train < 1 <= self.train + self.validation:
            raise ValueError("split.train + split.validation leave nothing for the test part")
        return self

    @property
    def trains_on_all(self) -> bool:
        """Whether no patient is left to validate or test."""
        return self.train == 1

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


Volume = Annotated[float, Field(ge=0, le=MANY)]
"""In ml."""


class Postprocessing(Section):
    """What is taken out of a mask after the threshold. Elements of a component touch by a side, an edge or a corner."""

    smallest_ml: dict[str, Volume] = {}
    """Of volumes, components of a region below this volume go, by region."""
    smallest_px: dict[str, Annotated[int, Field(ge=0, le=10**9)]] = {}
    """Components of a region of fewer pixels, or voxels, go, by region."""
    least_enhancing_ml: Volume = 0.0
    """Of volumes, enhancing tumour that comes to less in all becomes tumour core."""

    @property
    def regions(self) -> set[str]:
        """Those that it is about."""
        enhancing = {ENHANCING} if self.least_enhancing_ml else set()
        return {*self.smallest_ml, *self.smallest_px, *enhancing}

    def require_regions(self, regions: Collection[str]) -> None:
        """Raise ValueError for a region that is none of these."""
        if strange := sorted(self.regions - {*regions}):
            raise ValueError(
                f"post-processing of '{strange[0]}', which is no region of the model ({', '.join(regions)})"
            )


class PostprocessingConfig(Postprocessing):
    """What is taken out of a mask after the threshold: small components, and enhancing tumour that comes to little."""

    choose: bool = False
    """Choose the limits on the validation patients, in place of limits that stand here."""

    @property
    def fixed(self) -> Postprocessing:
        """The limits by themselves, as a model file keeps them."""
        return Postprocessing.model_validate(self.model_dump(exclude={"choose"}))

    @model_validator(mode="after")
    def is_fixed_or_chosen(self) -> Self:
        if self.choose and self.regions:
            raise ValueError("model.postprocessing.choose is true, so that no limit may stand beside it; keep one")
        return self


class ModelConfig(Section):
    """The network, where its weights come from, and what happens to its answer after training."""

    name: str = "unet"
    """A network that `tumorline models` lists, or one of your own as package.module:Name."""
    options: Options = {}
    """Of the network; what a network takes is said where one is wrong."""
    start_from: str = ""
    """A run folder, a listed model or a file of weights: what fits the network by name and shape is taken over. The
    cases that such a model was trained on count as this one's training cases."""
    storage: Literal["float32", "float16"] = "float32"
    """Number format of the weights in the finished model's files; computation is in float32 either way."""
    threshold: Literal["validation"] | Annotated[float, Field(ge=1e-6, le=1 - 1e-6)] = "validation"
    """Probability from which a pixel is tumour: a number, or chosen on the validation patients."""
    temperature: Literal["validation"] | Annotated[float, Field(ge=1e-3, le=1e3)] = "validation"
    """By which the logits are divided before they become probabilities: a number, or fitted on the validation
    patients."""
    gate: Literal["validation"] | Annotated[float, Field(ge=0, le=1 - 1e-6)] = "validation"
    """Of a network with a presence head the probability of a tumour below which its masks are empty: a number (0 leaves
    them alone), or chosen on the validation patients."""
    postprocessing: PostprocessingConfig = PostprocessingConfig()


class LossTerm(Section):
    """One loss of a sum."""

    name: str
    """A loss that `tumorline losses` lists."""
    options: Options = {}
    """Of the loss."""
    weight: float | tuple[float, float] = 1.0
    """A number, or [first, last]: on a straight line from the one to the other over the training."""

    @field_validator("weight", mode="before")
    @classmethod
    def is_one_or_two_numbers(cls, value: Any) -> Any:
        ends = list(value) if isinstance(value, (list, tuple)) else [value, value]
        if len(ends) != 2 or not all(type(end) in (int, float) and 0 <= end <= MANY for end in ends):
            raise ValueError("expected a number of 0 or more, or two such numbers [first, last]")
        return value

    @property
    def ends(self) -> tuple[float, float]:
        return self.weight if isinstance(self.weight, tuple) else (self.weight, self.weight)


class LossConfig(Section):
    """What the training makes small."""

    name: str = "dice_ce"
    """A loss that `tumorline losses` lists."""
    options: Options = {}
    """Of the loss."""
    sum: tuple[LossTerm, ...] = ()
    """Losses to add up, each with its weight, in place of `name` and `options`."""
    presence: float = Field(default=0.2, ge=0, le=MANY)
    """Weight of the cross entropy of presence, where the network has a head for it (`model.options.presence`)."""

    @model_validator(mode="after")
    def is_one_loss_or_a_sum(self) -> Self:
        if self.sum and (self.name, self.options) != ("dice_ce", {}):
            raise ValueError("loss.sum stands in place of loss.name and loss.options; leave those out")
        for end, when in enumerate(("start", "end")):
            if self.sum and not any(term.ends[end] for term in self.sum):
                raise ValueError(f"loss.sum: all weights are 0 at the {when} of the training; one must be above 0")
        return self


class AugmentConfig(Section):
    """Random changes of the training images, drawn per sample; 0 or false switches one off."""

    rotation_degrees: float = Field(default=15.0, ge=0, le=180)
    """Largest turn to either side."""
    quarter_turns: float = Field(default=1.0, ge=0, le=1)
    """Share of the samples that are turned by 0, 90, 180 or 270 degrees at random."""
    flips: bool | Literal["horizontal", "vertical"] = True
    """Mirror half of the samples: along both axes independently, or along the one that is named."""
    scale: float = Field(default=0.15, ge=0, lt=1)
    """Largest share by which the image is made smaller or larger."""
    shift: float = Field(default=0.05, ge=0, lt=1)
    """Largest shift as a fraction of the image side."""
    elastic: float = Field(default=0.02, ge=0, lt=0.5)
    """Largest elastic displacement as a fraction of the image side."""
    geometry_probability: float = Field(default=0.8, ge=0, le=1)
    """Share of the samples that are turned, scaled, shifted and deformed."""
    gamma: float = Field(default=0.3, ge=0, lt=1)
    """Largest change of the exponent of the grey values."""
    contrast: float = Field(default=0.2, ge=0, lt=1)
    """Largest share by which contrast is lowered or raised."""
    noise: float = Field(default=0.1, ge=0, le=1e3)
    """Largest standard deviation of the noise in units of the image's standard deviation."""
    blur: float = Field(default=1.0, ge=0, le=1e3)
    """Largest standard deviation of the blur in pixels."""
    low_resolution: float = Field(default=0.5, ge=0, le=1)
    """Smallest factor by which the resolution is reduced; 0 or 1 switches it off."""
    intensity_probability: float = Field(default=0.3, ge=0, le=1)
    """Share of the samples that each change of grey values is made to, independently of the others."""
    channel_dropout: float = Field(default=0.0, ge=0, le=0.9)
    """Probability that a channel is absent from a sample; one at least always stays. A model so trained takes cases
    that lack channels (`InputSpec.may_lack_channels`)."""
    skull_strip: float = Field(default=0.0, ge=0, le=1)
    """Share of the slices from which what lies around the brain is taken away, more or less of it."""
    crop: float = Field(default=0.0, ge=0, le=1)
    """Share of the slices that are cut out anew around the head, more or less tightly, half of them with black bars."""
    appearance: float = Field(default=0.0, ge=0, le=1)
    """Share of the slices whose curve of grey values, darkness, resolution, noise and JPEG compression are drawn anew,
    so that they look as if all came from one source."""
    paste: float = Field(default=0.0, ge=0, le=1)
    """Share of the slices without a tumour into which one of another training slice is put."""
    inpaint: float = Field(default=0.0, ge=0, le=1)
    """Share of the slices with a tumour from which it is taken out; of the others as many are filled beside it."""
    donors: str = ""
    """CSV with a column `id`: the cases whose tumours are pasted, none of a patient who validates or tests. Empty means
    all training cases."""

    @property
    def remedies(self) -> list[str]:
        """Names of what is asked for against learning the source in place of the tumour."""
        return [name for name in REMEDIES if getattr(self, name)]

    @model_validator(mode="after")
    def has_donors_to_paste(self) -> Self:
        if self.donors and not self.paste:
            raise ValueError("augment.donors is given, but augment.paste is 0, so that nothing is pasted")
        return self


REMEDIES = ("skull_strip", "crop", "appearance", "paste", "inpaint")
"""Keys of `[augment]` that are for slices only."""


class TrainConfig(Section):
    """How the network is trained, and on what."""

    epochs: int = Field(default=16, ge=1, le=MANY)
    """Passes over the training images, or over `epoch_images` of them."""
    epoch_images: int = Field(default=0, ge=0, le=10**9)
    """Training images of one epoch, others in each; 0 or more than there are: all of them."""
    batch_size: int = Field(default=16, ge=1, le=MANY)
    """Over all processes together."""
    balance_patients: float = Field(default=0.0, ge=0, le=1)
    """How often a case is drawn: 0 every case alike, 1 every patient alike, whatever the number of slices."""
    optimiser: Literal["adamw", "adam"] = "adamw"
    """AdamW decays the weights apart from the gradient; of 'adam' the decay is part of it."""
    learning_rate: float = Field(default=2e-3, ge=1e-15, le=1e15)
    """The highest one; `schedule` says how it moves. `tumorline train --find-lr` suggests one."""
    backbone_rate: float = Field(default=1.0, ge=0, le=1e6)
    """Factor on the learning rate of the layers that may be pretrained."""
    layer_decay: float = Field(default=1.0, ge=1e-6, le=1)
    """Each layer of the backbone learns by this factor more slowly than the one after it (layer-wise decay)."""
    freeze_epochs: int = Field(default=0, ge=0, le=MANY)
    """For so many epochs the backbone is left as it was loaded, norms included; then it learns as well."""
    weight_decay: float = Field(default=1e-2, ge=0, le=1e6)
    """Of weights only, not of biases and norms."""
    schedule: Literal["cosine", "constant", "one_cycle", "poly", "plateau"] = "cosine"
    """What follows the warm-up: to zero along half a cosine or as a power of what is left ('poly'), no change, or lower
    each time the validation Dice stops improving ('plateau'). 'one_cycle' rises from a 25th and falls to a 10 000th."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of all steps over which the learning rate rises from zero; with one_cycle its rising part, then 0.3 where
    nothing is given."""
    plateau_patience: int = Field(default=3, ge=1, le=MANY)
    """Epochs without a better validation Dice after which 'plateau' lowers the rate."""
    plateau_factor: float = Field(default=0.5, ge=1e-6, lt=1)
    """By which 'plateau' lowers it."""
    clip_norm: float = Field(default=1.0, ge=0, le=1e15)
    """Largest gradient norm; 0 switches clipping off."""
    average_decay: float = Field(default=0.99, ge=0, lt=1)
    """Decay per step of the moving average of weights, which is what is validated and kept; 0 switches it off."""
    patience: int = Field(default=0, ge=0, le=MANY)
    """Stop after so many epochs without a better validation Dice; 0 never stops early."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """'auto' takes bfloat16 autocast where the hardware computes in it (AMX, AVX512-BF16, Ampere and later)."""
    channels_last: bool = True
    """Keep images with their channels together in memory, which is faster on most machines; results stay."""
    compile: bool = False
    """Compile the network with torch.compile; slow to begin, faster afterwards on a GPU."""
    device: str = "auto"
    """'auto' takes a GPU where there is one; else cpu, cuda, cuda:1."""
    deterministic: bool = False
    """Refuse operations that have no deterministic version (GPU; on CPU every run is repeatable)."""
    checkpoint_minutes: float = Field(default=5.0, ge=1e-3, le=MANY)
    """Save the resumable state at each epoch's end and at least this often within an epoch."""
    callbacks: tuple[str, ...] = ()
    """Who is told of each epoch: tensorboard, mlflow (extras of these names), or your own as package.module:Name."""

    @field_validator("callbacks", mode="before")
    @classmethod
    def splits_callbacks_at_commas(cls, value: Any) -> Any:
        return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value

    @field_validator("callbacks")
    @classmethod
    def names_callbacks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in LOGGERS and not re.fullmatch(r"[\w.]+:\w+", name):
                raise ValueError(f"'{name}' is no package.module:Name and no logger; {did_you_mean(name, LOGGERS)}")
        return tuple(dict.fromkeys(value))

    @model_validator(mode="before")
    @classmethod
    def one_cycle_rises_longer(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("schedule") == "one_cycle":
            return {"warmup": ONE_CYCLE_RISE, **values}
        return values


class Config(Section):
    """A run's whole configuration: sections of typed keys, as a TOML file has them; it is never changed.

    Args:
        name: Of the run; becomes a part of its folder's name.
        seed: Of all that is random but the split.
        data: Where the cases come from and how they reach the network (`DataConfig`).
        split: Who trains, validates and tests (`SplitConfig`).
        model: The network (`ModelConfig`).
        loss: The loss, or a sum of them (`LossConfig`).
        augment: Random changes of the training images (`AugmentConfig`).
        train: Epochs, optimiser, schedule, precision (`TrainConfig`).

    Raises:
        ValueError: For an unknown key or a value out of range (pydantic's `ValidationError`); `load_config` says it in
            one line as UserError.

    Example:
        >>> config = tumorline.Config(name="mine", train={"epochs": 3})
        >>> config.train.epochs, config.loss.name
        (3, 'dice_ce')
    """

    name: str = Field(default="unet", pattern=RUN_NAME)
    """Of the run: its folder is runs/<time>-<name>."""
    seed: Seed = 0
    """Draws the first weights, the order of the images and the augmentation."""
    data: DataConfig = DataConfig()
    split: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig = TrainConfig()

    @model_validator(mode="after")
    def postprocesses_its_regions(self) -> Self:
        self.model.postprocessing.require_regions(self.data.regions or (REGION,))
        return self

    @model_validator(mode="after")
    def states_what_nobody_validates(self) -> Self:
        if not self.split.trains_on_all:
            return self
        stated = {"model.threshold": self.model.threshold, "model.temperature": self.model.temperature}
        for key, value in stated.items():
            if value == "validation":
                raise ValueError(f"split.train is 1, so that nothing is left to choose {key} on; give a number")
        asked = {
            "model.postprocessing.choose": self.model.postprocessing.choose,
            "train.patience": self.train.patience,
            "train.schedule = 'plateau'": self.train.schedule == "plateau",
        }
        if wrong := [key for key, value in asked.items() if value]:
            raise ValueError(f"split.train is 1, so that nothing is validated; leave out {wrong[0]}")
        if parts := [source.part for source in self.data.sources if source.part not in ("", "train")]:
            raise ValueError(f"split.train is 1, so that all patients train; no source is for {parts[0]}")
        return self

    @model_validator(mode="after")
    def has_slices_for_its_remedies(self) -> Self:
        if self.data.window and self.augment.remedies:
            raise ValueError(
                f"augment.{self.augment.remedies[0]} is for slices; leave it out where data.window is given"
            )
        return self

    @property
    def dims(self) -> int:
        """Axes of what the network sees: 3 of patches of volumes, else 2."""
        return 3 if self.data.window else 2

    @property
    def network_size(self) -> tuple[int, ...]:
        """Sides of what the network sees at once."""
        return self.data.window or (self.data.image_size, self.data.image_size)

    @property
    def network_options(self) -> dict[str, Any]:
        """The options that the network is built with."""
        return {**self.model.options, "dims": 3} if self.data.window else self.model.options

    def to_toml(self) -> str:
        """Every key with its value, defaults included; keys without a value are left out."""
        return tomli_w.dumps(self.model_dump(exclude_none=True))

    def save(self, path: Path) -> None:
        write_text(path, self.to_toml())

    def without_paths(self) -> dict[str, Any]:
        """As a model file or a page shows it: no paths of the machine's data."""
        paths: dict[str, Any] = {"source": True, "cache": True, "sources": {"__all__": {"path"}}}
        return self.model_dump(mode="json", exclude={"data": paths})


def load_config(path: Path | str | None, overrides: Iterable[str] = ()) -> Config:
    """Read a TOML file and apply overrides.

    Args:
        path: The file; None takes all defaults.
        overrides: 'section.key=value' texts, as `--set` of the command line.

    Returns:
        The `Config`, whose values are within their ranges.

    Raises:
        UserError: For a missing file, broken TOML, an unknown key (with the nearest name) or a value out of range.

    Example:
        >>> tumorline.load_config(None, ["train.epochs=3"]).train.epochs
        3
    """
    values = {} if path is None else read_toml(Path(path))
    where = "the command line" if path is None else str(path)
    changed = copy.deepcopy(values)
    for override in overrides:
        apply_override(changed, override)
    try:
        return parse_config(changed, where)
    except UserError:
        parse_config(values, where)
    return parse_config(changed, "--set")  # which is wrong, since the file by itself is not


def parse_config(values: Mapping[str, Any], where: str) -> Config:
    """Check a nested dictionary; `where` names its origin in error messages."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error, Config)}") from None


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file. Raises UserError where it cannot be read."""
    text = read_user_text(path)
    try:
        return parse_user_toml(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a valid TOML file ({error})") from None


def apply_override(values: dict[str, Any], override: str) -> None:
    """Set the key that `section.key=value` names in a nested dictionary."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {override}: expected section.key=value, for example train.epochs=20")
    set_key(values, key.strip(), parse_value(text.strip()), f"--set {override}")


def set_key(values: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Put a value at `section.key` of a nested dictionary; `where` names the origin in the error message."""
    *sections, last = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise UserError(f"{where}: '{section}' is a value, not a section")
    values[last] = value


def parse_value(text: str) -> Any:
    """A TOML value where the text is one, a plain string otherwise (so that quotes may be left out)."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first of the errors as one line: key, value found, what is accepted."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    key = ".".join(path)
    if first["type"] == "extra_forbidden":
        options = _keys_of(model, path[:-1])
        return f"unknown key '{key}'; {did_you_mean(path[-1], options)}"
    message = first["msg"].removeprefix("Value error, ")
    if isinstance(first["input"], Mapping):
        names_it = first["type"] == "value_error" and path[-1:] != ["options"]
        return message if names_it else f"{key}: {message}"
    return f"{key + ': ' if key else ''}{message} (found {shortened(first['input'])})" if key else message


def shortened(value: Any) -> str:
    """A value as a message shows it."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**SHOWN else "a number of many digits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _keys_of(model: type[BaseModel], path: list[str]) -> list[str]:
    """Of the section at a path; a number in it is a place in a list of sections."""
    kind: Any = model
    for part in path:
        kind = get_args(kind)[0] if part.isdigit() else kind.model_fields[part].annotation
    return list(kind.model_fields)
