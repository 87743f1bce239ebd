"""One image predicted in memory, with its figures."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tumorline.environment import versions
from tumorline.errors import UserError
from tumorline.geometry.grid import Grid, sizes_of
from tumorline.inference.given import is_dataset, read_given, spaced_grid, to_channels
from tumorline.inference.model import Model
from tumorline.metrics.calibration import confidence


def identify(model: Model) -> dict[str, str]:
    """Which model it was: its name, which others may bear, the hash of its files, and the version of Tumorline."""
    return {"model": model.info.name, "fingerprint": model.fingerprint, "version": versions()["tumorline"]}


def predict_given(image: Any, model: Model, spacing_mm: Sequence[float] | None) -> dict[str, Any]:
    """See `tumorline.predict_array`."""
    given = read_given(image, model, _grid_of_array(image, model, spacing_mm) if spacing_mm is not None else None)
    answer = model.answer(given.image, given.name, given.grid)
    masks = model.masks(answer.probability, given.grid)
    tumour = np.asarray(masks.any(0))
    return {
        "mask": masks,
        "probability": answer.probability,
        "regions": list(model.info.regions),
        "threshold": list(model.info.thresholds),
        **identify(model),
        "tumour_share": float(tumour.mean()),
        **{f"tumour_{unit}": size for unit, size in sizes_of(int(tumour.sum()), given.grid).items()},
        "confidence": confidence(answer.probability.max(0), tumour),
        "blank": answer.blank,
    }


def _grid_of_array(image: Any, model: Model, spacing_mm: Sequence[float]) -> Grid:
    if isinstance(image, str) or hasattr(image, "__fspath__") or is_dataset(image):
        raise UserError("spacing_mm is for arrays; a file states its own")
    return spaced_grid(to_channels(image, model.info.image_channels).shape[1:], spacing_mm)
