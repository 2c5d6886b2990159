"""Any picture, safely, to a grey array.

Whatever a person has (a photo, a scan, a drawing with a transparent background, an array) comes
out as float32 in 0..1, as displayed: white paper is 1. Nothing is inverted or cut here.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from tinymnist.errors import InputError
from tinymnist.imaging.picture.colour import grey_of_colours, parting_weights, weigh
from tinymnist.imaging.picture.pixels import Array, flatten_alpha, grey_of_array, luminance
from tinymnist.memory import reuse_freed_memory

Source: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | Image.Image | npt.NDArray[Any]"

LONGEST_SIDE = 1024
"""Larger pictures are reduced to this; a digit on a twentieth of the side still has 50 pixels."""
_MOST_PIXELS = 100_000_000
"""What one picture may hold when decoded: 400 MB in Pillow's RGB. JPEGs are decoded smaller."""
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
"""How the camera's note (the EXIF tag Orientation) is undone."""


def decode(source: Source, *, longest_side: int = LONGEST_SIDE) -> Array:
    """Read a picture.

    Args:
        source: a path, the bytes of a file, a binary file object, a Pillow image, or an array
            (h, w), (h, w, 1..4) or (1, h, w) of booleans, integers (0..1, 0..255 or 0..65535) or
            floats (0..1 or 0..255; anything else is stretched to 0..1). Four channels are RGBA,
            two are grey and alpha.
        longest_side: a file that is larger in pixels is reduced, by averaging, to at most this.

    Returns:
        (h, w) float32, 0 black to 1 white, upright; of an animation the first frame. What is
        transparent shows the background that leaves the ink visible.

    Raises:
        InputError: when there is no such picture, or it is broken, empty or too large.
    """
    reuse_freed_memory()
    if isinstance(source, np.ndarray):
        return grey_of_array(source, grey_of_colours)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # broken metadata is the file's business, not the user's
        return _decode_picture(source, longest_side)


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


def _decode_picture(source: Any, longest_side: int) -> Array:
    if isinstance(source, Image.Image):
        return _read(source, describe(source), longest_side)
    stream, name = _open(source), describe(source)
    try:
        with _identify(stream, name) as picture:
            # JPEG decodes at 1/2, 1/4 or 1/8 of its size.
            picture.draft(picture.mode, (longest_side, longest_side))
            return _read(picture, name, longest_side)
    finally:
        if stream is not source:
            stream.close()


def _open(source: Any) -> BinaryIO:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return io.BytesIO(source)
    if hasattr(source, "read"):
        return _as_binary(source)
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            "a picture is a path, bytes, a binary file, a Pillow image or an array. "
            f"Received: source={source!r} of type {type(source).__name__}"
        )
    return _open_path(os.fspath(source))


def _as_binary(source: Any) -> BinaryIO:
    """Some file objects (pipes, sockets) cannot seek, which Pillow needs."""
    content = source.read()
    if not isinstance(content, bytes):
        raise InputError(f"{describe(source)}: is open as text; open it with mode 'rb'")
    return io.BytesIO(content)


def _open_path(path: str) -> BinaryIO:
    name = describe(path)
    if os.path.isdir(path):
        raise InputError(f"{name}: is a folder; expected a picture")
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise InputError(f"{name}: no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{name}: cannot be read: {reason}") from None


def _identify(stream: BinaryIO, name: str) -> Image.Image:
    if not stream.read(1):
        raise InputError(f"{name}: is empty; expected a picture")
    stream.seek(0)
    try:
        return Image.open(stream)
    except Image.DecompressionBombError:
        raise _too_large(name) from None
    except Exception:  # Pillow's plug-ins raise whatever their parsing trips over
        raise InputError(
            f"{name}: is not a picture that can be read; expected a PNG, JPEG, GIF, TIFF, WebP or "
            "another format that Pillow opens"
        ) from None


def _read(picture: Image.Image, name: str, longest_side: int) -> Array:
    if min(picture.size) < 1:
        raise InputError(f"{name}: has no pixels; its size is {picture.width}x{picture.height}")
    try:
        if picture.width * picture.height > _MOST_PIXELS:
            raise _too_large(name)
        picture.load()
        grey = _grey(_reduced(picture, longest_side))
    except InputError:
        raise
    except MemoryError:
        raise _too_large(name) from None
    except Exception as error:  # as above
        raise InputError(f"{name}: is broken or cut off: {_one_line(error)}") from None
    turn = _UPRIGHT.get(_orientation(picture))
    return grey if turn is None else np.ascontiguousarray(turn(grey))


def _reduced(picture: Image.Image, longest_side: int) -> Image.Image:
    """Average blocks of pixels, so that large photos cost little further on."""
    factor = -(-max(picture.size) // longest_side)
    if factor < 2 or min(picture.size) < factor:
        return picture
    if picture.mode in ("1", "P", "PA"):  # these hold names of colours, which cannot be averaged
        picture = picture.convert("RGBA" if _has_alpha(picture) else "RGB")
    if _is_deep(picture):  # 16 bits cannot be averaged by Pillow, floats can
        picture = Image.fromarray(grey_of_array(np.asarray(picture)))
    return picture.reduce(factor)


def _is_deep(picture: Image.Image) -> bool:
    """Whether a pixel is one number of more than 8 bits."""
    return picture.mode.startswith("I") or picture.mode == "F"


def _grey(picture: Image.Image) -> Array:
    if _is_deep(picture):
        return grey_of_array(np.asarray(picture))
    if picture.mode == "LAB":
        return luminance(np.asarray(picture.getchannel(0)))
    if picture.mode == "La":  # Pillow knows but one way out of it
        picture = picture.convert("LA")
    if _has_alpha(picture):
        rgba = np.asarray(picture.convert("RGBA"))
        return flatten_alpha(luminance(rgba[..., :3]), np.asarray(rgba[..., 3] / 255, np.float32))
    if picture.mode in ("1", "L"):
        return luminance(_as_bytes(picture, "L"))
    colours = _as_bytes(picture, "RGB")
    if (weights := parting_weights(colours)) is None:
        return luminance(np.asarray(picture.convert("L")))  # quicker than the sum of channels
    return weigh(colours, weights)


def _as_bytes(picture: Image.Image, mode: str) -> npt.NDArray[np.uint8]:
    """In a mode of Pillow's; one that the picture has already would be copied by ``convert``."""
    return np.asarray(picture if picture.mode == mode else picture.convert(mode))


def _has_alpha(picture: Image.Image) -> bool:
    return picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # a broken note is no reason to refuse the picture
        return 1


def _too_large(name: str) -> InputError:
    limit = _MOST_PIXELS // 1_000_000
    return InputError(f"{name}: has too many pixels; expected at most {limit} million: reduce it")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
