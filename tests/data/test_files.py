"""Files that are written whole or not at all, and what counts as a picture in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
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


@pytest.mark.parametrize("name", ["x" * 256, "y" * 300, "gone/a"])
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


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, "a"])
def test_a_name_as_long_as_the_file_system_takes(tmp_path: Path, name: str) -> None:
    write(tmp_path / name)
    assert os.listdir(tmp_path) == [name]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_permissions_are_kept_and_those_of_new_files_the_users(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "a").chmod(0o640)
    before = os.umask(0o027)
    try:
        write(tmp_path / "a")
        write(tmp_path / "b")
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in "ab"]
    assert modes == [0o640, 0o640]
    (tmp_path / "a").chmod(0o444)
    write(tmp_path / "a")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o444


def test_a_temporary_name_cannot_be_foretold(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        with whole_file(tmp_path / "a") as temporary:
            names.append(temporary.name)
            assert temporary.is_file()
    assert len({*names}) == 3


@pytest.mark.skipif(os.name != "posix", reason="processes of POSIX")
def test_the_next_process_tidies_up(tmp_path: Path) -> None:
    """What belongs to a process that works on stays, as do other people's files."""
    program = (
        "import os, sys; from tinymnist.files import whole_file\n"
        "with whole_file(sys.argv[1]) as temporary:\n"
        "    temporary.write_bytes(b'half'); os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "a")]
    assert subprocess.run(command).returncode == -9
    assert len(os.listdir(tmp_path)) == 1
    (tmp_path / ".other.tmp").touch()
    with whole_file(tmp_path / "c") as mine:
        write(tmp_path / "b")
        assert mine.exists()
        assert sorted(os.listdir(tmp_path)) == sorted([".other.tmp", mine.name, "b"])


def test_threads_that_write_one_path_all_succeed(tmp_path: Path) -> None:
    def save(number: int) -> None:
        for _ in range(20):
            with whole_file(tmp_path / "a") as temporary:
                temporary.write_bytes(b"%d" % number * 1000)

    with ThreadPoolExecutor(4) as threads:
        for saved in [threads.submit(save, number) for number in range(4)]:
            saved.result()
    content = (tmp_path / "a").read_bytes()
    assert len(content) == 1000 and len({*content}) == 1
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="copies this process")
def test_processes_that_save_to_one_path_all_succeed(tmp_path: Path) -> None:
    """Each looks for what killed ones have left, and leaves the files of the others alone."""
    path, children = tmp_path / "a", []
    path.write_bytes(b"0" * 1000)
    for number in range(1, 4):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for _ in range(20):
                    with whole_file(path) as temporary:
                        temporary.write_bytes(b"%d" % number * 1000)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    while children:
        content = path.read_bytes()
        assert len(content) == 1000 and len({*content}) == 1
        ended, status = os.waitpid(children[-1], os.WNOHANG)
        if ended:
            assert status == 0
            children.pop()
    assert os.listdir(tmp_path) == ["a"]
