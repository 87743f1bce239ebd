"""What there is to use: the models that come with the package, and the networks that can be trained."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from tumorline.model_file import find_model, listed_models, read_info
from tumorline.model_info import ModelInfo
from tumorline.wording import numbered

NETWORKS = Path(__file__).with_name("models") / "networks.csv"
"""Sizes of all networks: building them takes half a minute, and torch; a test holds the table to them."""


def list_trained_models() -> list[dict[str, str]]:
    """The models that come with the package, each with its headline figure."""
    rows = []
    for name in listed_models():
        info = read_info(find_model(Path(name)))
        rows.append(
            {
                "model": name,
                "trained on": info.data.name,
                "input": _input_size(info),
                "figure": headline_figure(info),
            }
        )
    return rows


def _input_size(info: ModelInfo) -> str:
    if info.input.dims == 3:
        return f"{' x '.join(f'{length:g}' for length in info.input.voxel_mm)} mm"
    return f"{info.image_size} px"


def headline_figure(info: ModelInfo) -> str:
    """Dice by patient, of several regions the mean over them; of the patients with a tumour, of each source its own."""
    headline = info.metrics.headline
    if headline is None:
        return "none of its own"
    out_of_fold = ", out of fold" if "out of fold" in headline["headline_status"] else ""
    regions = [headline["regions"][region] for region in info.regions]
    by_source = [region.get("dice_of_sources", {}) for region in regions]
    told = [
        f"{source} {_tell_dice([dice[source] for dice in by_source if source in dice])}"
        for source in dict.fromkeys(name for dice in by_source for name in dice)
    ]
    what = f"mean over {len(regions)} regions of the Dice" if len(regions) > 1 else "Dice"
    return f"{what} {', '.join(told) or _tell_dice([region['dice'] for region in regions])}{out_of_fold}"


def _tell_dice(of_regions: Sequence[Mapping[str, Any]]) -> str:
    """Of one region with its limits."""
    patients = numbered(max(dice["patients"] for dice in of_regions), "patient")
    if len(of_regions) > 1:
        known = [dice["mean"] for dice in of_regions if dice["mean"] is not None]
        return f"{mean(known):.3f} on {patients}"
    (dice,) = of_regions
    low, high = dice["ci95"] or dice["range"]
    return f"{dice['mean']:.3f} ({'' if dice['ci95'] else 'range '}{low:.3f} to {high:.3f}) on {patients}"


def list_networks() -> list[dict[str, str]]:
    """Each network to train with its default options: parameters, multiply-adds at 256 x 256, source of its weights."""
    return [
        {
            "model": row["network"],
            "parameters": f"{int(row['parameters']) / 1e6:.1f} M",
            "multiply-adds": f"{int(row['multiply_adds']) / 1e9:.1f} G",
            "dims": row["dims"],
            "pretrained weights": row["weights"],
            "what": row["what"],
        }
        for row in csv.DictReader(NETWORKS.read_text(encoding="utf-8").splitlines())
    ]
