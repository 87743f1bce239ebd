"""Which uploads are a case: by what their names say and what they hold, without any name of a client on the disk."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.formats.test_dicom_series import write_series
from tests.sources import save_volume
from tumorline.app.inputs import CaseGatherer, Gathered
from tumorline.app.uploads import Upload, known_suffix
from tumorline.errors import UserError

FOUR = ("flair", "pre_contrast", "post_contrast", "t2")
ONE = ("post_contrast",)
SLICES: list[np.ndarray] = [np.ones((4, 4))] * 3


class Sender:
    """Puts files where the server would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "in"
        self.folder.mkdir()
        self.uploads: list[Upload] = []

    def place(self, shown: str, channel: str) -> Path:
        path = self.folder / f"upload-{len(self.uploads):04d}{known_suffix(shown)}"
        self.uploads.append(Upload(shown, path, channel))
        return path

    def volume(self, shown: str, channel: str = "") -> None:
        save_volume(self.place(shown, channel), SLICES)

    def picture(self, shown: str) -> None:
        Image.fromarray(np.ones((4, 4), np.uint8)).save(self.place(shown, ""), format="PNG")

    def slices(self, folder: Path, shown: str, channel: str = "") -> None:
        for path in write_series(folder):
            shutil.copy(path, self.place(f"{shown}/{path.name}", channel))

    def gather(self, channels: tuple[str, ...] = ONE, may_lack: bool = False) -> Gathered:
        return CaseGatherer(self.uploads, self.folder, channels, may_lack).gather()


@pytest.fixture
def sender(tmp_path: Path) -> Sender:
    return Sender(tmp_path)


def files_of(found: Gathered) -> list[list[str]]:
    return [[path.name for path in job.images] for job in found.jobs]


def test_the_volumes_of_scans_are_told_apart_by_their_names(sender: Sender) -> None:
    for scan in ("A", "B"):
        for word in ("t2", "t1ce", "flair", "seg", "t1"):
            sender.volume(f"set/{scan}/{scan}_{word}.nii.gz")
    found = sender.gather(FOUR)
    assert found.names == ["A", "B"]
    assert files_of(found)[0] == [f"upload-{number:04d}.nii.gz" for number in (2, 4, 1, 0)]
    assert found.left_out == {"set/A/A_seg.nii.gz": "a mask", "set/B/B_seg.nii.gz": "a mask"}
    assert [job.problem for job in found.jobs] == ["", ""]


def test_a_scan_that_lacks_a_channel_costs_only_itself(sender: Sender) -> None:
    for name in ("A_flair", "A_t1", "A_t1ce", "A_t2", "B_flair", "B_t1", "B_t1ce"):
        sender.volume(f"{name}.nii.gz")
    found = sender.gather(FOUR)
    assert found.jobs[0].problem == ""
    assert "t2 is not given" in found.jobs[1].problem


def test_a_scan_may_lack_channels_where_the_model_says_so(sender: Sender) -> None:
    for name in ("A_flair", "A_t1ce", "B_t2"):
        sender.volume(f"{name}.nii.gz")
    found = sender.gather(FOUR, may_lack=True)
    assert (found.names, [job.problem for job in found.jobs]) == (["A", "B"], ["", ""])
    assert [job.channels for job in found.jobs] == [("flair", "post_contrast"), ("t2",)]


def test_one_volume_is_what_its_name_says_where_others_may_be_lacking(sender: Sender) -> None:
    sender.volume("A_t1ce.nii.gz")
    (job,) = sender.gather(FOUR, may_lack=True).jobs
    assert (job.problem, job.channels) == ("", ("post_contrast",))
    assert "one volume; this model takes flair" in sender.gather(FOUR).jobs[0].problem


def test_one_volume_whose_name_says_nothing_is_refused_with_the_cure(sender: Sender) -> None:
    sender.volume("A.nii.gz")
    with pytest.raises(UserError, match=r"A\.nii\.gz: its name states none of flair.* say of each file which channel"):
        sender.gather(FOUR, may_lack=True)


def test_one_channel_that_is_named_is_a_case_where_others_may_be_lacking(sender: Sender, tmp_path: Path) -> None:
    sender.volume("a.nii.gz", "t2")
    assert sender.gather(FOUR, may_lack=True).jobs[0].channels == ("t2",)
    with pytest.raises(UserError, match="flair, pre_contrast, post_contrast are not given"):
        sender.gather(FOUR)


def test_of_slices_too_channels_may_be_lacking(sender: Sender, tmp_path: Path) -> None:
    def of_flair(_: int, elements: dict[str, object]) -> None:
        elements["SeriesDescription"] = "AX FLAIR"

    for path in write_series(tmp_path / "a", change=of_flair):
        shutil.copy(path, sender.place(f"jane/1/{path.name}", ""))
    (job,) = sender.gather(FOUR, may_lack=True).jobs
    assert (job.problem, job.channels, len(job.series)) == ("", ("flair",), 1)


def test_a_model_of_one_channel_gets_its_own(sender: Sender) -> None:
    for word in ("flair", "t1ce", "seg"):
        sender.volume(f"A/A_{word}.nii.gz")
    found = sender.gather()
    assert (found.names, len(found.left_out)) == (["A_t1ce"], 2)
    assert "flair" in found.left_out["A/A_flair.nii.gz"]


def test_a_file_by_itself_is_wanted_whatever_it_is_called(sender: Sender) -> None:
    sender.picture("truth_mask.png")
    assert sender.gather().names == ["truth_mask"]


def test_channels_that_are_named_make_one_case(sender: Sender) -> None:
    for name, channel in (("a", "t2"), ("b", "t1"), ("c", "flair"), ("d", "t1ce")):
        sender.volume(f"{name}.nii.gz", channel)
    found = sender.gather(FOUR)
    assert files_of(found) == [[f"upload-{number:04d}.nii.gz" for number in (2, 1, 3, 0)]]
    with pytest.raises(UserError, match="the model takes no t2"):
        Sender.gather(sender, ("x", "y"))


def test_slices_of_a_folder_are_one_case_and_what_they_are_is_said(sender: Sender, tmp_path: Path) -> None:
    sender.slices(tmp_path / "a", "jane/t1")
    sender.uploads.append(Upload("jane/DICOMDIR", sender.folder / "upload-0999"))
    found = sender.gather(("",))
    assert (found.names, len(found.jobs[0].series), len(found.jobs[0].files)) == (["t1"], 1, 5)
    assert found.left_out == {"jane/DICOMDIR": "a file of the system"}


def test_a_report_in_a_folder_of_its_own_costs_nothing(sender: Sender, tmp_path: Path) -> None:
    sender.slices(tmp_path / "a", "jane/t1")
    report = write_series(tmp_path / "b", 1, change=lambda _, own: own.update({"Modality": "SR"}))[0]
    shutil.copy(report, sender.place("jane/report/1.dcm", ""))
    found = sender.gather(("",))
    assert (found.names, found.left_out) == (["t1"], {"jane/report/1.dcm": "no image of a scan"})


def test_slices_that_are_named_as_a_channel_are_taken_for_it(sender: Sender, tmp_path: Path) -> None:
    sender.slices(tmp_path / "a", "jane/t1", "post_contrast")
    (job,) = sender.gather().jobs
    assert len(job.series) == 1


def test_a_message_has_the_names_of_the_client(sender: Sender, tmp_path: Path) -> None:
    sender.slices(tmp_path / "a", "jane/t1")
    gatherer = CaseGatherer(sender.uploads, sender.folder, ("",))
    gatherer.gather()
    place = sender.folder / "dicom" / "series-0000"
    assert gatherer.shown(f"{place}/upload-0002.dcm: cut off") == f"{sender.uploads[2].name}: cut off"
    assert gatherer.shown("between upload-0001.dcm and upload-0003.dcm").startswith(f"between {sender.uploads[1].name}")
    refused = f"{place}: read as flair. Where that is what it is, give --channel t1={place}"
    assert gatherer.shown(refused) == "jane/t1: read as flair. Where that is what it is, say so: it is t1"
    wrong = f"{place}: where one of these is wrong, give --channel t1={place}#4 --channel t2={place}#7 with the right"
    assert gatherer.shown(wrong) == "jane/t1: where one is wrong, say of each which channel it is"
    lacking = f"{place}: no series was recognised as t1; give --channel NAME=FOLDER#NUMBER for each channel"
    assert gatherer.shown(lacking).endswith("recognised as t1; say of each file which channel it is")


def test_nothing_to_predict_is_one_line(sender: Sender) -> None:
    sender.volume("A/A_seg.nii.gz")
    sender.volume("A/B_seg.nii.gz")
    with pytest.raises(UserError, match="no image to predict"):
        sender.gather()


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.NII.GZ", ".nii.gz"), ("a.b.png", ".png"), ("IM0001", ""), ("1.2.840.113", ""), ("list.csv", ""), ("a.sh", "")],
)
def test_of_a_name_only_a_known_suffix_is_kept(name: str, suffix: str) -> None:
    assert known_suffix(name) == suffix


def test_volumes_whose_names_say_nothing_are_refused_with_the_cure(sender: Sender) -> None:
    sender.volume("0.nii.gz")
    sender.volume("1.nii.gz")
    with pytest.raises(UserError, match=r"0.nii.gz: its name states none of flair.* say of each file which channel"):
        sender.gather(FOUR)
