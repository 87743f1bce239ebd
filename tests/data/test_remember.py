"""What a decoding pass showed is kept, and forgotten as soon as a file or a setting changes."""

import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from zlib import crc32

import numpy as np
import pytest
from PIL import Image

from tests.conftest import PairFolder
from tests.sources import load, save_volume
from tumorline.config import DataConfig
from tumorline.data import facts as decoding
from tumorline.data.case import Case
from tumorline.data.labels.convention import find_scheme
from tumorline.data.memory import SETTLED_S, remember, stamps
from tumorline.errors import ReadError


@pytest.fixture
def settled(pair_folder: PairFolder) -> Path:
    """A source whose files are a minute old."""
    folder = pair_folder(patients=3)
    for file in folder.rglob("*.png"):
        age(file)
    return folder


def age(file: Path, seconds: float = 60) -> None:
    os.utime(file, (time.time() - seconds,) * 2)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds by which it is later than it is: only the system sets the time at which a file itself was changed."""
    ahead = [60.0]
    now = time.time
    monkeypatch.setattr("tumorline.data.memory.time", SimpleNamespace(time=lambda: now() + ahead[0]))
    return ahead


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The cases that were decoded, one after the other."""
    names: list[str] = []
    examine = decoding._examine

    def counted(case: Case, settings: DataConfig, look: decoding.Look | None) -> decoding.Facts:
        names.append(case.id)
        return examine(case, settings, look)

    monkeypatch.setattr(decoding, "_examine", counted)
    return names


def test_an_unchanged_source_is_decoded_once(settled: Path, decoded: list[str]) -> None:
    first, second = load(settled), load(settled)
    assert len(decoded) == 6
    assert first.facts == second.facts
    assert first.near_pairs == second.near_pairs
    assert load(settled, image_size=64).facts == first.facts
    assert len(decoded) == 6


def test_a_changed_file_or_setting_is_decoded_again(settled: Path, decoded: list[str]) -> None:
    load(settled)
    age(settled / "masks/s000.png", seconds=30)
    load(settled)
    assert len(decoded) == 12
    load(settled, mask_threshold=100)
    assert len(decoded) == 18


def test_files_that_were_only_just_written_are_not_trusted(
    pair_folder: PairFolder, decoded: list[str], clock: list[float]
) -> None:
    folder = pair_folder(patients=3)
    clock[0] = 0
    load(folder)
    load(folder)
    assert len(decoded) == 12
    age(folder / "patients.csv")
    assert stamps([folder / "patients.csv"]) is None, "its content is old, but not the file"
    clock[0] = SETTLED_S + 1
    assert stamps([folder / "patients.csv"]) is not None


def test_a_time_in_the_future_does_not_keep_a_file_from_being_remembered(
    settled: Path, decoded: list[str], clock: list[float]
) -> None:
    age(settled / "images" / "s000.png", -1e6)
    clock[0] = SETTLED_S + 1
    load(settled)
    load(settled)
    assert len(decoded) == 6


def test_what_is_kept_of_one_kind_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tumorline.data.memory.MOST_KEPT", 3)
    (tmp_path / "facts-of-mine.json").write_text("{}")
    for number in range(5):
        remember(tmp_path, "facts", number, lambda: "made", str)
        remember(tmp_path, "facts", 0, lambda: "made", str)
        for place, file in enumerate(sorted(tmp_path.glob("facts-*.json"), key=lambda file: file.stat().st_mtime_ns)):
            os.utime(file, (place, place))
    assert remember(tmp_path, "facts", 0, lambda: "made anew", str) == "made", "it was used last"
    assert remember(tmp_path, "facts", 1, lambda: "made anew", str) == "made anew"
    assert len([*tmp_path.glob("facts-*.json")]) == 4
    assert (tmp_path / "facts-of-mine.json").exists()


def exchange_by_rename(new: Path, old: Path) -> None:
    new.replace(old)


def exchange_in_place(new: Path, old: Path) -> None:
    old.write_bytes(new.read_bytes())


@pytest.mark.parametrize("exchange", [exchange_by_rename, exchange_in_place])
@pytest.mark.parametrize("kind", ["images", "masks"])
def test_a_file_of_the_same_size_and_time_stamp_is_noticed(
    pair_folder: PairFolder, tmp_path: Path, exchange: Callable[[Path, Path], None], kind: str
) -> None:
    """As `cp -p`, rsync and archives leave them: stale facts would hide it."""
    folder = as_bitmaps(pair_folder(patients=3))
    old, new = folder / kind / "s000.bmp", tmp_path / "new.bmp"
    before = load(folder)
    content = bytearray(old.read_bytes())
    content[-16:] = bytes(255 - value for value in content[-16:])
    new.write_bytes(content)
    stamp = old.stat()
    exchange(new, old)
    os.utime(old, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert (old.stat().st_size, old.stat().st_mtime_ns) == (stamp.st_size, stamp.st_mtime_ns)
    changed = [one != two for one, two in zip(before.facts, load(folder).facts, strict=True)]
    assert changed == [True, False, False, False, False, False]


def as_bitmaps(folder: Path) -> Path:
    """The same pictures in files whose size does not depend on what they show."""
    for path in folder.rglob("*.png"):
        with Image.open(path) as image:
            image.save(path.with_suffix(".bmp"))
        path.unlink()
        age(path.with_suffix(".bmp"))
    return folder


DAMAGE: dict[str, Callable[[bytes, str], bytes]] = {
    "cut off": lambda content, name: content[: len(content) // 2],
    "empty": lambda content, name: b"",
    "one bit": lambda content, name: content[:-2] + bytes([content[-2] ^ 1]) + content[-1:],
    "no checksum": lambda content, name: content.partition(b"\n")[2],
    "not text": lambda content, name: b"\x80\xff" * 9,
    "another key": lambda content, name: packed([], "another"),
    "another value": lambda content, name: packed([], name),
    "another version": lambda content, name: packed([{"case_id": "s000", "hash": 3}] * 6, name),
    "wrong kinds": lambda content, name: packed([None, 1, "x", [], {}, 2.5], name),
    "deep": lambda content, name: sealed(b"[" * 100_000, name),
}


def packed(value: object, name: str) -> bytes:
    return sealed(json.dumps(value).encode(), name)


def sealed(content: bytes, name: str) -> bytes:
    """With the checksum that belongs to a file of this name."""
    return b"%08x\n" % crc32(content, crc32(name.encode())) + content


@pytest.mark.parametrize("damage", DAMAGE)
def test_facts_that_are_damaged_or_of_another_version_are_made_again(
    settled: Path, decoded: list[str], damage: str
) -> None:
    first = load(settled)
    pairs = first.near_pairs
    for path in (settled.parent / "cache").iterdir():
        path.write_bytes(DAMAGE[damage](path.read_bytes(), path.stem.partition("-")[2]))
    second = load(settled)
    assert (second.facts, second.near_pairs) == (first.facts, pairs)
    assert len(decoded) == 12
    load(settled)
    assert len(decoded) == 12


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert [remember(tmp_path / "file", "x", "key", lambda: [1], tuple) for _ in range(2)] == [(1,), (1,)]
    (tmp_path / "broken").mkdir()
    assert remember(tmp_path / "broken", "x", "key", lambda: [1], tuple) == (1,)
    assert remember(tmp_path / "broken", "x", "key", lambda: [2], tuple) == (1,)
    (path,) = (tmp_path / "broken").iterdir()
    path.write_text("[1")
    assert remember(tmp_path / "broken", "x", "key", lambda: [2], tuple) == (2,)


def test_what_is_kept_under_the_name_of_another_key_is_not_believed(tmp_path: Path) -> None:
    """As after a cache folder was put together by hand, or by a tool that restores files under wrong names."""
    for key in ("first", "second"):
        assert remember(tmp_path, "facts", key, str.lower.__get__(key), str) == key
    one, other = sorted(tmp_path.iterdir())
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    for key in ("first", "second"):
        assert remember(tmp_path, "facts", key, lambda: "made anew", str) == "made anew"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_the_cache_is_not_waited_for(tmp_path: Path) -> None:
    remember(tmp_path, "facts", "key", lambda: "kept", str)
    (kept,) = tmp_path.iterdir()
    kept.unlink()
    os.mkfifo(kept)
    assert remember(tmp_path, "facts", "key", lambda: "made anew", str) == "made anew"


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), MemoryError()])
def test_a_file_that_could_not_be_read_this_time_is_read_the_next_time(
    settled: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("tumorline.formats.decode.read_raster", fail)
        assert {code for fact in load(settled).facts for code, _ in fact.errors} == {"not_read"}
    assert not any(fact.errors for fact in load(settled).facts)


def test_labels_that_could_not_be_read_this_time_are_read_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = save_volume(tmp_path / "X_seg.nii.gz", [np.full((4, 4), 3, np.uint8)])
    age(truth)
    settings = DataConfig(cache=str(tmp_path / "cache"))

    def enhancing() -> int:
        scheme, _ = find_scheme({truth: ()}, settings)
        return scheme.regions["enhancing_tumour"][0]

    def fail(path: Path) -> None:
        raise ReadError(f"{path}: cannot be read")

    with monkeypatch.context() as patch:
        patch.setattr("tumorline.formats.nifti.read_volume", fail)
        assert enhancing() == 4
    assert enhancing() == 3
