"""Pictures of every kind become the grey that a person would see, or one clear line of refusal."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageOps
from PIL.Image import Transpose

from tinymnist.errors import InputError
from tinymnist.imaging.picture.decode import decode, decode_with_size, describe
from tinymnist.imaging.picture.pixels import luminance

HEIGHT, WIDTH = 30, 40
FORMATS = ["PNG", "JPEG", "GIF", "TIFF", "BMP"]


def corner_picture() -> Any:
    """White paper with a black upper left quarter."""
    picture = Image.new("L", (WIDTH, HEIGHT), 255)
    picture.paste(0, (0, 0, WIDTH // 2, HEIGHT // 2))
    return picture


def corner_grey() -> Any:
    grey = np.ones((HEIGHT, WIDTH), np.float32)
    grey[: HEIGHT // 2, : WIDTH // 2] = 0
    return grey


def file_of(picture: Any, format: str = "PNG", **settings: Any) -> Any:
    stream = io.BytesIO()
    picture.save(stream, format, **settings)
    return stream.getvalue()


def assert_grey(grey: Any, shape: Any = None) -> None:
    assert isinstance(grey, np.ndarray)
    assert grey.dtype == np.float32 and grey.ndim == 2
    assert shape is None or grey.shape == shape
    assert np.isfinite(grey).all()
    assert grey.min() >= 0 and grey.max() <= 1


def assert_refused(source: Any, *words: Any) -> None:
    with pytest.raises(InputError) as caught:
        decode(source)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for word in words:
        assert word in message


# Modes


def to_lab(picture: Any) -> Any:
    neutral = Image.new("L", picture.size, 128)
    return Image.merge("LAB", [picture, neutral, neutral])


def to_cut_out(picture: Any) -> Any:
    """Mode P, of which one colour is transparent: here the paper."""
    palette = picture.convert("P")
    palette.info["transparency"] = palette.getpixel((WIDTH - 1, HEIGHT - 1))
    return palette


def deep(picture: Any, dtype: Any, white: Any) -> Any:
    return Image.fromarray((np.asarray(picture) // 255).astype(dtype) * dtype(white))


MODES: dict[str, Callable[[Any], Any]] = {
    "1": lambda picture: picture.convert("1"),
    "L": lambda picture: picture,
    "LA": lambda picture: picture.convert("LA"),
    "La": lambda picture: picture.convert("LA").convert("La"),
    "P": lambda picture: picture.convert("P"),
    "P with transparency": to_cut_out,
    "PA": lambda picture: picture.convert("P").convert("PA"),
    "RGB": lambda picture: picture.convert("RGB"),
    "RGBA": lambda picture: picture.convert("RGBA"),
    "RGBa": lambda picture: picture.convert("RGBA").convert("RGBa"),
    "RGBX": lambda picture: picture.convert("RGBX"),
    "CMYK": lambda picture: picture.convert("CMYK"),
    "YCbCr": lambda picture: picture.convert("YCbCr"),
    "HSV": lambda picture: picture.convert("HSV"),
    "LAB": to_lab,
    "I of a byte's range": lambda picture: deep(picture, np.int32, 255),
    "I of 16 bits": lambda picture: deep(picture, np.int32, 65535),
    "I;16": lambda picture: deep(picture, np.uint16, 65535),
    "F of 0..1": lambda picture: deep(picture, np.float32, 1),
    "F of 0..255": lambda picture: deep(picture, np.float32, 255),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_shows_the_same_picture(mode: Any) -> None:
    picture = MODES[mode](corner_picture())
    assert picture.mode == mode.split()[0]
    grey = decode(picture)
    assert_grey(grey, (HEIGHT, WIDTH))
    np.testing.assert_allclose(grey, corner_grey(), atol=2 / 255)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_can_be_reduced(mode: Any) -> None:
    grey = decode(MODES[mode](corner_picture()), longest_side=10)
    assert_grey(grey, (8, 10))
    np.testing.assert_allclose(grey[:3, :5], 0, atol=2 / 255)
    np.testing.assert_allclose(grey[4:], 1, atol=2 / 255)


def test_colours_are_weighed_as_the_eye_sees_them() -> None:
    rgb = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    expected = [[0.299, 0.587, 0.114]]
    np.testing.assert_allclose(luminance(rgb), expected, atol=1e-3)


def test_grey_levels_are_shares_of_white() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_allclose(decode(Image.fromarray(levels)), levels / 255, atol=1e-6)
    np.testing.assert_allclose(decode(levels), levels / 255, atol=1e-6)


# Transparency


@pytest.mark.parametrize(("ink", "paper"), [(0, 1), (255, 0)], ids=["black ink", "white ink"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_ink_on_nothing_stays_visible(ink: int, paper: int, mode: str) -> None:
    alpha = ImageOps.invert(corner_picture())
    drawing = Image.new("L", (WIDTH, HEIGHT), ink).convert(mode)
    drawing.putalpha(alpha)
    grey = decode(file_of(drawing))
    expected = np.where(corner_grey() == 0, ink / 255, paper)
    np.testing.assert_allclose(grey, expected, atol=1e-3)


def test_a_colour_named_transparent_stays_visible() -> None:
    drawing = Image.new("RGB", (WIDTH, HEIGHT), (255, 0, 255))
    drawing.paste((0, 0, 0), (0, 0, WIDTH // 2, HEIGHT // 2))
    grey = decode(file_of(drawing, transparency=(255, 0, 255)))
    np.testing.assert_allclose(grey, corner_grey(), atol=1e-3)


def test_a_drawing_on_a_transparent_page_keeps_its_own_paper() -> None:
    drawing = corner_picture().convert("RGBA")
    drawing.paste((9, 9, 9, 0), (0, HEIGHT - 4, WIDTH, HEIGHT))
    np.testing.assert_allclose(decode(drawing), corner_grey(), atol=1e-3)


def test_a_picture_of_nothing_is_blank() -> None:
    assert np.ptp(decode(Image.new("RGBA", (9, 9), (0, 0, 0, 0)))) == 0


# Orientation and animation

CAMERA_STORED = {
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}
"""What makes of an upright picture the one that a camera stored with each orientation."""


def upright() -> Any:
    """A picture without any symmetry."""
    picture = Image.new("L", (48, 32), 255)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((4, 4, 9, 27), fill=0)
    draw.rectangle((4, 4, 40, 8), fill=60)
    draw.rectangle((4, 15, 20, 18), fill=120)
    return picture


def stored(orientation: Any) -> Any:
    turn = CAMERA_STORED[orientation]
    picture = upright() if turn is None else upright().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return picture, exif


@pytest.mark.parametrize("orientation", CAMERA_STORED)
@pytest.mark.parametrize("format", ["PNG", "TIFF", "JPEG"])
def test_a_turned_photo_comes_out_upright(orientation: Any, format: str) -> None:
    picture, exif = stored(orientation)
    quality = {"quality": 95} if format == "JPEG" else {}
    content = file_of(picture, format, exif=exif, **quality)
    grey = decode(content)
    tolerance = 0.12 if format == "JPEG" else 1e-6
    np.testing.assert_allclose(grey, decode(upright()), atol=tolerance)
    assert grey.flags.c_contiguous
    by_pillow = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    np.testing.assert_allclose(grey, np.asarray(by_pillow) / 255, atol=1e-2)


@pytest.mark.parametrize("orientation", CAMERA_STORED)
def test_the_size_is_that_of_the_upright_picture_before_it_is_reduced(orientation: int) -> None:
    picture, exif = stored(orientation)
    large = picture.resize((picture.width * 10, picture.height * 10))
    for format in ("PNG", "JPEG"):
        source = file_of(large, format, exif=exif)
        grey, size = decode_with_size(source, longest_side=60)
        assert size == (320, 480) and grey.shape == (40, 60)
        with Image.open(io.BytesIO(source)) as opened:
            assert decode_with_size(opened, longest_side=60)[1] == size
    assert decode_with_size(np.zeros((5, 7)))[1] == (5, 7)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_a_wrong_orientation_is_ignored(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = file_of(upright(), exif=exif)
    np.testing.assert_array_equal(decode(content), decode(upright()))


def test_broken_metadata_does_not_spoil_the_picture() -> None:
    content = file_of(upright(), exif=b"Exif\x00\x00II*\x00 this is no EXIF")
    np.testing.assert_array_equal(decode(content), decode(upright()))


@pytest.mark.parametrize("format", ["GIF", "TIFF", "PNG"])
def test_an_animation_shows_its_first_frame(format: str) -> None:
    content = file_of(
        corner_picture(), format, save_all=True, append_images=[Image.new("L", (WIDTH, HEIGHT), 77)]
    )
    np.testing.assert_allclose(decode(content), corner_grey(), atol=1e-6)


# Sources


@pytest.fixture
def path(tmp_path: Path) -> Any:
    target = tmp_path / "corner.png"
    corner_picture().save(target)
    return target


def test_a_path_is_a_string_or_a_path(path: Any) -> None:
    np.testing.assert_array_equal(decode(path), corner_grey())
    np.testing.assert_array_equal(decode(str(path)), corner_grey())


def test_bytes_and_their_kin(path: Any) -> None:
    content = path.read_bytes()
    for source in (content, bytearray(content), memoryview(content)):
        np.testing.assert_array_equal(decode(source), corner_grey())


def test_a_file_object_stays_open(path: Any) -> None:
    with path.open("rb") as stream:
        np.testing.assert_array_equal(decode(stream), corner_grey())
        assert not stream.closed
    np.testing.assert_array_equal(decode(io.BytesIO(path.read_bytes())), corner_grey())


def test_a_pipe_cannot_seek_and_is_read_all_the_same(path: Any) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as stream:
        stream.write(path.read_bytes())
    with os.fdopen(reading, "rb") as stream:
        np.testing.assert_array_equal(decode(stream), corner_grey())


def test_a_pillow_image_is_left_as_it_was(path: Any) -> None:
    with Image.open(path) as picture:
        np.testing.assert_array_equal(decode(picture, longest_side=1000), corner_grey())
        decode(picture, longest_side=10)
        assert (picture.mode, picture.size) == ("L", (WIDTH, HEIGHT))
        np.testing.assert_array_equal(np.asarray(picture), corner_grey() * 255)


@pytest.mark.parametrize("format", FORMATS)
def test_common_formats(format: Any) -> None:
    grey = decode(file_of(corner_picture(), format))
    assert_grey(grey, (HEIGHT, WIDTH))
    np.testing.assert_allclose(grey, corner_grey(), atol=0.1)


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_large_files_are_reduced(format: str) -> None:
    picture = corner_picture().resize((1200, 900), Image.Resampling.NEAREST)
    grey = decode(file_of(picture, format), longest_side=300)
    assert_grey(grey, (225, 300))
    assert grey[:110, :145].max() < 0.05 and grey[115:].min() > 0.95


@pytest.mark.parametrize("size", [(400, 300), (1200, 900), (1199, 700), (800, 20), (2400, 3)])
def test_a_jpeg_is_decoded_as_small_as_it_is_needed(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A JPEG that is reduced by 4 is decoded at a quarter, and looks like the PNG."""
    ramp = Image.linear_gradient("L").resize(size)
    decoded = []
    load = Image.Image.load

    def noted(picture: Image.Image) -> Any:
        decoded.append(picture.size)
        return load(picture)

    monkeypatch.setattr(Image.Image, "load", noted)
    jpeg, png = (decode(file_of(ramp, form), longest_side=300) for form in ("JPEG", "PNG"))
    assert jpeg.shape == png.shape
    assert np.abs(jpeg - png).max() < 0.02
    if size == (1200, 900):
        assert (300, 225) in decoded


def test_a_long_strip_is_still_read() -> None:
    assert_grey(decode(Image.new("L", (5000, 1), 255)))


# Arrays

ONES = corner_grey()
ARRAYS = {
    "bool": ONES > 0.5,
    "uint8": (ONES * 255).astype(np.uint8),
    "uint8 mask": ONES.astype(np.uint8),
    "uint16": (ONES * 65535).astype(np.uint16),
    "int64": (ONES * 255).astype(np.int64),
    "float16": ONES.astype(np.float16),
    "float 0..1": ONES.astype(np.float64),
    "float 0..255": ONES * 255,
    "float -1..1": ONES * 2 - 1,
    "float32 of any range": ONES * 1e30 - 5e29,
    "float64 of every range": (ONES.astype(np.float64) * 2 - 1) * np.finfo(np.float64).max,
    "int -128..127": (ONES * 255 - 128).astype(np.int8),
    "big endian": (ONES * 65535).astype(">u2"),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_of_every_kind(kind: Any) -> None:
    array = ARRAYS[kind].copy()
    array.flags.writeable = False
    before = array.copy()
    grey = decode(array)
    assert_grey(grey, (HEIGHT, WIDTH))
    np.testing.assert_allclose(grey, corner_grey(), atol=1e-6)
    np.testing.assert_array_equal(array, before)
    assert not np.shares_memory(grey, array)


@pytest.mark.parametrize(
    "shape",
    [(6, 7), (6, 7, 1), (6, 7, 2), (6, 7, 3), (6, 7, 4), (1, 6, 7), (1, 6, 7, 1), (1, 6, 7, 3)],
)
def test_arrays_of_every_shape(shape: Any) -> None:
    array = np.zeros(shape, np.float32)
    array.reshape(6, 7, -1)[2, 3] = 1
    if shape[-1] in (2, 4):
        array[..., -1] = 1
    expected = np.zeros((6, 7))
    expected[2, 3] = 1
    grey = decode(array)
    assert_grey(grey, (6, 7))
    np.testing.assert_allclose(grey, expected, atol=1e-6)


def test_an_array_that_is_not_contiguous() -> None:
    np.testing.assert_array_equal(decode(ONES.T[::-1, ::2]), ONES.T[::-1, ::2])


@pytest.mark.parametrize(
    "shape", [(), (5,), (2, 5, 6), (3, 6, 7), (6, 7, 5), (2, 6, 7, 3), (0, 0), (0, 5), (5, 0, 3)]
)
def test_arrays_of_other_shapes_are_refused(shape: Any) -> None:
    assert_refused(np.zeros(shape, np.float32), "shape", str(shape))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_arrays_must_be_finite(wrong: Any) -> None:
    array = corner_grey()
    array[3, 4] = wrong
    assert_refused(array, "finite")


@pytest.mark.parametrize("dtype", [complex, object, "U1", "datetime64[s]"])
def test_arrays_must_hold_numbers(dtype: Any) -> None:
    assert_refused(np.zeros((5, 6), dtype), "dtype")


# Refusals


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path / "gone.png", "gone.png", "no such file")
    assert_refused(str(tmp_path / "gone.png"), "gone.png")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path, str(tmp_path), "folder")


def test_an_impossible_name_is_refused() -> None:
    assert_refused("a\0b.png", "cannot be read")
    assert_refused("", "''")


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"", "empty"), (b"this is not a picture\n" * 9, "not a picture"), (b"\x89PNG", "not a pic")],
)
def test_a_file_that_is_no_picture_is_refused(tmp_path: Path, content: Any, word: str) -> None:
    target = tmp_path / "wrong.png"
    target.write_bytes(content)
    assert_refused(target, "wrong.png", word)
    assert_refused(content, "bytes", word)
    assert_refused(io.BytesIO(content), word)


def test_a_text_stream_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "text.txt"
    target.write_text("hello")
    with target.open() as stream:
        assert_refused(stream, "text.txt", "rb")


def test_a_closed_picture_is_refused() -> None:
    picture = Image.open(io.BytesIO(file_of(corner_picture())))
    picture.close()
    assert_refused(picture, "broken")


@pytest.mark.parametrize("source", [None, 3, [[0, 1], [1, 0]]])
def test_what_is_no_source_at_all_is_a_programmers_mistake(source: Any) -> None:
    with pytest.raises(TypeError, match="a picture is a path"):
        decode(source)


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_a_picture_without_pixels_is_refused(size: Any) -> None:
    assert_refused(Image.new("L", size), "no pixels")


def test_too_many_pixels_for_pillow_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert_refused(file_of(corner_picture()), "too many pixels")


def test_more_than_100_million_pixels_are_refused() -> None:
    assert_refused(Image.new("L", (10_000, 10_001)), "too many pixels", "100 million")
    assert_grey(decode(Image.new("L", (10_000, 10_000))), (1000, 1000))


def chunk(kind: Any, content: Any) -> Any:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(side: Any, *chunks: Any) -> Any:
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = (chunk(b"IHDR", header), *chunks, chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("side", [11_000, 100_000, 2**31 - 1])
def test_a_small_file_that_claims_to_be_huge_is_refused(side: Any) -> None:
    pixels = chunk(b"IDAT", zlib.compress(bytes(100_000)))
    assert_refused(png(side, pixels), "too many pixels")


def test_a_text_that_unpacks_to_megabytes_is_refused() -> None:
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(9_000_000)))
    assert_refused(png(8, text, chunk(b"IDAT", zlib.compress(bytes(72)))), "not a picture")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_only_makes_pillow_warn_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH - 1)
    np.testing.assert_array_equal(decode(file_of(corner_picture())), corner_grey())


def photo() -> Any:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8))


FILES = {format: file_of(photo(), format) for format in FORMATS}


def decodes_or_refuses(content: Any) -> Any:
    """The array, or None when the content was refused as it should be."""
    try:
        grey = decode(content)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
        return None
    assert_grey(grey)
    return grey


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_cut_in_half_is_refused(format: Any) -> None:
    content = FILES[format]
    assert_refused(content[: len(content) // 2], "picture from bytes")


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 1))
@example(share=0.0)
@example(share=0.05)
@example(share=0.999)
def test_a_file_cut_anywhere_is_read_or_refused(format: Any, share: Any) -> None:
    content = FILES[format]
    grey = decodes_or_refuses(content[: int(share * len(content))])
    assert grey is None or grey.shape == (24, 32)


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=30, deadline=None)
@given(place=st.floats(0, 0.999), value=st.integers(0, 255))
def test_a_file_with_a_wrong_byte_is_read_or_refused(format: Any, place: Any, value: Any) -> None:
    content = bytearray(FILES[format])
    content[int(place * min(len(content), 200))] = value  # the head is the delicate part
    decodes_or_refuses(bytes(content))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(FORMATS), st.binary(max_size=200))
def test_rubbish_after_a_signature_is_read_or_refused(format: Any, rubbish: Any) -> None:
    decodes_or_refuses(FILES[format][:8] + rubbish)


def test_a_source_is_named_in_messages(tmp_path: Path) -> None:
    assert describe("a/b.png") == "a/b.png"
    assert describe(Path("a") / "b.png") == str(Path("a") / "b.png")
    assert describe(b"123") == "picture from bytes"
    assert describe(np.zeros((2, 3))) == "array of shape (2, 3)"
    assert describe(io.BytesIO()) == "picture from BytesIO"
    target = tmp_path / "c.png"
    corner_picture().save(target)
    with target.open("rb") as stream, Image.open(target) as picture:
        assert describe(stream) == describe(picture) == str(target)
