"""The LGG set of Buda et al. (from TCGA): TIF pictures whose three colour channels are three sequences.

A patient's folder `TCGA_XX_XXXX_date` holds `X.tif` and `X_mask.tif`. The masks outline the abnormality in FLAIR.
Where a sequence is missing, its channel repeats FLAIR.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from tumorline.config import DataConfig
from tumorline.data.case import Case
from tumorline.data.finding import Finding
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.data.layouts.tcga import tcga_patient, triples
from tumorline.errors import UserError
from tumorline.formats.decode import read_pixels
from tumorline.wording import numbered

PLANES = {"flair": (1,), "post_contrast": (2,), "pre_contrast": (0,), "all": (0, 1, 2)}
"""Choice of `data.channel`, the default first -> planes of the picture."""
SEQUENCES = ("pre_contrast", "flair", "post_contrast")
"""Of the planes."""
FLAIR = 1
LABEL = "flair_abnormality"


def find_lgg(contents: Contents) -> str:
    pictures = [group.images[0] for group in contents.pairs.values() if group.images[0] in contents.triples]
    return (
        f"{numbered(len(pictures), 'pair')} of TCGA patients (for example in {pictures[0].parent.name}/)"
        if pictures
        else ""
    )


def names_in(pictures: Iterable[Path]) -> tuple[str, ...]:
    """The names that `data.channel` may take for pictures of one plane or three; none where all are one sequence."""
    return tuple(PLANES) if triples(pictures) else ()


def with_sequences(path: Path, cases: Sequence[Case], settings: DataConfig) -> Listing:
    """The cases, and of those whose picture holds three sequences the planes that `data.channel` names.

    A note says where a chosen sequence is missing.
    """
    pictures = triples(case.images[0] for case in cases if _is_one_picture(case))
    planes = _planes(path, settings.channel, settings.channels) if pictures else ()
    cases_with_planes = [
        _as_lgg(case, planes) if _is_one_picture(case) and case.images[0] in pictures else case for case in cases
    ]
    return cases_with_planes, _repeated(path, list(filter(is_lgg_case, cases_with_planes)))


def is_lgg_case(case: Case) -> bool:
    return bool(case.planes) and not case.is_volume


def label_of(cases: Iterable[Case]) -> str:
    """What the masks outline where each picture is one of the set; empty where one is not."""
    return LABEL if all(map(is_lgg_case, cases)) else ""


def _is_one_picture(case: Case) -> bool:
    """Whether nothing says yet which sequence a case is."""
    return len(case.images) == 1 and not case.is_volume and not case.channels


def lgg_case(path: Path, channel: str, channels: tuple[str, ...] = ()) -> Case:
    """The case of one picture by itself. Raises UserError for a sequence that the set lacks."""
    return _as_lgg(Case(path.stem, (path,)), _planes(path, channel, channels))


def _planes(path: Path, channel: str, channels: tuple[str, ...]) -> tuple[int, ...]:
    for name in filter(None, (channel, *channels)):
        if name not in PLANES:
            raise UserError(f"{path}: has no {name}; pictures of the LGG set have {', '.join(PLANES)}")
    return tuple(SEQUENCES.index(name) for name in channels) or PLANES[channel or "flair"]


def _as_lgg(case: Case, planes: tuple[int, ...]) -> Case:
    patient = case.patient or tcga_patient(case.images[0])
    channels = tuple(SEQUENCES[plane] for plane in planes)
    return replace(case, patient=patient, images=case.images * len(planes), planes=planes, channels=channels)


def _repeated(path: Path, cases: Sequence[Case]) -> list[Finding]:
    """A note where a chosen sequence is missing; it needs the pixels, so only where another than FLAIR is chosen."""
    planes = [plane for plane in cases[0].planes if plane != FLAIR] if cases else []
    if not planes:
        return []
    with ThreadPoolExecutor() as pool:
        repeats = list(pool.map(lambda case: _repeats_flair(case, planes), cases))
    files = tuple(str(case.images[0]) for case, repeated in zip(cases, repeats, strict=True) if repeated)
    if not files:
        return []
    counted = f"in {len(files)} of {len(cases)} cases a chosen channel repeats FLAIR"
    message = f"{path}: {counted}, as it does where a sequence is missing"
    return [Finding("channel_repeats_flair", "info", message, files)]


def _repeats_flair(case: Case, planes: list[int]) -> bool:
    try:
        pixels = read_pixels(case.images[0])
    except UserError:  # reported where every file is decoded
        return False
    if pixels.ndim != 3 or np.ptp(pixels) == 0:
        return False
    return any(np.array_equal(pixels[..., plane], pixels[..., FLAIR]) for plane in planes)
