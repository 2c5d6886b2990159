"""Where the pictures of a command come from: files, folders, archives, arrays, documents, lists.

Everything that takes pictures by name goes through :class:`Inputs`, which opens one thing after the
other as it is read, so that a million pictures need the memory of a few. What cannot be opened is
not lost: an InputError takes its place.
"""

from __future__ import annotations

import functools
import io
import math
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import IO, Any

from tinymnist.errors import InputError
from tinymnist.files import (
    TAR,
    ZIP,
    describe_skipped,
    is_expected,
    is_picture,
    read_stream,
    require_regular,
    suffix_of,
    walk,
)
from tinymnist.limits import reason

Named = tuple[str, Any]
"""What a picture is called, and what ``Reader.predict`` takes, or the InputError instead of it."""

SAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "samples")
"""The folder of sample pictures, which ``benchmarks/samples.py`` painted."""
MOST_PAGES = 10_000
"""The pages of a TIFF that are read."""
_NO_LIST = "is not a list of names, one on each line"
_LONGEST_NAME = 1 << 16  # bytes of a line in a list of names
PDF_DOTS = 200
"""The pixels per inch in which pages of a PDF are drawn."""
_MOST_PDF_PIXELS = 50_000_000
_ARRAY_NAMES = ("images", "x", "x_test", "x_train", "arr_0")


def sample(name: str) -> str:
    """The path of a picture that comes with tinymnist, such as ``7-tilted-photo.jpg``.

    Raises:
        InputError: if there is none of this name; the message lists them.
    """
    if name not in (known := sorted(os.listdir(SAMPLES))):
        raise InputError(f"there is no sample {name!r}; expected one of {known}")
    return os.path.join(SAMPLES, name)


class Inputs:
    """The pictures that are meant by the arguments of a command; iterated, (name, source) each.

    An argument is a picture file, a folder, ``-`` for a picture from standard input, a .zip, .tar
    or .tar.gz of pictures, an .npz, .npy or IDX file, a .tif with pages, or a .pdf (which needs
    pypdfium2). Pages after the first are called ``scan.tif#2``, files of an archive
    ``scans.zip/7.png``, and the first picture of an array ``set.npz[0]``.

    Attributes:
        has_list: whether a text file or standard input names some of them.
        skipped: the number of files in folders and archives that were left out so far, as their
            names do not end like pictures', by their suffix.
    """

    def __init__(
        self,
        arguments: Iterable[str | os.PathLike[str]],
        lists: str | os.PathLike[str] | None = None,
        *,
        below: str = "",
    ) -> None:
        """Note what to open.

        Args:
            arguments: see above.
            lists: a text file with one more argument on each line; "-" for standard input.
            below: a folder that is left out of the names of the pictures in it.
        """
        self._below = os.path.join(below, "") if below else ""
        self._arguments, self._list = list(map(str, arguments)), lists
        self.has_list = lists is not None
        self.skipped: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Named]:
        self.skipped.clear()
        for argument in chain(
            self._arguments, () if self._list is None else self._listed(self._list)
        ):
            is_empty = True
            try:
                for name, source in self._open(argument):
                    is_empty = False
                    yield name.removeprefix(self._below), source
                if is_empty:
                    rule = "holds no pictures; expected files such as .png or .jpg"
                    yield argument, InputError(f"{argument}: {rule}")
            except InputError as error:
                yield argument, error
            except OSError as error:
                yield (
                    argument,
                    InputError(f"{error.filename or argument}: {error.strerror or error}"),
                )

    def outline(self) -> tuple[int | None, int]:
        """The number of pictures, None if it takes long to find out, and their longest name.

        Only folders are looked through for it, and the contents of zip files.
        """
        count, longest = 0, 0
        for argument in self._arguments:
            names = [argument]
            kind = _kind(argument)
            with suppress(InputError, OSError):
                if os.path.isdir(argument):
                    names = [file for file in walk(argument) if is_picture(file)]
                elif argument.lower().endswith(ZIP):
                    from tinymnist.archives import zip_names

                    require_regular(argument)
                    names = [f"{argument}/{name}" for name in zip_names(argument)]
                elif kind in (_archive, _arrays, _idx, _pdf):
                    return None, 0
            count += len(names)
            longest = max(longest, *map(len, names), 0)
        return (None, 0) if self._list is not None else (count, longest - len(self._below))

    def describe_skipped(self) -> str:
        """What was left out, as "3 files are not pictures by name (.heic, .mp4)"; or ""."""
        return describe_skipped(self.skipped)

    def _listed(self, name: str | os.PathLike[str]) -> Iterator[str]:
        with _standard_input() if name == "-" else _open_list(name) as lines:
            while line := lines.readline(_LONGEST_NAME):
                if len(line) == _LONGEST_NAME or b"\0" in line:
                    raise InputError(f"{name}: {_NO_LIST}")
                if found := line.decode("utf-8", "surrogateescape").rstrip("\r\n"):
                    yield found

    def _open(self, argument: str) -> Iterable[Named]:
        if argument == "-":
            with _standard_input() as stream:
                return [("-", read_stream(stream, "-"))]
        if os.path.isdir(argument):  # also False if it cannot be looked up; reading will fail
            return self._folder(argument)
        if (kind := _kind(argument)) is not None:
            require_regular(argument)
            return kind(argument, self.skipped)
        return [(argument, argument or os.curdir)]

    def _folder(self, folder: str) -> Iterator[Named]:
        errors: list[OSError] = []
        for file in walk(folder, errors.append):
            if is_picture(file):
                yield from _tiff(file, self.skipped) if _is_tiff(file) else [(file, file)]
            elif not is_expected(os.path.basename(file)):
                self.skipped[suffix_of(file)] += 1
        for error in errors:
            yield str(error.filename), InputError(f"{error.filename}: {error.strerror}")


def _standard_input() -> IO[bytes]:
    if sys.stdin is None:
        raise InputError("standard input is closed; expected a picture or names on it")
    return open(os.dup(fd), "rb") if (fd := _descriptor()) is not None else sys.stdin.buffer


def _descriptor() -> int | None:
    try:
        return sys.stdin.fileno()
    except (OSError, ValueError):  # replaced by something in memory
        return None


def _open_list(path: str | os.PathLike[str]) -> IO[bytes]:
    try:
        file = open(path, "rb")  # noqa: SIM115
        is_list = b"\0" not in file.peek()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if not is_list:
        file.close()
        raise InputError(f"{path}: {_NO_LIST}")
    return file


@functools.lru_cache(64)
def _kind(name: str) -> Callable[[str, Counter[str]], Iterator[Named]] | None:
    """What opens a file that holds several pictures, by its name; None for one picture."""
    low = name.lower()
    for endings, opens in _OPENERS.items():
        if low.endswith(endings):
            return opens
    return None


def _is_tiff(name: str) -> bool:
    return name.lower().endswith((".tif", ".tiff"))


def _archive(archive: str, skipped: Counter[str]) -> Iterator[Named]:
    """The pictures in a .zip or .tar, with all of their pages."""
    from tinymnist.archives import entries

    for name, content in entries(archive, skipped):
        path = f"{archive}/{name}"
        if isinstance(content, bytes) and _is_tiff(name):
            yield from _pages(path, content, content)
        else:
            yield path, content


def _arrays(path: str, skipped: Counter[str]) -> Iterator[Named]:
    """An .npy or .npz; of the arrays in an .npz the one that is named like pictures."""
    import numpy as np

    try:
        if path.lower().endswith(".npy"):
            images = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            images = _array_of_npz(path)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:  # NumPy and zipfile raise whatever their parsing trips over
        raise InputError(f"{path}: is not an array file, or is damaged: {reason(error)}") from None
    yield from _each(path, images)


def _array_of_npz(path: str) -> Any:
    import zipfile

    import numpy as np

    from tinymnist.archives import check_expansion

    with zipfile.ZipFile(path) as archive:
        sizes = {i.filename.removesuffix(".npy"): i.file_size for i in archive.infolist()}
    with np.load(path, allow_pickle=False) as arrays:
        name = next((n for n in (*_ARRAY_NAMES, *arrays.files) if n in arrays.files), None)
        if name is None:
            raise InputError(f"{path}: holds no arrays; expected one named 'images'")
        check_expansion(path, path, sizes.get(name, 0))
        found = arrays[name]
    if not isinstance(found, np.ndarray):  # a file of another kind, such as a description
        raise InputError(f"{path}: holds no pictures, but {name!r}; expected an array 'images'")
    return found


def _idx(path: str, skipped: Counter[str]) -> Iterator[Named]:
    from tinymnist.data.mnist import read_idx

    yield from _each(path, read_idx(path))


def _each(path: str, images: Any) -> Iterator[Named]:
    """The pictures of an array (n, h, w) or (n, h, w, c); an array (h, w) is one."""
    import numpy as np

    if images.ndim not in (2, 3, 4) or images.dtype.kind not in "buif":
        rule = "expected numbers (n, h, w) or (n, h, w, c)"
        raise InputError(f"{path}: {rule}; found {images.dtype} {images.shape}")
    if images.ndim == 2:
        yield path, np.asarray(images)
        return
    for number, image in enumerate(images):
        yield f"{path}[{number}]", np.asarray(image)


def _tiff(path: str, skipped: Counter[str]) -> Iterator[Named]:
    yield from _pages(path, path, path)


def _pages(name: str, file: str | bytes, first: Any) -> Iterator[Named]:
    """The pages of a TIFF: the first is the file itself; others are made into files in memory.

    What is stored as a smaller copy of another page is left out.
    """
    from tinymnist.imaging.picture.decode import identify, open_binary

    yield name, first
    with (
        suppress(InputError),  # reading the first page reports it
        open_binary(file) as stream,
        identify(stream, file) as picture,
    ):
        if picture.format == "TIFF":
            yield from _further_pages(name, picture)


def _further_pages(name: str, picture: Any) -> Iterator[Named]:
    from tinymnist.imaging.picture.decode import check_pixels

    for number in range(1, MOST_PAGES):
        page = f"{name}#{number + 1}"
        try:
            picture.seek(number)
        except EOFError:
            return
        except Exception as error:  # Pillow raises whatever its parsing trips over
            yield page, InputError(f"{page}: is broken or cut off: {reason(error)}")
            return
        try:
            if not _is_reduced(picture):
                check_pixels(picture, page)
                yield page, _as_file(picture)
        except InputError as error:
            yield page, error
        except Exception as error:
            yield page, InputError(f"{page}: is broken or cut off: {reason(error)}")
    with suppress(Exception):
        picture.seek(MOST_PAGES)
        yield name, InputError(f"{name}: has more than {MOST_PAGES:,} pages, the rest is left out")


def _is_reduced(picture: Any) -> bool:
    """Whether a page of a TIFF is a smaller copy: the first bit of its tag NewSubfileType."""
    return bool(int(picture.tag_v2.get(254, 0)) & 1)


def _as_file(picture: Any) -> bytes:
    """One picture as a file in memory, upright; Pillow would lose the orientation of a page."""
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(picture)
    file = io.BytesIO()
    if upright.mode in ("CMYK", "YCbCr", "LAB", "HSV", "RGBX", "RGBa", "La", "PA"):
        upright = upright.convert("RGBA" if upright.mode in ("RGBa", "La", "PA") else "RGB")
    if upright.mode == "F":  # only a TIFF holds it
        upright.save(file, "TIFF")
    else:
        upright.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _pdf(path: str, skipped: Counter[str]) -> Iterator[Named]:
    try:
        import pypdfium2
    except ImportError:
        raise InputError(f"{path}: PDF needs pypdfium2; pip install pypdfium2") from None
    try:
        document = pypdfium2.PdfDocument(path)
    except (pypdfium2.PdfiumError, OSError) as error:
        raise InputError(f"{path}: is not a PDF that can be read: {reason(error)}") from None
    try:
        for number in range(len(document)):
            name = f"{path}#{number + 1}" if number else path
            try:
                page = document[number]
                yield name, _as_file(page.render(scale=_pdf_scale(*page.get_size())).to_pil())
                page.close()
            except pypdfium2.PdfiumError as error:
                yield name, InputError(f"{name}: cannot be drawn: {reason(error)}")
    finally:
        document.close()


def _pdf_scale(width: float, height: float) -> float:
    """The pixels per point of a page of a PDF; fewer if it is as large as a wall."""
    return min(PDF_DOTS / 72, math.sqrt(_MOST_PDF_PIXELS / max(width * height, 1)))


_OPENERS: dict[tuple[str, ...], Callable[[str, Counter[str]], Iterator[Named]]] = {
    (*ZIP, *TAR): _archive,
    (".npz", ".npy"): _arrays,
    ("-ubyte", "-ubyte.gz", ".idx", ".idx.gz"): _idx,
    (".tif", ".tiff"): _tiff,
    (".pdf",): _pdf,
}
"""By the endings of names."""
