"""`[data]`: where the cases come from and how they reach the network."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from tumorline.config.mistakes import explain
from tumorline.config.section import MANY, Name, Section, Side, Spacing, split_at_commas

MOST_CHANNELS = 64
"""That an image may have."""
LabelValue = Annotated[int, Field(ge=1, lt=2**16)]
ABSENT = 0.0
"""What a network sees everywhere in a channel that is not there: the mean of a head that is normalised."""


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
    unlabelled: bool = False
    """Its images train by what the teacher says of them (`loss.teacher`) and by nothing else: they need no masks."""
    mask_threshold: float | None = None
    spacing_mm: float | None = None
    channel: str | None = None
    label: str | None = None
    enhancing_label: int | None = None
    label_values: dict[str, Any] | None = None
    channels: tuple[str, ...] | str | None = None
    slice_step: int | None = None
    tumour_free_share: float | None = None
    other_labels: str | None = None
    tumour_free: bool | None = None
    corrections: str | None = None
    leave_out: tuple[str, ...] | str | None = None

    @property
    def own_settings(self) -> dict[str, Any]:
        """What it says of `[data]`."""
        settings = {key: value for key in OWN_SETTINGS if (value := getattr(self, key)) is not None}
        return {"tumour_free": True, **settings} if self.unlabelled else settings

    @property
    def whole_part(self) -> str:
        """The part that all of it is in; empty where its patients are split."""
        return self.part or ("train" if self.unlabelled else "")

    @model_validator(mode="after")
    def trains_only_without_labels(self) -> Self:
        if self.unlabelled and self.part not in ("", "train"):
            raise ValueError(f"an unlabelled source trains only; it cannot be the {self.part} part")
        return self


OWN_SETTINGS = (
    *("mask_threshold", "spacing_mm", "channel", "label", "enhancing_label", "label_values", "channels"),
    *("slice_step", "tumour_free_share", "other_labels", "tumour_free", "corrections", "leave_out"),
)
"""Keys of `[data]` that each of several sources may have for itself."""


SAYS_WHAT_LABELS_MEAN = ("mask_threshold", "label", "enhancing_label", "tumour_free")
"""Keys of `[data]` in whose place `label_values` stands."""
OF_SLICES = ("context", "axis", "slice_step", "tumour_free_share", "other_labels")
"""Keys of `[data]` that say nothing to networks of three axes."""
OF_PATCHES = ("voxel_mm", "overlap", "region_share", "patches")
"""Those that say nothing to networks of slices."""
PATHS = ("source", "cache", "corrections")
"""Keys of `[data]` that are places on this machine."""


class DataConfig(Section):
    """Where the cases come from and how they reach the network."""

    source: str = ""
    """Folder in a supported layout or CSV; empty means the simulated cohort."""
    sources: tuple[SourceConfig, ...] = ()
    """Several sources that train together, in place of `source`: tables `[[data.sources]]`, each with a `path`, and
    where wanted a `name`, its `share` of the training images, the one `part` it is in, `licence` and `attribution`, the
    sequence and outline that it counts as (`channel_as`, `label_as`), and keys of `[data]` of its own."""
    image_size: int = Field(default=192, ge=16, le=4096)
    """Side in pixels of the square the network sees; images keep their proportions, in mm where these are known."""
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
    label_values: dict[Name, Annotated[tuple[LabelValue, ...], Field(min_length=1)]] = {}
    """Of label maps, pictures or volumes, the values that make each region, such as `{ tumour = [1, 2, 4] }` or
    `{ whole_tumour = [1, 2, 3], tumour_core = [2, 3] }`; `regions` chooses among several. Values of no region that may
    be there stand in one that is not chosen."""
    channels: tuple[Name, ...] = ()
    """Several sequences by name, in the order in which the network gets them, for example flair, post_contrast."""
    regions: tuple[Name, ...] = ()
    """What is outlined, one target each: of BraTS whole_tumour, tumour_core, enhancing_tumour; of a CSV the columns
    `mask_NAME`. Empty means one target, `tumour`, which `label` chooses."""
    axis: Literal["axial", "coronal", "sagittal"] = "axial"
    """Of volumes, how the slices lie that the network sees. A volume whose slices lie so far apart that pixels would be
    more than twice as long as wide is cut as it was acquired."""
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
    corrections: str = ""
    """Folder of corrected masks, as the viewer saves them (`CASE_mask.png`, `CASE_seg.nii.gz`). They are read in place
    of the source's own, which stay as they are."""
    leave_out: tuple[str, ...] = ()
    """Ids of cases that are not read: of a bad scan, or of a picture that another set holds as well."""
    cache: str = ""
    """Folder of the decoded cache; empty means the user's cache folder."""

    @field_validator("channels", "regions", "leave_out", mode="before")
    @classmethod
    def splits_at_commas(cls, value: Any) -> Any:
        return split_at_commas(value)

    @field_validator("channels", "regions", "leave_out")
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

    @field_validator("label_values", mode="before")
    @classmethod
    def takes_one_value_for_a_list(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {name: values if isinstance(values, list | tuple) else [values] for name, values in value.items()}

    @model_validator(mode="after")
    def says_once_what_labels_mean(self) -> Self:
        keys = [key for key in SAYS_WHAT_LABELS_MEAN if getattr(self, key) != type(self).model_fields[key].default]
        if self.label_values and keys:
            raise ValueError(f"data.label_values and data.{keys[0]} are both given; keep one of them")
        return self

    @model_validator(mode="after")
    def corrects_what_has_masks(self) -> Self:
        if self.corrections and self.tumour_free:
            raise ValueError(
                "data.corrections and data.tumour_free exclude one another; give pictures masks of their own"
            )
        return self

    @model_validator(mode="after")
    def has_one_source_or_several(self) -> Self:
        keys = [key for key in ("source", "tumour_free", "leave_out") if getattr(self, key)]
        if self.sources and keys:
            raise ValueError(f"data.sources and data.{keys[0]} exclude one another; give it to one of the sources")
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
        settings = source.own_settings
        replaced = {"channel": "channels", "channels": "channel"}
        shared = self.model_dump(exclude={"sources", "source", *(replaced[key] for key in settings if key in replaced)})
        try:
            return DataConfig.model_validate({**shared, **settings, "source": source.path})
        except ValidationError as error:
            raise ValueError(f"data.sources.{number}.{explain(error, DataConfig)}") from None

    @model_validator(mode="after")
    def sees_patches_or_slices(self) -> Self:
        defaults = {key: type(self).model_fields[key].default for key in OF_SLICES}
        if self.window and (keys := [key for key in OF_SLICES if getattr(self, key) != defaults[key]]):
            raise ValueError(f"data.{keys[0]} is for slices; leave it out where data.window is given")
        return self


def _check_shares(shares: Sequence[float | None]) -> None:
    """Raise ValueError where the shares of sources leave nothing for one, or do not make a whole."""
    stated = [share for share in shares if share is not None]
    total, rest = sum(stated), len(shares) - len(stated)
    if stated and (total > 1 - 1e-6 if rest else abs(total - 1) > 1e-6):
        need = "leave something for the sources without one" if rest else "make 1 (or one source goes without)"
        raise ValueError(f"data.sources: the shares add up to {total:g}; they have to {need}")
