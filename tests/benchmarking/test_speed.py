"""Speeds are measured at what each network takes."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tumorline.benchmarking import speed


@pytest.mark.parametrize(("size", "batch"), [((16, 16), 8), ((8, 16, 16), 1)])
def test_slices_are_timed_in_batches_and_patches_one_by_one(
    size: tuple[int, ...], batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[tuple[int, ...]] = set()
    (tmp_path / "model.safetensors").touch()
    info = SimpleNamespace(network_size=size, architecture=SimpleNamespace(channels=2))
    model = SimpleNamespace(info=info, runtime=lambda image: seen.add(np.shape(image)))
    monkeypatch.setattr(speed, "load", lambda run: model)
    monkeypatch.setattr(speed, "perf_counter", iter(range(100)).__next__)
    assert speed.images_per_second({"arm": tmp_path}) == {"arm": batch}
    assert seen == {(batch, 2, *size)}
