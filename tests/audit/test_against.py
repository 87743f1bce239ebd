"""The audit between two sets: small folders with pictures that were copied, turned, mirrored, cropped or left out."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tumorline
from tests import sources
from tests.conftest import PairFolder, Program, grey
from tests.data.test_near import Picture, copy, stack
from tests.data.test_near_volumes import head
from tumorline.arrays import ImageArray
from tumorline.audit.between import Audit, as_json, as_lines, compare_sets, load_pictures
from tumorline.config import DataConfig
from tumorline.data.dataset import load_dataset
from tumorline.errors import UserError
from tumorline.formats.nifti import load_nibabel
from tumorline.geometry.symmetry import TRANSFORMS


def with_masks(folder: Path, pictures: dict[str, Picture]) -> Path:
    """Every case has another mask."""
    for number, (name, picture) in enumerate(pictures.items()):
        mask = np.zeros(picture.shape, np.bool_)
        mask[number : number + 5, sum(map(ord, name)) % 40 :][:, :5] = True
        PairFolder(folder).add(name, Image.fromarray(picture), grey(255)(mask))
    return folder


def without_masks(folder: Path, pictures: dict[str, Picture], suffix: str = "png") -> Path:
    folder.mkdir()
    for name, picture in pictures.items():
        Image.fromarray(picture).save(folder / f"{name}.{suffix}")
    return folder


def audit(a: Path, b: Path) -> Audit:
    return compare_sets(*(load_pictures(path, DataConfig()) for path in (a, b)))


def found(result: Audit) -> list[tuple[str, str, str, str]]:
    return [(pair.a.id, pair.b.id, pair.kind, pair.transform) for pair in result.pairs]


def test_each_side_is_read_by_its_own_settings(tmp_path: Path, program: Program) -> None:
    a = with_masks(tmp_path / "a", {"1": stack(0)[0], "2": stack(1)[0]})
    b = without_masks(tmp_path / "b", {"1": stack(5)[0], "x": stack(0)[0]})
    assert program("data", "check", a, "--against", b).status == 2
    assert program("data", "check", f"{a},leave_out=1", "--against", b).status == 0
    assert program("data", "check", a, "--against", f"{b},leave_out=x").status == 0
    assert [finding.code for finding in tumorline.check(f"{a},leave_out=1", against=b)] == []
    assert "no case 'y' here" in program("data", "check", a, "--against", f"{b},leave_out=y").err


def test_each_kind_is_named_and_counted(tmp_path: Path) -> None:
    slices = {f"s{n}": stack(n)[0] for n in range(6)}
    others = {"same": slices["s0"], "jpeg": copy(slices["s1"]), "turned": copy(slices["s2"], 1, size=64)}
    others |= {"mirrored": copy(slices["s3"], 5), "cut": copy(slices["s4"], crop=0.08), "new": stack(9)[0]}
    result = audit(with_masks(tmp_path / "a", slices), with_masks(tmp_path / "b", others))
    assert found(result) == [
        ("s0", "same", "exact", "identity"),
        ("s1", "jpeg", "near", "identity"),
        ("s2", "turned", "near", "rotate90"),
        ("s3", "mirrored", "near", "mirror_rotate90"),
        ("s4", "cut", "near", "identity"),
    ]
    assert result.counts == {"exact image": 1, "exact mask": 0, "near": 4, "turned": 1, "mirrored": 1, "cropped": 1}
    assert [(f.code, f.severity) for f in result.findings] == [("overlap", "error")]
    assert f"{tmp_path / 'b'}: holds 5 cases of {tmp_path / 'a'}, as 5 cases there" in result.findings[0].message
    listed = as_json(result)["pairs"][2]
    assert listed["correlation"] is not None
    assert listed["correlation"] > 0.94
    rest = {key: value for key, value in listed.items() if key != "correlation"}
    assert rest == {"a": "s2", "b": "turned", "kind": "near", "transform": "rotate90", "cropped": False, "slice": ""}


def test_sets_without_masks_and_of_other_formats_are_compared(tmp_path: Path) -> None:
    a = without_masks(tmp_path / "a", {"x": stack(1)[0], "y": stack(2)[0]})
    b = without_masks(tmp_path / "b", {"z": copy(stack(2)[0], 4, size=200)}, "jpg")
    assert found(audit(a, b)) == [("y", "z", "near", "mirror")]
    masked = with_masks(tmp_path / "c", {"s": stack(1)[0]})
    assert found(audit(a, masked)) == [("x", "s", "exact", "identity")]
    assert found(audit(masked, b)) == []
    assert "nothing is in both" in as_lines(audit(masked, b))


def test_equal_masks_of_other_pictures_are_a_warning(tmp_path: Path) -> None:
    mask = grey(255)(np.eye(128, dtype=np.bool_))
    for name, seed in (("a", 1), ("b", 2)):
        PairFolder(tmp_path / name).add("s", Image.fromarray(stack(seed)[0]), mask)
    result = audit(tmp_path / "a", tmp_path / "b")
    assert found(result) == [("s", "s", "mask", "identity")]
    assert [(f.code, f.severity) for f in result.findings] == [("same_mask", "warning")]
    assert as_json(result)["pairs"][0]["correlation"] is None


def test_constant_pictures_and_empty_masks_are_no_duplicates(tmp_path: Path) -> None:
    blank = np.zeros((20, 20), np.uint8)
    for name in "ab":
        PairFolder(tmp_path / name).add("s", Image.fromarray(blank), grey(255)(blank > 0))
    assert found(audit(tmp_path / "a", tmp_path / "b")) == []


def test_cases_whose_first_channel_is_blank_are_found_by_the_others(tmp_path: Path) -> None:
    settings = DataConfig(channels=("t2", "post_contrast"))  # sources.brats shows something after contrast alone
    first, second = (load_dataset(sources.brats(tmp_path / name, 1), settings) for name in "ab")
    assert [pair.kind for pair in compare_sets(first, second).pairs if pair.kind != "mask"] == ["exact"]


def test_a_set_against_itself_is_one_line(tmp_path: Path) -> None:
    folder = with_masks(tmp_path / "a", {"s": stack(1)[0], "t": stack(2)[0]})
    result = audit(folder, tmp_path / "a" / ".." / "a")
    assert result.pairs == ()
    assert "\n".join(as_lines(result)).count("every case is its own duplicate") == 1
    assert [finding.code for finding in result.findings] == ["same_source"]


def test_patients_of_the_same_name_are_counted(tmp_path: Path) -> None:
    a = PairFolder(tmp_path / "a")(patients=3, slices=1)
    b = PairFolder(tmp_path / "b")(patients=2, slices=1)
    result = audit(a, b)
    assert result.patients == 2
    assert ("same_patients", "warning") in {(f.code, f.severity) for f in result.findings}


def test_a_picture_that_cannot_be_read_is_an_error_and_a_bad_mask_is_none(tmp_path: Path) -> None:
    a = with_masks(tmp_path / "a", {"s": stack(1)[0]})
    Image.fromarray(stack(3)[0]).save(a / "masks" / "s.png")
    b = without_masks(tmp_path / "b", {"s": stack(1)[0], "t": stack(2)[0]})
    (b / "t.png").write_bytes((b / "t.png").read_bytes()[:500])
    result = audit(a, b)
    assert [finding.code for finding in result.findings] == ["unreadable", "overlap"]
    assert str(b / "t.png") in result.findings[0].message


def test_a_missing_or_empty_folder_is_an_error_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        load_pictures(tmp_path / "nowhere", DataConfig())
    with pytest.raises(UserError, match="layout not recognised"):
        load_pictures(tmp_path, DataConfig())


def test_the_command_exits_2_on_overlap_and_prints_table_or_json(program: Program, tmp_path: Path) -> None:
    a = without_masks(tmp_path / "a", {"x": stack(1)[0]})
    b = without_masks(tmp_path / "b", {"y": np.ascontiguousarray(np.rot90(stack(1)[0]))})
    shown = program("data", "check", a, "--against", b)
    assert shown.status == 2
    assert "x = y: near, rotate90 (correlation 1.000)" in shown.out
    listed = json.loads(program("data", "check", a, "--against", b, "--json").out)
    assert [listed["pairs"][0][key] for key in ("a", "b", "kind", "transform")] == ["x", "y", "near", "rotate90"]
    assert listed["against"]["layout"] == "pictures only"


# ---------------------------------------------------------------- real slices


def cut_copy(picture: Picture, number: int, random: np.random.Generator) -> Picture:
    """Turned or mirrored, 5 % of the side cut from one edge or from all in all, 256 x 256, JPEG 80."""
    side = len(picture)
    shares = 0.05 * np.eye(4)[random.integers(4)] if random.random() < 0.5 else random.dirichlet(np.ones(4)) * 0.05
    top, bottom, left, right = (shares * side).round().astype(int)
    return copy(picture[top : side - bottom, left : side - right], number, size=256)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_fifty_cut_copies_hidden_among_a_thousand_others_are_found(real_data: Path, tmp_path: Path, seed: int) -> None:
    """Other slices of the same patients are among the thousand."""
    random = np.random.default_rng(seed)
    files = sorted((real_data / "cheng" / "images").glob("*.jpg"), key=lambda file: int(file.stem))
    start = int(random.integers(0, len(files) - 1050))
    block = [files[start + place] for place in random.permutation(1050).tolist()]
    numbers = random.integers(0, 8, 50).tolist()
    for name, chosen in (("a", block[:50]), ("b", block[50:])):
        (tmp_path / name).mkdir()
        for file in chosen:
            (tmp_path / name / file.name).symlink_to(file.resolve())
    for file, number in zip(block[:50], numbers, strict=True):
        picture = np.asarray(Image.open(file).convert("L"))
        Image.fromarray(cut_copy(picture, number, random)).save(tmp_path / "b" / f"copy{file.stem}.png")
    truth = {
        (file.stem, f"copy{file.stem}", "near", TRANSFORMS[n]) for file, n in zip(block[:50], numbers, strict=True)
    }
    named = set(found(audit(tmp_path / "a", tmp_path / "b")))
    assert named <= truth
    assert len(named) >= 48


def test_pictures_that_are_slices_of_a_volume_are_found_from_either_side(tmp_path: Path) -> None:
    volumes = {seed: head(seed) for seed in (0, 1, 2)}  # (D, H, W)
    for seed in (0, 1):
        write_scan(tmp_path / "scans" / f"BraTS-GLI-0000{seed}-000", volumes[seed])
    shown = {"axial": volumes[0][20], "turned": np.rot90(volumes[1][16]), "foreign": volumes[2][20]}
    shown["coronal"] = volumes[1][::-1, 25]
    pictures = without_masks(tmp_path / "b", {name: eight_bit(plane) for name, plane in shown.items()})
    forth = audit(tmp_path / "scans", pictures)
    assert [(p.a.id[-5:], p.b.id, p.slice, p.transform) for p in sorted(forth.pairs, key=lambda pair: pair.b.id)] == [
        ("0-000", "axial", "axial slice 20", "identity"),
        ("1-000", "coronal", "coronal slice 25", "identity"),
        ("1-000", "turned", "axial slice 16", "rotate90"),
    ]
    assert "holds 2 cases of" in forth.findings[0].message
    assert any("(axial slice 20): near" in line for line in as_lines(forth))
    back = {pair.a.id: pair for pair in audit(pictures, tmp_path / "scans").pairs}
    assert back["turned"].transform == "rotate270"
    assert set(back) == {"axial", "turned", "coronal"}


def eight_bit(plane: Picture) -> Picture:
    return np.asarray(np.clip(plane / 1200, 0, 1) * 255, np.uint8)


def write_scan(folder: Path, volume: ImageArray) -> None:
    """A scan of one sequence and an empty segmentation, as BraTS names them; x from left to right, y to the front."""
    folder.mkdir(parents=True)
    data = volume[:, ::-1, ::-1].transpose(2, 1, 0)
    nib = load_nibabel()
    for name, values in (("t1c", data), ("seg", np.zeros(data.shape, np.uint8))):
        nib.Nifti1Image(values, np.eye(4)).to_filename(folder / f"{folder.name}-{name}.nii.gz")
