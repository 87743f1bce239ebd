"""DICOM files. Identifiers leave this module only as a hash, unless whoever asks says that they are to be kept."""

import copy
import logging
import re
import warnings
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import scrypt
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom import filereader, uid
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from tumorline.errors import UserError
from tumorline.formats.boundary import decode_one, max_bytes, require_regular, require_size
from tumorline.user_text import says_nothing

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE  # its warnings quote identifiers
for library in ("pydicom", "highdicom"):
    logging.getLogger(library).setLevel(logging.CRITICAL)
MODULES = "pydicom|highdicom"
HUSHED: tuple[Any, ...] = ("ignore", None, Warning, re.compile(MODULES), 0)
"""The filter of their warnings."""

FRAME_GROUPS, SHARED_GROUPS = "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"
"""Where an enhanced image says of each of its frames, and of all of them, what others say of the slice."""
SPACING, RESCALING = "PixelMeasuresSequence", "PixelValueTransformationSequence"
HEADER_TAGS = ["PatientID", "PixelSpacing", FRAME_GROUPS, SHARED_GROUPS]
IDENTIFYING_TAGS = ("PatientID", "SeriesInstanceUID")
PIXEL_DATA = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
IMAGES = "Image Storage"
"""How the names of the classes of images end."""
COLOURS = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
THREE_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT")
"""Read where they show grey: pydicom gives red, green and blue of each."""
ROUNDING = 1
"""By which red, green and blue of a grey pixel may differ after that."""
CURES = {
    uid.JPEGLossless: "install the 'dicom' extra: pip install 'tumorline[dicom]'",
    uid.JPEGLosslessSV1: "install the 'dicom' extra: pip install 'tumorline[dicom]'",
    uid.JPEGExtended12Bit: "JPEG of 12 bit is not read; save it uncompressed (Explicit VR Little Endian)",
}
SEGMENTATION_CURE = "give it and its series to 'tumorline data convert', or save each frame as a picture of its own"
UNCOMPRESSED = "save it uncompressed (Explicit VR Little Endian)"
JPEG_LS_FRAME = b"\xff\xf7"
"""Marker before the size of a JPEG-LS frame."""

Array = npt.NDArray[Any]
Numbers = tuple[float, ...]
T = TypeVar("T")
Naming = Callable[[str], str]


def hush_libraries() -> None:
    """Show no warning of libraries, which may quote a name.

    For all threads, as a filter of the moment is not; again where whoever called has set his own filters since.
    """
    if [*warnings.filters[:1]] != [HUSHED]:
        warnings.filterwarnings("ignore", module=MODULES)


hush_libraries()


class DicomHeader(NamedTuple):
    """What a slice tells beside its pixels: a hash of the patient's name, the spacing of rows and columns."""

    patient: str | None = None
    written: str = ""
    """A hash of the id as it is written, in which a visit may stand."""
    spacing_mm: tuple[float, float] | None = None
    identifier: str = ""
    """The patient's id as it is written, where that was asked for."""


def read_dicom_header(path: Path, name_of: Naming = str, keep_identifiers: bool = False) -> DicomHeader:
    """The header of a slice; empty for a file that cannot be read, which decoding reports.

    `name_of` gives the one name of the patient whom an id means.
    """
    return read_tags(path, HEADER_TAGS, lambda header: _header(header, name_of, keep_identifiers), DicomHeader())


def read_tags(path: Path, tags: Sequence[str], understand: Callable[[pydicom.Dataset], T], otherwise: T) -> T:
    """What is understood of some elements of a header; `otherwise` for a file that cannot be read."""
    try:
        with decode_one(path, "DICOM", quote=False):
            require_regular(path)
            return understand(read_dataset(path, stop_before_pixels=True, specific_tags=[*tags]))
    except UserError:
        return otherwise


def _header(dataset: pydicom.Dataset, name_of: Naming = str, keep_identifiers: bool = False) -> DicomHeader:
    patient = str(dataset.get("PatientID") or "").strip()
    is_known = not says_nothing(patient)
    spacing = numbers_of(_frame_settings(dataset, 0, SPACING).get("PixelSpacing"))
    has_spacing = len(spacing) == 2 and min(spacing) > 0 and max(spacing) < np.inf
    return DicomHeader(
        hash_identifier(name_of(patient)) if is_known else None,
        hash_identifier(patient) if is_known else "",
        (spacing[0], spacing[1]) if has_spacing else None,
        patient if is_known and keep_identifiers else "",
    )


def numbers_of(value: Any) -> Numbers:
    """The numbers of an element that may hold one, many, none or text; empty where it holds anything else."""
    values = value if isinstance(value, MultiValue | list | tuple) else [value]
    try:
        return tuple(float(number) for number in values)
    except (TypeError, ValueError):
        return ()


@cache
def hash_identifier(identifier: str) -> str:
    """A stable stand-in for a patient's id, slow to compute so that short ids are not found by trying all."""
    secret = identifier.encode(errors="surrogatepass")
    return "dicom-" + scrypt(secret, salt=b"tumorline", n=2**12, r=8, p=1, dklen=8).hex()


class Identifiers(NamedTuple):
    """Whose image a DICOM file is and of which series, as tables may show it; empty where the file does not say."""

    patient: str = ""
    series: str = ""


def read_identifiers(path: Path, name_of: Naming, as_written: bool = False) -> Identifiers:
    """Hashes of the patient's name and of SeriesInstanceUID, or the two as the file has them.

    Empty for a file that is none. `name_of` as for `read_dicom_header`.
    """

    def understand(header: pydicom.Dataset) -> Identifiers:
        patient, series = (str(header.get(tag) or "").strip() for tag in IDENTIFYING_TAGS)
        if as_written:
            return Identifiers(patient, series)
        names = (patient if says_nothing(patient) else name_of(patient), series)
        return Identifiers(*(name if says_nothing(name) else hash_identifier(name) for name in names))

    return read_tags(path, IDENTIFYING_TAGS, understand, Identifiers())


def read_dicom(path: Path, as_seen: bool = True) -> Array:
    """Values `(H, W)` after rescale slope and intercept, bright as displayed (MONOCHROME1 is inverted).

    A palette gives `(H, W, 3)`. With `as_seen`, padding takes the darkest of the other values. Raises UserError for a
    damaged file, for more than one frame, for colours without a palette that are not grey, and for a compression that
    cannot be decoded.
    """
    with decode_one(path, "DICOM", quote=False):
        dataset = read_dataset(path)
        _require_one_frame(path, dataset)
        return _displayed(dataset, _stored(path, dataset), as_seen)


def read_dataset_pixels(dataset: pydicom.Dataset) -> tuple[Array, tuple[float, float] | None]:
    """Of a dataset in memory what `read_dicom` gives of a file, and the spacing in mm; the dataset stays as it is."""
    path = Path("DICOM dataset")
    with decode_one(path, "DICOM", quote=False):
        clone = copy.copy(dataset)
        if "TransferSyntaxUID" not in (meta := getattr(clone, "file_meta", None) or FileMetaDataset()):
            clone.file_meta = copy.copy(meta)
            clone.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        _require_one_frame(path, clone)
        return _displayed(clone, _stored(path, clone), as_seen=True), _header(clone).spacing_mm


def read_dicom_frames(path: Path) -> Array:
    """Grey values `(frames, H, W)` after rescaling, not inverted; padding as dark as the darkest of the others.

    Raises UserError as `read_dicom`.
    """
    with decode_one(path, "DICOM", quote=False):
        dataset = read_dataset(path)
        frames = _require_pixels(path, dataset, COLOURS[:2])
        stored = _stored(path, dataset).reshape(frames, int(dataset.Rows), int(dataset.Columns))
        shown = (_without_padding(dataset, values, is_inverted(dataset)) for values in stored)
        settings = (_frame_settings(dataset, frame, RESCALING) for frame in range(frames))
        return np.stack([_rescaled(*pair) for pair in zip(settings, shown, strict=True)])


def read_stored_frames(path: Path) -> Array:
    """The numbers `(frames, H, W)` of a file as they are stored. Raises UserError as `read_dicom`."""
    with decode_one(path, "DICOM", quote=False):
        dataset = read_dataset(path)
        frames = _require_pixels(path, dataset, COLOURS)
        return _stored(path, dataset).reshape(frames, int(dataset.Rows), int(dataset.Columns))


def frame_count(header: pydicom.Dataset) -> int:
    return int(header.get("NumberOfFrames") or 1)


def is_inverted(dataset: pydicom.Dataset) -> bool:
    """Whether low values are bright."""
    return str(dataset.get("PhotometricInterpretation", "")).strip() == "MONOCHROME1"


def _frame_settings(dataset: pydicom.Dataset, frame: int, kind: str) -> pydicom.Dataset:
    """Where what is said of a frame stands: in a sequence of this kind, or where a plain slice has it."""
    for group in (*(dataset.get(FRAME_GROUPS) or [])[frame : frame + 1], *(dataset.get(SHARED_GROUPS) or [])):
        if settings := group.get(kind):
            return pydicom.Dataset(settings[0])
    return dataset


def read_dataset(path: Path, **wanted: Any) -> pydicom.Dataset:
    """The elements of a file, with the preamble that the standard asks for or without."""
    hush_libraries()
    with path.open("rb") as file:
        filereader.read_preamble(file, force=True)
        meta = filereader._read_file_meta_info(file)
        if meta.get("TransferSyntaxUID") == uid.DeflatedExplicitVRLittleEndian:
            return _read_deflated(path, file, meta)
        file.seek(0)
        dataset = pydicom.dcmread(file, force=True, **wanted)
    if not dataset.preamble and not dataset:
        raise InvalidDicomError
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, _ = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
    return dataset


def _read_deflated(path: Path, file: BinaryIO, meta: Any) -> pydicom.Dataset:
    """pydicom would inflate without a bound."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    content = stream.decompress(file.read(), max_bytes())
    if stream.unconsumed_tail:
        raise UserError(f"{path}: inflates to more than {max_bytes():,} bytes; save it uncompressed")
    dataset = filereader.read_dataset(BytesIO(content), is_implicit_VR=False, is_little_endian=True)
    dataset.file_meta = meta
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    return dataset


def _require_one_frame(path: Path, dataset: pydicom.Dataset) -> None:
    frames = _require_pixels(path, dataset, COLOURS)
    refuse_mosaic(path, dataset)
    if frames > 1 and dataset.get("Modality") == "SEG":
        raise UserError(f"{path}: a DICOM segmentation of {frames} frames, one is expected; {SEGMENTATION_CURE}")
    if frames > 1:
        raise UserError(f"{path}: holds {frames} frames, one is expected; save each as a file of its own")


def refuse_mosaic(path: Path, header: pydicom.Dataset) -> None:
    if "MOSAIC" in (header.get("ImageType") or ()):
        raise UserError(f"{path}: a mosaic, many slices laid into one picture; save it as one slice a file")


def _require_pixels(path: Path, dataset: pydicom.Dataset, colours: Sequence[str]) -> int:
    """The number of frames. Raises UserError for a size or for colours that are not read."""
    if "DirectoryRecordSequence" in dataset:
        raise UserError(f"{path}: an index of DICOM files; give the folder that it lies in")
    if not any(keyword in dataset for keyword in PIXEL_DATA):
        raise UserError(f"{path}: {_why_no_pixels(dataset, colours)}")
    frames = frame_count(dataset)
    require_size(path, int(dataset.Rows), int(dataset.Columns), frames, int(dataset.get("SamplesPerPixel") or 1))
    photometric = str(dataset.get("PhotometricInterpretation") or "").strip()
    if not photometric:
        fault = "does not say whether its pixels are bright on dark (PhotometricInterpretation is empty)"
        raise UserError(f"{path}: DICOM file that {fault}; accepted are {', '.join(colours)}")
    if photometric not in colours and not _has_three_colours(dataset):
        raise UserError(f"{path}: DICOM file with {photometric} pixels; accepted are {', '.join(colours)}")
    return frames


def _why_no_pixels(dataset: pydicom.Dataset, colours: Sequence[str]) -> str:
    if is_without_pixels(dataset):
        return f"DICOM file with no pixels; accepted are {', '.join(colours)}"
    return "holds the header of an image and no pixels: it is cut off or damaged; give the whole file"


def is_without_pixels(header: pydicom.Dataset) -> bool:
    """Whether a file is of a class that has none; one without rows of a class of images is damaged."""
    sop_class = class_of(header)
    return "Rows" not in header and bool(sop_class) and not sop_class.endswith(IMAGES)


def class_of(header: pydicom.Dataset) -> str:
    """The name of what kind of object a file is; empty where it is not stated."""
    return uid.UID(header.get("SOPClassUID") or "").name


def _has_three_colours(dataset: pydicom.Dataset) -> bool:
    return dataset.PhotometricInterpretation.strip() in THREE_COLOURS and dataset.get("SamplesPerPixel") == 3


def _stored(path: Path, dataset: pydicom.Dataset) -> Array:
    """The numbers of the file, before rescaling."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in (uid.JPEGLSLossless, uid.JPEGLSNearLossless):
        _require_jpeg_ls_size(path, dataset)
    below = _bits_below(dataset)
    try:
        values = pixel_array(dataset, bits_stored=dataset.BitsStored + below) >> below if below else dataset.pixel_array
    except (RuntimeError, NotImplementedError):
        raise UserError(f"{path}: {_why_undecoded(syntax)}; {CURES.get(syntax, UNCOMPRESSED)}") from None
    return _only_grey(path, values) if _has_three_colours(dataset) else np.asarray(values)


def _why_undecoded(syntax: uid.UID) -> str:
    """Of a compression of which other files are decoded, the file may be the cause."""
    try:
        is_known = get_decoder(syntax).is_available
    except NotImplementedError:
        is_known = False
    fault = "which are damaged or of a kind that" if is_known else "which"
    return f"pixels in '{syntax.name}', {fault} cannot be decoded here"


def _bits_below(dataset: pydicom.Dataset) -> int:
    """How many unused bits lie below a value: of most files none, where HighBit is one less than BitsStored."""
    syntax = dataset.file_meta.TransferSyntaxUID
    high, stored = dataset.get("HighBit"), dataset.get("BitsStored")
    has_both = isinstance(high, int) and isinstance(stored, int)
    return max(0, high + 1 - stored) if has_both and not syntax.is_encapsulated else 0


def _only_grey(path: Path, colours: Array) -> Array:
    """What is stored three times `(H, W, 3)`, once."""
    if np.ptp(colours, axis=-1).max() > ROUNDING:
        raise UserError(f"{path}: DICOM file in colour; accepted are {', '.join(COLOURS)}, and RGB that is grey")
    return np.asarray(colours[..., 0])


def _require_jpeg_ls_size(path: Path, dataset: pydicom.Dataset) -> None:
    """The decoder allocates what the frame says, which need not be what the header says."""
    for frame in generate_frames(dataset.PixelData, number_of_frames=frame_count(dataset)):
        at = frame.find(JPEG_LS_FRAME)
        sides = [int.from_bytes(frame[at + start : at + start + 2]) for start in (5, 7)]
        require_size(path, *sides, frame[at + 9])


def _displayed(dataset: pydicom.Dataset, stored: Array, as_seen: bool) -> Array:
    if dataset.PhotometricInterpretation.strip() == "PALETTE COLOR":
        return np.asarray(apply_color_lut(stored, dataset))
    inverted = is_inverted(dataset)
    values = _without_padding(dataset, stored, inverted) if as_seen else stored
    values = _rescaled(_frame_settings(dataset, 0, RESCALING), values)
    if not inverted:
        return values
    wide = values.astype(np.float64)
    return np.asarray(wide.max() + wide.min() - wide)


def _without_padding(dataset: pydicom.Dataset, stored: Array, inverted: bool) -> Array:
    """Stored values whose padding is as dark as the darkest of the others, so that it does not set the window."""
    padding_value = dataset.get("PixelPaddingValue")
    if not isinstance(padding_value, int | float):
        return stored
    range_limit = dataset.get("PixelPaddingRangeLimit")
    limits = sorted(
        _as_stored(value, stored)
        for value in (padding_value, range_limit if isinstance(range_limit, int | float) else padding_value)
    )
    padding = (stored >= limits[0]) & (stored <= limits[1])
    shown = stored[~padding]
    return np.where(padding, shown.max() if inverted else shown.min(), stored) if len(shown) else stored


def _as_stored(padding: float, stored: Array) -> float:
    """A padding value as the pixels have it, where its 16 bits were written with a sign and theirs without, or so."""
    return int(np.int64(padding).astype(stored.dtype)) if stored.dtype in (np.int16, np.uint16) else padding


def _rescaled(dataset: pydicom.Dataset, values: Array) -> Array:
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    if slope in (None, "", 1) and intercept in (None, "", 0):
        return values
    slope = 1.0 if slope in (None, "") else float(slope)
    return np.asarray(values.astype(np.float64) * slope + float(intercept or 0))
