"""What there is to use: the models that come with the package, and the networks that can be trained."""

import csv
from pathlib import Path

from tumorline.model_file import find_model, listed_models, read_info
from tumorline.wording import numbered

NETWORKS = Path(__file__).with_name("models") / "networks.csv"
"""Sizes of all networks: building them takes half a minute, and torch; a test holds the table to them."""


def list_trained_models() -> list[dict[str, str]]:
    """The models that come with the package, each with its headline figure."""
    rows = []
    for name in listed_models():
        info = read_info(find_model(Path(name)))
        headline = info.metrics["headline"]
        dice = headline["regions"][info.regions[0]]["dice"]
        low, high = dice["ci95"] or dice["range"]
        figure = f"Dice {dice['mean']:.3f} ({low:.3f} to {high:.3f}) on {numbered(headline['patients'], 'patient')}"
        rows.append(
            {"model": name, "trained on": info.data["name"], "input": f"{info.image_size} px", "figure": figure}
        )
    return rows


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
