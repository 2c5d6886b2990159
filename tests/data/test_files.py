"""Files that are written whole or not at all, and what counts as a picture in a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.data.test_sets import touch
from tinymnist.errors import InputError
from tinymnist.files import pictures_in, whole_file


def write(path: str | Path) -> None:
    with whole_file(path) as temporary:
        temporary.write_bytes(b"new")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    write(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("name", ["x" * 250, "y" * 300, "gone/a"])
def test_a_name_that_cannot_be_written_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot write"):
        write(tmp_path / name)


def test_an_error_at_tidying_up_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that may not be entered, the temporary file cannot even be looked for."""

    def locked(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", locked)
    monkeypatch.setattr("pathlib.Path.unlink", locked)
    with pytest.raises(InputError, match=r"cannot write .*Permission denied"):
        write(tmp_path / "a")


@pytest.mark.parametrize("path", ["", "/"])
def test_an_empty_name_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="expected the name of a file"):
        write(path)


def test_only_a_regular_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    pipe = tmp_path / "pipe"
    if hasattr(os, "mkfifo"):
        os.mkfifo(pipe)
    else:
        pipe.mkdir()
    for place in (tmp_path / "folder", pipe):
        with pytest.raises(InputError, match="regular file"):
            write(place)
        assert place.exists() and not place.is_file()
    assert len(os.listdir(tmp_path)) == 2


def test_what_a_mac_puts_into_a_zip_is_hidden(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "__MACOSX/b.png", "deep/__MACOSX/c.png", ".d.png")
    assert pictures_in(tmp_path) == [tmp_path / "a.png"]


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"):
        pictures_in(tmp_path / "gone")
