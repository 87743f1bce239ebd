"""Dice of whole volumes at their native resolution, window by window, while a training of patches goes on."""

import numpy as np
import torch
from torch import Tensor, nn

from tumorline.arrays import Float32Array
from tumorline.data.dataset import Dataset
from tumorline.data.joined import SOURCE
from tumorline.geometry.tiles import Tiling, answer_tiles
from tumorline.inference.probability import to_probability
from tumorline.metrics.overlap import count_overlap, dice_of_tumour
from tumorline.network_input.volume_cache import CachedVolume, VolumeCache
from tumorline.training.machine import Machine
from tumorline.training.validation import CaseResult, Validation, draw_masks, gather_results


@torch.no_grad()
def validate_volumes(
    network: nn.Module,
    criterion: nn.Module,
    dataset: Dataset,
    cache: VolumeCache,
    cases: list[str],
    machine: Machine,
) -> Validation:
    """Score the cases, shared among all processes."""
    network.eval()
    results = []
    for position in (dataset.index[case_id] for case_id in cases[machine.rank :: machine.world]):
        case, volume = dataset.cases[position], cache.cases[position]
        logits = answer_volume_in_torch(network, dataset, volume, machine)
        loss = criterion(torch.from_numpy(logits[None]), torch.from_numpy(np.array(volume.mask[None])).float())
        predicted = draw_masks(volume.placement.to_native(to_probability(logits, 1.0)), dataset.regions)
        masks = zip(dataset.read_truth(case), predicted, strict=True)
        dice = tuple(dice_of_tumour(count_overlap(*pair)) for pair in masks)
        results.append(CaseResult(case.group, float(loss), dice, case.attributes.get(SOURCE, "")))
    return gather_results([result for part in machine.gather(results) for result in part])


def answer_volume_in_torch(
    network: nn.Module, dataset: Dataset, volume: CachedVolume, machine: Machine
) -> Float32Array:
    """Logits `(R, *spaced)` of a volume."""
    settings = dataset.settings
    assert settings.window is not None
    image = np.asarray(volume.image, np.float32)

    def answer(windows: Float32Array) -> Float32Array:
        with machine.autocast():
            logits: Tensor = network(torch.from_numpy(windows).to(machine.device))
        return np.asarray(logits.float().cpu().numpy())

    return answer_tiles(answer, image, Tiling(image.shape[1:], settings.window, settings.overlap))
