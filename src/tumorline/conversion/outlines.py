"""What the segments of a set's segmentations are called, and the label values that hold them, nested or overlapping."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tumorline.data.layouts.volumes.scan_case import in_one_spelling, region_of
from tumorline.errors import UserError, did_you_mean
from tumorline.formats.dicom_segmentation import MOST_SEGMENTS, Codes, Segmentation

RESERVED = ("background", "ignore")
"""Names of labels that have a meaning of their own in nnU-Net's dataset.json; so has a number, which is a value."""


def regions_by_segment(segmentation: Segmentation) -> dict[int, str]:
    return {number: _name_of_label(label) or f"segment_{number}" for number, label in segmentation.labels.items()}


def _name_of_label(label: str) -> str:
    """The region that a label means, by a name that dataset.json can hold; empty for none.

    Other letters than Latin ones stay: what is left without them may be the name of another.
    """
    letters = unicodedata.normalize("NFKC", label).lower()
    if any(letter.isalpha() and not unicodedata.name(letter, "").startswith("LATIN") for letter in letters):
        return re.sub(r"[\W_]+", "_", letters).strip("_")
    name = in_one_spelling(region_of(label))
    return f"segment_{name}" if name in RESERVED or name.isdecimal() else name


@dataclass(frozen=True)
class Outlines:
    """The regions that are written, and of which segments each is the union."""

    segments: Mapping[str, frozenset[str]]

    @property
    def regions(self) -> list[str]:
        return list(self.segments)

    def bits(self, segmentation: Segmentation) -> dict[int, int]:
        """Of each segment the regions that it is part of, the first in the lowest bit."""
        return {
            number: sum(1 << place for place, names in enumerate(self.segments.values()) if name in names)
            for number, name in regions_by_segment(segmentation).items()
        }

    def found_in(self, segmentation: Segmentation) -> list[str]:
        names = {*regions_by_segment(segmentation).values()}
        return [region for region, segments in self.segments.items() if segments & names]


def choose_outlines(given: Sequence[str], segmentations: Sequence[Segmentation]) -> Outlines:
    """The regions of `NAME=LABEL[,LABEL...]`, or each segment's own where none are given.

    Raises UserError for what is no name or no segment, and for more regions than can be told apart.
    """
    there = dict.fromkeys(name for one in segmentations for name in regions_by_segment(one).values())
    segments = {name: frozenset([name]) for name in there}
    if not given:
        _require_latin(segments)
    else:
        segments = dict(_read_region(text, list(there)) for text in given)
    if len(segments) < len(given):
        raise UserError("--region: a region is given twice; name all of its labels at once, with commas")
    if len(segments) > MOST_SEGMENTS:
        cure = "choose some with --region NAME=LABEL[,LABEL...]"
        raise UserError(f"{len(segments)} segments of different labels, {MOST_SEGMENTS} at most are written; {cure}")
    return Outlines(segments)


def _require_latin(names: Iterable[str]) -> None:
    """Raise UserError for labels of which a region cannot be called."""
    if others := [name for name in names if not name.isascii()]:
        cure = " ".join(f"--region NAME={name}" for name in others)
        raise UserError(f"labels of segments in other letters than Latin ones; call each region by a name: {cure}")


def _read_region(text: str, there: Sequence[str]) -> tuple[str, frozenset[str]]:
    name, equals, labels = text.partition("=")
    region, names = _name_of_label(name), [_name_of_label(label) for label in labels.split(",")]
    if not equals or not region or not region.isascii() or not all(names):
        raise UserError(f"--region {text}: expected NAME=LABEL[,LABEL...], for example tumour_core=necrosis,enhancing")
    if strange := [label for label in names if label not in there]:
        why = did_you_mean(strange[0], there) if there else "there are no segmentations"
        raise UserError(f"--region {text}: no segment is called '{strange[0]}'; {why}")
    return region, frozenset(names)


@dataclass(frozen=True)
class LabelValues:
    """A value for each combination of regions that occurs, from 1 on, those of few regions first."""

    regions: Sequence[str]
    codes: Sequence[int]
    """Bits of the regions of each combination, in the order of their values."""

    def of_regions(self) -> dict[str, list[int]]:
        """The values that make each region, larger regions first, so that a smaller one is written over them."""
        values = {
            region: [value for value, code in enumerate(self.codes, start=1) if code >> place & 1]
            for place, region in enumerate(self.regions)
        }
        return dict(sorted(values.items(), key=lambda item: -len(item[1])))

    def label_map(self, codes: Codes) -> npt.NDArray[np.unsignedinteger]:
        value_of = {0: 0, **{code: value for value, code in enumerate(self.codes, start=1)}}
        held = sorted(value_of)
        values = np.array([value_of[code] for code in held], np.min_scalar_type(len(self.codes)))
        return np.asarray(values[np.searchsorted(np.array(held, np.uint32), codes)])


def label_values(regions: Sequence[str], combinations: Iterable[int]) -> LabelValues:
    """A region that is empty everywhere has a value as well, which does not occur."""
    codes = {*combinations} - {0}
    codes |= {1 << place for place in range(len(regions)) if not any(code >> place & 1 for code in codes)}
    return LabelValues(regions, sorted(codes, key=lambda code: (code.bit_count(), code)))
