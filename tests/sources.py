"""Tiny data sets in every layout that Tumorline reads: noisy slices with one bright disc, two of each patient."""

import base64
import io
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian

from tests.conftest import PairFolder, blob
from tumorline.audit.check import check
from tumorline.config import DataConfig
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.errors import UserError
from tumorline.formats.nifti import read_volume
from tumorline.geometry.upright import upright

Array = npt.NDArray[np.generic]
nib: Any = nibabel

SIZE = 32


def slices(patients: int, first_seed: int = 0) -> Iterator[tuple[int, int, Array, Array]]:
    """Number of the slice, number of the patient, image and mask."""
    for number in range(2 * patients):
        yield number, number // 2, *blob(SIZE, first_seed + number)


def load(source: Path, **settings: object) -> Dataset:
    """The data set of a source, with its cache beside it."""
    return load_dataset(source, DataConfig.model_validate({"cache": str(source.parent / "cache"), **settings}))


def errors_of(folder: Path) -> list[str]:
    """What is said of a source that is refused, or of what of it cannot be used."""
    try:
        dataset = load_dataset(folder, DataConfig())
    except UserError as error:
        return [str(error)]
    return [finding.message for finding in check(dataset) if finding.severity == "error"]


def slices_of(path: Path) -> npt.NDArray[Any]:
    """The axial slices of a NIfTI volume, as they are seen."""
    return upright(read_volume(path))


def save(path: Path, array: Array) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def save_mat(path: Path, image: Array, mask: Array, label: float = 1.0, patient: str = "100360") -> Path:
    """A file as MATLAB v7.3 writes it: HDF5 behind a block of 512 bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("cjdata")
        group["image"] = image.astype(np.int16)
        group["tumorMask"] = mask.astype(np.uint8)
        group["label"] = [[label]]
        group["PID"] = np.array([[ord(letter)] for letter in patient], np.uint16)
        group["tumorBorder"] = np.zeros((1, 4))
    content = path.read_bytes()
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512, b" ") + content[512:])
    return path


def save_dicom(path: Path, pixels: Array, patient: str = "JANE-DOE-17", **elements: object) -> Path:
    """An uncompressed MR slice of 16 bit; `elements` replace or, where None, remove what is written by default."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = pydicom.Dataset()
    values = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4",
        "SOPInstanceUID": pydicom.uid.generate_uid(),
        "PatientID": patient,
        "PatientName": f"{patient}^Name",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "PixelSpacing": [0.5, 0.75],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0,
        "PixelData": pixels.astype("<u2").tobytes(),
    }
    for keyword, value in {**values, **elements}.items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    return path


def folders(folder: Path, patients: int = 10) -> Path:
    return PairFolder(folder)(patients=patients, slices=2)


def table(folder: Path, patients: int = 10) -> Path:
    rows = ["id,patient,image,mask"]
    for number, patient, image, mask in slices(patients):
        save(folder / "a" / f"{number}.png", image)
        save(folder / "b" / f"{number}.png", mask)
        rows.append(f"s{number},P{patient},a/{number}.png,b/{number}.png")
    (folder / "cases.csv").write_text("\n".join(rows) + "\n")
    return folder / "cases.csv"


def suffix_pairs(folder: Path, patients: int = 10) -> Path:
    rows = ["id,patient"]
    for number, patient, image, mask in slices(patients):
        save(folder / f"p{patient}" / f"{number}.png", image)
        save(folder / f"p{patient}" / f"{number}_mask.png", mask)
        rows.append(f"p{patient}/{number},P{patient}")
    (folder / "patients.csv").write_text("\n".join(rows) + "\n")
    return folder


def lgg(folder: Path, patients: int = 10) -> Path:
    """The disc is bright in FLAIR alone; before contrast the grey values are 7, after it 9."""
    for number, patient, image, mask in slices(patients):
        name = f"TCGA_AA_{patient:04d}_19990101"
        channels = np.stack([np.full_like(image, 7), image, np.full_like(image, 9)], -1)
        save(folder / name / f"{name}_{number}.tif", channels)
        save(folder / name / f"{name}_{number}_mask.tif", mask.astype(np.uint8) * np.uint8(255))
    (folder / "data.csv").write_text("Patient,death01\nTCGA_AA_0000,0\n")
    return folder


def figshare(folder: Path, patients: int = 10) -> Path:
    for number, patient, image, mask in slices(patients):
        half = folder / ("brainTumorDataPublic_1-766" if number < patients else "brainTumorDataPublic_767-1532")
        save_mat(half / f"{number + 1}.mat", image, mask, label=1 + patient % 3, patient=f"MR{patient:03d}")
    with h5py.File(folder / "cvind.mat", "w") as file:
        file["cvind"] = np.array([[1 + number // 2 % 5 for number in range(2 * patients)]], float)
    return folder


def dicom(folder: Path, patients: int = 10) -> Path:
    for number, patient, image, mask in slices(patients):
        save_dicom(folder / "images" / f"{number}.dcm", image.astype(np.uint16) * 16, f"DOE-{patient}")
        save(folder / "masks" / f"{number}.png", mask)
    return folder


def save_volume(path: Path, slices: list[Array], spacing: tuple[float, float, float] = (1, 1, 1)) -> Path:
    """Slices as they are looked at, stored from right to left and front to back (LPS), as BraTS does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-spacing[1], -spacing[0], spacing[2], 1.0])
    voxels = np.stack([plane.T for plane in slices], -1).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


def brats(folder: Path, patients: int = 10) -> Path:
    """Two slices a patient, the disc as enhancing tumour; bright after contrast alone."""
    for patient in range(patients):
        name = f"BraTS2021_{patient:05d}"
        pictures = [blob(SIZE, 2 * patient + number) for number in range(2)]
        for kind in ("t1", "t2", "flair"):
            save_volume(folder / name / f"{name}_{kind}.nii.gz", [np.full_like(image, 7) for image, _ in pictures])
        save_volume(folder / name / f"{name}_t1ce.nii.gz", [image for image, _ in pictures])
        save_volume(folder / name / f"{name}_seg.nii.gz", [mask * np.uint8(4) for _, mask in pictures])
    return folder


def nnunet(folder: Path, patients: int = 10) -> Path:
    """Two slices a patient in four frames of one file, the disc as enhancing tumour; bright after contrast alone."""
    for patient in range(patients):
        pictures = [blob(SIZE, 2 * patient + number) for number in range(2)]
        frames = [[image if frame == 2 else np.full_like(image, 7) for image, _ in pictures] for frame in range(4)]
        name = f"P_{patient:03d}.nii.gz"
        save_frames(folder / "imagesTr" / name, frames)
        save_volume(folder / "labelsTr" / name, [mask * np.uint8(3) for _, mask in pictures])
    channels = {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}
    labels = {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"}
    (folder / "dataset.json").write_text(json.dumps({"modality": channels, "labels": labels}))
    return folder


def save_frames(path: Path, frames: Sequence[Sequence[Array]]) -> Path:
    """Frames of slices as they are looked at, in one file of four dimensions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.stack([np.stack([plane.T for plane in slices], -1) for slices in frames], -1).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([-1.0, -1, 1, 1])), path)
    return path


def volume_folders(folder: Path, patients: int = 10) -> Path:
    """Two slices a patient, in images/ and masks/."""
    for patient in range(patients):
        save_pair(folder / "images" / f"UPENN-GBM-{patient:05d}.nii.gz", folder / "masks", patient)
    return folder


def volume_pairs(folder: Path, patients: int = 10) -> Path:
    """Two slices a patient, the mask beside the image."""
    for patient in range(patients):
        path = folder / f"UPENN-GBM-{patient:05d}.nii"
        save_pair(path, folder, patient, f"{path.stem}_mask.nii.gz")
    return folder


def save_pair(image: Path, masks: Path, patient: int, name: str = "") -> None:
    pictures = [blob(SIZE, 2 * patient + number) for number in range(2)]
    save_volume(image, [picture for picture, _ in pictures])
    save_volume(masks / (name or image.name), [mask for _, mask in pictures])


def coco(folder: Path, patients: int = 10) -> Path:
    """Polygons for one half, runs for the other; the categories are classes of tumours."""
    images, annotations, rows = [], [], ["id,patient"]
    for number, patient, image, mask in slices(patients):
        save(folder / f"{number}.png", image)
        outline = [border(mask)] if number % 2 else {"size": list(mask.shape), "counts": runs(mask)}
        images.append({"id": number, "file_name": f"{number}.png", "height": SIZE, "width": SIZE})
        annotations.append({"id": number, "image_id": number, "category_id": patient % 2, "segmentation": outline})
        rows.append(f"{number},P{patient}")
    categories = [{"id": 0, "name": "glioma"}, {"id": 1, "name": "meningioma"}, {"id": 2, "name": "never used"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "_annotations.coco.json").write_text(json.dumps(content))
    (folder / "patients.csv").write_text("\n".join(rows) + "\n")
    return folder


def labelme(folder: Path, patients: int = 10) -> Path:
    rows = ["id,patient"]
    for number, patient, image, mask in slices(patients):
        save(folder / f"{number}.png", image)
        shape = {"label": "tumor", "shape_type": "polygon", "points": np.reshape(border(mask), (-1, 2)).tolist()}
        (folder / f"{number}.json").write_text(json.dumps({"shapes": [shape], "imagePath": f"{number}.png"}))
        rows.append(f"{number},P{patient}")
    (folder / "patients.csv").write_text("\n".join(rows) + "\n")
    return folder


def via(folder: Path, patients: int = 10) -> Path:
    entries, rows = {}, ["id,patient"]
    for number, patient, image, mask in slices(patients):
        save(folder / f"{number}.png", image)
        corners = np.reshape(border(mask), (-1, 2)).tolist()
        shape = {"name": "polygon", "all_points_x": [x for x, _ in corners], "all_points_y": [y for _, y in corners]}
        regions = [{"shape_attributes": shape, "region_attributes": {}}]
        entries[f"{number}.png9"] = {"filename": f"{number}.png", "size": 9, "regions": regions, "file_attributes": {}}
        rows.append(f"{number},P{patient}")
    (folder / "annotations_all.json").write_text(json.dumps(entries))
    (folder / "patients.csv").write_text("\n".join(rows) + "\n")
    return folder


def yolo(folder: Path, patients: int = 10) -> Path:
    """The classes are those of tumours, and one that is never used."""
    rows = ["id,patient"]
    for number, patient, image, mask in slices(patients):
        save(folder / "images" / f"{number}.png", image)
        outline = " ".join(f"{value / SIZE:.9f}" for value in border(mask))
        write(folder / "labels" / f"{number}.txt", f"{patient % 2} {outline}\n")
        rows.append(f"{number},P{patient}")
    write(folder / "data.yaml", "train: images\nnc: 3\nnames: ['glioma', 'meningioma', 'no_tumor']\n")
    write(folder / "README.roboflow.txt", "brain - v1\n")
    write(folder / "patients.csv", "\n".join(rows) + "\n")
    return folder


def cvat(folder: Path, patients: int = 10) -> Path:
    """Polygons for one half, masks for the other."""
    images, rows = [], ["id,patient"]
    for number, patient, image, mask in slices(patients):
        save(folder / "images" / f"{number}.png", image)
        corners = ";".join(f"{x},{y}" for x, y in np.reshape(border(mask), (-1, 2)))
        polygon = f'<polygon label="tumor" points="{corners}"/>'
        frame = f'name="{number}.png" width="{SIZE}" height="{SIZE}"'
        images.append(f'<image id="{number}" {frame}>{polygon if number % 2 else cvat_mask(mask)}</image>')
        rows.append(f"{number},P{patient}")
    write(folder / "annotations.xml", f"<?xml version='1.0'?><annotations>{''.join(images)}</annotations>")
    write(folder / "patients.csv", "\n".join(rows) + "\n")
    return folder


def cvat_mask(mask: Array) -> str:
    """The runs of CVAT, along the rows of the box around a mask."""
    rows, columns = np.nonzero(mask)
    top, left, height, width = rows.min(), columns.min(), np.ptp(rows) + 1, np.ptp(columns) + 1
    counts = runs(mask[top : top + height, left : left + width].T)
    place = f'left="{left}" top="{top}" width="{width}" height="{height}"'
    return f'<mask label="tumor" rle="{", ".join(map(str, counts))}" {place}/>'


def supervisely(folder: Path, patients: int = 10) -> Path:
    """Polygons for one half, bitmaps for the other."""
    rows = ["id,patient"]
    for number, patient, image, mask in slices(patients):
        save(folder / "ds0" / "img" / f"{number}.png", image)
        exterior = np.reshape(border(mask), (-1, 2)).tolist()
        polygon = {"geometryType": "polygon", "points": {"exterior": exterior, "interior": []}}
        bitmap = {"geometryType": "bitmap", "bitmap": {"data": packed_png(mask), "origin": [0, 0]}}
        shape = {"classTitle": "tumor", **(polygon if number % 2 else bitmap)}
        document = {"size": {"height": SIZE, "width": SIZE}, "tags": [], "objects": [shape]}
        write(folder / "ds0" / "ann" / f"{number}.png.json", json.dumps(document))
        rows.append(f"ds0/{number},P{patient}")
    write(folder / "meta.json", json.dumps({"classes": [{"title": "tumor", "shape": "any"}], "tags": []}))
    write(folder / "patients.csv", "\n".join(rows) + "\n")
    return folder


def packed_png(mask: Array) -> str:
    """A PNG with a palette whose first colour is transparent, zipped, as text."""
    picture = Image.fromarray(mask.astype(np.uint8), "P")
    picture.putpalette((0, 0, 0, 255, 255, 255))
    content = io.BytesIO()
    picture.save(content, "PNG", transparency=0)
    return base64.b64encode(zlib.compress(content.getvalue())).decode()


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def border(mask: Array) -> list[float]:
    """The border of a disc along the sides of its pixels, as a polygon: down its right side, up its left one."""
    right, left = [], []
    for row in np.flatnonzero(mask.any(1)):
        columns = np.flatnonzero(mask[row])
        right += [columns[-1] + 1, row, columns[-1] + 1, row + 1]
        left += [(columns[0], row), (columns[0], row + 1)]
    return [float(value) for value in (*right, *(value for corner in reversed(left) for value in corner))]


def runs(mask: Array) -> list[int]:
    """COCO's runs of background and foreground, down the columns."""
    flat = np.concatenate([[False], mask.T.ravel(), [False]])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return [int(length) for length in np.diff([0, *changes, mask.size])]


WRITERS: dict[str, Callable[[Path, int], Path]] = {
    "images/masks": folders,
    "csv": table,
    "suffix pairs": suffix_pairs,
    "lgg": lgg,
    "brats": brats,
    "nnunet": nnunet,
    "images/masks of volumes": volume_folders,
    "suffix pairs of volumes": volume_pairs,
    "coco": coco,
    "labelme": labelme,
    "via": via,
    "yolo": yolo,
    "cvat": cvat,
    "supervisely": supervisely,
    "figshare": figshare,
    "dicom": dicom,
}
OF_VOLUMES = {"brats", "nnunet", "images/masks of volumes", "suffix pairs of volumes"}
"""Layouts whose cases are volumes: one a patient."""
