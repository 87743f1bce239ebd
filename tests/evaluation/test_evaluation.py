import csv
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tumorline
from tests.conftest import PairFolder
from tumorline.errors import UserError
from tumorline.evaluation import baselines
from tumorline.evaluation.summary import _all_background, _describe_split, region_figures, with_baselines
from tumorline.evaluation.tables import read_rows, write_evaluation
from tumorline.files import read_csv
from tumorline.metrics.case import score_case
from tumorline.metrics.summary import Row
from tumorline.model_info import TrainingSplit
from tumorline.results import Result, Summary, WarningCode


def parts(run: Path) -> dict[str, list[dict[str, str]]]:
    with (run / "split.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {part: [row for row in rows if row["part"] == part] for part in ("train", "validation", "test")}


def subset(source: Path, target: Path, names: list[str], with_patients: bool = True) -> Path:
    """A copy of the named cases, the images as 16-bit TIFF: other bytes, equal content."""
    for kind in ("images", "masks"):
        (target / kind).mkdir(parents=True, exist_ok=True)
        for name in names:
            picture = Image.open(source / kind / f"{name}.png")
            picture.convert("I;16").save(target / kind / f"{name}.tif")
    if with_patients:
        shutil.copy(source / "patients.csv", target)
    return target


def names(rows: list[dict[str, str]]) -> list[str]:
    return [row["case"] for row in rows]


def test_training_cases_are_refused_whatever_their_encoding(tiny_run: Path, tiny_source: Path, tmp_path: Path) -> None:
    folder = subset(tiny_source, tmp_path / "seen", names(parts(tiny_run)["train"])[:4], with_patients=False)
    with pytest.raises(UserError, match=r"every case is known to this model from its training \(4 train\)"):
        tumorline.evaluate(tiny_run, folder, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def resized(source: Path, target: Path, names: list[str], prefix: str = "copy") -> Path:
    """Copies under other names, half as large again, on their side; without patients."""
    for kind in ("images", "masks"):
        (target / kind).mkdir(parents=True, exist_ok=True)
        for number, name in enumerate(names):
            picture = Image.open(source / kind / f"{name}.png").rotate(90, expand=True)
            size = (picture.width * 3 // 2, picture.height * 3 // 2)
            how = Image.Resampling.BILINEAR if kind == "images" else Image.Resampling.NEAREST
            picture.resize(size, how).save(target / kind / f"{prefix}_{chr(97 + number)}.png")
    return target


def test_resized_copies_of_training_pictures_are_refused(tiny_run: Path, tiny_source: Path, tmp_path: Path) -> None:
    folder = resized(tiny_source, tmp_path / "copies", names(parts(tiny_run)["train"])[:4])
    with pytest.raises(UserError, match=r"every case .* \(4 train; 4 of them as copies, by what they look like\)"):
        tumorline.evaluate(tiny_run, folder, output=tmp_path / "out")


def test_resized_copies_among_others_are_left_out_and_told(tiny_run: Path, tiny_source: Path, tmp_path: Path) -> None:
    mine = parts(tiny_run)
    folder = resized(tiny_source, tmp_path / "mixed", names(mine["train"])[:1])
    resized(tiny_source, folder, names(mine["test"])[:2], "tested")
    PairFolder(folder)(patients=1, slices=2, first_seed=700, with_patients=False)
    summary = tumorline.evaluate(tiny_run, folder, output=tmp_path / "out")
    assert summary["case_status"] == {"train": 1, "test": 2, "unseen": 2}
    (told,) = [warning for warning in summary["warnings"] if warning.startswith("COPIES")]
    assert told.startswith("COPIES: 1 case (copy_a) of what the model was trained or tuned on")


def test_other_slices_of_a_training_patient_are_refused(tiny_run: Path, tmp_path: Path) -> None:
    patient = parts(tiny_run)["train"][0]["patient"]
    folder = PairFolder(tmp_path / "others")(patients=1, slices=3, first_seed=500)
    (folder / "patients.csv").write_text("id,patient\n" + "".join(f"s{n},{patient}\n" for n in range(500, 503)))
    with pytest.raises(UserError, match="3 train"):
        tumorline.evaluate(tiny_run, folder, output=tmp_path / "out")


def test_a_mixture_reports_test_and_unseen_only(tiny_run: Path, tiny_source: Path, tmp_path: Path) -> None:
    mine = parts(tiny_run)
    chosen = names(mine["train"])[:3] + names(mine["validation"])[:1] + names(mine["test"])[:2]
    folder = subset(tiny_source, tmp_path / "mixed", chosen)
    PairFolder(folder)(patients=1, slices=2, first_seed=700, with_patients=False)
    summary = tumorline.evaluate(tiny_run, folder, output=tmp_path / "out")
    assert summary["case_status"] == {"train": 3, "validation": 1, "test": 2, "unseen": 2}
    assert (summary["cases"], summary["headline_status"]) == (4, ["test", "unseen"])
    with (tmp_path / "out" / "evaluation.csv").open() as file:
        assert {row["status"] for row in csv.DictReader(file)} == {"test", "unseen"}


def test_allowed_training_cases_mark_the_output(tiny_run: Path, tiny_source: Path, tmp_path: Path) -> None:
    folder = subset(tiny_source, tmp_path / "seen", names(parts(tiny_run)["train"])[:4])
    summary = tumorline.evaluate(tiny_run, folder, output=tmp_path / "out", allow_training_cases=True)
    assert summary["conventions"]["headline"].endswith("status test, unseen, train and validation only")
    assert summary["split"]["training_cases_included"]
    assert any(warning.startswith("TRAINING CASES INCLUDED") for warning in summary["warnings"])
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary


def test_an_evaluation_says_of_which_model_and_which_data_it_is(tiny_run: Path, tmp_path: Path) -> None:
    source = PairFolder(tmp_path / "other")(patients=2, slices=1, first_seed=700)
    found = [tumorline.evaluate(tiny_run, source, output=tmp_path / "first")["made_with"]]
    mask = source / "masks" / "s700.png"
    Image.open(mask).rotate(180).save(mask)
    found.append(tumorline.evaluate(tiny_run, source, output=tmp_path / "second")["made_with"])
    assert {made["fingerprint"] for made in found} == {tumorline.load(tiny_run).fingerprint}
    assert found[0]["data"] != found[1]["data"]
    page = (tmp_path / "second" / "report.html").read_text()
    assert all(text in page for text in found[1].values())


def test_a_runs_own_test_part_gives_the_same_summary_again(tiny_run: Path, tmp_path: Path) -> None:
    again = tumorline.evaluate(tiny_run, output=tmp_path / "out")
    first = json.loads((tiny_run / "summary.json").read_text())
    assert again["regions"] == first["regions"]
    uses = (tiny_run / "test_uses.jsonl").read_text().splitlines()
    assert len(uses) >= 2


def test_the_summary_follows_the_rows(tiny_run: Path) -> None:
    summary = json.loads((tiny_run / "summary.json").read_text())
    with (tiny_run / "evaluation.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "test"]
    by_patient: dict[str, list[float]] = {}
    for row in rows:
        by_patient.setdefault(row["patient"], []).append(float(row["dice"]))
    means = [sum(values) / len(values) for values in by_patient.values()]
    assert summary["regions"]["tumour"]["dice"]["mean"] == pytest.approx(sum(means) / len(means))
    assert summary["regions"]["tumour"]["accuracy_background"]["mean"] > 0.8
    assert summary["baselines"]["all_background"]["tumour"]["dice"] == 0


def test_trivial_baselines_stand_beside_the_model(tiny_run: Path) -> None:
    summary = json.loads((tiny_run / "summary.json").read_text())
    assert set(summary["baselines"]) == {"all_background", "constant_mask", "otsu_in_head"}
    records = read_csv(tiny_run / "baselines.csv")
    constant = [record for record in records if record["baseline"] == "constant_mask"]
    assert len(constant) == summary["cases"]
    by_patient: dict[str, list[float]] = {}
    for record in constant:
        by_patient.setdefault(record["patient"], []).append(float(record["dice"]))
    means = [sum(values) / len(values) for values in by_patient.values()]
    assert summary["baselines"]["constant_mask"]["tumour"]["dice"] == pytest.approx(sum(means) / len(means))


def test_a_baseline_that_is_not_beaten_is_a_warning(tiny_run: Path) -> None:
    written = json.loads((tiny_run / "summary.json").read_text()) | {"warnings": [], "warning_codes": []}
    (figures,) = written["regions"].values()
    better = figures["dice"]["mean"] + 0.01
    records: list[baselines.Record] = [
        {
            "case": "a",
            "patient": "a",
            "region": "tumour",
            "baseline": "otsu_in_head",
            "dice": better,
            "missed": False,
            "volume_ratio": 1.0,
            "accuracy": 1.0,
        }
    ]
    (warning,) = with_baselines(Summary.model_validate(written), records).warnings
    assert warning.code is WarningCode.BASELINE_NOT_BEATEN
    assert warning.text.startswith(f"BASELINE NOT BEATEN: otsu in head has Dice {better:.3f}")
    figures["dice"]["mean"] = 0.0
    assert len(with_baselines(Summary.model_validate(written), records).warnings) == 2


def test_unknown_patients_are_said_in_the_summary(tiny_run: Path, tmp_path: Path) -> None:
    folder = PairFolder(tmp_path / "new")(patients=2, slices=1, first_seed=900, with_patients=False)
    summary = tumorline.evaluate(tiny_run, folder, output=tmp_path / "out")
    assert summary["split"]["patients_unknown"]
    assert any("PATIENTS UNKNOWN" in warning for warning in summary["warnings"])


def test_colours_and_masks_saved_with_loss_are_said_in_the_summary(tiny_run: Path, tmp_path: Path) -> None:
    folder = PairFolder(tmp_path / "new")(patients=2, slices=1, first_seed=900)
    image, mask = (folder / kind / "s900.png" for kind in ("images", "masks"))
    drawn = np.stack([np.asarray(Image.open(image))] * 3, axis=-1)
    drawn[4, 4:9] = (255, 0, 0)
    Image.fromarray(drawn).save(image)
    Image.open(mask).convert("L").save(mask.with_suffix(".jpg"))
    mask.unlink()
    summary = tumorline.evaluate(tiny_run, folder, output=tmp_path / "out")
    said = dict(zip(summary["warning_codes"], summary["warnings"], strict=True))
    assert said["coloured"].startswith("IN COLOUR: 1 of 2 images is in colour, which is read as luminance; ")
    assert "half of their brightest value, 1 of 2 cases saved with loss (JPEG)" in said["masks_thresholded"]
    assert "pictures in colour" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(("patients", "said"), [(1, True), (2, False)])
def test_figures_of_one_patient_are_marked(patients: int, said: bool, tiny_run: Path, tmp_path: Path) -> None:
    folder = PairFolder(tmp_path / "new")(patients=patients, slices=2, first_seed=900)
    summary = tumorline.evaluate(tiny_run, folder, output=tmp_path / "out")
    assert any(warning.startswith("ONE PATIENT: ") for warning in summary["warnings"]) == said


def test_tumour_free_slices_give_a_false_positive_rate_and_no_dice(tiny_run: Path, tmp_path: Path) -> None:
    folder = PairFolder(tmp_path / "free")
    random = np.random.default_rng(0)
    for number in range(3):
        flat = Image.fromarray(random.normal(60, 10, (32, 32)).clip(0, 255).astype(np.uint8))
        folder.add(f"h{number}", flat, Image.fromarray(np.zeros((32, 32), np.uint8)))
    figures = tumorline.evaluate(tiny_run, folder.folder, output=tmp_path / "out")["regions"]["tumour"]
    assert figures["dice"]["mean"] is None
    assert figures["false_positive_rate"] == pytest.approx(figures["invented"] / 3)
    assert figures["dice_all"] == pytest.approx(1 - figures["invented"] / 3)


def test_further_columns_of_the_patients_table_are_groups(tiny_run: Path, tmp_path: Path) -> None:
    folder = PairFolder(tmp_path / "sites")(patients=7, slices=2, first_seed=900)
    rows = "".join(f"s{900 + n},Q{n // 2},{'north' if n < 10 else 'south'},{n}.5\n" for n in range(14))
    (folder / "patients.csv").write_text(f"id,patient,site,echo_time\n{rows}")
    summary = tumorline.evaluate(tiny_run, folder, output=tmp_path / "out")
    (groups,) = summary["regions"]["tumour"]["by_attribute"].values()
    assert {name: (group["patients"], group["cases"]) for name, group in groups.items()} == {
        "north": (5, 10),
        "south": (2, 4),
    }
    assert groups["south"]["dice"]["mean"] == pytest.approx(
        np.mean([row.scores.dice for row in read_rows(tmp_path / "out") if row.attributes["site"] == "south"])
    )
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<h3>site</h3>" in page
    assert "echo" not in page


def test_rows_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    truth = np.zeros((4, 8, 8), bool)
    truth[1:3, 2:5, 2:5] = True
    cases = [score_case(truth[1], truth[1], None), score_case(truth, np.roll(truth, 1, 2), (3, 1, 1))]
    cases.append(score_case(truth, np.zeros_like(truth), (3, 1, 1)))
    rows = [Row(str(n), "p", {"class_name": "x"}, "test", "tumour", scores) for n, scores in enumerate(cases)]
    write_evaluation(tmp_path, rows, Result())
    (tmp_path / "summary.json").unlink()  # it says nothing of the rows
    assert read_rows(tmp_path) == rows


def test_a_table_of_pictures_has_no_columns_of_volumes(tmp_path: Path) -> None:
    mask = np.eye(8, dtype=bool)
    write_evaluation(tmp_path, [Row("a", "p", {}, "test", "tumour", score_case(mask, mask, None))], Result())
    header = (tmp_path / "evaluation.csv").read_text().splitlines()[0]
    assert "depth" in header
    assert "_ml" not in header
    assert "brats" not in header


def test_a_table_from_before_a_figure_was_computed_is_still_read(tmp_path: Path) -> None:
    (tmp_path / "evaluation.csv").write_text(
        "case,patient,class_name,status,region,dice,iou,precision,recall,nsd,hd95,unit,volume_ratio,accuracy,"
        "accuracy_background,truth_px,predicted_px,overlap_px,height,width\n"
        "s1,P1,glioma,test,tumour,0.5,0.333,0.5,0.5,0.8,4.0,px,1.0,0.99,0.98,10,10,5,32,40\n"
    )
    [row] = read_rows(tmp_path)
    assert (row.scores.dice, row.scores.truth_px, row.scores.width) == (0.5, 10, 40)
    assert (row.scores.signed_offset, row.scores.lesions_truth, row.scores.depth) == (None, None, None)
    assert region_figures([row]).to_json()["lesion_dice"]["mean"] is None


@pytest.mark.parametrize(
    ("own", "unknown", "status", "said"),
    [
        ((True, False), False, "test", {"leaking": True, "patients_unknown": False}),
        ((False, True), True, "test", {"leaking": False, "patients_unknown": True}),
        ((False, False), False, "unseen", {"leaking": False, "patients_unknown": False}),
        ((True, True), False, "unseen", {"leaking": False, "patients_unknown": False, "own": (True, True)}),
        ((False, False), True, "unseen", {"leaking": False, "patients_unknown": True, "own": (False, False)}),
    ],
)
def test_of_other_data_the_split_of_the_models_own_is_told_apart(
    own: tuple[bool, bool], unknown: bool, status: str, said: dict[str, Any]
) -> None:
    parts = dict(zip(("leaking", "patients_unknown"), own, strict=True))
    split = TrainingSplit(by="patient", seed=0, origin="by patient, seed 0", parts={}, **parts)
    wanted: Any = SimpleNamespace(dataset=SimpleNamespace(source=SimpleNamespace(patients_unknown=unknown)))
    info: Any = SimpleNamespace(split=split)
    found = _describe_split(info, wanted, [Row("a", "p", {}, status, "tumour", None)])  # type: ignore[arg-type]
    written = found.to_json()
    if "own" in said:
        said = said | {"own": dict(zip(("leaking", "patients_unknown"), said["own"], strict=True))}
    assert {key: written[key] for key in ("leaking", "patients_unknown", "own") if key in written} == said
    assert (found.own_parts.leaking, found.own_parts.patients_unknown) == own


def test_predicting_nothing_has_no_dice_where_the_model_has_none() -> None:
    nothing = score_case(np.zeros((8, 8), bool), np.zeros((8, 8), bool), None)
    figures = region_figures([Row("a", "p", {}, "unseen", "tumour", nothing)])
    found = _all_background(figures)
    assert (figures.dice.mean, found.dice, found.missed) == (None, None, 0)
    tumour = np.eye(8, dtype=bool)
    figures = region_figures([Row("a", "p", {}, "unseen", "tumour", score_case(tumour, tumour, None))])
    assert _all_background(figures).dice == 0
