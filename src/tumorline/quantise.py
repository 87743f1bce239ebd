"""A network rounded to int8: the ranges of its values come from training images of the model itself."""

import contextlib
import io
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tumorline.arrays import Float32Array
from tumorline.assessment import open_wanted
from tumorline.data.dataset import Dataset
from tumorline.errors import UserError
from tumorline.evaluation.precision import describe_changes, measure_changes
from tumorline.evaluation.status import case_status
from tumorline.export import INPUT, prepare_onnx, save_stamped
from tumorline.files import write_bytes
from tumorline.inference.model import Model, load
from tumorline.network_file import load_network
from tumorline.network_input.windows import NetworkInput
from tumorline.runtime import QUANTISED, RuntimeOptions, open_runtime
from tumorline.spread import spread_evenly

IMAGES, CHECKED = 120, 120
"""Training images that tell the ranges, and validation cases on which the change of Dice is measured."""


def write_rounded(path: Path, target: Path, data: Path | str | None) -> list[str]:
    """Round the network of a model file; what that changes on validation cases, in sentences.

    Raises UserError where no training image is at hand, and where the masks change more than is accepted.
    """
    model = load(path, requests=2)
    if model.info.input.dims == 3:
        raise UserError(f"{path}: a network of three axes; only those of slices are rounded to int8")
    dataset = open_wanted(model, data, ())
    status = case_status(model.info, dataset)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / f"network.{QUANTISED}.onnx"
        write_unproven(model, dataset, status, draft)
        sentences = _held_against(model, draft, dataset, _some_of(status, "validation", CHECKED))
        write_bytes(target, draft.read_bytes())
    return sentences


def write_unproven(model: Model, dataset: Dataset, status: dict[str, str], target: Path) -> None:
    """Round a model's network by its training images, whatever that changes. Raises UserError where there is none."""
    network, info = load_network(model.path)
    unrounded = prepare_onnx(network, torch.zeros(2, info.architecture.channels, *info.network_size), target)
    windows = _windows(model, dataset, _some_of(status, "train", IMAGES))
    save_stamped(_round_network(unrounded, windows), model.path, target)


def _some_of(status: dict[str, str], part: str, most: int) -> list[str]:
    return spread_evenly([case_id for case_id, case_part in status.items() if case_part == part], most)


def _windows(model: Model, dataset: Dataset, case_ids: Sequence[str]) -> list[Float32Array]:
    """What the network sees of them: of a volume its middle slice."""
    if not case_ids:
        raise UserError(f"{dataset.source.path}: no training image of this model; give those with --data SOURCE")
    windows = []
    for case_id in case_ids:
        image, _, grid = dataset.read(dataset.case(case_id))
        seen = model.see(model.complete(image, dataset.channel_names), case_id, grid)
        assert isinstance(seen, NetworkInput)
        if seen.shown:
            windows.append(seen.batch([seen.shown[len(seen.shown) // 2]]))
    return windows


def _round_network(network: Any, windows: Sequence[Float32Array]) -> Any:
    """Activations get a zero point of their own: with ranges around 0 the Dice changes several times as much."""
    import nncf

    nncf.set_log_level(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        images = nncf.Dataset(windows, lambda window: {INPUT: window})
        return nncf.quantize(network, images, preset=nncf.QuantizationPreset.MIXED, subset_size=len(windows))


def _held_against(model: Model, draft: Path, dataset: Dataset, case_ids: Sequence[str]) -> list[str]:
    """The change of Dice in words. Raises UserError where it is more than is accepted."""
    run = open_runtime(draft.with_name("network.safetensors"), RuntimeOptions(QUANTISED, 2)).run
    changes = measure_changes(model, {QUANTISED: replace(model, runtime=run, precision=QUANTISED)}, dataset, case_ids)
    if not changes:
        return ["int8: no validation case with a tumour is at hand, so that what it changes is unknown"]
    sentences = describe_changes(changes)
    if not changes[QUANTISED].verified:
        raise UserError(f"{sentences[0]}; nothing is written")
    return sentences
