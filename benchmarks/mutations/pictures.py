"""Kinds of pictures, and of archives of them: everything that ``predict`` and ``read`` open."""

from __future__ import annotations

import io
import tarfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.mutations.kinds import Kind, Seed
from benchmarks.mutations.mutators import BYTES, inside_gzip, inside_zip

_FORMATS = {
    "png": ("L", "RGB", "RGBA", "P", "1", "I;16"),
    "jpeg": ("L", "RGB", "CMYK"),
    "gif": ("L", "P"),
    "tiff": ("L", "RGB", "RGBA", "CMYK", "F", "I;16"),
    "bmp": ("L", "RGB"),
    "webp": ("RGB", "RGBA"),
    "ppm": ("L", "RGB"),
    "tga": ("L", "RGBA"),
    "ico": ("RGBA",),
    "jpeg2000": ("L", "RGB"),
}
"""Pillow's names, and the modes that it writes in each."""


def kinds() -> list[Kind]:
    """Every format, and the archives."""
    made = [
        Kind(f"picture-{name}", _maker(name, modes), BYTES, _predict, _reader)
        for name, modes in _FORMATS.items()
    ]
    return [
        *made,
        Kind("page", _maker("png", ("L", "RGB")), BYTES, _read, _reader),
        Kind("zip", _zips, (*BYTES, inside_zip(lambda name: BYTES[0])), _predict, _reader),
        Kind("tar", _tars, (*BYTES, inside_gzip), _predict, _reader),
    ]


def _drawn(mode: str) -> Image.Image:
    grey = np.full((40, 34), 230, np.uint8)
    grey[8:32, 15:19] = 20
    if mode == "I;16":
        return Image.fromarray(grey.astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(grey.astype(np.float32) / 255)
    return Image.fromarray(grey).convert(mode)


def _file(name: str, mode: str) -> bytes:
    file = io.BytesIO()
    pages = {"save_all": True, "append_images": [_drawn(mode)]} if name in ("tiff", "gif") else {}
    _drawn(mode).save(file, name, **pages)
    return file.getvalue()


def _maker(name: str, modes: tuple[str, ...]) -> Any:
    def seeds() -> list[Seed]:
        names = {
            mode: f"{mode.replace(';', '')}.{'tif' if name == 'tiff' else name}" for mode in modes
        }
        return [Seed(names[mode], {names[mode]: _file(name, mode)}) for mode in modes]

    return seeds


def _zips() -> list[Seed]:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("png", "tiff", "jpeg"):
            archive.writestr(f"a/{name}.{name}", _file(name, "L"))
    return [Seed("a.zip", {"a.zip": file.getvalue()})]


def _tars() -> list[Seed]:
    seeds = []
    for ending, mode in (("tar", "w"), ("tar.gz", "w:gz")):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode=mode, format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
            for name in ("png", "tiff", "jpeg"):
                content = _file(name, "L")
                info = tarfile.TarInfo(f"ä/{name}.{name}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        seeds.append(Seed(f"a.{ending}", {f"a.{ending}": file.getvalue()}))
    return seeds


@cache
def _reader() -> Any:
    import warnings

    from tinymnist.reader import Reader

    warnings.filterwarnings("ignore", module="PIL")  # as the command line does
    Image.init()
    return Reader("mlp")


def _predict(path: Path) -> None:
    """Read every picture in the file."""
    _open(path, "predict")


def _read(path: Path) -> None:
    """Read the file as a page."""
    _open(path, "read")


def _open(path: Path, how: str) -> None:
    from tinymnist.errors import InputError
    from tinymnist.sources import Inputs

    failures = []
    for _, source in Inputs([path]):
        try:
            if isinstance(source, InputError):
                raise source
            getattr(_reader(), how)(source)
        except InputError as error:
            failures.append(error)
    if failures:
        raise failures[0]
