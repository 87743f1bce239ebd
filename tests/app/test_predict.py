"""POST /predict: what is sent, what is answered, and that nothing of it is kept."""

import base64
import csv
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from starlette.testclient import TestClient

import tumorline
from tests.app.conftest import FOUR, opened, png, write_scan
from tests.conftest import blob
from tests.inference.test_predict_series import draw
from tests.sources import save_dicom, save_volume
from tests.strange_models import RUN
from tumorline.app.state import AppSettings
from tumorline.environment import versions
from tumorline.inference.model import load
from tumorline.regions import NESTED

Answer = dict[str, Any]


def sent(client: TestClient, *files: tuple[str, bytes], channels: tuple[str, ...] = (), **query: str) -> Any:
    parts: list[Any] = [("file", file) for file in files]
    return client.post("/predict", params=query, files=parts, data={"channel": list(channels)} if channels else None)


def file_of(case: Answer, kind: str) -> bytes:
    return base64.b64decode(next(file["data"] for file in case["files"] if file["kind"] == kind))


def left_on_the_disk(client: TestClient) -> list[Path]:
    """What requests leave behind."""
    app: Any = client.app
    return list(app.state.shared.root.iterdir())


def test_a_mask_is_that_of_predict_byte_for_byte(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    (row,) = tumorline.predict(tmp_path / "a.png", RUN, tmp_path / "out")
    (case,) = sent(client, ("a.png", png())).json()["cases"]
    assert file_of(case, "mask") == Path(row["mask"]).read_bytes()
    assert file_of(case, "overlay") == Path(row["overlay"]).read_bytes()
    assert case["tumour_px"] == row["tumour_px"]
    assert case["tumour_found"] is bool(row["tumour_px"])
    assert case["confidence"] == row["confidence"]
    assert [file["name"] for file in case["files"]] == ["a_mask.png", "a_overlay.png"]
    assert sent(client, ("a.png", png()), answer="mask").content == Path(row["mask"]).read_bytes()
    assert left_on_the_disk(client) == []


def test_the_precision_is_that_of_predict(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    (row,) = tumorline.predict(tmp_path / "a.png", "builtin", tmp_path / "out")
    answer = sent(client, ("a.png", png()), model="builtin").json()
    assert answer["precision"] == load("builtin", precision="auto").precision
    assert file_of(answer["cases"][0], "mask") == Path(row["mask"]).read_bytes()


def test_answers_say_which_model_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    tumorline.predict(tmp_path / "a.png", RUN, tmp_path / "out")
    written = json.loads((tmp_path / "out" / "predictions.json").read_text())
    one = load(RUN)
    assert (written["model"], written["fingerprint"]) == (one.info.name, one.fingerprint)
    assert written["version"] == versions()["tumorline"]
    in_memory = tumorline.predict_array(np.zeros((8, 8)), one)
    assert [in_memory[key] for key in ("fingerprint", "version")] == [
        written[key] for key in ("fingerprint", "version")
    ]
    with opened(AppSettings({"fold-0": RUN / "model.safetensors"}, "fold-0")) as client:
        answer = sent(client, ("a.png", png())).json()
    assert (answer["model"], answer["fingerprint"], answer["version"]) == (
        "fold-0",
        written["fingerprint"],
        written["version"],
    )


def test_a_blank_image_has_no_tumour_and_says_why(client: TestClient) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(buffer, format="PNG")
    (case,) = sent(client, ("a.png", buffer.getvalue())).json()["cases"]
    assert (case["tumour_found"], case["tumour_px"], case["error"]) == (False, 0, None)
    assert "blank" in case["note"]


def test_several_pictures_come_as_an_archive_and_masks_of_a_folder_are_left_out(client: TestClient) -> None:
    files = [
        ("d/a.png", png(1)),
        ("d/b.png", png(2)),
        ("d/b_mask.png", png(3)),
        ("d/notes.txt", b"x"),
        ("e/a.png", png(4)),
    ]
    answer = sent(client, *files, answer="zip")
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    names = {f"{case}_{kind}.png" for case in ("d_a", "b", "e_a") for kind in ("mask", "overlay")}
    assert set(archive.namelist()) == {*names, "predictions.json", "predictions.csv"}
    told = json.loads(archive.read("predictions.json"))
    assert told["left_out"] == ["d/b_mask.png: a mask", "d/notes.txt: of no known format"]
    assert sent(client, *files[:2], answer="mask").status_code == 422


def test_patients_whose_files_are_called_the_same_are_told_apart_by_their_folders(client: TestClient) -> None:
    files = [(f"{patient}/slice.png", png(number)) for number, patient in enumerate(("p1", "p2", "p3"))]
    archive = zipfile.ZipFile(io.BytesIO(sent(client, *files, ("p0/scan.png", png(7)), answer="zip").content))
    told = json.loads(archive.read("predictions.json"))["cases"]
    assert [case["name"] for case in told] == ["p1/slice", "p2/slice", "p3/slice", "scan"]
    assert [case["inputs"] for case in told] == [["p1/slice.png"], ["p2/slice.png"], ["p3/slice.png"], ["p0/scan.png"]]
    assert [file["name"] for file in told[1]["files"]] == ["p2_slice_mask.png", "p2_slice_overlay.png"]
    rows = csv.DictReader(io.StringIO(archive.read("predictions.csv").decode()))
    assert [row["inputs"] for row in rows][:2] == ["p1/slice.png", "p2/slice.png"]
    (alone,) = sent(client, ("p2/slice.png", png(1))).json()["cases"]
    assert archive.read("p2_slice_mask.png") == file_of(alone, "mask")


def test_all_files_of_a_case_begin_with_one_stem(client: TestClient, tmp_path: Path) -> None:
    volume = save_volume(tmp_path / "a.nii.gz", [blob(32, 1)[0].astype(np.int16)] * 2).read_bytes()
    answer = sent(client, ("d/a.nii.gz", volume), ("d/A.png", png(1)), ("d/A.png", png(2)), ("d/a.png", png(3)))
    stems = [[file["name"].rpartition("_")[0] for file in case["files"]] for case in answer.json()["cases"]]
    assert all(len({*of_case}) == 1 for of_case in stems)
    assert len({of_case[0].lower() for of_case in stems}) == 4


def test_one_bad_file_costs_itself_and_no_name_of_ours_is_shown(client: TestClient) -> None:
    first, second = sent(client, ("good.png", png()), ("bad.png", b"no picture")).json()["cases"]
    assert first["error"] is None
    assert second["error"].startswith("bad.png: not a picture")
    assert second["tumour_found"] is None
    assert second["files"] == []


@pytest.mark.parametrize(
    "name", ["../../x.png", "/etc/passwd.png", "C:\\x.png", "a\0b.png", "..", "", "x" * 3000, "\u202egnp.exe"]
)
def test_a_name_is_shown_and_reaches_nothing(client: TestClient, name: str) -> None:
    answer = sent(client, (name, b"no picture") if name else ("%00", b"no picture"))
    assert answer.status_code == 422
    message = answer.json()["error"]
    assert "not a picture" in message
    assert "tumorline-app" not in message
    assert "upload-" not in message
    assert "\0" not in message
    assert "\u202e" not in message


def test_what_is_no_form_of_files_is_one_line(client: TestClient) -> None:
    for body, kind, status in (
        (b"{}", "application/json", 415),
        (b"", "multipart/form-data", 400),
        (b"no form", "multipart/form-data; boundary=x", 400),
        (
            b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\ncut",
            "multipart/form-data; boundary=x",
            400,
        ),
        (b"--x--\r\n", "multipart/form-data; boundary=x", 422),
    ):
        answer = client.post("/predict", content=body, headers={"content-type": kind})
        assert answer.status_code == status, (body, answer.text)
        assert "\n" not in answer.json()["error"]
    answer = client.post("/predict", files={"other": ("a.png", png())})
    assert (answer.status_code, "field 'other'" in answer.json()["error"]) == (422, True)


def test_parameters_that_mean_nothing_are_one_line(client: TestClient) -> None:
    file = ("a.png", png())
    assert sent(client, file, model="../../etc").status_code == 404
    assert "no model" in sent(client, file, model="bulitin").json()["error"]
    assert "did you mean 'builtin'?" in sent(client, file, model="bulitin").json()["error"]
    assert sent(client, file, tta="some").status_code == 422
    assert sent(client, file, enhancing_label="5").status_code == 422
    assert "label" in sent(client, file, enhancing_label="3").json()["error"]
    assert sent(client, file, ticket="x").status_code == 422
    assert sent(client, file, file, channels=("a", "b", "c")).status_code == 422


def test_a_parameter_that_is_not_known_is_refused(client: TestClient) -> None:
    known = "answer, enhancing_label, model, ticket, tta, view"
    misspelt, unknown = sent(client, ("a.png", png()), modle="four"), sent(client, ("a.png", png()), threshold="four")
    assert (misspelt.status_code, unknown.status_code) == (422, 422)
    assert misspelt.json()["error"] == "unknown parameter 'modle'; did you mean 'model'?"
    assert unknown.json()["error"] == f"unknown parameter 'threshold'; known: {known}"
    assert client.get("/health?x=1").json()["error"] == "unknown parameter 'x'; /health takes none"
    assert "422" in client.get("/openapi.json").json()["paths"]["/health"]["get"]["responses"]
    assert client.get("/?x=1").status_code == 200


def test_head_is_answered_as_get_without_its_body(client: TestClient) -> None:
    for path in ("/health", "/models", "/"):
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == client.get(path).headers["content-length"]
    assert client.head("/predict").status_code == 405
    assert list(client.get("/openapi.json").json()["paths"]["/health"]) == ["get"]


@pytest.mark.parametrize("name", ["filename*=UTF-8''sch%C3%A4del.png", "filename*=iso-8859-1'de'sch%E4del.png"])
def test_a_name_may_be_spelled_as_rfc_5987_has_it(client: TestClient, name: str) -> None:
    head = f"--x\r\nContent-Disposition: form-data; name=file; {name}\r\n\r\n".encode()
    kind = {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post("/predict", content=head + png() + b"\r\n--x--\r\n", headers=kind).json()
    assert answer["cases"][0]["inputs"] == ["schädel.png"]


def test_one_channel_may_be_said_of_several_pictures(client: TestClient) -> None:
    files = (("a.png", png(1)), ("b.png", png(2)))
    cases = sent(client, *files, model="builtin", channels=("post_contrast",)).json()["cases"]
    assert [(case["name"], case["error"]) for case in cases] == [("a", None), ("b", None)]
    mixed = sent(client, *files, ("c.png", png(3)), model="four", channels=("t2", "t2", "flair"))
    assert mixed.json()["error"] == "2 files are said to be t2, one is expected, or DICOM slices"


def test_progress_is_known_for_requests_that_are_here(client: TestClient) -> None:
    assert client.get("/progress/nobody-has-it").status_code == 404
    assert client.get("/progress/x").status_code == 422


def test_what_the_viewer_shows_is_sent_where_it_is_asked_for(client: TestClient) -> None:
    (case,) = sent(client, ("a.png", png()), view="true").json()["cases"]
    assert case["view"]["space"] == [32, 32]
    assert case["view"]["labels"] == [{"value": 255, "bits": 1, "name": "tumour"}]
    (case,) = sent(client, ("a.png", png())).json()["cases"]
    assert case["view"] is None


def test_models_say_what_they_are_and_where_they_fail(client: TestClient) -> None:
    tiny, four, builtin, brats = client.get("/models").json()
    assert [one["name"] for one in (tiny, four, builtin, brats)] == ["tiny", "four", "builtin", "builtin-brats"]
    assert set(brats["channels"]) == set(FOUR)
    assert four["channels"] == list(FOUR)
    assert tiny["limits"][0].startswith("Trained on simulated images")
    assert any(re.search(r"\d+ of 188 slices without one", limit) for limit in builtin["limits"])
    assert builtin["card"].startswith("# Model card")
    assert builtin["channels"] == ["post_contrast"] or builtin["channels"] == [""]


def test_the_interface_is_described_with_all_that_it_refuses(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) == {"/health", "/models", "/runs", "/predict", "/progress/{ticket}"}
    refused = set(document["paths"]["/predict"]["post"]["responses"])
    assert {"400", "401", "403", "404", "408", "413", "415", "421", "422", "503", "507"} < refused


def test_the_sequences_of_a_scan_are_one_case(client: TestClient, four: Path, tmp_path: Path) -> None:
    paths = write_scan(tmp_path / "scan" / "BraTS2021_00007")
    (row,) = tumorline.predict(tmp_path / "scan", four, tmp_path / "out")
    dropped = [(f"scan/{path.name}", path.read_bytes()) for path in paths]
    answer = sent(client, *dropped, view="true", model="four").json()
    (case,) = answer["cases"]
    assert file_of(case, "mask") == Path(row["mask"]).read_bytes()
    assert (case["name"], case["tumour_ml"]) == ("BraTS2021_00007", row["tumour_ml"])
    assert [region["ml"] for region in case["regions"]] == [row[f"{region}_ml"] for region in NESTED]
    assert answer["labels"] == {"whole_tumour": [2, 1, 4], "tumour_core": [1, 4], "enhancing_tumour": [4]}
    assert answer["left_out"] == ["scan/BraTS2021_00007_seg.nii.gz: a mask"]
    assert [label["bits"] for label in case["view"]["labels"]] == [1, 3, 7]
    renamed = [(f"{number}.nii.gz", path.read_bytes()) for number, path in enumerate(paths[:4])]
    (named,) = sent(client, *renamed, channels=FOUR, model="four").json()["cases"]
    assert file_of(named, "mask") == file_of(case, "mask")
    lacking = sent(client, *dropped[:3], model="four")
    assert (lacking.status_code, lacking.json()["error"]) == (
        422,
        "t2 is not given; this model takes flair, pre_contrast, post_contrast, t2",
    )
    alone = sent(client, dropped[0], model="four")
    assert "say of each file which channel it is" in alone.json()["error"]


def test_slices_of_dicom_come_back_as_a_segmentation_that_refers_to_them(client: TestClient, tmp_path: Path) -> None:
    folder = draw(tmp_path / "jane", lambda _, elements: elements.update(SeriesDescription="T1 post"))
    files = [(f"jane/{path.name}", path.read_bytes()) for path in sorted(folder.iterdir())]
    answer = sent(client, *files, model="builtin").json()
    (case,) = answer["cases"]
    assert [file["kind"] for file in case["files"]] == ["mask", "segmentation", "overlay"]
    written = pydicom.dcmread(io.BytesIO(file_of(case, "segmentation")))
    sources = {pydicom.dcmread(path).SOPInstanceUID for path in folder.iterdir()}
    referred = written.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert {one.ReferencedSOPInstanceUID for one in referred} <= sources
    assert case["tumour_ml"] is not None
    assert any("read as post_contrast" in remark for remark in answer["remarks"])
    assert any("identifies the patient" in remark for remark in answer["remarks"])
    assert "DOE" not in json.dumps({**answer, "cases": [{**case, "files": []}]})


def test_a_series_of_another_sequence_is_refused_until_it_is_said_what_it_is(
    client: TestClient, tmp_path: Path
) -> None:
    folder = draw(tmp_path / "jane", lambda _, elements: elements.update(SeriesDescription="AX FLAIR"))
    files = [(f"jane/{path.name}", path.read_bytes()) for path in sorted(folder.iterdir())]
    refused = sent(client, *files, model="builtin")
    assert refused.status_code == 422
    assert "Where that is what it is, say so: it is post_contrast" in refused.json()["error"]
    assert sent(client, *files, model="builtin", channels=("post_contrast",)).status_code == 200


def test_a_slice_of_dicom_has_an_area(client: TestClient, tmp_path: Path) -> None:
    path = save_dicom(tmp_path / "a.dcm", blob(32, 1)[0].astype(np.uint16), PixelSpacing=[0.5, 2.0])
    (case,) = sent(client, ("a.dcm", path.read_bytes())).json()["cases"]
    assert case["tumour_px"] > 0
    assert case["tumour_mm2"] == case["tumour_px"]


def test_the_figures_are_stated_as_they_are_answered(client: TestClient) -> None:
    answered = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["responses"]["200"]["content"]
    assert answered["application/json"]["schema"] == {"$ref": "#/components/schemas/PredictionAnswer"}
    assert answered["application/zip"]["schema"] == {"type": "string", "format": "binary"}
