"""What is said of files by their names that hold images or masks, and are not read."""

from pathlib import Path

VOLUME_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".mgh", ".hdr", ".img")
"""Of other formats than NIfTI."""
ARRAY_SUFFIXES = {".npy", ".npz", ".h5", ".hdf5", ".pkl", ".pickle"}


def unread_volume(path: Path) -> str:
    """What is said of a volume in another format; empty where its name is of none."""
    is_other = path.name.lower().endswith(VOLUME_SUFFIXES)
    return f"{path}: volumes of this format are not read; save them as NIfTI (.nii.gz)" if is_other else ""


def unread_array(path: Path) -> str:
    """One line where the name is that of arrays; empty where it is not."""
    if path.suffix.lower() not in ARRAY_SUFFIXES:
        return ""
    return (
        f"{path}: arrays in {path.suffix} files are not read; save images and masks as PNG or TIFF, in grey, or give "
        "arrays to tumorline.predict_array from Python"
    )


def unread_file(path: Path) -> str:
    """One line of arrays, or of a volume in another format than NIfTI; empty where a name is of neither."""
    return unread_volume(path) or unread_array(path)
