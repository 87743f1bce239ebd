"""The files of figshare 1512427 (Cheng et al.): MATLAB v7.3, which is HDF5, with one group `cjdata`.

`image` and `tumorMask` are `(H, W)` as h5py shows them, which is the transpose of MATLAB's view; `label` is 1, 2 or 3;
`PID` is a row of character codes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt

from tumorline.errors import UserError

CLASSES = {1: "meningioma", 2: "glioma", 3: "pituitary"}
PLANES = {"image": "image", "mask": "tumorMask"}


def read_plane(path: Path, part: Literal["image", "mask"]) -> npt.NDArray[Any]:
    """Image or mask `(H, W)` as h5py shows it. Raises UserError for a file that is none of these or broken."""
    with _opened(path) as file:
        values = file["cjdata"][PLANES[part]][()]
        if values.ndim != 2 or values.dtype.kind not in "biuf":
            raise UserError(f"{path}: cjdata/{PLANES[part]} is not a plane of numbers (shape {values.shape})")
        return np.asarray(values)


def read_patient(path: Path) -> tuple[str, str]:
    """Patient id and class name. Raises UserError as `read_plane`."""
    with _opened(path) as file:
        label = float(np.ravel(file["cjdata"]["label"][()])[0])
        if label not in CLASSES:
            raise UserError(f"{path}: cjdata/label is {label:g}; expected 1 meningioma, 2 glioma or 3 pituitary")
        codes = np.ravel(file["cjdata"]["PID"][()])
        return "".join(chr(int(code)) for code in codes).strip("\0 "), CLASSES[int(label)]


def read_folds(path: Path) -> list[int]:
    """The authors' fold of each file by its number, file 1 first, from `cvind.mat`."""
    with _opened(path) as file:
        return [int(fold) for fold in np.ravel(file["cvind"][()])]


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """The file, with whatever is wrong in it said in one line."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except UserError:
        raise
    except (KeyError, TypeError, IndexError, AttributeError):
        raise UserError(
            f"{path}: not laid out as figshare 1512427; expected a group cjdata with image, label, PID and tumorMask, "
            "in cvind.mat a dataset cvind"
        ) from None
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{path}: not a readable MATLAB v7.3 (HDF5) file ({error})") from None
