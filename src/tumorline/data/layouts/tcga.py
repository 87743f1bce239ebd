"""Pictures of TCGA patients, and which of them hold three sequences as their colours."""

import re
from collections.abc import Iterable
from pathlib import Path

from tumorline.formats.raster import count_bands

BARCODE = re.compile(r"TCGA[-_]\w{2}[-_]\w{4}(?![^\W_])", re.IGNORECASE)
TIFF_SUFFIXES = (".tif", ".tiff")
COLOURS = 3


def tcga_patient(picture: Path) -> str | None:
    """The patient's barcode where the folder or, in a flat copy, the file bears one."""
    match = BARCODE.match(picture.parent.name) or BARCODE.match(picture.name)
    return match[0].upper().replace("-", "_") if match else None


def is_triple(picture: Path) -> bool:
    """Whether a picture by itself is one of three sequences: of a TCGA patient, in colour.

    A TIFF whose header is not understood, as of 16 bit, is taken for one.
    """
    return tcga_patient(picture) is not None and _has_colours(picture)


def triples(pictures: Iterable[Path]) -> frozenset[Path]:
    """All pictures of TCGA patients where one of them is in colour: those of a set are alike."""
    named = [picture for picture in pictures if tcga_patient(picture)]
    return frozenset(named if any(map(_has_colours, named)) else ())


def _has_colours(picture: Path) -> bool:
    bands = count_bands(picture)
    return bands >= COLOURS or (not bands and picture.suffix.lower() in TIFF_SUFFIXES)
