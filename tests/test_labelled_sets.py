"""Every command treats a labelled set alike: unreadable pictures, empty folders, every format."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinymnist
from tests.test_cli import Result, assert_refused, run
from tinymnist.imaging.synthetic.paint import ink

Command = Callable[..., Result]
COMMANDS: dict[str, list[str]] = {
    "evaluate": ["SET", "--model", "mlp"],
    "diagnose": ["SET", "--model", "mlp"],
    "finetune": ["SET", "--model", "mlp", "--out", "OUT/m.npz", "--epochs", "1", "--quiet"],
    "train": ["SET", "--architecture", "mlp", "--out", "OUT/m.npz", "--epochs", "1", "--quiet"],
    "augment": ["SET", "--out", "OUT/sheet.png"],
    "convert": ["MODEL", "OUT/m.npz", "--score", "SET"],
    "compare": ["mlp", "mlp", "--inputs", "SET"],
}


@cache
def draw(digit: int) -> np.ndarray:
    """Dark ink on light paper, (60, 60) uint8."""
    return (255 - 255 * ink(digit, (60, 60), height=0.7, pen=0.12)).astype(np.uint8)


def folder_of(place: Path, digits: tuple[int, ...], each: int = 2) -> Path:
    for digit in digits:
        (place / str(digit)).mkdir(parents=True)
        for number in range(each):
            Image.fromarray(draw(digit)).save(place / str(digit) / f"{number}.png")
    return place


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose scaling is to be found with labelled pictures."""
    path = tmp_path_factory.mktemp("model") / "mlp.safetensors"
    tinymnist.export(tinymnist.load_model("mlp"), path)
    return path


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], exported: Path) -> Command:
    """Runs a command on a set."""
    out = tmp_path / "out"
    out.mkdir()
    places = {"MODEL": exported, "OUT/m.npz": out / "m.npz", "OUT/sheet.png": out / "sheet.png"}

    def execute(name: str, labelled: Path, *more: str) -> Result:
        filled = [{**places, "SET": labelled}.get(a, a) for a in COMMANDS[name]]
        return run(capsys, name, *filled, *more)

    return execute


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(("torn", "lines"), [(1, 1), (8, 6)])
def test_unreadable_pictures(
    command: Command, tmp_path: Path, name: str, torn: int, lines: int
) -> None:
    """The first five are named, the others counted; --json has all; the exit code is 1."""
    labelled = folder_of(tmp_path / "set", (3, 7))
    for number in range(torn):
        (labelled / "7" / f"torn-{number}.png").write_bytes(b"not a picture")
    more = ["--rows", "99"] if name == "augment" else []
    code, out, err = command(name, labelled, "--json", *more)
    assert code == 1
    said = [line for line in err.splitlines() if "torn-" in line or "more" in line]
    assert len(said) == lines
    assert all(f"torn-{number}.png" in said[number] for number in range(min(torn, 5)))
    assert torn <= 5 or f"{torn - 5} more" in said[-1]
    failures = json.loads(out)["failures"]
    paths = [str(labelled / "7" / f"torn-{number}.png") for number in range(torn)]
    assert [one["picture"] for one in failures] == paths
    assert all("torn-" in one["error"] for one in failures)


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_readable(command: Command, tmp_path: Path, name: str) -> None:
    for digit in "37":
        (tmp_path / "set" / digit).mkdir(parents=True)
        (tmp_path / "set" / digit / "torn.png").write_bytes(b"not a picture")
    assert_refused(command(name, tmp_path / "set"), "torn.png", "could be read")


@pytest.mark.parametrize("name", COMMANDS)
def test_an_empty_folder(command: Command, tmp_path: Path, name: str) -> None:
    (tmp_path / "set").mkdir()
    assert_refused(command(name, tmp_path / "set"), str(tmp_path / "set"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_of_one_class(command: Command, tmp_path: Path, name: str) -> None:
    result = command(name, folder_of(tmp_path / "set", (4,)))
    if name == "finetune":
        assert_refused(result, "at least two", "'4'")
    else:
        assert result[0] == 0, result[2]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("is_named", [True, False], ids=["the table", "its folder"])
def test_a_csv(command: Command, tmp_path: Path, name: str, is_named: bool) -> None:
    labelled = folder_of(tmp_path / "set", (3, 7))
    rows = [f"{digit}/{number}.png,{digit}" for digit in (3, 7) for number in range(2)]
    (labelled / "labels.csv").write_text("\n".join(["file,label", *rows]))
    code, out, err = command(name, labelled / "labels.csv" if is_named else labelled, "--json")
    assert code == 0, err
    assert json.loads(out)["failures"] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_an_npz(command: Command, tmp_path: Path, name: str) -> None:
    shape = 28 if name == "compare" else 60  # which takes arrays as they are
    images = np.stack([draw(digit) for digit in (3, 7, 3, 7)])[:, :shape, :shape]
    np.savez(tmp_path / "set.npz", images=images, labels=np.array([3, 7, 3, 7]))
    code, out, err = command(name, tmp_path / "set.npz", "--json")
    assert code == 0, err
    assert json.loads(out)["failures"] == []


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "compare"])
def test_a_picture_of_an_npz_that_cannot_be_read(
    command: Command, tmp_path: Path, name: str
) -> None:
    images = np.stack([draw(digit) for digit in (3, 7, 3, 7)])
    images[2] = 255
    np.savez(tmp_path / "set.npz", images=images, labels=np.array([3, 7, 3, 7]))
    code, out, err = command(name, tmp_path / "set.npz", "--json")
    assert code == 1 and "picture 2: " in err
    assert [one["picture"] for one in json.loads(out)["failures"]] == ["picture 2"]
