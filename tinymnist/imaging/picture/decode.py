"""Any picture, safely, to a grey array.

Whatever a person has (a photo, a scan, a drawing with a transparent background, an array) comes
out as float32 in 0..1, as displayed: white paper is 1. Nothing is inverted or cut here.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from tinymnist.errors import InputError
from tinymnist.files import MOST_BYTES, NOT_REGULAR
from tinymnist.imaging.picture.formats import DESCRIBED, STARTS, UNSIGNED
from tinymnist.imaging.picture.pixels import (
    Array,
    grey_of_array,
    grey_of_rgba,
    luminance,
    separating_weights,
    weigh,
)
from tinymnist.memory import reuse_freed_memory

Source: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image"
    " | npt.NDArray[Any]"
)

LONGEST_SIDE = 1024
"""Pixels; larger pictures, except strips, are reduced to this: a twentieth of it still has 50."""
_MAX_PIXELS = 100_000_000  # when decoded: 400 MB in Pillow's RGB. JPEGs are decoded smaller
_MOST_NUMBERS = 4 * _MAX_PIXELS  # in an array, with up to four channels
_MOST_MEMORY = 900_000_000  # bytes to decode a picture
_BYTES_PER_PIXEL = {"WEBP": 16, "AVIF": 14, "JPEG2000": 24}
"""At the peak of decoding, as measured, and besides the file itself. Of the other formats Pillow
holds the pixels and little else."""
_SMALL = 1 << 15  # pixels; glibc reuses freed arrays of up to 128 KiB by itself
_DEEP = ("I", "F")  # modes whose names begin so hold one number of more than 8 bits per pixel
_BAND = 1 << 20  # pixels of more than 8 bits that are reduced at a time
_EXIF_ORIENTATION = 0x0112
_UPRIGHT: dict[int, Callable[[Array], Array]] = {
    2: lambda grey: grey[:, ::-1],
    3: lambda grey: grey[::-1, ::-1],
    4: lambda grey: grey[::-1],
    5: lambda grey: grey.T,
    6: lambda grey: np.rot90(grey, -1),
    7: lambda grey: np.rot90(grey, 2).T,
    8: lambda grey: np.rot90(grey, 1),
}
"""EXIF orientation -> what turns the picture upright; from 5 on, width and height swap."""


def decode(source: Source, *, longest_side: int = LONGEST_SIDE) -> Array:
    """Read a picture.

    Args:
        source: a path, the bytes of a file, a binary file object, a Pillow image, or an array
            (h, w), (h, w, 1..4) or (1, h, w) of booleans, integers (0..1, 0..255 or 0..65535) or
            floats (0..1 or 0..255; anything else is stretched to 0..1). Four channels are RGBA,
            two are grey and alpha.
        longest_side: a file that is larger in pixels is reduced, by averaging, to at most this; but
            a strip keeps as many pixels across as a row of digits needs.

    Returns:
        (h, w) float32, 0 black to 1 white, upright; of an animation the first frame. What is
        transparent shows the background that leaves the ink visible.

    Raises:
        InputError: if there is no such picture, or it is broken, empty or too large.
    """
    return decode_with_size(source, longest_side=longest_side)[0]


def decode_with_size(
    source: Source, *, longest_side: int = LONGEST_SIDE
) -> tuple[Array, tuple[int, int]]:
    """Read a picture, and report (height, width) in its own pixels, upright but not reduced.

    Arguments, grey result and errors are those of :func:`decode`.
    """
    if isinstance(source, np.ndarray):
        source = np.asarray(source)  # a matrix would stay one under every index
        if source.size > _MOST_NUMBERS:
            raise _too_large(describe(source))
        if source.size > _SMALL:
            reuse_freed_memory()
        grey = grey_of_array(source)
        return grey, (grey.shape[0], grey.shape[1])
    name = describe(source)
    if isinstance(source, Image.Image):
        return _read(source, source.size, name, longest_side)
    with open_binary(source) as stream, identify(stream, source, name) as picture:
        stored = picture.size
        _draft(picture, longest_side)
        return _read(picture, stored, name, longest_side)


def describe(source: Source) -> str:
    """Name a source in a message: the path, the file's name or what kind of thing it is."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source) or "''"
    name = getattr(source, "name", None) or getattr(source, "filename", None)
    if isinstance(name, str) and name:
        return name
    if isinstance(source, np.ndarray):
        return f"array of shape {source.shape}"
    kind = "bytes" if isinstance(source, bytes) else type(source).__name__
    return f"picture from {kind}"


def open_binary(source: Any) -> BinaryIO:
    """Open a path, bytes or a binary file object as a stream that can seek.

    Raises InputError if there is no such file or it is open as text, TypeError for other types.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return io.BytesIO(source)
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        name = path or "''"
        if os.path.isdir(path):
            raise InputError(f"{name}: is a folder; expected a picture")
        if os.path.exists(path) and not os.path.isfile(path):  # a pipe might hang, or never end
            raise InputError(f"{name}: {NOT_REGULAR}")
        try:
            return open(path, "rb")
        except FileNotFoundError:
            raise InputError(f"{name}: no such file") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{name}: cannot be read: {reason}") from None
    if not hasattr(source, "read"):
        raise TypeError(
            "a picture is a path, bytes, a binary file, a Pillow image or an array. "
            f"Received: source={source!r} of type {type(source).__name__}"
        )
    content = source.read(MOST_BYTES + 1)  # pipes and sockets cannot seek, which Pillow needs
    if not isinstance(content, bytes):
        raise InputError(f"{describe(source)}: is open as text; open it with mode 'rb'")
    if len(content) > MOST_BYTES:
        raise InputError(f"{describe(source)}: has more than {MOST_BYTES:,} bytes")
    return io.BytesIO(content)


def identify(stream: BinaryIO, source: Source, name: str = "") -> Image.Image:
    """Open a stream of the source's content as a picture, which is not decoded yet.

    Raises:
        InputError: if it is empty, too large, or not in one of the formats that are opened; it
            has the ``name``, by default what :func:`describe` says.
    """
    name = name or describe(source)
    start = stream.read(16)
    if not start:
        raise InputError(f"{name}: is empty; expected a picture")
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    kind = UNSIGNED
    for each, (place, starts) in STARTS.items():
        if start.startswith(starts, place):
            kind = each
    try:
        # By a file's name, Pillow guesses which of its plug-ins it has to import.
        file = source if isinstance(source, (str, os.PathLike)) else stream
        picture = Image.open(file, formats=(kind,))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError):
        raise _too_large(name) from None
    except Warning as error:  # if the user turns warnings into errors
        raise InputError(f"{name}: is broken or cut off: {error}") from None
    except Exception:  # Pillow's plug-ins raise whatever their parsing trips over
        raise InputError(
            f"{name}: is not a picture that can be read; expected {DESCRIBED} file"
        ) from None
    pixels, weight = picture.width * picture.height, _BYTES_PER_PIXEL.get(kind, 0)
    needed = pixels * weight + size * (weight > 0)
    is_progressive = "progressive" in picture.info  # all its coefficients are held
    if needed > _MOST_MEMORY or (is_progressive and pixels > _MAX_PIXELS):
        picture.close()
        raise _too_large(name, _MOST_MEMORY // weight if weight else _MAX_PIXELS)
    return picture


def check_pixels(picture: Image.Image, name: str) -> None:
    """Raise an InputError if a picture has too many pixels to be decoded."""
    if picture.width * picture.height > _MAX_PIXELS:
        raise _too_large(name)


def _read(
    picture: Image.Image, stored: tuple[int, int], name: str, longest_side: int
) -> tuple[Array, tuple[int, int]]:
    """Grey and upright size of a picture that is stored as (width, height)."""
    if min(picture.size) < 1:
        raise InputError(f"{name}: has no pixels; its size is {picture.width}x{picture.height}")
    try:
        if picture.width * picture.height > _MAX_PIXELS:
            raise _too_large(name)
        if picture.width * picture.height > _SMALL:
            reuse_freed_memory()
        picture.load()
        grey = _grey(_reduce(picture, longest_side, name))
    except InputError:
        raise
    except MemoryError:
        raise _too_large(name) from None
    except Exception as error:  # as in _identify
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{name}: is broken or cut off: {reason}") from None
    orientation = _orientation(picture)
    if orientation in _UPRIGHT:
        grey = np.ascontiguousarray(_UPRIGHT[orientation](grey))
    return grey, stored if orientation in range(5, 9) else (stored[1], stored[0])


def _draft(picture: Image.Image, longest_side: int) -> None:
    """Let a JPEG be decoded at 1/2, 1/4 or 1/8, as far as it will be reduced anyway.

    Pillow by itself takes no step that makes the shorter side less than ``longest_side``. What is
    left for :func:`_reduce` then is often a power of two as well, and JPEG's own is cheaper.
    """
    longer, shorter = max(picture.size), min(picture.size)
    step = 8
    while step > 1 and shorter // step < longest_side:
        step //= 2
    is_strip = _reduction(picture.size, longest_side) * longest_side < longer
    while step < 8 and (left := -(-longer // (step * longest_side))) % 2 == 0 and not is_strip:
        if shorter // step < left:  # too narrow to be reduced
            break
        step *= 2
    picture.draft(picture.mode, (picture.width // step, picture.height // step))


def _reduce(picture: Image.Image, longest_side: int, name: str) -> Image.Image:
    """Average blocks of pixels, so that the later steps are cheap on large photos."""
    factor = _reduction(picture.size, longest_side)
    if min(picture.size) < factor and picture.width * picture.height > longest_side**2:
        raise InputError(f"{name}: is a line of {picture.width}x{picture.height} pixels")
    if factor < 2 or min(picture.size) < factor:
        return picture
    if picture.mode in ("1", "P", "PA"):  # these index a palette, which cannot be averaged
        picture = picture.convert("RGBA" if _has_alpha(picture) else "RGB")
    return (
        _reduce_deep(picture, factor) if picture.mode.startswith(_DEEP) else picture.reduce(factor)
    )


def _reduction(size: tuple[int, int], longest_side: int) -> int:
    """By how much to reduce a picture whose longer side may have at most ``longest_side`` pixels.

    A strip may be longer: its digits are no taller than its shorter side, which keeps a quarter of
    that as long as the picture has no more pixels than a square one.
    """
    longer, shorter = max(size), min(size)
    by_area = math.ceil(math.sqrt(longer * shorter) / longest_side)
    needed = max(1, 4 * shorter // longest_side, by_area)
    return min(-(-longer // longest_side), needed)


def _reduce_deep(picture: Image.Image, factor: int) -> Image.Image:
    """Reduce one number of more than 8 bits per pixel; as floats, which Pillow can average.

    That happens band by band: all at once would take 16 bytes per pixel.
    """
    step = factor * max(1, _BAND // (picture.width * factor))

    def bands() -> Iterator[npt.NDArray[Any]]:
        for top in range(0, picture.height, step):
            bottom = min(top + step, picture.height)
            yield np.asarray(picture.crop((0, top, picture.width, bottom)))

    extrema = np.array([(band.min(), band.max()) for band in bands()])  # they set the range
    low_high = np.array([extrema[:, 0].min(), extrema[:, 1].max()])
    reduced = []
    for band in bands():
        both = np.concatenate([low_high, band.ravel()])
        grey = grey_of_array(both[None])[0, 2:].reshape(band.shape)
        reduced.append(np.asarray(Image.fromarray(grey).reduce(factor)))
    return Image.fromarray(np.concatenate(reduced))


def _grey(picture: Image.Image) -> Array:
    if picture.mode.startswith(_DEEP):
        return grey_of_array(np.asarray(picture))
    if picture.mode == "LAB":
        return luminance(np.asarray(picture.getchannel(0)))
    if picture.mode == "La":  # the only mode that Pillow converts it to
        picture = picture.convert("LA")
    if _has_alpha(picture):
        rgba = np.asarray(picture.convert("RGBA"))
        return grey_of_rgba(rgba[..., :3], np.asarray(rgba[..., 3] / 255, np.float32))
    if picture.mode in ("1", "L"):
        return luminance(np.asarray(picture if picture.mode == "L" else picture.convert("L")))
    # Conversion would copy a picture that has the mode already.
    colours = np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))
    if (weights := separating_weights(colours)) is None:
        return luminance(np.asarray(picture.convert("L")))  # quicker than the sum of channels
    return weigh(colours, weights)


def _has_alpha(picture: Image.Image) -> bool:
    return picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # broken metadata does not make the picture unusable
        return 1


def _too_large(name: str, most: int = _MAX_PIXELS) -> InputError:
    limit = most // 1_000_000
    return InputError(f"{name}: has too many pixels; expected at most {limit} million: reduce it")
