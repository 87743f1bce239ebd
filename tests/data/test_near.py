"""Near duplicates: smooth random fields stand for slices, slowly changing ones for neighbouring slices."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from tests.conftest import PairFolder, grey
from tumorline.audit.check import as_json, check, errors
from tumorline.config import DataConfig, SplitConfig
from tumorline.data.dataset import load_dataset
from tumorline.data.near import duplicates
from tumorline.data.splits.split import split_dataset
from tumorline.geometry.symmetry import TRANSFORMS, transformed

Picture = npt.NDArray[np.uint8]


def stack(seed: int, slices: int = 1, size: int = 128) -> list[Picture]:
    """Slices of one random volume within an ellipse: each shares most of its texture with the next."""
    volume = np.random.default_rng(seed).standard_normal((slices + 8, size, size))
    field = gaussian_filter(volume, (1.2, 3, 3))[4 : 4 + slices]
    rows, columns = np.ogrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    head = gaussian_filter(((rows / 0.9) ** 2 + (columns / 0.7) ** 2 <= 1).astype(float), 1.5)
    return [(head * (110 + 35 * plane / field.std())).clip(0, 255).astype(np.uint8) for plane in field]


def copy(picture: Picture, number: int = 0, size: int = 96, quality: int = 80, crop: float = 0.0) -> Picture:
    """A picture cut by `crop` of its side in all, transformed, resized and saved as JPEG."""
    cut = round(len(picture) * crop / 2)
    turned = transformed(picture[cut : len(picture) - cut, cut : len(picture) - cut], number)
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(turned)).resize((size, size)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def thumbnails(pictures: Sequence[Picture]) -> npt.NDArray[np.float32]:
    return duplicates.unpack([duplicates.thumbnail(picture[None].astype(np.float32)) for picture in pictures])


def pairs(pictures: Sequence[Picture]) -> list[tuple[int, int, str]]:
    return [(pair.a, pair.b, pair.transform) for pair in duplicates.near_pairs(thumbnails(pictures))]


def test_the_names_of_the_transforms_are_what_they_say() -> None:
    picture = np.array([[1, 2], [3, 4]])
    turned = {name: transformed(picture, number).tolist() for number, name in enumerate(TRANSFORMS)}
    assert turned["identity"] == [[1, 2], [3, 4]]
    assert turned["rotate90"] == [[2, 4], [1, 3]]  # counter-clockwise: the right column becomes the top row
    assert turned["rotate180"] == [[4, 3], [2, 1]]
    assert turned["rotate270"] == [[3, 1], [4, 2]]
    assert turned["mirror"] == [[2, 1], [4, 3]]
    assert turned["mirror_rotate90"] == [[1, 3], [2, 4]]
    assert turned["mirror_rotate180"] == [[3, 4], [1, 2]]
    assert turned["mirror_rotate270"] == [[4, 2], [3, 1]]


@pytest.mark.parametrize(("number", "name"), list(enumerate(TRANSFORMS)))
def test_the_transform_turns_the_first_picture_into_the_second(number: int, name: str) -> None:
    original = stack(1)[0]
    assert pairs([original, stack(2)[0], copy(original, number)]) == [(0, 2, name)]


@pytest.mark.parametrize("settings", [{"quality": 60}, {"size": 64}, {"size": 300}, {"crop": 0.05}, {"crop": 0.1}])
def test_a_lossy_resized_or_cropped_copy_is_found(settings: dict[str, float]) -> None:
    original = stack(1)[0]
    changed = copy(original, 5, **settings)  # type: ignore[arg-type]
    assert pairs([original, changed]) == [(0, 1, "mirror_rotate90")]


@pytest.mark.parametrize(
    "corner", [(slice(6, None), slice(None)), (slice(None), slice(-6)), (slice(-6), slice(6, None))]
)
def test_a_copy_cut_at_one_edge_or_corner_is_found_and_called_cropped(corner: tuple[slice, slice]) -> None:
    original = stack(1)[0]
    (pair,) = duplicates.near_pairs(thumbnails([original, copy(original[corner], 3)]))
    assert pair.transform == "rotate270"
    assert pair.cut == pytest.approx(6 / 122, abs=0.012)
    assert pair.cropped


def test_a_copy_that_was_not_cut_is_not_called_cropped() -> None:
    original = stack(1)[0]
    (pair,) = duplicates.near_pairs(thumbnails([original, copy(original, 2, size=77)]))
    assert not pair.cropped


def test_a_change_of_brightness_contrast_and_gamma_does_not_hide_a_copy() -> None:
    original = stack(1)[0]
    brighter = (30 + 180 * (copy(original) / 255) ** 0.8).astype(np.uint8)
    darker = (220 * (copy(original) / 255) ** 1.25).astype(np.uint8)
    assert pairs([original, brighter]) == pairs([original, darker]) == [(0, 1, "identity")]


def test_neighbouring_slices_of_one_volume_are_no_pairs() -> None:
    slices = [plane for seed in range(5) for plane in stack(seed, slices=8)]
    flat = [duplicates.detail(thumbnail[None]).ravel() for thumbnail in thumbnails(slices[:2])]
    assert np.corrcoef(flat[0], flat[1])[0, 1] > 0.7  # alike, and yet not the same picture
    assert pairs(slices) == []


def test_a_copy_of_a_slice_is_told_from_the_slices_beside_it() -> None:
    slices = stack(3, slices=8)
    assert pairs([*slices, copy(slices[4], 3)]) == [(4, 8, "rotate270")]


def test_three_versions_of_one_picture_are_three_pairs() -> None:
    original = stack(1)[0]
    found = pairs([original, copy(original, 1), copy(original, 2)])
    assert found == [(0, 1, "rotate90"), (0, 2, "rotate180"), (1, 2, "rotate90")]


def test_more_pictures_than_one_block_are_compared_with_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(duplicates, "PAIRS_AT_ONCE", 2)
    slices = [stack(seed)[0] for seed in range(7)]
    assert pairs([*slices, *(copy(plane, 7) for plane in slices)]) == [(n, n + 7, "mirror_rotate270") for n in range(7)]


def test_two_sets_are_compared_from_the_first_to_the_second() -> None:
    slices = [stack(seed)[0] for seed in range(4)]
    others = [stack(9)[0], copy(slices[2], 1), slices[0]]
    found = duplicates.near_pairs(thumbnails(slices), thumbnails(others))
    assert [(pair.a, pair.b, pair.transform) for pair in found] == [(0, 2, "identity"), (2, 1, "rotate90")]
    assert duplicates.near_pairs(thumbnails(slices), thumbnails([])) == []


def test_one_picture_or_none_has_no_pairs() -> None:
    assert pairs([]) == pairs([stack(1)[0]]) == []


def test_tiny_and_featureless_pictures_do_no_harm() -> None:
    ramp = np.add.outer(np.arange(16), np.arange(16)).astype(np.uint8)
    tiny = [np.random.default_rng(seed).integers(0, 255, (16, 16)).astype(np.uint8) for seed in range(5)]
    found = pairs([*tiny, np.rot90(tiny[2]), ramp, np.eye(1, 7, dtype=np.uint8)])
    assert found == [(2, 5, "rotate90")]
    assert duplicates.thumbnail(np.full((1, 40, 40), 7, np.float32)) == b""


# ---------------------------------------------------------------- in a data set


def add(folder: PairFolder, pictures: dict[str, Picture]) -> Path:
    for name, picture in pictures.items():
        folder.add(name, Image.fromarray(picture), grey(255)(np.eye(len(picture), dtype=np.bool_)))
    return folder.folder


def test_the_check_warns_once_and_the_json_lists_the_pairs(pair_folder: PairFolder) -> None:
    a, b = stack(1)[0], stack(2)[0]
    folder = add(pair_folder, {"a": a, "b": b, "c": copy(a, 1), "d": copy(b, 4), "e": a, "flat": a // 255})
    dataset = load_dataset(folder, DataConfig())
    findings = [finding for finding in check(dataset) if finding.code == "near_duplicate"]
    assert [finding.severity for finding in findings] == ["warning"]
    assert "a.png: looks like c.png after rotate90 (correlation 0.9" in findings[0].message
    assert "2 pairs" in findings[0].message
    listed = as_json(dataset, findings)["pairs"]
    assert [(pair["a"], pair["b"], pair["kind"], pair["transform"]) for pair in listed] == [
        ("a", "e", "exact", "identity"),
        ("a", "c", "near", "rotate90"),
        ("b", "d", "near", "mirror"),
    ]
    assert all(0.94 <= pair["correlation"] <= 1 for pair in listed)
    assert errors(dataset) == []


def test_a_broken_file_does_not_stop_the_search(pair_folder: PairFolder) -> None:
    a = stack(1)[0]
    folder = add(pair_folder, {"a": a, "b": stack(2)[0], "c": copy(a)})
    (folder / "images" / "b.png").write_bytes(b"no picture")
    codes = {finding.code for finding in check(load_dataset(folder, DataConfig()))}
    assert {"unreadable", "near_duplicate"} <= codes


@pytest.mark.parametrize(("by", "severity"), [("file", "error"), ("slice", "warning")])
def test_near_duplicates_on_two_sides_of_a_split_are_named(
    pair_folder: PairFolder, tmp_path: Path, by: str, severity: str
) -> None:
    pictures = {f"s{n}": stack(n)[0] for n in range(6)}
    pictures |= {f"t{n}": copy(pictures[f"s{n}"], 2) for n in range(6)}
    dataset = load_dataset(add(pair_folder, pictures), DataConfig())
    parts = tmp_path / "parts.csv"
    parts.write_text("id,split\n" + "".join(f"{n},{'train' if n[0] == 's' else 'test'}\n" for n in pictures))
    parts.write_text(parts.read_text().replace("s5,train", "s5,validation"))
    settings = SplitConfig(file=str(parts)) if by == "file" else SplitConfig(by="slice")
    findings = check(dataset, split_dataset(dataset, settings))
    crossing = [finding for finding in findings if finding.code == "near_duplicate_crosses"]
    assert [finding.severity for finding in crossing] == [severity]
    if by == "file":
        assert "s0.png: looks like t0.png after rotate180" in crossing[0].message
        assert "they are in test and train; 6 pairs" in crossing[0].message


def test_patients_with_near_duplicates_stay_on_one_side(pair_folder: PairFolder) -> None:
    pictures = {f"s{n}": stack(n)[0] for n in range(12)}
    pictures |= {f"t{n}": copy(pictures[f"s{n}"], n % 8) for n in range(12)}
    dataset = load_dataset(add(pair_folder, pictures), DataConfig())
    split = split_dataset(dataset, SplitConfig())
    assert [split.parts[f"s{n}"] for n in range(12)] == [split.parts[f"t{n}"] for n in range(12)]
    assert [f for f in check(dataset, split) if f.severity == "error"] == []


# ---------------------------------------------------------------- real slices


@pytest.mark.slow
def test_fifty_hidden_copies_among_a_thousand_real_slices_are_found(real_data: Path) -> None:
    random = np.random.default_rng(5)
    files = sorted((real_data / "cheng" / "images").glob("*.jpg"), key=lambda file: int(file.stem))[:1000]
    slices = [np.asarray(Image.open(file).convert("L")) for file in files]
    hidden = random.choice(len(slices), 50, replace=False).tolist()
    numbers = random.integers(0, 8, 50).tolist()
    copies = [copy(slices[place], number, size=256) for place, number in zip(hidden, numbers, strict=True)]
    truth = {(place, 1000 + n, TRANSFORMS[numbers[n]]) for n, place in enumerate(hidden)}
    found = set(pairs([*slices, *copies]))
    assert found <= truth
    assert len(found) >= 49
