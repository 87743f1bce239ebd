"""What is outlined: names of target regions, and the label values that make them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

REGION = "tumour"
REGION_NAME = r"^\w[\w -]{0,49}$"
"""What names of regions look like: they become names of folders."""
WHOLE, CORE, ENHANCING = NESTED = ("whole_tumour", "tumour_core", "enhancing_tumour")
"""BraTS's regions, each within the one before it."""
EARLIER, LATER = 4, 3
"""BraTS's label of enhancing tumour: to 2022, and from 2023 on."""


@dataclass(frozen=True)
class Labels:
    """Values of a label map: those that make each region, and those that may be there at all."""

    wanted: tuple[tuple[int, ...], ...]
    """Of each region."""
    allowed: tuple[int, ...]
    stated: str = "files of these names have"
    """How the values that may be there are known, in words."""
    cure: str = ""
    """What is said to do about other values."""
    by_labels: bool = False
    """Whether labels alone say what 3 means, and no name."""
    by_names: bool = False
    """Whether names alone say what 3 and 4 mean, so that the labels of the whole set have to agree."""
    outlines: str = ""
    """What the set calls the one region that is read, where nothing is asked for and it is none of BraTS's."""


SAVED_BY_VIEWER = "tumorline "
"""How the note in a volume begins that the viewer saves; `label_sets` of what it outlined follow."""


def label_sets(wanted: Iterable[Iterable[int]]) -> str:
    """The values that make each region, as '1,2,4;1,4;4'."""
    return ";".join(",".join(map(str, sorted(values))) for values in wanted)


def brush_labels(regions: Sequence[str]) -> Labels:
    """What the viewer's brush writes where a set has no labels of its own: BraTS's, else 1, 2 and so on."""
    wanted = ((1, 2, 4), (1, 4), (4,)) if {*regions} == {*NESTED} else [(place + 1,) for place in range(len(regions))]
    values = dict(zip(NESTED if {*regions} == {*NESTED} else regions, wanted, strict=True))
    allowed = sorted({0, *(value for own in wanted for value in own)})
    return Labels(tuple(values[name] for name in regions), tuple(allowed), "corrected masks of these regions have")


@dataclass(frozen=True)
class LabelScheme:
    """What the values of a label map mean: those of each region, and those that are none of them."""

    regions: Mapping[str, tuple[int, ...]]
    others: tuple[int, ...] = (0,)

    @property
    def allowed(self) -> tuple[int, ...]:
        return tuple(sorted({*self.others, *(value for values in self.regions.values() for value in values)}))


def scheme_of_parts(
    oedema: tuple[int, ...], core: tuple[int, ...], enhancing: tuple[int, ...], others: tuple[int, ...] = (0,)
) -> LabelScheme:
    """BraTS's three nested regions from the values that exclude one another; `core` is what does not enhance."""
    regions = {
        WHOLE: oedema + core + enhancing,
        CORE: core + enhancing,
        ENHANCING: enhancing,
    }
    return LabelScheme({name: tuple(sorted(values)) for name, values in regions.items()}, others)
