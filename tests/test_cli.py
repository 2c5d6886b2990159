"""The command line as a user meets it: output, exit codes, one clear line when it goes wrong."""

from __future__ import annotations

import gc
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

import tinymnist
from tinymnist.cli import COMMANDS, main
from tinymnist.nn.architectures import mlp

SAMPLES = sorted((Path(tinymnist.__file__).parent / "samples").iterdir())


Result = tuple[int, str, str]
"""Exit code, standard output, standard error."""


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> Result:
    """Run a command in this process."""
    try:
        code = main([str(argument) for argument in argv])
    except SystemExit as stop:  # argparse ends this way
        assert isinstance(stop.code, int)
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def assert_refused(result: Result, *words: str) -> None:
    """Exit code 2, nothing on stdout, and one line on stderr that holds the words."""
    code, out, err = result
    assert code == 2
    assert out == ""
    assert err.startswith("tinymnist: ")
    assert err.count("\n") == 1 and err.endswith("\n")
    for word in words:
        assert word in err


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A black 1 on white paper."""
    path = tmp_path / "one.png"
    image = Image.new("L", (120, 160), 255)
    ImageDraw.Draw(image).line((60, 30, 58, 130), fill=0, width=9)
    image.save(path)
    return path


@pytest.fixture
def labelled(tmp_path: Path, picture: Path) -> Path:
    """A folder with one folder a class and a labels.csv elsewhere."""
    folder = tmp_path / "set"
    (folder / "1").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        (folder / "1" / name).write_bytes(picture.read_bytes())
    return folder


def test_without_a_command_it_reads_the_samples(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys)
    assert code == 0
    lines = [line.split()[:2] for line in out.splitlines()[1:]]
    assert lines == [[path.name, path.name[0]] for path in SAMPLES]
    assert err.count("\n") == 1 and "tinymnist --help" in err


def test_the_help_lists_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert all(command in out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_examples(
    capsys: pytest.CaptureFixture[str], command: Any
) -> None:
    code, out, _ = run(capsys, command, "--help")
    assert code == 0
    assert "examples:" in out and f"tinymnist {command}" in out and "exit codes" in out


@pytest.mark.parametrize("arguments", [["predict", "--nonsense"], ["nonsense"], ["train"]])
def test_a_wrong_argument_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    words = {"train": "--out"}.get(arguments[-1], arguments[-1])
    assert_refused(run(capsys, *arguments), words, "--help")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--version")
    assert (code, out) == (0, f"tinymnist {tinymnist.__version__}\n")


def test_predict_reads_the_samples_right(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "predict", "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert "samples" in err
    assert [Path(record["file"]).name for record in records] == [path.name for path in SAMPLES]
    assert [record["digit"] for record in records] == [int(path.name[0]) for path in SAMPLES]


def test_predict_prints_file_digit_confidence_and_runner_up(
    capsys: pytest.CaptureFixture[str], picture: Any
) -> None:
    code, out, err = run(capsys, "predict", picture)
    heading, line = out.splitlines()
    assert (code, err) == (0, "")
    assert heading.split() == ["file", "digit", "confidence", "runner-up"]
    assert line.split()[:2] == [str(picture), "1"]


def test_predict_json_has_the_promised_keys(
    capsys: pytest.CaptureFixture[str], picture: Any
) -> None:
    _, out, _ = run(capsys, "predict", picture, "--json")
    record = json.loads(out)
    assert list(record) == ["file", "digit", "confidence", "probabilities", "class_names"]
    assert record["class_names"] == list("0123456789")
    assert record["digit"] == int(np.argmax(record["probabilities"]))
    assert record["confidence"] == max(record["probabilities"])
    assert sum(record["probabilities"]) == pytest.approx(1, abs=1e-4)


def test_predict_reads_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, picture: Any
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(picture.read_bytes())))
    code, out, _ = run(capsys, "predict", "-", "--json")
    assert code == 0
    assert json.loads(out)["file"] == "-"


def test_predict_reads_folders(capsys: pytest.CaptureFixture[str], labelled: Any) -> None:
    code, out, _ = run(capsys, "predict", labelled, "--json")
    assert code == 0
    assert [Path(json.loads(line)["file"]).name for line in out.splitlines()] == ["a.png", "b.png"]


def test_predict_names_the_bad_pictures_and_reads_the_others(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, picture: Any
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture at all")
    code, out, err = run(capsys, "predict", bad, picture, tmp_path / "gone.png", "--json")
    assert code == 1
    records = [json.loads(line) for line in out.splitlines()]
    files = [str(bad), str(picture), str(tmp_path / "gone.png")]
    assert [record["file"] for record in records] == files
    assert ["error" in record for record in records] == [True, False, True]
    assert len(err.splitlines()) == 2
    assert "bad.png" in err and "gone.png" in err


def write_missing(path: Any, picture: Any) -> None:
    """No file at all."""


def write_empty(path: Any, picture: Any) -> None:
    path.write_bytes(b"")


def write_text(path: Any, picture: Any) -> None:
    path.write_text("this is not a picture")


def write_truncated(path: Any, picture: Any) -> None:
    path.write_bytes(picture.read_bytes()[:60])


def write_blank(path: Any, picture: Any) -> None:
    Image.new("L", (50, 50), 255).save(path, "png")


@pytest.mark.parametrize(
    "write", [write_missing, write_empty, write_text, write_truncated, write_blank]
)
def test_predict_refuses_what_is_no_picture_of_a_digit(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, picture: Any, write: Any
) -> None:
    path = tmp_path / "x.png"
    write(path, picture)
    assert_refused(run(capsys, "predict", path), "x.png")


def test_an_empty_folder_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert_refused(run(capsys, "predict", tmp_path), str(tmp_path))


def test_an_unknown_model_lists_the_known_ones(
    capsys: pytest.CaptureFixture[str], picture: Any
) -> None:
    assert_refused(run(capsys, "predict", picture, "--model", "resnet"), "resnet", "mnist-cnn")


def test_a_file_that_holds_no_weights_is_refused(
    capsys: pytest.CaptureFixture[str], picture: Any
) -> None:
    assert_refused(run(capsys, "predict", picture, "--model", picture), "one.png", "weights")


def test_the_none_recipe_wants_28x28(capsys: pytest.CaptureFixture[str], picture: Any) -> None:
    assert_refused(run(capsys, "predict", picture, "--recipe", "none"), "28")


def test_evaluate_a_folder(capsys: pytest.CaptureFixture[str], labelled: Any) -> None:
    code, out, _ = run(capsys, "evaluate", labelled, "--json")
    report = json.loads(out)
    assert code == 0
    assert (report["n"], report["accuracy"], report["recipe"]) == (2, 1.0, "mnist")
    assert report["confusion"][1][1] == 2
    assert report["per_class"]["1"] == {"n": 2, "recall": 1.0, "precision": 1.0}


def test_evaluate_counts_a_picture_without_a_digit_as_wrong(
    capsys: pytest.CaptureFixture[str], labelled: Any
) -> None:
    write_blank(labelled / "1" / "c.png", None)
    code, out, err = run(capsys, "evaluate", labelled, "--json")
    report = json.loads(out)
    assert code == 1
    assert "c.png" in err
    assert (report["n"], report["unread"]) == (3, 1)
    assert report["accuracy"] == pytest.approx(2 / 3)


def test_evaluate_apart_by_a_column(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, picture: Any
) -> None:
    (tmp_path / "labels.csv").write_text("file,label,pen\none.png,1,thin\n")
    code, out, _ = run(capsys, "evaluate", tmp_path, "--by", "pen", "--json")
    assert code == 0
    assert json.loads(out)["by"] == {"thin": {"n": 1, "accuracy": 1.0}}
    assert_refused(run(capsys, "evaluate", tmp_path, "--by", "ink"), "ink", "pen")


def test_evaluate_prints_a_table(capsys: pytest.CaptureFixture[str], labelled: Any) -> None:
    code, out, _ = run(capsys, "evaluate", labelled)
    assert code == 0
    assert "accuracy 100.00 %: 2 of 2 right, 0 wrong" in out
    assert "to check for 99.9 % of the others to be right: none" in out


def test_evaluate_names_misread_pictures(capsys: pytest.CaptureFixture[str], labelled: Any) -> None:
    (labelled / "7").mkdir()
    (labelled / "1" / "b.png").rename(labelled / "7" / "c.png")
    _, out, _ = run(capsys, "evaluate", labelled)
    assert re.search(r"c\.png +7 +1 +[01]\.\d\d\n", out)
    _, out, _ = run(capsys, "evaluate", labelled, "--json")
    report = json.loads(out)
    assert [Path(one["picture"]).name for one in report["misread"]] == ["c.png"]
    assert (report["misread"][0]["label"], report["misread"][0]["read_as"]) == ("7", "1")
    assert report["to_check"] == {"share": 1.0, "confidence_below": None}  # both as sure


@pytest.mark.parametrize("name", ["nowhere", "mnist-validation"])
def test_an_unknown_set_is_refused(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert_refused(run(capsys, "evaluate", name), name)


def make_set(path: Any, n: int = 40) -> Any:
    """Pictures of two classes that any network can tell apart, in MNIST's form."""
    images = np.zeros((n, 28, 28), np.uint8)
    labels = np.arange(n) % 2
    images[labels == 0, 8:20, 8:12] = 255
    images[labels == 1, 8:12, 8:20] = 255
    np.savez(path, images=images, labels=labels)
    return path


def train_arguments(tmp_path: Path, out: str = "m.npz") -> Any:
    settings = ("--architecture", "mlp", "--epochs", 8, "--batch-size", 8, "--recipe", "none")
    return ("train", make_set(tmp_path / "set.npz"), "--out", tmp_path / out, *settings, "--quiet")


def test_train_goes_on_from_weights(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Two trainings of an epoch learn more than one; the file says that there were two."""
    arguments = [*train_arguments(tmp_path, "one.npz"), "--epochs", "1", "--json"]
    once = json.loads(run(capsys, *arguments)[1])
    arguments[arguments.index(tmp_path / "one.npz")] = tmp_path / "two.npz"
    twice = json.loads(run(capsys, *arguments, "--start", tmp_path / "one.npz")[1])
    assert twice["last_epoch"]["loss"] < 0.8 * once["last_epoch"]["loss"]
    told = json.loads(run(capsys, "summary", tmp_path / "two.npz", "--json")[1])
    assert told["source"].count("TrainingRecipe(") == 2


def test_train_ends_in_the_mean_of_both(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = [*train_arguments(tmp_path, "one.npz"), "--epochs", "1"]
    assert run(capsys, *arguments)[0] == 0
    for out, more in (("two.npz", ()), ("mean.npz", ("--average",))):
        arguments[arguments.index("--out") + 1] = tmp_path / out
        assert run(capsys, *arguments, "--start", tmp_path / "one.npz", *more)[0] == 0
    one, two, mean = (
        tinymnist.load_model(tmp_path / f"{n}.npz").weights for n in ("one", "two", "mean")
    )
    for name, array in mean.items():
        np.testing.assert_allclose(array, (one[name] + two[name]) / 2, atol=1e-6)
    assert not np.array_equal(one["dense/kernel"], two["dense/kernel"])
    code, _, error = run(capsys, *arguments, "--average")
    assert code == 2 and "--average needs --start" in error


def test_train_does_not_go_on_from_another_network(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, error = run(capsys, *train_arguments(tmp_path), "--start", "lenet5")
    assert code == 2 and out == "" and "does not hold the weights of mlp" in error
    assert not (tmp_path / "m.npz").exists()


def test_train_evaluate_summary_verify(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = run(capsys, *train_arguments(tmp_path), "--validation", "0.2", "--json")
    assert code == 0
    assert json.loads(out)["metrics"]["validation"]["n"] == 8
    model = tmp_path / "m.npz"
    code, out, _ = run(
        capsys, "evaluate", tmp_path / "set.npz", "--model", model, "--recipe", "none", "--json"
    )
    assert code == 0 and json.loads(out)["accuracy"] == 1.0
    code, out, _ = run(capsys, "summary", model)
    assert code == 0 and "101,770 parameters" in out
    code, out, _ = run(capsys, "verify", model)
    assert code == 0 and "sound" in out


def test_train_resumes_to_the_same_bytes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    short = ("--epochs", 2)
    run(capsys, *train_arguments(tmp_path, "once.npz"), *short)
    checkpoint = (*short, "--checkpoint", tmp_path / "m.ckpt")
    run(capsys, *train_arguments(tmp_path, "twice.npz"), *checkpoint)
    (tmp_path / "twice.npz").unlink()
    code, _, _ = run(capsys, *train_arguments(tmp_path, "twice.npz"), *checkpoint, "--resume")
    assert code == 0
    assert (tmp_path / "once.npz").read_bytes() == (tmp_path / "twice.npz").read_bytes()


def test_train_refuses_before_it_trains(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = train_arguments(tmp_path, "no/such/folder/m.npz")
    assert_refused(run(capsys, *arguments), "folder")
    assert_refused(run(capsys, *train_arguments(tmp_path), "--resume"), "--checkpoint")
    code, _, err = run(capsys, *train_arguments(tmp_path), "--batch-size", "0")
    assert code == 2 and "at least 1" in err


def test_verify_tells_when_a_layer_computes_something_else(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = mlp()
    model.save(tmp_path / "m.npz")
    from tinymnist.nn import functional as F

    honest = F.dense
    monkeypatch.setattr(F, "dense", lambda *a: (honest(*a)[0] * 1.001, honest(*a)[1]))
    code, out, _ = run(capsys, "verify", tmp_path / "m.npz")
    assert code == 1
    assert "DIFFERS" in out


def test_a_folder_that_cannot_be_read_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scandir = os.scandir

    def locked(path: Any) -> Any:
        if str(path) == str(tmp_path):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", locked)
    assert_refused(run(capsys, "predict", tmp_path), f"{tmp_path}: Permission denied")


def test_a_picture_that_cannot_be_looked_up_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, picture: Any
) -> None:
    """Its folder is locked; the other pictures are read."""
    hidden = picture.parent / "locked" / "one.png"
    stat = os.stat

    def locked(path: Any, *more: Any, **named: Any) -> Any:
        if str(path) == str(hidden):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *more, **named)

    monkeypatch.setattr("os.stat", locked)
    code, out, err = run(capsys, "predict", hidden, picture, "--json")
    assert code == 1 and ["error" in json.loads(line) for line in out.splitlines()] == [True, False]
    assert str(hidden) in err


def test_too_little_memory_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sheet = ("augment", SAMPLES[0], "--out", tmp_path / "s.png")
    assert_refused(run(capsys, *sheet, "--count", 10**13), "not enough memory", "allocate")
    assert not (tmp_path / "s.png").exists()


def test_what_the_terminal_cannot_print_is_escaped(tmp_path: Path, picture: Any) -> None:
    tick = tmp_path / "häkchen ✓.png"
    picture.rename(tick)
    done = subprocess.run(
        [sys.executable, "-m", "tinymnist", "predict", tick, tmp_path / "✗.png"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
    )
    assert done.returncode == 1
    assert r"häkchen \u2713.png" in done.stdout.decode("cp1252")
    assert r"\u2717.png" in done.stderr.decode("cp1252") and b"Traceback" not in done.stderr


@pytest.mark.filterwarnings("always")
def test_files_that_are_left_out_are_told_of(
    capsys: pytest.CaptureFixture[str], labelled: Any
) -> None:
    (labelled / "1" / "c.heic").write_bytes(b"")
    code, _, err = run(capsys, "evaluate", labelled)
    assert code == 0
    assert err == (
        f"tinymnist: {labelled / '1'}: 1 file is not a picture by name (.heic): left out\n"
    )


def test_no_set_is_not_the_current_folder(
    capsys: pytest.CaptureFixture[str], labelled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(labelled)
    assert_refused(run(capsys, "evaluate", ""), "no set ''")
    assert_refused(run(capsys, "predict", ""), "expected a picture")


def test_data_tells_where_mnist_is(capsys: pytest.CaptureFixture[str], mnist_folder: Path) -> None:
    code, out, _ = run(capsys, "data", "--json")
    assert code == 0
    assert json.loads(out)["found"] == str(mnist_folder)


def test_data_tells_how_to_get_mnist(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TINYMNIST_DATA", raising=False)
    for variable in ("HOME", "XDG_CACHE_HOME", "USERPROFILE", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "data")
    assert code == 1
    assert "tinymnist data download" in out + err


PROFILE = """
import json, sys
import numpy
from PIL import Image
Image.preinit()
before = {*sys.modules}
from tinymnist.cli import main
package = sys.modules["tinymnist"].__path__[0]
calls = {}
def count(frame, event, _):
    file = frame.f_code.co_filename
    is_call = event == "call" and frame.f_code.co_name != "<module>"
    if is_call and file.startswith(package):
        calls[file] = calls.get(file, 0) + 1
sys.setprofile(count)
code = main(["predict", sys.argv[1]])
sys.setprofile(None)
print(json.dumps([code, sum(calls.values()), len(calls), [*sys.modules.keys() - before]]))
"""
MOST_CALLS, MOST_FILES = 500, 35
UNNEEDED = {"scipy", "http", "urllib", "email", "tempfile", "html", "importlib.metadata", "zipfile"}
UNNEEDED |= {"hashlib", "pathlib", "shutil"}


def test_prediction_pays_for_what_it_needs(picture: Any) -> None:
    """Few calls of this package's functions in few of its files, and no module for others.

    The bodies of modules, which run once when they are imported, are not counted as calls.
    """
    environment = {n: v for n, v in os.environ.items() if n != "TINYMNIST_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", PROFILE, str(picture)], capture_output=True, text=True, check=True,
        env=environment,
    )  # fmt: skip
    code, calls, files, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    assert calls <= MOST_CALLS and files <= MOST_FILES, (calls, files)
    assert not UNNEEDED & set(modules)


def test_a_closed_pipe_is_no_error(picture: Any) -> None:
    command = f'"{sys.executable}" -m tinymnist summary | head -1'
    if os.name != "posix":
        pytest.skip("needs a POSIX shell")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.startswith("mnist-cnn")


def test_a_command_leaves_the_collection_of_garbage_as_it_is(picture: Any) -> None:
    before = gc.get_threshold()
    assert main(["predict", str(picture)]) == 0
    assert gc.get_threshold() == before
