"""The LGG set of Buda et al. (from TCGA): TIF pictures whose three colour channels are three sequences.

A patient's folder `TCGA_XX_XXXX_date` holds `X.tif` and `X_mask.tif`. The masks outline the abnormality in FLAIR.
Where a sequence is missing, its channel repeats FLAIR.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from tumorline.config import DataConfig
from tumorline.data.case import Case
from tumorline.data.finding import Finding
from tumorline.data.layouts import pairs
from tumorline.data.layouts.contents import Contents, Listing
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
    found = [group.masks[0].parent.name for group in contents.pairs.values() if pairs.tcga_patient(group.masks[0])]
    return f"{numbered(len(found), 'pair')} of TCGA patients (for example in {found[0]}/)" if found else ""


def read_lgg(contents: Contents, settings: DataConfig) -> Listing:
    """Pairs with the patient of their folder and the planes that `data.channel` names."""
    cases, findings = pairs.read_pairs(contents, settings)
    cases = [_as_lgg(case, _planes(settings.channel, settings.channels)) for case in cases]
    return cases, findings + _repeated(contents.path, cases)


def is_lgg_picture(path: Path) -> bool:
    """Whether a file by itself is one of the set's pictures."""
    return path.suffix.lower() in (".tif", ".tiff") and pairs.tcga_patient(path) is not None


def lgg_case(path: Path, channel: str, channels: tuple[str, ...] = ()) -> Case:
    """The case of one picture by itself. Raises UserError for a sequence that the set lacks."""
    for name in filter(None, (channel, *channels)):
        if name not in PLANES:
            raise UserError(f"{path}: has no {name}; pictures of the LGG set have {', '.join(PLANES)}")
    return _as_lgg(Case(path.stem, (path,)), _planes(channel, channels))


def _planes(channel: str, channels: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(SEQUENCES.index(name) for name in channels) or PLANES[channel or "flair"]


def _as_lgg(case: Case, planes: tuple[int, ...]) -> Case:
    patient = case.patient or pairs.tcga_patient(case.images[0])
    channels = tuple(SEQUENCES[plane] for plane in planes)
    return replace(case, patient=patient, images=case.images * len(planes), planes=planes, channels=channels)


def _repeated(path: Path, cases: list[Case]) -> list[Finding]:
    """A note where a chosen sequence is missing; it needs the pixels, so only where another than FLAIR is chosen."""
    chosen = [plane for plane in cases[0].planes if plane != FLAIR] if cases else []
    if not chosen:
        return []
    with ThreadPoolExecutor() as pool:
        repeats = list(pool.map(lambda case: _repeats_flair(case, chosen), cases))
    files = tuple(str(case.images[0]) for case, repeated in zip(cases, repeats, strict=True) if repeated)
    if not files:
        return []
    counted = f"in {len(files)} of {len(cases)} cases a chosen channel repeats FLAIR"
    message = f"{path}: {counted}, as it does where a sequence is missing"
    return [Finding("channel_repeats_flair", "info", message, files)]


def _repeats_flair(case: Case, chosen: list[int]) -> bool:
    try:
        pixels = read_pixels(case.images[0])
    except UserError:  # reported where every file is decoded
        return False
    if pixels.ndim != 3 or np.ptp(pixels) == 0:
        return False
    return any(np.array_equal(pixels[..., plane], pixels[..., FLAIR]) for plane in chosen)
