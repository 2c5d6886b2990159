"""Which files are opened as pictures: those of a few formats, whatever their names say."""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tinymnist.augmentation.pictures import load_img
from tinymnist.cli import main
from tinymnist.errors import InputError
from tinymnist.imaging.page.annotate import upright_picture
from tinymnist.imaging.picture.decode import decode
from tinymnist.sources import Inputs

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n%%EndComments\n0 0 28 28 rectfill\n"
FORMATS = ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM", "TGA", "ICO", "JPEG2000")


def picture(mode: str = "L") -> Image.Image:
    return Image.fromarray(np.uint8(np.add.outer(np.arange(32), 4 * np.arange(32)))).convert(mode)


def file_of(kind: str, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    picture(mode).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", ["7.png", "7.webp", "7.unknown"])
def test_what_is_opened_does_not_depend_on_the_name(kind: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(file_of(kind))
    grey = decode(tmp_path / name)
    assert grey.shape == (32, 32)
    assert abs(grey - np.asarray(picture()) / 255).max() < 0.05


@pytest.mark.parametrize("kind", ["EPS", "PCX", "SGI", "SPIDER", "DDS", "XBM"])
@pytest.mark.parametrize(
    "opens",
    [decode, upright_picture, load_img, lambda path: next(iter(Inputs([path])))[1]],
    ids=["decode", "annotate", "load_img", "tiff"],
)
def test_other_formats_are_refused(
    kind: str, opens: Callable[[Any], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    ghostscript = tmp_path / "bin" / "gs"
    ghostscript.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/started\n')
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    content = EPS if kind == "EPS" else file_of(kind, {"XBM": "1", "SPIDER": "F"}.get(kind, "L"))
    file = tmp_path / "7.tif"
    file.write_bytes(content)
    with pytest.raises(InputError, match="not a picture"):
        found = opens(file)
        assert isinstance(found, str)  # a TIFF's first page is opened by who reads it
        decode(found)
    assert not (tmp_path / "started").exists()


@pytest.mark.skipif(os.name != "posix", reason="named pipes")
def test_a_pipe_is_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("7.png", "7.tif", "7.zip", "7.tar", "7.npy", "7.npz", "7.idx", "7.pdf"):
        os.mkfifo(tmp_path / name)
        assert main(["predict", str(tmp_path / name)]) == 2
        assert "regular file" in capsys.readouterr().err
    assert main(["predict", "/dev/zero"]) == 2


def test_warning_filters_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "7.tif").write_bytes(file_of("TIFF"))
    before = [*warnings.filters]

    def read() -> None:
        for _ in range(20):
            decode(tmp_path / "7.tif")
            [*Inputs([tmp_path / "7.tif"])]
            load_img(tmp_path / "7.tif")
            upright_picture(tmp_path / "7.tif")

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert [*warnings.filters] == before
    for thread in threads:
        thread.join()
