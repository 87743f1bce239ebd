"""The arrays that pass between modules."""

import numpy as np
import numpy.typing as npt

ImageArray = npt.NDArray[np.float32]
MaskArray = npt.NDArray[np.bool_]
