"""The files of figshare 1512427 (Cheng et al.): MATLAB v7.3, which is HDF5, with one group `cjdata`.

`image` and `tumorMask` are `(H, W)` as h5py shows them, which is the transpose of MATLAB's view; `label` is 1, 2 or 3;
`PID` is a row of character codes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from tumorline.errors import UserError
from tumorline.formats.boundary import decode_one, require_regular, require_size

if TYPE_CHECKING:
    import h5py

CLASSES = {1: "meningioma", 2: "glioma", 3: "pituitary"}
PLANES = {"image": "image", "mask": "tumorMask"}
FILTERS = {1, 2, 3}
"""What MATLAB writes, by HDF5's numbers: deflate, shuffle, Fletcher's checksum.

Any other would be looked for as a library on this machine.
"""
LONGEST = 10_000
"""Of what is no plane: codes of a patient's name, folds."""


def read_plane(path: Path, part: Literal["image", "mask"]) -> npt.NDArray[Any]:
    """Image or mask `(H, W)` as h5py shows it. Raises UserError for a file that is none of these or broken."""
    with _opened(path) as file:
        plane = _dataset(path, file, "cjdata", PLANES[part])
        if plane.ndim != 2:
            raise UserError(f"{path}: cjdata/{PLANES[part]} is not a plane of numbers (shape {plane.shape})")
        return np.asarray(plane[()])


def read_patient(path: Path) -> tuple[str, str]:
    """Patient id and class name. Raises UserError as `read_plane`."""
    with _opened(path) as file:
        label = float(_numbers(path, file, "cjdata", "label")[0])
        if label not in CLASSES:
            raise UserError(f"{path}: cjdata/label is {label:g}; expected 1 meningioma, 2 glioma or 3 pituitary")
        codes = _numbers(path, file, "cjdata", "PID")
        return "".join(chr(int(code)) for code in codes).strip("\0 "), CLASSES[int(label)]


def read_folds(path: Path) -> list[int]:
    """The authors' fold of each file by its number, file 1 first, from `cvind.mat`."""
    with _opened(path) as file:
        return [int(fold) for fold in _numbers(path, file, "cvind")]


def _numbers(path: Path, file: "h5py.File", *names: str) -> npt.NDArray[Any]:
    """A short dataset as one row."""
    dataset = _dataset(path, file, *names)
    if dataset.size > LONGEST:
        raise UserError(f"{path}: {'/'.join(names)} holds {dataset.size:,} numbers; at most {LONGEST:,} are expected")
    return np.ravel(dataset[()])


def _dataset(path: Path, file: "h5py.File", *names: str) -> "h5py.Dataset":
    """Numbers that lie in this file itself, of a size that is accepted."""
    import h5py  # slow to import, seldom needed

    node: Any = file
    for name in names:
        link = node.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink | None):
            raise UserError(f"{path}: {'/'.join(names)} is a link to elsewhere; links are not followed")
        node = node[name]
    if node.external or node.is_virtual:
        raise UserError(f"{path}: {'/'.join(names)} lies in other files; such are not read")
    if node.dtype.kind not in "biuf":
        raise UserError(f"{path}: {'/'.join(names)} holds no numbers ({node.dtype})")
    require_size(path, 1, *node.shape)
    _require_storage(path, node)
    return node


def _require_storage(path: Path, dataset: "h5py.Dataset") -> None:
    """Chunks and filters that MATLAB would write, and no more bytes stored than there are to be read."""
    require_size(path, *(dataset.chunks or (1,)))
    properties = dataset.id.get_create_plist()
    filters = {properties.get_filter(number)[0] for number in range(properties.get_nfilters())}
    if filters - FILTERS:
        raise UserError(f"{path}: {dataset.name} is packed by filters that are not read ({sorted(filters - FILTERS)})")
    expected_bytes = max(prod(dataset.chunks or (1,)), dataset.size) * dataset.dtype.itemsize
    if dataset.id.get_storage_size() > 2 * expected_bytes + LONGEST:
        raise UserError(f"{path}: {dataset.name} stores more bytes than its {dataset.size:,} numbers have")


@contextmanager
def _opened(path: Path) -> "Iterator[h5py.File]":
    """The file, with whatever is wrong in it said in one line."""
    import h5py  # slow to import, seldom needed

    with decode_one(path):
        require_regular(path)
        try:
            with h5py.File(path, "r") as file:
                yield file
        except OSError as error:
            raise UserError(f"{path}: not a readable MATLAB v7.3 (HDF5) file ({error})") from error
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise UserError(
                f"{path}: not laid out as figshare 1512427; expected a group cjdata with image, label, PID and "
                "tumorMask, in cvind.mat a dataset cvind"
            ) from error
