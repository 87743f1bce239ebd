"""What is read of a file is what a viewer shows, in every encoding; what shows nothing is said to be blank."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import tifffile
from PIL import Image

import tumorline
from tests.conftest import Program, blob, refused_in_one_line
from tests.sources import Array, nib, save, save_dicom
from tumorline.config import DataConfig
from tumorline.data.case import Case, read_image
from tumorline.data.dataset import load_dataset
from tumorline.data.masks.read import NotBinaryError, read_mask, split_labels
from tumorline.errors import UserError
from tumorline.formats.nifti import read_volume
from tumorline.network_input import fit
from tumorline.regions import Labels

SLICE = Path(__file__).parents[1] / "golden" / "builtin" / "slice.png"
"""In which the model that comes with the program draws a tumour, unlike in noise with a disc."""
IMAGE, MASK = blob(32, 1)
WIDE = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
"""No turn or mirroring of it is itself."""


def grey(path: Path) -> np.ndarray:
    return np.asarray(read_image(Case("x", (path,)))[0])


DEEP = WIDE.astype(np.uint16) * 3 + 300
"""Levels of which the upper byte holds next to nothing."""


def save_deep_png(path: Path, pixels: np.ndarray, colour_type: int, orientation: int = 1) -> Path:
    """As `(H, W, C)` of 16 bit, which Pillow does not write."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    exif = Image.Exif()
    exif[0x0112] = orientation
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"eXIf", exif.tobytes()[6:]), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    whole = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(whole))
    return path


def test_colours_of_16_bit_keep_all_of_them(tmp_path: Path) -> None:
    opaque = np.full_like(DEEP, 65535)
    three = np.stack([DEEP] * 3, axis=-1)
    files = [
        save_deep_png(tmp_path / "rgb.png", three, 2),
        save_deep_png(tmp_path / "la.png", np.stack([DEEP, opaque], -1), 4),
        save_deep_png(tmp_path / "rgba.png", np.dstack([three, opaque]), 6),
        tmp_path / "a.ppm",
        tmp_path / "rgb.tif",
        tmp_path / "rgba.tif",
        tmp_path / "packed.tif",
    ]
    files[3].write_bytes(b"P6\n6 4\n1023\n" + three.astype(">u2").tobytes())
    tifffile.imwrite(files[4], three, photometric="rgb")
    tifffile.imwrite(files[5], np.dstack([three, opaque]), photometric="rgb", extrasamples=["unassalpha"])
    tifffile.imwrite(files[6], three, photometric="rgb", compression="zlib", predictor=True, byteorder=">")
    for path in files:
        assert np.array_equal(grey(path), DEEP), path.name
    turned = save_deep_png(tmp_path / "turned.png", np.rot90(three), 2, orientation=6)
    assert np.array_equal(grey(turned), DEEP)
    cut = save_deep_png(tmp_path / "cut.png", three, 2)
    cut.write_bytes(cut.read_bytes()[:120])
    with pytest.raises(UserError, match=r"cut\.png: unreadable or truncated"):
        grey(cut)


def test_a_mask_in_colours_of_16_bit_is_read(tmp_path: Path) -> None:
    mask = np.stack([MASK * np.uint16(1)] * 3, axis=-1)
    assert np.array_equal(read_mask(save_deep_png(tmp_path / "m.png", mask, 2)), MASK)


def test_signed_bytes_are_read_as_signed(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", (WIDE.astype(int) - 128).astype(np.int8))
    assert np.array_equal(grey(tmp_path / "a.tif"), WIDE.astype(int) - 128)


@pytest.mark.parametrize("background", [0, 255])
def test_what_is_transparent_and_of_one_colour_is_dark(tmp_path: Path, background: int) -> None:
    opaque = np.where(IMAGE > 60, np.uint8(255), np.uint8(0))
    shown = np.where(opaque > 0, IMAGE, np.uint8(background))
    for name, channels in (("la.png", [shown, opaque]), ("rgba.png", [shown] * 3 + [opaque])):
        path = save(tmp_path / name, np.stack(channels, -1))
        assert np.array_equal(grey(path), np.where(opaque > 0, IMAGE, 0))
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.stack([shown * np.uint16(257)] * 3 + [opaque * np.uint16(257)], -1),
        photometric="rgb",
        extrasamples=["unassalpha"],
    )
    assert np.array_equal(grey(tmp_path / "a.tif"), np.where(opaque > 0, IMAGE * np.float32(257), 0))
    palette = Image.fromarray(shown).convert("P")
    palette.save(tmp_path / "p.png", transparency=background)
    assert np.array_equal(grey(tmp_path / "p.png"), np.where(shown == background, 0, shown))


def test_a_picture_beneath_what_is_transparent_is_read(tmp_path: Path) -> None:
    for opaque in (np.zeros_like(IMAGE), MASK * np.uint8(255)):
        path = save(tmp_path / "a.png", np.stack([IMAGE, IMAGE, IMAGE, opaque], -1))
        assert np.array_equal(grey(path), IMAGE)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "f64.tif"])
def test_an_image_is_turned_as_its_orientation_says(tmp_path: Path, name: str, orientation: int) -> None:
    """Stored is what the turn brings back."""
    stored = {
        1: WIDE,
        2: WIDE[:, ::-1],
        3: WIDE[::-1, ::-1],
        4: WIDE[::-1],
        5: WIDE.T,
        6: np.rot90(WIDE),
        7: WIDE[::-1, ::-1].T,
        8: np.rot90(WIDE, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    if name == "f64.tif":
        tifffile.imwrite(tmp_path / name, stored.astype(float), extratags=[(274, 3, 1, orientation, True)])
    else:
        lossless = {"lossless": True} if name == "a.webp" else {"quality": 100} if name == "a.jpg" else {}
        Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / name, exif=exif, **lossless)
    assert np.allclose(grey(tmp_path / name), WIDE, atol=12 if name == "a.jpg" else 0.01)


def save_pages(path: Path, thumbnail: int, dtype: str) -> None:
    """A TIFF whose second page is of a quarter of the size; `thumbnail` is its NewSubfileType."""
    with tifffile.TiffWriter(path) as file:
        file.write(WIDE.astype(dtype))
        file.write(WIDE[::2, ::2].astype(dtype), subfiletype=thumbnail)


@pytest.mark.parametrize("name", ["a.jpg", "a.mpo.jpg"])
def test_of_a_jpeg_with_further_images_behind_it_the_first_is_read(tmp_path: Path, name: str) -> None:
    further = [Image.fromarray(WIDE[::-1]), Image.fromarray(WIDE[::2, ::2])] if "mpo" in name else []
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(WIDE))).save(
        tmp_path / name, "MPO", save_all=True, append_images=further, exif=exif, quality=100
    )
    assert np.allclose(grey(tmp_path / name), WIDE, atol=12)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_a_thumbnail_behind_a_tiff_is_no_second_page(tmp_path: Path, dtype: str) -> None:
    save_pages(tmp_path / "a.tif", 1, dtype)
    assert np.array_equal(grey(tmp_path / "a.tif"), WIDE)
    save_pages(tmp_path / "b.tif", 0, dtype)
    with pytest.raises(UserError, match="frames, one is expected"):
        grey(tmp_path / "b.tif")


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
def test_of_an_animation_one_frame_is_read_and_several_are_refused(tmp_path: Path, name: str) -> None:
    picture = Image.fromarray(WIDE)
    picture.save(tmp_path / name, save_all=True, lossless=True)
    assert np.array_equal(grey(tmp_path / name), WIDE)
    picture.save(tmp_path / name, save_all=True, append_images=[Image.fromarray(WIDE[::-1])], lossless=True)
    with pytest.raises(UserError, match="holds 2 frames, one is expected"):
        grey(tmp_path / name)


@pytest.mark.parametrize("options", [{"progressive": True}, {"mode": "CMYK"}, {"mode": "RGB"}])
def test_a_jpeg_of_any_kind_shows_what_viewers_show(tmp_path: Path, options: dict[str, Any]) -> None:
    kind = options.pop("mode", "L")
    Image.fromarray(WIDE).convert("RGB").convert(kind).save(tmp_path / "a.jpg", quality=100, subsampling=0, **options)
    assert np.allclose(grey(tmp_path / "a.jpg"), WIDE, atol=12)


def test_a_mask_is_turned_as_its_own_orientation_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(MASK).astype(np.uint8) * 255).save(tmp_path / "m.png", exif=exif)
    assert np.array_equal(read_mask(tmp_path / "m.png"), MASK)


def test_an_exif_block_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    Image.fromarray(WIDE).save(tmp_path / "a.png", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert np.array_equal(grey(tmp_path / "a.png"), WIDE)


@pytest.mark.parametrize("dtype", ["u1", "u2", ">u2", "u4", "u8", "f2", "f4", "f8"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_white_is_zero_is_shown_light_where_it_is_light(tmp_path: Path, dtype: str, compression: str | None) -> None:
    high = np.iinfo(dtype).max if dtype[-2] == "u" else 69
    values = WIDE.astype(np.float64)
    turned = (high - WIDE.astype(np.uint64)) if dtype[-2] == "u" else high - values
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.asarray(turned).astype(dtype),
        photometric="miniswhite",
        compression=compression,
        byteorder=">" if dtype[0] == ">" else "<",
    )
    read = grey(tmp_path / "a.tif")
    assert np.allclose(read - read.min(), WIDE - WIDE.min(), atol=0.1)


def test_numbers_of_every_kind_are_read(tmp_path: Path) -> None:
    for dtype in ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"):
        values = (WIDE // 2).astype(dtype)
        tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
        assert np.array_equal(grey(tmp_path / "a.tif"), WIDE // 2), dtype
    for planes in ("contig", "separate"):
        colours = np.stack([WIDE / 250] * 3, -1 if planes == "contig" else 0).astype(np.float32)
        tifffile.imwrite(tmp_path / "c.tif", colours, photometric="rgb", planarconfig=planes)
        assert np.allclose(grey(tmp_path / "c.tif"), WIDE / 250)
    colours = np.stack([WIDE * 1.0, WIDE * 2.0, WIDE * 0.0], -1)
    tifffile.imwrite(tmp_path / "l.tif", colours, photometric="rgb")
    assert np.allclose(grey(tmp_path / "l.tif"), (0.299 + 2 * 0.587) * WIDE, atol=1e-3)
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((2, 4, 6)), photometric="minisblack")
    with pytest.raises(UserError, match="holds several frames"):
        grey(tmp_path / "s.tif")


@pytest.mark.parametrize("suffix", [".jfif", ".jp2", ".tga"])
def test_images_of_further_suffixes_are_images_of_a_folder(tiny_run: Path, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(IMAGE).save(tmp_path / "in" / f"a{suffix}", format="JPEG" if suffix == ".jfif" else None)
    (row,) = tumorline.predict(tmp_path / "in", tiny_run, tmp_path / "out")
    assert row["error"] is None
    assert np.allclose(grey(tmp_path / "in" / f"a{suffix}"), IMAGE, atol=60)


def test_gaps_are_as_dark_as_the_darkest_of_the_others(tmp_path: Path) -> None:
    values = IMAGE.astype(np.float32) + 1000
    values[0, :3] = np.nan, np.inf, -np.inf
    Image.fromarray(values).save(tmp_path / "a.tif")
    read = grey(tmp_path / "a.tif")
    assert read[0, :3].tolist() == [values[np.isfinite(values)].min()] * 3
    assert np.array_equal(read[1:], values[1:])


def test_arrays_with_gaps_are_answered_as_files_with_gaps() -> None:
    model = tumorline.load("builtin")
    image = np.asarray(Image.open(SLICE), np.float32)[None]
    whole, gaps = image.copy(), image.copy()
    gaps[0, :2] = np.nan
    gaps[0, -1, -1] = np.inf
    whole[0, :2] = whole[0, -1, -1] = np.nanmin(gaps)
    assert np.array_equal(model.mask(gaps), model.mask(whole))
    assert model.mask(gaps).sum() > 100


@pytest.mark.parametrize("factor", [1e-9, 1e30])
def test_unusual_ranges_are_seen_as_usual_ones(factor: float) -> None:
    image = IMAGE[None].astype(np.float32)
    usual, scaled = (fit.to_network(i.astype(np.float32), 32)[0] for i in (image, image * factor))
    assert np.allclose(usual, scaled, atol=1e-4)


def noise(size: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, (size, size), np.uint8)


BLANK: dict[str, Array] = {
    "black": np.zeros((48, 48), np.uint8),
    "white": np.full((48, 48), 255, np.uint8),
    "pixel": np.array([[7]], np.uint8),
    "deep": np.full((48, 40), 3000, np.uint16),
    "noise floor": noise(),
    "hot pixels": np.where(np.arange(48 * 48).reshape(48, 48) % 271 == 0, 255, 0).astype(np.uint8),
    "nearly white": 255 - noise(),
    "all gaps": np.full((40, 40), np.nan, np.float32),
}


def test_blank_images_have_an_empty_mask_no_confidence_and_a_note(program: Program, tmp_path: Path) -> None:
    for name, pixels in BLANK.items():
        save(tmp_path / "in" / f"{name}.tif", pixels)
    save_dicom(tmp_path / "in" / "slice.dcm", np.zeros((32, 32)))
    rows = tumorline.predict(tmp_path / "in", output=tmp_path / "out")
    assert len(rows) == len(BLANK) + 1
    for row in rows:
        assert (row["error"], row["tumour_px"], row["confidence"]) == (None, 0, None), row
        assert row["note"].startswith("blank")
        assert not np.asarray(Image.open(row["mask"])).any()
    assert "blank: the image shows nothing" in (tmp_path / "out" / "predictions.csv").read_text()


@pytest.mark.parametrize("size", [24, 32, 64, 96])
def test_an_image_that_shows_something_is_not_blank(size: int) -> None:
    for seed in range(5):
        image = blob(size, seed)[0][None].astype(np.float32)
        for shown in (image, image / 1e4, 255 - image, image.round(-1)):
            assert not fit.is_blank(shown, *fit.to_network(shown, 64))


def test_real_heads_are_not_blank(real_data: Path) -> None:
    for name in ("healthy", "dicom"):
        for path in sorted((real_data / name).iterdir())[::8]:
            image = read_image(Case("x", (path,)))
            assert not fit.is_blank(image, *fit.to_network(image, 192)), path.name


def test_evaluate_takes_blank_images_as_predict_does(tiny_run: Path, tmp_path: Path) -> None:
    for number, pixels in enumerate([np.zeros((32, 32), np.uint8), noise(32)]):
        save(tmp_path / "in" / f"{number}.png", pixels)
    free = ["data.tumour_free=true"]
    summary = tumorline.evaluate(tiny_run, tmp_path / "in", output=tmp_path / "out", overrides=free)
    assert summary["regions"]["tumour"]["invented"] == 0


def test_padding_and_unused_bits_do_not_set_the_window(tmp_path: Path) -> None:
    pixels = IMAGE.astype(np.int16) * 10 + 100
    padded = pixels.copy()
    padded[:8] = -32000
    signed: dict[str, Any] = {"PixelRepresentation": 1, "PixelPaddingValue": -32000}
    read = grey(save_dicom(tmp_path / "a.dcm", padded.view(np.uint16), **signed))
    assert np.array_equal(read[8:], pixels[8:])
    assert (read[:8] == pixels[8:].min()).all()
    inverted: dict[str, Any] = {
        "PhotometricInterpretation": "MONOCHROME1",
        "PixelPaddingValue": 65535,
        "PixelPaddingRangeLimit": 60000,
    }
    padded = np.where(np.arange(32)[:, None] < 8, 61000, pixels)
    read = grey(save_dicom(tmp_path / "b.dcm", padded, **inverted))
    assert (read[:8] == read[8:].min()).all()
    bits: dict[str, Any] = {"BitsStored": 12, "HighBit": 11}
    read = grey(save_dicom(tmp_path / "c.dcm", pixels | np.where(np.arange(32)[:, None] < 6, 0xF000, 0), **bits))
    assert np.array_equal(read, pixels)


def test_a_mask_keeps_what_an_image_would_lose_as_padding(tmp_path: Path) -> None:
    assert np.array_equal(read_mask(save_dicom(tmp_path / "m.dcm", MASK, PixelPaddingValue=0)), MASK)


def test_dicom_files_of_further_kinds_are_read(tmp_path: Path) -> None:
    pixels = IMAGE.astype(np.uint16)
    whole = save_dicom(tmp_path / "a.dcm", pixels, RescaleSlope="", RescaleIntercept="", NumberOfFrames="1")
    assert np.array_equal(grey(whole), pixels)
    (tmp_path / "b").write_bytes(whole.read_bytes()[132:])
    assert np.array_equal(grey(tmp_path / "b"), pixels)
    assert np.array_equal(grey(save_dicom(tmp_path / "c.dcm", pixels, RescaleSlope=2)), 2 * pixels)
    table = np.arange(256, dtype=np.uint16)[::-1] * 256
    palette: dict[str, Any] = {
        f"{colour}PaletteColorLookupTableData": table.tobytes() for colour in ("Red", "Green", "Blue")
    }
    palette |= {f"{colour}PaletteColorLookupTableDescriptor": [256, 0, 16] for colour in ("Red", "Green", "Blue")}
    coloured = save_dicom(tmp_path / "d.dcm", pixels, PhotometricInterpretation="PALETTE COLOR", **palette)
    assert np.array_equal(grey(coloured), (255 - pixels.astype(int)) * 256)


@pytest.mark.parametrize(
    ("name", "why"),
    [("JPEG-lossy", "JPEG of 12 bit is not read"), ("SC_rgb_jpeg_lossy_gdcm", "accepted are MONOCHROME1")],
)
def test_what_is_not_read_says_why(name: str, why: str) -> None:
    path = Path(str(pydicom.data.get_testdata_file(f"{name}.dcm", download=False)))
    if not path.is_file():
        pytest.skip("this pydicom has no such file")
    with pytest.raises(UserError, match=why):
        grey(path)


def test_jpeg_ls_is_read() -> None:
    files = [
        Path(str(pydicom.data.get_testdata_file(name, download=False)))
        for name in ("MR_small.dcm", "MR_small_jpeg_ls_lossless.dcm")
    ]
    plain, packed = map(grey, files)
    assert np.array_equal(plain, packed)


def rgba(colour: tuple[int, int, int], elsewhere: tuple[int, int, int]) -> np.ndarray:
    pixels = np.zeros((*MASK.shape, 4), np.uint8)
    pixels[...] = (*elsewhere, 0)
    pixels[MASK] = (*colour, 255)
    return pixels


@pytest.mark.parametrize("colours", [((0, 0, 0), (0, 0, 0)), ((255, 0, 0), (0, 0, 0)), ((0, 0, 0), (255, 255, 255))])
def test_a_mask_that_lies_in_alpha_is_read(tmp_path: Path, colours: tuple[tuple[int, int, int], ...]) -> None:
    assert np.array_equal(read_mask(save(tmp_path / "m.png", rgba(colours[0], colours[1]))), MASK)
    both = np.stack([np.zeros_like(IMAGE), MASK * np.uint8(255)], -1)
    Image.fromarray(both, "LA").save(tmp_path / "la.png")
    assert np.array_equal(read_mask(tmp_path / "la.png"), MASK)


def test_a_transparent_palette_is_a_mask_too(tmp_path: Path) -> None:
    image = Image.fromarray(MASK.astype(np.uint8), mode="P")
    image.putpalette([0, 0, 0, 0, 0, 0])
    image.save(tmp_path / "m.png", transparency=0)
    assert np.array_equal(read_mask(tmp_path / "m.png"), MASK)


def test_numbers_of_masks_are_rounded_and_others_shown(tmp_path: Path) -> None:
    for values in ((0.0, 0.9999), (0.0, 1 / 255), (0.001, 0.996, 1.0)):
        tifffile.imwrite(tmp_path / "m.tif", np.resize(np.array(values), (6, 9)), photometric="minisblack")
        read = read_mask(tmp_path / "m.tif")
        assert (int(read.sum()), read[0, 0]) in {(27, True), (27, False), (36, False)}
    for values, shown in (
        ((-1, 0), "{-1, 0}"),
        ((0.0, 3.9), None),
        ((0.0, 0.3, 1.0), "{0, 0.3, 1}"),
        ((0.0, 3.9, 3.9999998), "3.9999998"),
    ):
        tifffile.imwrite(tmp_path / "m.tif", np.resize(np.array(values), (6, 9)), photometric="minisblack")
        if shown:
            with pytest.raises(NotBinaryError) as caught:
                read_mask(tmp_path / "m.tif")
            assert shown in str(caught.value)
    tifffile.imwrite(tmp_path / "m.tif", np.array([[0, 1, np.nan]]), photometric="minisblack")
    for threshold in (None, 0.5):
        with pytest.raises(NotBinaryError, match="no numbers"):
            read_mask(tmp_path / "m.tif", threshold)


def test_labels_of_a_volume_are_rounded_within_a_hundredth(tmp_path: Path) -> None:
    labels = Labels(((1, 4),), (0, 1, 2, 4))
    for value, read in ((3.9999998, True), (4.009, True), (1.991, False)):
        nib.save(nib.Nifti1Image(np.full((4, 4, 1), value, np.float32), np.eye(4)), tmp_path / "a.nii")
        assert split_labels(read_volume(tmp_path / "a.nii"), labels, "a").all() == read
        (tmp_path / "a.nii").unlink()
    nib.save(nib.Nifti1Image(np.array([[[0.0], [3.9]]], np.float32), np.eye(4)), tmp_path / "b.nii")
    with pytest.raises(NotBinaryError, match=r"holds the labels \{0, 3\.9\}"):
        split_labels(read_volume(tmp_path / "b.nii"), labels, "b")


def test_a_colour_mask_of_any_format_is_one_finding(tmp_path: Path) -> None:
    save(tmp_path / "images" / "1.png", IMAGE)
    colours = np.stack([MASK * 1.0, MASK * 0.5, ~MASK * 1.0], -1)
    (tmp_path / "masks").mkdir()
    tifffile.imwrite(tmp_path / "masks" / "1.tif", colours, photometric="rgb")
    ((code, message),) = load_dataset(tmp_path, DataConfig()).facts[0].errors
    assert code == "not_binary"
    assert "a colour picture with 2 colours" in message


CODES = {"tiff_lzw": 5, "packbits": 32773}


def packed_bytes(content: bytes, kind: str) -> bytes:
    """As a strip that Pillow compressed."""
    stream = io.BytesIO()
    Image.frombytes("L", (len(content), 1), content).save(stream, "TIFF", compression=kind)
    stream.seek(0)
    with tifffile.TiffFile(stream) as file:
        start, size = file.pages.first.dataoffsets[0], file.pages.first.databytecounts[0]
    return stream.getvalue()[start : start + size]


def write_packed(path: Path, values: Array, kind: str, pack: Callable[[bytes], bytes], **more: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(vars(tifffile.TIFF.COMPRESSORS)["_codecs"], CODES[kind], lambda data, **_: pack(bytes(data)))
        tifffile.imwrite(path, values, photometric="minisblack", compression=CODES[kind], **more)


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f2", "<u8"])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 1}, {"rowsperstrip": 4}, {"rowsperstrip": 18}, {"tile": (16, 16)}])
def test_what_pillow_unpacks_may_be_any_number_in_any_strips(
    tmp_path: Path, kind: str, dtype: str, layout: dict[str, Any]
) -> None:
    values = (np.resize(WIDE, (18, 7)) / 4).astype(dtype)
    write_packed(tmp_path / "a.tif", values, kind, lambda data: packed_bytes(data, kind), byteorder=dtype[0], **layout)
    assert np.array_equal(grey(tmp_path / "a.tif"), values.astype(np.float32))


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("strip", [b"", b"\x80", b"\xff" * 300, b"\0" * 300, None])
def test_a_strip_that_does_not_fit_its_size_is_one_line(tmp_path: Path, kind: str, strip: bytes | None) -> None:
    content = packed_bytes(bytes(40), kind) if strip is None else strip
    write_packed(tmp_path / "a.tif", np.zeros((9, 7)), kind, lambda _: content, rowsperstrip=9)
    with refused_in_one_line(r"a\.tif: "):
        grey(tmp_path / "a.tif")
