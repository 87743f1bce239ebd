"""Which volumes are the channels of one scan."""

import json
import re
from pathlib import Path

import pytest

from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.to_predict.gather import (
    channel_meant,
    common_name,
    gather_scans,
    name_channels,
    sequence_of_volume,
    split_name,
)
from tumorline.errors import UserError

BRATS = ("flair", "post_contrast", "t2", "pre_contrast")


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def gathered(folder: Path, channels: tuple[str, ...] = BRATS) -> dict[str, list[str] | str]:
    """Names of files by scan, or what is wrong with it."""
    scans = gather_scans(Contents(folder), channels)
    return {scan.name.as_posix(): scan.problem or [path.name for path in scan.images] for scan in scans}


@pytest.mark.parametrize(
    "names",
    [
        ("A_flair.nii.gz", "A_t1ce.nii.gz", "A_t2.nii.gz", "A_t1.nii.gz"),
        ("A-t2f.nii.gz", "A-t1c.nii.gz", "A-t2w.nii.gz", "A-t1n.nii.gz"),
        ("A_FLAIR.nii", "A_T1GD.nii", "A_T2.nii", "A_T1.nii"),
        ("A_FLAIR_bias.nii.gz", "A_T1c_bias.nii.gz", "A_T2_bias.nii.gz", "A_T1_bias.nii.gz"),
        ("A_T2-FLAIR.nii.gz", "A_T1post.nii.gz", "A_T2w.nii.gz", "A_T1w.nii.gz"),
    ],
)
def test_four_volumes_are_one_scan_by_the_words_of_their_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    touch(tmp_path / "in" / "x", *reversed(names), "A_seg.nii.gz", "notes.txt")
    assert gathered(tmp_path / "in") == {"x/A": list(names)}
    assert gathered(tmp_path / "in" / "x") == {"A": list(names)}
    assert gathered(tmp_path / "in", ("t2",)) == {"x/A": [names[2]]}


def test_files_that_are_called_as_sequences_are_the_scan_of_their_folder(tmp_path: Path) -> None:
    names = ["flair.nii.gz", "t1ce.nii.gz", "t2.nii.gz", "t1.nii.gz"]
    touch(tmp_path / "p1", *names, "seg.nii.gz")
    touch(tmp_path / "p2", *names)
    assert gathered(tmp_path) == {"p1": names, "p2": names}
    assert gathered(tmp_path / "p1") == {"p1": names}


def test_the_current_folder_may_be_a_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(touch(tmp_path / "p3", "flair.nii"))
    assert gathered(Path(), ("flair",)) == {"p3": ["flair.nii"]}


@pytest.mark.parametrize(
    ("names", "common"),
    [
        (("A_flair.nii.gz", "A_t1c.nii.gz"), "A"),
        (("x_1.nii", "y_2.nii"), "x_1"),
        (("flair.nii.gz", "t1.nii.gz"), "flair"),
        (("A_flair.nii.gz",), "A_flair"),
        (("a_1.png", "a_2.png"), "a_1"),
    ],
)
def test_files_of_a_scan_have_one_name_together(names: tuple[str, ...], common: str) -> None:
    assert common_name([Path(name) for name in names]) == common


def test_volumes_of_one_scan_may_lie_in_a_folder_for_each_sequence(tmp_path: Path) -> None:
    touch(tmp_path, "flair/A_flair.nii", "t1c/A_t1c.nii", "masks/A_t1.nii")
    assert gathered(tmp_path, ("flair", "post_contrast")) == {"flair/A": ["A_flair.nii", "A_t1c.nii"]}


def test_a_missing_and_a_double_channel_are_one_line_each(tmp_path: Path) -> None:
    touch(tmp_path, "a/A_flair.nii", "a/A_t1ce.nii", "a/A_t2.nii")
    touch(tmp_path, "b/B_flair.nii", "b/B_t1ce.nii", "b/B_t1gd.nii", "b/B_t2.nii", "b/B_t1.nii")
    touch(tmp_path, "c/C_flair.nii", "c/C_t1ce.nii", "c/C_t2.nii", "c/C_t1.nii", "d/C_flair.nii")
    found = gathered(tmp_path)
    assert found["a/A"] == f"{tmp_path / 'a'}: no pre_contrast volume of A (a name that ends in t1 or t1n or t1_bias)"
    assert re.search(r"B_t1ce\.nii and .*B_t1gd\.nii: both are post_contrast of B; keep one", str(found["b/B"]))
    assert re.search(r"c/C_flair\.nii and .*d/C_flair\.nii: both are flair of C", str(found["c/C"]))


def test_a_folder_of_nnunet_says_what_its_channels_are(tmp_path: Path) -> None:
    touch(tmp_path / "set", *(f"imagesTs/P_{number:04d}.nii.gz" for number in range(4)), "imagesTr/Q.nii.gz")
    names = {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}
    (tmp_path / "set" / "dataset.json").write_text(json.dumps({"channel_names": names}))
    found = {scan.name.name: scan for scan in gather_scans(Contents(tmp_path), BRATS)}
    assert [path.name for path in found["P"].images] == [f"P_000{number}.nii.gz" for number in (0, 2, 3, 1)]
    assert ([path.name for path in found["Q"].images], found["Q"].planes) == (["Q.nii.gz"] * 4, (0, 2, 3, 1))
    (lacking, _) = gather_scans(Contents(tmp_path), ("adc",))
    assert "dataset.json: names no adc; it has flair, pre_contrast, post_contrast, t2" in lacking.problem


def test_a_scan_of_nnunet_without_a_truth_is_told_from_one_of_its_name(tmp_path: Path) -> None:
    touch(tmp_path / "set", *(f"images{part}/{name}_0000.nii.gz" for part in ("Tr", "Ts") for name in ("P", part)))
    (tmp_path / "set" / "dataset.json").write_text('{"channel_names": {"0": "FLAIR"}}')
    found = {str(scan.name): scan.images[0].parent.name for scan in gather_scans(Contents(tmp_path), ("flair",))}
    assert found == {"Tr/P": "imagesTr", "Ts/P": "imagesTs", "Tr": "imagesTr", "Ts": "imagesTs"}


@pytest.mark.parametrize(
    ("word", "channel"),
    [("t1c", "post_contrast"), ("T1CE", "post_contrast"), ("T2-FLAIR", "flair"), ("t2w", "t2"), ("seg", ""), ("", "")],
)
def test_a_word_means_a_channel(word: str, channel: str) -> None:
    assert channel_meant(word) == channel
    assert channel_meant("my-map", ("my_map",)) == "my_map"


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        *(("S1_T1_FLAIR", "pre_contrast"), ("S1_T1-FLAIR", "pre_contrast"), ("S1_t1w_flair", "pre_contrast")),
        *(("S1_T2_FLAIR", "flair"), ("S1_t2flair", "flair"), ("S1_T2w_FLAIR", "flair"), ("S1_flair", "flair")),
    ],
)
def test_t1_flair_is_t1(name: str, channel: str) -> None:
    assert sequence_of_volume(Path(f"{name}.nii.gz")) == channel
    assert split_name(Path(f"{name}.nii.gz"))[0] == "S1"


@pytest.mark.parametrize(
    "name",
    [
        *("S1_ce-gadolinium_T1w", "S1_ce-gad_T1w", "S1_postGd_T1", "S1_Gd_T1", "S1_CE_T1w", "S1-T1-CE", "S1_CT1"),
        *("S1_T1_post", "S1_post_T1", "S1_contrast_T1", "S1_T1_GD", "S1_T1w_ce", "S1_T1KM", "S1 T1 post contrast"),
        *("S1_T1post", "S1_T1C+", "S1_T1+C", "S1_post-contrast_T1", "S1_T1_FLAIR_post", "S1_with_contrast_T1"),
    ],
)
def test_a_word_for_the_agent_beside_t1_is_t1_after_contrast(name: str) -> None:
    assert sequence_of_volume(Path(f"{name}.nii.gz")) == "post_contrast"
    assert split_name(Path(f"{name}.nii.gz")).scan == "S1"
    alone = name.removeprefix("S1")[1:]
    assert alone.startswith("ce-") or split_name(Path(f"{alone}.nii.gz")).scan == ""


@pytest.mark.parametrize(
    "name",
    [
        *("S1_pre_T1", "S1_T1_pre", "S1_pre_contrast_T1", "S1_T1_no_contrast", "S1_precontrast_T1w", "S1_nonCE_T1"),
        *("S1_T1_native", "S1_T1", "S1_T1w", "S1_without_contrast_T1"),
    ],
)
def test_a_word_for_no_agent_beside_t1_is_t1_before_contrast(name: str) -> None:
    assert sequence_of_volume(Path(f"{name}.nii.gz")) == "pre_contrast"
    assert split_name(Path(f"{name}.nii.gz")).scan == "S1"


@pytest.mark.parametrize("name", ["S1_ce-none_T1w", "S1_postop_T1", "GD_012_T1", "S1_contrast_T2", "S1_ce-gd_FLAIR"])
def test_what_is_no_agent_beside_t1_stays_in_the_name(name: str) -> None:
    assert split_name(Path(f"{name}.nii.gz")).scan == name.rpartition("_")[0]


def test_the_entity_of_an_agent_is_no_part_of_a_name_of_bids(tmp_path: Path) -> None:
    names = [f"sub-01_{word}.nii.gz" for word in ("FLAIR", "ce-gadolinium_T1w", "T2w", "T1w")]
    touch(tmp_path / "anat", *names)
    assert gathered(tmp_path) == {"anat/sub-01": names}
    assert split_name(Path("sub-01_ses-2_ce-gd_run-1_T1w.nii")) == ("sub-01_ses-2_run-1", "t1c")


def test_visits_before_and_after_surgery_are_no_contrast(tmp_path: Path) -> None:
    words = ["flair", "t1ce", "t2", "t1"]
    touch(tmp_path, *(f"P_{visit}_{word}.nii.gz" for visit in ("pre", "post") for word in words))
    assert gathered(tmp_path) == {
        f"P_{visit}": [f"P_{visit}_{word}.nii.gz" for word in words] for visit in ("pre", "post")
    }
    images = [tmp_path / f"P_post_{word}.nii.gz" for word in words]
    assert common_name(images) == "P_post"


def test_channels_are_given_by_name_in_any_order(tmp_path: Path) -> None:
    touch(tmp_path, "A_1.nii", "A_2.nii")
    scan = name_channels([f"t1c={tmp_path / 'A_2.nii'}", f"flair={tmp_path / 'A_1.nii'}"], ("flair", "post_contrast"))
    assert [path.name for path in scan.images] == ["A_1.nii", "A_2.nii"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["flair=a.nii"], "--channel: post_contrast is not given; this model takes flair, post_contrast"),
        (["flair=a.nii", "t2f=b.nii"], "--channel t2f=b.nii: flair was given before, as a.nii; keep one of them"),
        (["t2=a.nii"], "--channel t2=a.nii: the model takes no t2"),
        (["fliar=a.nii"], "--channel fliar=a.nii: 'fliar' is no channel; did you mean 'flair'"),
        (["a.nii"], "--channel a.nii: expected NAME=FILE"),
        (["flair=a.nii", "t1c="], "--channel t1c=: expected NAME=FILE"),
        (["flair=a.nii", "t1c=b.nii"], "a.nii: no such file"),
    ],
)
def test_what_is_wrong_with_given_channels_is_one_line(given: list[str], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        name_channels(given, ("flair", "post_contrast"))
