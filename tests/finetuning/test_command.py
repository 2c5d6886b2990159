"""``tinymnist finetune`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.test_cli import run
from tinymnist.imaging.synthetic.paint import ink
from tinymnist.nn.sequential import load_model


def write(folder: Path, digit: int, each: int, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for number in range(each):
        picture = ink(digit, (60, 60), height=0.7, pen=0.12, turn=rng.normal(0, 6))
        Image.fromarray(np.uint8(255 - 255 * picture)).save(folder / f"{number}.png")


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    """Two classes that no model knows by name."""
    write(tmp_path / "marks" / "tick", 7, 3)
    write(tmp_path / "marks" / "ring", 0, 3, seed=1)
    return tmp_path / "marks"


def refused(result: tuple[int, str, str], *words: str) -> None:
    code, out, err = result
    assert (code, out) == (2, "")
    last = err.splitlines()[-1]
    assert last.startswith("tinymnist: ") and all(word in last for word in words), last


def test_new_classes_from_a_folder_and_back(
    capsys: pytest.CaptureFixture[str], marks: Path, tmp_path: Path
) -> None:
    out, report = tmp_path / "marks.npz", tmp_path / "report.html"
    args = ("--model", "mlp", "--out", out, "--report", report, "--epochs", 3)
    code, text, err = run(capsys, "finetune", marks, *args)
    assert code == 0
    assert "6 pictures, of which 6 were measured" in text and f"saved {out}" in text
    assert "fold 1 of 3: 4 pictures, measured on 2" in err
    page = report.read_text("utf-8")
    assert "mlp, fine-tuned on" in page and "<th>tick</th>" in page and "Class by class" in page
    told = load_model(out)
    assert told.name == "marks" and told.metadata["class_names"] == ["ring", "tick"]
    assert told.metadata["parent"]["name"] == "mlp"
    code, text, _ = run(capsys, "predict", "--model", out, "--json", marks / "ring")
    assert code == 0
    assert [json.loads(line)["digit"] for line in text.splitlines()] == ["ring"] * 3
    code, text, _ = run(capsys, "evaluate", "--model", out, "--json", marks)
    assert code == 0 and json.loads(text)["accuracy"] == 1.0
    code, text, _ = run(capsys, "verify", out)
    assert code == 0


def test_digits_keep_the_head_and_json_tells_all(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    for digit in (1, 4, 8):
        write(folder / str(digit), digit, 2, seed=digit)
    out = tmp_path / "mine.npz"
    args = ("--model", "mlp", "--out", out, "--json", "--quiet", "--epochs", 2)
    code, text, err = run(capsys, "finetune", folder, *args)
    record = json.loads(text)
    assert (code, err) == (0, "")
    assert record["classes"] == list("0123456789") and record["parent"] == "mlp"
    assert record["held_out"] == 6 and record["folds"] == 5
    assert record["mnist"]["n"] == 1000 and 0 <= record["kept"] <= 1
    assert 0 <= record["accuracy_before"] <= 1 and 0 <= record["accuracy"] <= 1
    assert np.array(record["confusion"]).sum() == 6
    assert load_model(out).metadata["metrics"]["held-out"]["n"] == 6


def test_arrays_and_a_table_of_labels(
    capsys: pytest.CaptureFixture[str], marks: Path, tmp_path: Path
) -> None:
    rows = [f"{c}/{i}.png,{c}" for c in ("tick", "ring") for i in range(3)]
    (marks / "labels.csv").write_text("\n".join(["file,label", *rows]))
    common = ("--model", "mlp", "--out", tmp_path / "m.npz", "--json", "--quiet", "--epochs", 1)
    assert run(capsys, "finetune", marks, *common)[0] == 0
    x = np.stack([np.asarray(Image.open(marks / "tick" / f"{i}.png")) for i in range(3)])
    np.savez(tmp_path / "set.npz", images=x, labels=np.array(["a", "b", "a"]))
    code, text, _ = run(capsys, "finetune", tmp_path / "set.npz", *common)
    assert code == 0 and json.loads(text)["classes"] == ["a", "b"]


def test_what_cannot_be_learnt_is_said_clearly(
    capsys: pytest.CaptureFixture[str], marks: Path, tmp_path: Path
) -> None:
    out = ("--model", "mlp", "--out", tmp_path / "m.npz", "--epochs", 1)
    (marks / "empty").mkdir()
    refused(run(capsys, "finetune", marks, *out), "no picture of class 'empty'", "at least one")
    (marks / "empty" / "torn.png").write_bytes(b"no picture")
    refused(run(capsys, "finetune", marks, *out), "no picture of class 'empty' could be read")
    (marks / "empty" / "torn.png").rename(marks / "tick" / "torn.png")
    (marks / "empty").rmdir()
    code, text, err = run(capsys, "finetune", marks, *out)
    assert code == 1 and "left out" in err and "torn.png" in err and "saved" in text
    for file in (marks / "ring").iterdir():
        file.unlink()
    (marks / "ring").rmdir()
    refused(run(capsys, "finetune", marks, *out), "at least two, found only 'tick'")
    refused(run(capsys, "finetune", marks, *out, "--unfreeze", "-1"), "--unfreeze", "at least 0")
    refused(run(capsys, "finetune", marks, *out, "--resume"), "--resume needs --checkpoint")
    refused(run(capsys, "finetune", marks, "--out", tmp_path / "no" / "m.npz"), "no folder")


def test_misread_pictures_are_named(
    capsys: pytest.CaptureFixture[str], marks: Path, tmp_path: Path
) -> None:
    """Also where others of the set could not be read."""
    (marks / "ring" / "0.png").write_bytes(b"no picture")
    for number in range(2):
        (marks / "ring" / f"{number + 1}.png").rename(marks / "tick" / f"lost-{number}.png")
    write(marks / "more", 0, 4, seed=5)
    for file in (marks / "more").iterdir():
        file.rename(marks / "ring" / f"new-{file.name}")
    (marks / "more").rmdir()
    out, report = tmp_path / "m.npz", tmp_path / "r.html"
    args = ("--model", "mlp", "--out", out, "--json", "--quiet", "--report", report, "--epochs", 15)
    code, text, _ = run(capsys, "finetune", marks, *args)
    record = json.loads(text)
    assert (code, record["unread"], record["n"]) == (1, 1, 9)
    wrong = {one["picture"]: one for one in record["wrong"]}
    lost = wrong[str(marks / "tick" / "lost-0.png")]
    assert (lost["label"], lost["taken_for"]) == ("tick", "ring") and lost["confidence"] > 0.5
    assert "1 more could not be read" in report.read_text("utf-8")


def test_nothing_is_overwritten_that_is_needed(
    capsys: pytest.CaptureFixture[str], marks: Path, tmp_path: Path
) -> None:
    images = np.stack([np.asarray(Image.open(file)) for file in sorted(marks.glob("*/*.png"))])
    own = tmp_path / "own.npz"
    np.savez(own, images=images, labels=np.array(["a", "b"] * 3))
    before = own.read_bytes()
    fast = ("--model", "mlp", "--epochs", 1, "--quiet")
    refused(run(capsys, "finetune", own, "--out", own, *fast), "--out", "would overwrite")
    assert own.read_bytes() == before
    out = ("--out", tmp_path / "m.npz")
    twice = ("--report", tmp_path / "m.npz")
    refused(run(capsys, "finetune", marks, *out, *twice, *fast), "--report", "would overwrite")
    picture = ("--report", marks / "ring" / "0.png")
    refused(run(capsys, "finetune", marks, *out, *picture, *fast), "would overwrite")


def test_what_cannot_be_written_is_said_before_the_work(
    capsys: pytest.CaptureFixture[str], marks: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "file").write_text("")
    out = ("--out", tmp_path / "m.npz")
    for arguments, words in {
        ("--out", tmp_path / "folder.npz"): ("folder.npz", "regular file"),
        ("--out", tmp_path / "m.txt"): ("should end with .npz",),
        ("--out", ""): ("should end with .npz",),
        (*out, "--report", ""): ("--report expects the name of a file",),
        (*out, "--report", tmp_path / "folder.npz"): ("folder.npz", "regular file"),
        (*out, "--checkpoint", tmp_path / "file"): ("--checkpoint expects a folder",),
    }.items():
        result = run(capsys, "finetune", marks, *arguments)
        refused(result, *words)
        assert "fold 1" not in result[2]
