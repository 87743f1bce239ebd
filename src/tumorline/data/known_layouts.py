"""The layouts that a source may have, and which of them it has."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tumorline.config import DataConfig
from tumorline.data.layouts import figshare, folders, lgg, pairs, table
from tumorline.data.layouts.annotations import coco, cvat, labelme, supervisely, via, yolo
from tumorline.data.layouts.classes import healthy_folders
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.data.layouts.unread import sign_of_truth, unread_kind
from tumorline.data.layouts.unread_dicom import told_of_series
from tumorline.data.layouts.volumes import brats, loose_volumes, nnunet, scan_case
from tumorline.errors import UserError
from tumorline.formats.boundary import require_kind
from tumorline.formats.unread import unread_array
from tumorline.regions import NESTED
from tumorline.wording import numbered

Names = Callable[[Contents], tuple[str, ...]]


def _no_names(_: Contents) -> tuple[str, ...]:
    return ()


def _names_of_planes(contents: Contents) -> tuple[str, ...]:
    return lgg.names_in(contents.triples)


@dataclass(frozen=True)
class Layout:
    """One way in which people keep pictures and masks."""

    accepted: str
    """The layout in words, for error messages."""
    find: Callable[[Contents], str]
    """What of the layout is there, in words; empty where nothing is."""
    read: Callable[[Contents, DataConfig], Listing]
    channels: Names = _no_names
    """Names for `data.channel` and `data.channels`, the default first; none where a picture is one sequence."""
    regions: tuple[str, ...] = ()
    """Names for `data.regions`; none where a mask is one region. Where reading asks for them there may be others."""
    asks_itself: bool = False
    """Whether reading checks `data.label` and `data.regions`."""
    label: str = ""
    """What the masks outline; empty where that is not known."""


LAYOUTS: dict[str, Layout] = {
    "images/masks": Layout(
        "images/ and masks/ with files of the same names",
        folders.find_folders,
        folders.read_folders,
        _names_of_planes,
    ),
    "csv": Layout(
        "a CSV with id, patient, image, mask",
        table.find_table,
        table.read_table,
        table.channels_of_table,
        asks_itself=True,
    ),
    "suffix pairs": Layout("x.png beside x_mask.png", pairs.find_pairs, pairs.read_pairs),
    "lgg": Layout(
        "TCGA_... folders with X.tif and X_mask.tif",
        lgg.find_lgg,
        pairs.read_pairs,
        _names_of_planes,
        label=lgg.LABEL,
    ),
    "brats": Layout(
        "NIfTI volumes in the names of BraTS, UCSF-PDGM or UPENN-GBM",
        brats.find_brats,
        brats.read_brats,
        lambda _: scan_case.CHANNELS,
        NESTED,
        label=scan_case.LABEL,
    ),
    "nnunet": Layout(
        "imagesTr/ and labelsTr/ with NIfTI volumes and a dataset.json",
        nnunet.find_nnunet,
        nnunet.read_nnunet,
        nnunet.channels_of_nnunet,
        NESTED,
        asks_itself=True,
        label=scan_case.LABEL,
    ),
    "images/masks of volumes": Layout(
        "images/ and masks/ with NIfTI volumes of the same names",
        loose_volumes.find_volume_folders,
        loose_volumes.read_volume_folders,
        asks_itself=True,
    ),
    "suffix pairs of volumes": Layout(
        "x.nii.gz beside x_mask.nii.gz",
        loose_volumes.find_volume_pairs,
        loose_volumes.read_volume_pairs,
        asks_itself=True,
    ),
    "coco": Layout("images with COCO annotations", coco.find_coco, coco.read_coco, _names_of_planes),
    "labelme": Layout("x.png beside x.json of LabelMe", labelme.find_labelme, labelme.read_labelme, _names_of_planes),
    "via": Layout("images with annotations of VIA, as JSON or CSV", via.find_via, via.read_via, _names_of_planes),
    "yolo": Layout(
        "images/ and labels/ with files of YOLO that hold outlines", yolo.find_yolo, yolo.read_yolo, _names_of_planes
    ),
    "cvat": Layout("images with XML of 'CVAT for images'", cvat.find_cvat, cvat.read_cvat, _names_of_planes),
    "supervisely": Layout(
        "img/ and ann/ of Supervisely", supervisely.find_supervisely, supervisely.read_supervisely, _names_of_planes
    ),
    "figshare": Layout("N.mat files of figshare 1512427", figshare.find_figshare, figshare.read_figshare),
}


def recognise_layout(contents: Contents) -> str:
    """The name of the one layout that a path has."""
    path = contents.path
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; give {_accepted()}")
    words_by_layout = {name: words for name, layout in LAYOUTS.items() if (words := layout.find(contents))}
    if len(words_by_layout) > 1:
        raise UserError(
            f"{path}: more than one layout, {' and '.join(words_by_layout.values())}; keep one, or list them in a CSV"
        )
    if not words_by_layout:
        _refuse_unread(contents)
        raise UserError(f"{path}: layout not recognised ({_seen(contents)}); accepted are {_accepted()}")
    return next(iter(words_by_layout))


def _accepted() -> str:
    return "; ".join(layout.accepted for layout in LAYOUTS.values())


def check_channels(contents: Contents, layout: Layout, settings: DataConfig) -> None:
    wanted = settings.channels or ((settings.channel,) if settings.channel else ())
    if not wanted:
        return
    path, channels = contents.path, layout.channels(contents)
    key = "data.channels" if settings.channels else "data.channel"
    if not channels:
        names = ", ".join(wanted)
        raise UserError(f"{path}: {key} is '{names}', but pictures of this source are one sequence; leave it out")
    single = [name for name in channels if name != "all"] if settings.channels else channels
    if lacking := [name for name in wanted if name not in single]:
        says = "names" if settings.channels else "is"
        raise UserError(f"{path}: {key} {says} '{lacking[0]}'; this source has {', '.join(single)}")


def check_regions(path: Path, layout: Layout, settings: DataConfig) -> None:
    """A source whose masks are one region may give it any name. What `data.label_values` names is asked elsewhere."""
    if settings.label_values:
        return
    if settings.label and layout.label != scan_case.LABEL:
        raise UserError(
            f"{path}: data.label is '{settings.label}', but the masks of this source have one label; leave it out"
        )
    lacking = [name for name in settings.regions if name not in layout.regions]
    if layout.regions and lacking:
        raise UserError(f"{path}: data.regions names '{lacking[0]}'; this source has {', '.join(layout.regions)}")
    if len(lacking) > 1:
        raise UserError(
            f"{path}: {', '.join(lacking)} are asked for (data.regions, or the model's), but the masks of this source "
            "have one label; keep one name, or list the masks in a CSV with a column mask_NAME for each"
        )


def _seen(contents: Contents) -> str:
    path = contents.path
    if not path.is_dir():
        require_kind(path)
        return f"a file with suffix '{path.suffix}'"
    if contents.pictures:
        return _seen_pictures(contents)
    entries = Counter("folders" if entry.is_dir() else entry.suffix or "no suffix" for entry in path.iterdir())
    return "seen: " + (", ".join(f"{count} {kind}" for kind, count in entries.most_common(4)) or "an empty folder")


def _seen_pictures(contents: Contents) -> str:
    """Pictures without a layout; that they show no tumour is only asked where nothing may hold a truth."""
    seen = f"seen: {numbered(len(contents.pictures), 'picture')}"
    if sign := sign_of_truth(contents):
        return f"{seen}, and what may be their truth: {sign.relative_to(contents.path)}{_of_healthy(contents)}"
    example = contents.pictures[0].relative_to(contents.path)
    return f"{seen} without any mask, for example {example}; where none shows a tumour, say --set data.tumour_free=true"


def _of_healthy(contents: Contents) -> str:
    """What may be done with pictures whose folders say that they show no tumour."""
    healthy = healthy_folders(contents)
    return f"; with --set data.tumour_free=true give {healthy}" if healthy else ""


def _refuse_unread(contents: Contents) -> None:
    """Raise UserError for what is known and not read, and for a folder that could not be listed."""
    if locked := [finding for finding in contents.tree.findings if finding.severity == "error"]:
        raise UserError(locked[0].message)
    if unread := unread_kind(contents) or told_of_series(contents.path, contents.pictures):
        raise UserError(unread)
    if not contents.pictures and (unread := next(filter(None, map(unread_array, contents.files)), "")):
        raise UserError(unread)
