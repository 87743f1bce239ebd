"""What each side predicts of the cases that are tested, and its figures."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nnunet_commands import HERE, machine, run_here, run_nnunet
from nnunet_data import nib, relabelled
from nnunet_folds import REGIONS, Fold, Side


def predict(fold: Fold) -> None:
    """From files to files, each way by itself; then every mask against the truth of the same grid."""
    for way in fold.side.masks:
        masks = fold.given.output / "masks" / fold.name / way / f"fold-{fold.number}"
        if not fold.note(way):
            shutil.rmtree(masks, ignore_errors=True)
            used = predict_masks(fold, masks, way)
            rows = [row for case in cases_of(fold.dataset) for row in score(fold, masks, case, way)]
            fold.keep(way, {**used, "cases": len(cases_of(fold.dataset)), "machine": machine(), "rows": rows})


def predict_masks(fold: Fold, masks: Path, way: str) -> dict[str, float]:
    given, images = fold.given, fold.dataset / "imagesTs"
    mirrored = way == "mirrored"
    if fold.side.tool == "monai":
        arguments = ["predict", str(images), str(fold.folder), str(masks), "--precision", fold.side.precision]
        return run_here(given, str(HERE / "monai_segresnet.py"), *arguments)
    if fold.side.tool == "tumorline":
        arguments = ["predict", str(images), "--model", str(fold.folder), "--output", str(masks), "--no-overlay"]
        more = ["--precision", fold.side.precision, *(["--tta", "flips"] if mirrored else [])]
        return run_here(given, "-m", "tumorline", *arguments, *more)
    command = ["nnUNetv2_predict", "-i", str(images), "-o", str(masks), "-d", fold.dataset.name[7:10], "-f", "all"]
    more = ["-c", fold.side.configuration, "-tr", "TimedTrainer", "-device", "cpu"]
    return run_nnunet(given, *command, *more, *([] if mirrored else ["--disable_tta"]))


def cases_of(dataset: Path) -> list[str]:
    return sorted(path.name.removesuffix(".nii.gz") for path in (dataset / "labelsTs").glob("*.nii.gz"))


def score(fold: Fold, masks: Path, case: str, way: str) -> list[dict[str, Any]]:
    """Every side by Tumorline's own figures, at the resolution of the files."""
    from tumorline.metrics.case import score_case

    truth = nib.load(fold.dataset / "labelsTs" / f"{case}.nii.gz")
    spacing = [float(side) for side in truth.header.get_zooms()[:3]]
    true, drawn = np.asarray(truth.dataobj), read_mask(fold.side, masks, case)
    rows = []
    for region, values in REGIONS.items():
        scores = score_case(np.isin(true, values), np.isin(drawn, values), spacing)
        kept = ("dice", "nsd", "hd95", "truth_ml", "predicted_ml", "lesion_dice", "predicted_px")
        figures = {key: getattr(scores, key) for key in kept}
        rows.append({"side": fold.name, "way": way, "fold": fold.number, "case": case, "region": region, **figures})
    return rows


def read_mask(side: Side, masks: Path, case: str) -> npt.NDArray[np.uint8]:
    """In nnU-Net's labels; Tumorline writes BraTS's own."""
    (file,) = [path for path in masks.rglob("*.nii.gz") if path.name.startswith(case)]
    labels = np.asarray(nib.load(file).dataobj)
    return relabelled(labels) if side.tool == "tumorline" else labels.astype(np.uint8)
