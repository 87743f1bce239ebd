"""One file gives its pixels or one line about it, whatever its bytes are and whatever size it states."""

import errno
import gzip
import io
import logging
import os
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pydicom
import pytest
import tifffile
from PIL import Image, PngImagePlugin
from pydicom import uid
from pydicom.encaps import encapsulate

import tumorline
from tests.conftest import Program, blob, refused_in_one_line
from tests.sources import nib, save, save_dicom, save_mat, save_volume
from tumorline.data.source import open_source
from tumorline.errors import ReadError, UserError
from tumorline.formats import decode, nifti
from tumorline.formats.boundary import MAX_PIXELS, decode_one, log
from tumorline.formats.decode import is_dicom, read_pixels

IMAGE, MASK = blob(32, 1)


def refusal(path: Path) -> str:
    with refused_in_one_line() as caught:
        nifti.read_volume(path) if nifti.is_volume(path) else read_pixels(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def png_of(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG that states a size and holds hardly anything."""
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    parts = (header, *chunks, (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    body = b"".join(struct.pack(">I", len(c)) + name + c + struct.pack(">I", zlib.crc32(name + c)) for name, c in parts)
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("error", [MemoryError, RecursionError, zlib.error, struct.error, UnboundLocalError])
def test_whatever_is_raised_is_one_line_with_its_type(error: type[Exception]) -> None:
    with (
        pytest.raises(
            UserError, match=rf"^a\.png: unreadable or truncated \({error.__name__.split('.')[-1]}: a b\)$"
        ) as caught,
        decode_one(Path("a.png")),
    ):
        raise error("a\nb")
    assert isinstance(caught.value.__cause__, error)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ENOENT, errno.ESTALE])
def test_a_file_that_the_system_does_not_give_is_not_called_damaged(number: int) -> None:
    with (
        pytest.raises(ReadError, match=rf"^a\.png: cannot be read \({os.strerror(number)}\)$"),
        decode_one(Path("a.png"), quote=False),
    ):
        raise OSError(number, os.strerror(number), "a.png")


def test_what_a_damaged_file_makes_the_system_say_is_of_the_file() -> None:
    with (
        pytest.raises(UserError, match=r"^a\.png: unreadable or truncated \(OSError") as told,
        decode_one(Path("a.png")),
    ):
        raise OSError(errno.EINVAL, "Invalid argument")
    assert not isinstance(told.value, ReadError)


def test_what_the_user_presses_goes_through() -> None:
    with pytest.raises(KeyboardInterrupt), decode_one(Path("a.png")):
        raise KeyboardInterrupt


def test_debug_shows_the_traceback(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: Path, _part: str) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(decode, "read_raster", fail)
    at = save(tmp_path / "a.png", IMAGE)
    shown = program("predict", at, "--output", tmp_path / "out")
    assert (shown.status, "Traceback" in shown.err) == (2, False)
    assert "a.png: unreadable or truncated (MemoryError: no room)" in shown.err
    monkeypatch.setattr(log, "handlers", [])
    try:
        assert "Traceback" in program("--debug", "predict", at, "--output", tmp_path / "out2").err
    finally:
        log.setLevel(logging.NOTSET)


@pytest.mark.parametrize("name", ["a.png", "a.dcm", "a.mat", "a.nii", "a.nii.gz", "a"])
def test_only_regular_files_are_opened(tmp_path: Path, name: str) -> None:
    pipe = tmp_path / "pipe" / name
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    assert "a pipe; expected a regular file" in refusal(pipe)
    (tmp_path / "folder" / name).mkdir(parents=True)
    assert "a folder; expected a regular file" in refusal(tmp_path / "folder" / name)
    device = tmp_path / name
    device.symlink_to("/dev/zero")
    assert "a device; expected a regular file" in refusal(device)


def test_a_table_that_names_a_pipe_does_not_wait_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "b.dcm"))
        (tmp_path / "cases.csv").write_text("id,patient,image,mask\nx,1,a,a\ny,2,b.dcm,a\n")
        assert len(open_source(tmp_path / "cases.csv").cases) == 2
        assert "a socket; expected a regular file" in refusal(tmp_path / "b.dcm")


def test_a_larger_file_than_can_be_read_is_not_opened(tmp_path: Path) -> None:
    for name in ("a.mat", "a.dcm", "a.png", "a.nii"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(20 << 30)
        assert "a file of 21,474,836,480 bytes; at most 100,000,000 pixels are read" in refusal(tmp_path / name)


def test_an_empty_file_and_another_format_are_named(tmp_path: Path) -> None:
    for name, content, why in (
        ("zero.png", b"", "an empty file"),
        (
            "eps.png",
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            "not a picture in a format that is read (PNG,",
        ),
        ("pdf.tif", b"%PDF-1.7\n", "not a picture in a format that is read"),
        ("wmf.jpg", b"\xd7\xcd\xc6\x9a\0\0" + bytes(40), "not a picture in a format that is read"),
        ("xpm.bmp", b"/* XPM */\n", "not a picture in a format that is read"),
        ("page.png", b"<html>404", "not a picture in a format that is read"),
        ("x.nrrd", b"NRRD0004\n", "x.nrrd: volumes of this format are not read; save them as NIfTI (.nii.gz)"),
        ("fs.MGZ", b"\x1f\x8b\0\0", "volumes of this format are not read; save them as NIfTI (.nii.gz)"),
        ("pair.hdr", (348).to_bytes(4, "little"), "volumes of this format are not read; save them as NIfTI (.nii.gz)"),
    ):
        (tmp_path / name).write_bytes(content)
        assert why in refusal(tmp_path / name)


def restate(path: Path, **tags: int) -> None:
    """Overwrite the values of a TIFF's tags."""
    with tifffile.TiffFile(path, mode="r+") as file:
        for name, value in tags.items():
            file.pages.first.tags[name].overwrite(value, dtype="I")


def write_tile_bomb(path: Path) -> None:
    tifffile.imwrite(path, IMAGE, tile=(16, 16))
    restate(path, TileWidth=60_000, TileLength=60_000)


def write_strip_bomb(path: Path) -> None:
    """Its one strip inflates to 64 MB; the image has 8 kB."""
    tifffile.imwrite(path, IMAGE.astype(np.float64), compression="zlib")
    end, large = path.stat().st_size, zlib.compress(bytes(64 << 20))
    restate(path, StripOffsets=end, StripByteCounts=len(large))
    with path.open("r+b") as file:
        file.seek(end)
        file.write(large)


def write_rle_bomb(path: Path) -> None:
    save_dicom(path, IMAGE)
    dataset = pydicom.dcmread(path)
    dataset.Rows = dataset.Columns = 65535
    dataset.PixelData = encapsulate([struct.pack("<16I", 2, 64, 66, *[0] * 13) + b"\x81\0\x81\0"])
    dataset.file_meta.TransferSyntaxUID = uid.RLELossless
    dataset.save_as(path)


def write_deflated_bomb(path: Path) -> None:
    save_dicom(path, IMAGE)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    dataset.PixelData = bytes(900 << 20)
    dataset.save_as(path)


def write_jpeg_ls_bomb(path: Path) -> None:
    save_dicom(path, IMAGE)
    dataset = pydicom.dcmread(path)
    frame = b"\xff\xd8\xff\xf7\0\x0b\x10" + struct.pack(">HHB", 60_000, 60_000, 1) + b"\1\x11\0\xff\xda" + bytes(40)
    dataset.PixelData = encapsulate([frame])
    dataset.file_meta.TransferSyntaxUID = uid.JPEGLSLossless
    dataset.save_as(path)


def write_mat_bomb(path: Path) -> None:
    save_mat(path, IMAGE, MASK)
    with h5py.File(path, "r+") as file:
        del file["cjdata/image"]
        file["cjdata"].create_dataset("image", (1 << 16, 1 << 16), np.int16, chunks=(64, 64), compression="gzip")


def write_nifti_bomb(path: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_shape((2000, 2000, 2000))
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4)))


def write_far_offset(path: Path) -> None:
    save_volume(path, [IMAGE])
    content = bytearray(path.read_bytes())
    content[108:112] = struct.pack("<f", 8e9)
    path.write_bytes(bytes(content))


BOMBS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a.png": (lambda path: path.write_bytes(png_of(22_000, 22_000)), "a size of 484000000; at most 100,000,000"),
    "b.png": (lambda path: path.write_bytes(png_of(12_000, 12_000)), "a size of 12000 x 12000; at most 100,000,000"),
    "huge.png": (lambda path: path.write_bytes(png_of(2**31 - 1, 2**31 - 1)), "pixels"),
    "text.png": (lambda path: path.write_bytes(png_of(9, 9, text_bomb())), "unreadable or truncated (ValueError"),
    "tile.tif": (write_tile_bomb, "a size of 60000 x 60000 x 1"),
    "strip.tif": (write_strip_bomb, "inflates to more than its"),
    "rle.dcm": (write_rle_bomb, "a size of 65535 x 65535 x 1 x 1"),
    "jpegls.dcm": (write_jpeg_ls_bomb, "a size of 60000 x 60000 x 1"),
    "a.mat": (write_mat_bomb, "a size of 1 x 65536 x 65536"),
    "a.nii.gz": (write_nifti_bomb, "a size of 2000 x 2000 x 2000"),
    "far.nii": (write_far_offset, "its header promises"),
}


def text_bomb() -> tuple[bytes, bytes]:
    return b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80 << 20))


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_known_before_it_is_decoded(tmp_path: Path, name: str) -> None:
    write, why = BOMBS[name]
    write(tmp_path / name)
    assert why in refusal(tmp_path / name)


@pytest.mark.slow
def test_a_deflated_dicom_file_is_inflated_within_a_bound(tmp_path: Path) -> None:
    write_deflated_bomb(tmp_path / "a.dcm")
    assert "inflates to more than 800,000,000 bytes" in refusal(tmp_path / "a.dcm")


def test_the_limit_can_be_chosen(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = save(tmp_path / "a.png", IMAGE)
    monkeypatch.setenv(MAX_PIXELS, "1000")
    assert "--max-pixels 1024" in refusal(at)
    assert program("--max-pixels", "1024", "predict", at, "--output", tmp_path / "out").status == 0
    monkeypatch.setenv(MAX_PIXELS, "many")
    with pytest.raises(UserError, match="is 'many'; expected a whole number"):
        read_pixels(at)


def write_external_storage(path: Path, other: Path) -> None:
    save_mat(path, IMAGE, MASK)
    with h5py.File(path, "r+") as file:
        del file["cjdata/image"]
        file["cjdata"].create_dataset("image", (4, 4), np.uint8, external=[(str(other), 0, 16)])


def write_external_link(path: Path, other: Path) -> None:
    save_mat(path, IMAGE, MASK)
    save_mat(other, IMAGE, MASK)
    with h5py.File(path, "r+") as file:
        del file["cjdata"]
        file["cjdata"] = h5py.ExternalLink(str(other), "/cjdata")


def write_soft_link(path: Path, _other: Path) -> None:
    save_mat(path, IMAGE, MASK)
    with h5py.File(path, "r+") as file:
        del file["cjdata/image"]
        file["cjdata/image"] = h5py.SoftLink("/cjdata/tumorMask")


def write_virtual(path: Path, other: Path) -> None:
    save_mat(path, IMAGE, MASK)
    save_mat(other, IMAGE, MASK)
    layout = h5py.VirtualLayout((32, 32), np.int16)
    layout[:] = h5py.VirtualSource(str(other), "cjdata/image", (32, 32))
    with h5py.File(path, "r+") as file:
        del file["cjdata/image"]
        file["cjdata"].create_virtual_dataset("image", layout)


@pytest.mark.parametrize("write", [write_external_storage, write_external_link, write_soft_link, write_virtual])
def test_a_mat_file_reads_nothing_but_itself(tmp_path: Path, write: Callable[[Path, Path], None]) -> None:
    (tmp_path / "secret").write_bytes(b"0123456789abcdef")
    write(tmp_path / "1.mat", tmp_path / "secret")
    assert "other files" in refusal(tmp_path / "1.mat") or "links are not followed" in refusal(tmp_path / "1.mat")


def test_one_bad_file_costs_only_itself(program: Program, tmp_path: Path) -> None:
    for number in range(2):
        save(tmp_path / "in" / f"{number}.png", blob(32, number)[0])
    (tmp_path / "in" / "x.pgm").write_bytes(b"P5\n96 9x6\n255\n" + bytes(96 * 96))
    (tmp_path / "in" / "y.png").write_bytes(png_of(22_000, 22_000))
    shown = program("predict", tmp_path / "in", "--output", tmp_path / "out")
    assert shown.status == 2
    assert [line for line in shown.err.splitlines() if "x.pgm" in line or "y.png" in line]
    assert len((tmp_path / "out" / "predictions.csv").read_text().splitlines()) == 5


def test_a_volume_of_damaged_deflate_is_one_line(tmp_path: Path) -> None:
    save_volume(tmp_path / "a.nii.gz", [np.random.default_rng(0).integers(0, 999, (32, 32))] * 4)
    content = bytearray((tmp_path / "a.nii.gz").read_bytes())
    for at in range(len(content) // 2, len(content) // 2 + 40):
        content[at] ^= 0xA5
    (tmp_path / "a.nii.gz").write_bytes(bytes(content))
    assert "unreadable or truncated" in refusal(tmp_path / "a.nii.gz")
    assert refusal(tmp_path / "a.nii.gz") == refusal(tmp_path / "a.nii.gz")


def test_an_affine_that_names_no_direction_is_refused(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((4, 4, 2), np.int16), np.eye(4))
    image.header["srow_x"] = image.header["srow_y"] = 0
    image.header["sform_code"] = 1
    nib.Nifti1Image.to_filename(image, tmp_path / "a.nii")
    content = bytearray((tmp_path / "a.nii").read_bytes())
    content[280:328] = bytes(48)
    (tmp_path / "a.nii").write_bytes(bytes(content))
    assert "its affine gives an axis no direction" in refusal(tmp_path / "a.nii")


def test_an_answer_that_is_not_finite_is_the_files_error(tiny_run: Path, tmp_path: Path) -> None:
    model = tumorline.load(tiny_run)
    broken = type(model)(model.path, model.info, lambda squares: np.full_like(model.runtime(squares), np.nan))
    image = IMAGE[None].astype(np.float32)
    with pytest.raises(UserError, match=r"a\.png: the model's answer is not finite"):
        broken.answer(image, "a.png")
    for ask in (broken.probability, broken.mask, broken.logits):
        with pytest.raises(UserError, match="not finite"):
            ask(image)


def test_a_text_chunk_of_ordinary_size_is_no_bomb(tmp_path: Path) -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "of a scanner " * 1000, zip=True)
    content = io.BytesIO()
    Image.fromarray(IMAGE).save(content, "PNG", pnginfo=notes)
    (tmp_path / "a.png").write_bytes(content.getvalue())
    assert np.array_equal(read_pixels(tmp_path / "a.png"), IMAGE)


def test_a_volume_that_is_packed_otherwise_than_its_name_says_is_named_with_the_cure(tmp_path: Path) -> None:
    save_volume(tmp_path / "a.nii.gz", [np.zeros((4, 4))] * 3)
    save_volume(tmp_path / "b.nii", [np.zeros((4, 4))] * 3)
    (tmp_path / "a.nii.gz").rename(tmp_path / "a.nii")
    (tmp_path / "b.nii").rename(tmp_path / "b.nii.gz")
    assert refusal(tmp_path / "a.nii").endswith("a.nii: is packed with gzip; call it a.nii.gz")
    assert refusal(tmp_path / "b.nii.gz").endswith("b.nii.gz: is not packed with gzip; call it b.nii")


def test_what_nibabel_says_by_itself_is_not_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save_volume(tmp_path / "a.nii", [np.zeros((4, 4))] * 3)
    content = bytearray((tmp_path / "a.nii").read_bytes())
    content[80:84] = np.float32(-3).tobytes()  # the first of pixdim
    (tmp_path / "a.nii").write_bytes(content)
    nifti.read_volume(tmp_path / "a.nii")
    assert capfd.readouterr() == ("", "")


def test_dicom_without_preamble_is_known_by_its_first_elements(tmp_path: Path) -> None:
    save_dicom(tmp_path / "a.dcm", np.arange(16, dtype=np.uint16).reshape(4, 4))
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    expected = read_pixels(tmp_path / "a.dcm")
    del dataset.file_meta
    pydicom.dcmwrite(tmp_path / "IM1", dataset, implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert is_dicom(tmp_path / "IM1")
    assert np.array_equal(read_pixels(tmp_path / "IM1"), expected)
    (tmp_path / "IM2").write_bytes(b"\x08\0\x05\0\x04\0\0\0abcdefgh")
    assert not is_dicom(tmp_path / "IM2")
