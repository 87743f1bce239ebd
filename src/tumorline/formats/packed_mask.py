"""A mask as a PNG that was zipped once more, which stands in a file of annotations."""

import io
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from tumorline.arrays import MaskArray
from tumorline.errors import UserError
from tumorline.formats.boundary import decode_one, max_pixels, require_size


def read_packed_mask(packed: bytes, name: str) -> MaskArray:
    """What is visible of it or, where all is, what is not black: boolean `(H, W)`; errors begin with `name`."""
    with decode_one(Path(name)):
        unzipped = zlib.decompressobj()
        content = unzipped.decompress(packed, max_pixels())
        if unzipped.unconsumed_tail:
            raise UserError(f"{name}: a bitmap that unzips to more than {max_pixels():,} bytes")
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            require_size(Path(name), *image.size)
            if "A" in image.getbands() or "transparency" in image.info:
                return np.asarray(image.convert("RGBA"))[..., 3] > 0
            return np.asarray(image.convert("L")) > 0
