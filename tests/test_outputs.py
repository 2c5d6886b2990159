"""No command writes over what it reads, over its own other output, or where it cannot."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import tinymnist
from tests.test_cli import assert_refused, run
from tests.test_labelled_sets import folder_of

SAMPLE = Path(tinymnist.__file__).parent / "samples" / "8-chalk-on-black.jpg"
WRITERS: dict[str, tuple[list[str], str, str]] = {
    "explain": (["PHOTO", "--model", "M", "--out", "X.png"], "--out", "PHOTO"),
    "read": (["PHOTO", "--model", "M", "--annotate", "X.png"], "--annotate", "PHOTO"),
    "augment photo": (["PHOTO", "--out", "X.png"], "--out", "PHOTO"),
    "augment set": (["SET", "--out", "X.png"], "--out", "PICTURE"),
    "diagnose": (["SET", "--model", "M", "--out", "X.html"], "--out", "PICTURE"),
    "diagnose model": (["SET", "--model", "M", "--out", "X.html"], "--out", "M"),
    "compare": (["M", "M", "--report", "X.html"], "--report", "M"),
    "compare set": (["mlp", "mlp", "--inputs", "N", "--report", "X.html"], "--report", "N"),
    "compare folder": (
        ["mlp", "mlp", "--inputs", "SET", "--report", "X.html"],
        "--report",
        "PICTURE",
    ),
    "diagnose table": (["CSV", "--model", "M", "--out", "X.html"], "--out", "TABLE"),
    "train table": (["CSV", "--out", "o.npz", "--history", "X.csv"], "--history", "TABLE"),
    "convert": (["M", "X.npz"], "DEST", "M"),
    "convert set": (["mlp", "X.npz", "--score", "N"], "DEST", "N"),
    "export": (["M", "X.onnx"], "DEST", "M"),
    "train": (["N", "--out", "X.npz"], "--out", "N"),
    "train start": (["SET", "--start", "M", "--out", "X.npz"], "--out", "M"),
    "train history": (
        ["SET", "--architecture", "mlp", "--epochs", "1", "--out", "o.npz", "--history", "X.csv"],
        "--history",
        "PICTURE",
    ),
    "train twice": (["SET", "--out", "X.npz", "--checkpoint", "o.npz"], "--checkpoint", "o.npz"),
    "finetune": (["N", "--out", "X.npz"], "--out", "N"),
    "finetune model": (["SET", "--model", "M", "--out", "X.npz"], "--out", "M"),
    "finetune report": (["SET", "--out", "o.npz", "--report", "X.html"], "--report", "PICTURE"),
}
"""The arguments of a command, an option that writes X, and what X must not be."""
RERUN = ("explain", "augment photo", "compare", "convert", "train history")
"""Quick ones, one for each kind of output."""


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals")
    folder_of(folder / "set", (3, 7))
    folder_of(folder / "csv", (3, 7))
    (folder / "csv/labels.csv").write_text("file,label\n3/0.png,3\n7/0.png,7\n")
    (folder / "photo.jpg").write_bytes(SAMPLE.read_bytes())
    tinymnist.load_model("mlp").save(folder / "m.npz")
    np.savez(folder / "n.npz", images=np.zeros((4, 28, 28)), labels=np.array([3, 7, 3, 7]))
    return folder


@pytest.fixture
def files(originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the names in WRITERS stand for; the current folder is a new one."""
    monkeypatch.chdir(shutil.copytree(originals, tmp_path / "new"))
    return {
        "PHOTO": "photo.jpg",
        "PICTURE": "set/3/0.png",
        "SET": "set",
        "M": "m.npz",
        "N": "n.npz",
        "CSV": "csv",
        "TABLE": "csv/labels.csv",
    }


def arguments_of(case: str, files: dict[str, str], target: str) -> list[str]:
    arguments = [target if a.startswith("X.") else a for a in WRITERS[case][0]]
    return [case.split(maxsplit=1)[0], *(files.get(argument, argument) for argument in arguments)]


def ending_of(case: str) -> str:
    return next(Path(a).suffix for a in WRITERS[case][0] if a.startswith("X."))


@pytest.mark.parametrize("case", WRITERS)
def test_nothing_is_overwritten(
    capsys: pytest.CaptureFixture[str], files: dict[str, str], case: str
) -> None:
    """A link is recognized as the file that it leads to; nothing is changed."""
    _, option, victim = WRITERS[case]
    link = Path(f"link{ending_of(case)}")
    link.symlink_to(files.get(victim, victim))
    before = {file: file.read_bytes() for file in Path().rglob("*") if file.is_file()}
    assert_refused(run(capsys, *arguments_of(case, files, str(link))), option, "would overwrite")
    assert {file: file.read_bytes() for file in Path().rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("case", WRITERS)
def test_a_place_that_cannot_be_written_is_refused_first(
    capsys: pytest.CaptureFixture[str], files: dict[str, str], case: str
) -> None:
    ending = ending_of(case)
    missing = arguments_of(case, files, f"nowhere/x{ending}")
    assert_refused(run(capsys, *missing), "there is no folder nowhere")
    if case != "read":  # which also writes into folders
        Path("folder" + ending).mkdir()
        assert_refused(run(capsys, *arguments_of(case, files, "folder" + ending)), "folder")


@pytest.mark.parametrize("case", [case for case in WRITERS if case != "train twice"])
def test_a_file_of_another_kind_is_not_replaced(
    capsys: pytest.CaptureFixture[str], files: dict[str, str], case: str
) -> None:
    """Although it is not an input."""
    option, mine = WRITERS[case][1], Path(f"mine{ending_of(case)}")
    for content in (SAMPLE.read_bytes(), b"file,label\n7.png,7\n", b"PK\3\4 and more"):
        mine.write_bytes(content)
        assert_refused(run(capsys, *arguments_of(case, files, str(mine))), option, "overwrite")
        assert mine.read_bytes() == content


@pytest.mark.parametrize("case", RERUN)
def test_an_older_result_is_replaced(
    capsys: pytest.CaptureFixture[str], files: dict[str, str], case: str
) -> None:
    out = Path(f"mine{ending_of(case)}")
    out.touch()  # as mktemp does
    for _ in range(2):
        assert run(capsys, *arguments_of(case, files, str(out)))[0] in (0, 1)
        assert out.stat().st_size
