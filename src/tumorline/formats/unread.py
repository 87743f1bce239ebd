"""What is said of files by their names that hold images or masks, and are not read."""

from pathlib import Path

from tumorline.formats.nifti import unread_volume

ARRAY_SUFFIXES = {".npy", ".npz", ".h5", ".hdf5", ".pkl", ".pickle"}


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
