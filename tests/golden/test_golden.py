"""Figures that no change of the code may move unnoticed, on frozen images and a frozen model beside this file.

`python -m tests.golden.test_golden FOLDER` writes `expected.json` and `expected.npy` anew, for a change that is meant
to move them; FOLDER is for the training. Between one and two threads, AVX-512, AVX2 and SSE4.1 the losses moved by
1.5e-7, the probabilities by 7e-7 and the Dice not at all; the tolerances leave room for other processors, and for one
pixel in the Dice.
"""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tumorline
from tests.golden.produce import TRAINING
from tumorline.data.case import read_image
from tumorline.data.dataset import load_dataset
from tumorline.model_file import read_info
from tumorline.training.batches import epoch_order
from tumorline.training.windows import patient_weights

HERE = Path(__file__).parent
LOSS_TOLERANCE, DICE_TOLERANCE, PROBABILITY_TOLERANCE = 1e-4, 0.02, 1e-4
FIGURES = ("train_loss", "validation_loss", "validation_dice")


def describe_data() -> dict[str, Any]:
    """Facts of the decoding pass; hashes, split and known cases come with the training."""
    dataset = tumorline.load_dataset(HERE / "slices", tumorline.load_config(None).data)
    return {
        fact.case_id: [*fact.shape, fact.image_hash, fact.mask_hash, fact.foreground, fact.filled]
        for fact in dataset.facts
    }


def train_anew(folder: Path) -> dict[str, Any]:
    """What a training of the frozen images leaves that is the same on every machine, or nearly so."""
    settings = [f"data.cache='{folder / 'cache'}'" if "cache" in text else text for text in TRAINING]
    run = tumorline.train(data=HERE / "slices", overrides=settings, output=folder / "run")
    known = read_info(run / "model.safetensors").known_cases
    with (run / "history.csv").open() as history, (run / "split.csv").open() as split:
        return {
            "known_cases": {"patients": known.patients, "contents": known.contents},
            "split": {row["case"]: row["part"] for row in csv.DictReader(split)},
            "history": [[float(row[name]) for name in FIGURES] for row in csv.DictReader(history)],
        }


def order_batches() -> dict[str, list[int]]:
    weights = patient_weights(["a", "a", "a", "b", "c", "c"], 0.5)
    return {
        f"seed {seed} epoch {epoch}": epoch_order(seed, epoch, weights).tolist() for seed in (0, 1) for epoch in (0, 1)
    }


def predict_frozen() -> np.ndarray[Any, Any]:
    """Probabilities `(cases, H, W)` of the frozen model on the frozen images."""
    model = tumorline.load(HERE / "model.safetensors")
    dataset = load_dataset(HERE / "others", tumorline.load_config(None).data)
    return np.stack([model.probability(read_image(case))[0] for case in dataset.cases])


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((HERE / "expected.json").read_text())
    return content


def test_facts_and_order_are_the_same(expected: dict[str, Any]) -> None:
    assert describe_data() == expected["facts"]
    assert order_batches() == expected["order"]


def test_a_training_splits_knows_and_learns_as_before(expected: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    found = train_anew(tmp_path)
    assert found["split"] == expected["split"]
    assert found["known_cases"] == expected["known_cases"]
    distance = np.abs(np.array(found["history"]) - expected["history"]).max(axis=0)
    assert (distance <= (LOSS_TOLERANCE, LOSS_TOLERANCE, DICE_TOLERANCE)).all(), distance


def test_a_frozen_model_answers_as_before() -> None:
    expected, found = np.load(HERE / "expected.npy"), predict_frozen()
    np.testing.assert_allclose(found, expected, atol=PROBABILITY_TOLERANCE)
    threshold = read_info(HERE / "model.safetensors").threshold
    moved = (found >= threshold) != (expected >= threshold)
    assert (np.abs(expected[moved] - threshold) < PROBABILITY_TOLERANCE).all()
    assert 0.02 < (expected >= threshold).mean() < 0.3  # a tumour is drawn


def main(folder: Path) -> None:
    content = {"facts": describe_data(), "order": order_batches(), **train_anew(folder)}
    (HERE / "expected.json").write_text(json.dumps(content, indent=1) + "\n")
    np.save(HERE / "expected.npy", predict_frozen().astype(np.float32))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
