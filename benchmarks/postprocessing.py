"""What another threshold, or keeping the largest component only, would give on a run's validation patients.

python benchmarks/postprocessing.py runs/builtin
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy import ndimage

import tumorline
from tumorline.arrays import MaskArray
from tumorline.data.dataset import load_dataset
from tumorline.data.source import source_path
from tumorline.files import read_csv
from tumorline.metrics.overlap import count_overlap, dice
from tumorline.run_folder import read_config

THRESHOLDS = np.arange(0.1, 0.91, 0.1)


def largest_component(mask: MaskArray) -> MaskArray:
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    return np.asarray(labels == 1 + np.bincount(labels.ravel())[1:].argmax()) if count > 1 else mask


def main(run: Path) -> None:
    config = read_config(run)
    dataset = load_dataset(source_path(config), config.data)
    model = tumorline.load(run)
    by_patient: dict[str, list[list[float]]] = defaultdict(list)
    for row in read_csv(run / "split.csv"):
        if row["part"] == "validation":
            image, (truth, *_), grid = dataset.read(dataset.case(row["case"]))
            probability = model.probability(image, grid)[0]
            masks = [probability >= threshold for threshold in THRESHOLDS]
            masks.append(largest_component(probability >= model.info.thresholds[0]))
            by_patient[row["patient"]].append([dice(count_overlap(truth, mask)) or 0.0 for mask in masks])
    figures = np.mean([np.mean(cases, axis=0) for cases in by_patient.values()], axis=0)
    names = [*(f"threshold {threshold:.1f}" for threshold in THRESHOLDS), "largest component"]
    print("| | validation Dice by patient |\n| --- | --- |")
    for name, figure in zip(names, figures, strict=True):
        print(f"| {name} | {figure:.3f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    main(parser.parse_args().run)
