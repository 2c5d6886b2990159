"""The programs that compare with other frameworks run, with and without them, and are fair."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from benchmarks import inference, peers, processes, training

ROOT = Path(__file__).resolve().parents[2]


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"benchmarks.{program}", "--quick", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def keras() -> Iterator[Any]:
    """Keras on TensorFlow, whose opinions of NumPy and of each other are not ours to mend."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("tensorflow")
        yield pytest.importorskip("keras")


# --- without any peer -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "threads", "figure"),
    [("inference", [1, 2], "us_per_image"), ("training", [2], "ms_per_step")],
)
def test_json_has_a_row_for_every_number_of_threads(
    program: str, threads: list[int], figure: str
) -> None:
    """Several numbers of threads take a process each; a single one takes none."""
    limits = ("--batch", "2", "--only", "tinymnist", "--network", "keras-cnn")
    done = run(program, "--json", *limits, "--threads", *threads)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert "numpy" in report["machine"]
    rows = report["rows"]
    assert [(row["threads"], row["batch"], row["name"]) for row in rows] == [
        (count, 2, "tinymnist") for count in threads
    ]
    assert all(row["ratio"] == 1 and row[figure] > 0 for row in rows)


def test_a_missing_peer_is_no_win(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "onnx", "onnxruntime", "keras", "tensorflow", "jax"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it now fails
    options = argparse.Namespace(
        batch=[2], threads=[1], only=[], quick=True, spin=False, network=["keras-cnn"]
    )
    rows = inference.measure(options) + training.measure(options)
    assert [row["name"] for row in rows if "ratio" in row] == ["tinymnist"] * 2
    gone = {row["name"]: row["missing"] for row in rows if "ratio" not in row}
    assert gone.keys() == {
        "torch", "torch channels_last", "keras", "keras jax", "jax", "onnxruntime"
    }  # fmt: skip
    assert gone["torch"] == "missing: pip install torch==2.13.0"
    assert gone["keras jax"].endswith('"jax[cpu]"')
    text = inference.table(rows[:6])
    assert text.count("missing: pip install") == 5
    assert text.count("1.00x\n") == 1  # one ratio: tinymnist's own


def test_a_trainer_in_a_process_of_its_own_learns_the_same_and_reports_its_memory() -> None:
    task = training.Task(*peers.noise(4), 2, 1)
    ask = processes.start(training.ours, task, {"TINYMNIST_THREADS": "1"})
    here = training.ours(task)
    assert ask("epoch") == pytest.approx(here.epoch(), rel=1e-5)
    assert ask("weights").keys() == here.weights().keys()
    assert 20 < ask("peak") < 2000  # megabytes: Python with NumPy takes about 40


def test_the_versions_to_install_are_those_of_the_project() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = " ".join(peers.INSTALL.values()).split()
    assert [package for package in wanted if f'"{package}' not in project] == []


def test_channels_first_and_back() -> None:
    weights = peers.reference().weights
    back = peers.from_channels_first(peers.channels_first(weights), weights)
    assert all(np.array_equal(back[name], array) for name, array in weights.items())


def test_a_wrong_prediction_is_caught() -> None:
    built = {"tinymnist": lambda x: x, "torch": lambda x: x + np.float32(2e-5)}
    with pytest.raises(ArithmeticError, match="torch: probabilities must agree"):
        inference.check(built, np.zeros((2, 10), np.float32))


def test_a_wrong_step_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(task: training.Task) -> training.Trainer:
        return training.ours(task._replace(rate=task.rate * 1.001))

    monkeypatch.setattr(training, "TRAINERS", {"tinymnist": training.ours, "torch": careless})
    with pytest.raises(ArithmeticError, match="torch: conv2d/kernel"):
        training.check(1, 2, ["torch"])


@pytest.mark.parametrize("program", [inference, training], ids=["inference", "training"])
def test_a_batch_of_nothing_is_refused(
    program: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        program.main(["--batch", "0"])
    assert stopped.value.code == 2
    assert "at least 1" in capsys.readouterr().err


# --- with them ------------------------------------------------------------------------------


def agree(name: str) -> None:
    """Predictions first, on an odd number of pictures."""
    for network in inference.INFERENCE.networks:
        builders = inference.predictors(0, spin=False, network=network)
        built, missing = peers.build_all(builders, [name])
        assert not missing
        inference.check(built, peers.noise(5)[0])


@pytest.mark.peer
@pytest.mark.parametrize("channels_last", [False, True])
def test_torch_predicts_and_learns_the_same(
    channels_last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    agree("torch")
    make = partial(training.torch, channels_last=channels_last)
    monkeypatch.setattr(training, "TRAINERS", {"tinymnist": training.ours, "torch": make})
    training.check(0, 4, ["torch"])


@pytest.mark.peer
def test_keras_predicts_and_learns_the_same(keras: Any) -> None:
    agree("keras")
    training.check(0, 4, ["keras"])


@pytest.mark.peer
def test_onnxruntime_predicts_the_same() -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    agree("onnxruntime")


@pytest.mark.peer
def test_jax_predicts_the_same() -> None:
    pytest.importorskip("jax")
    agree("jax")


@pytest.mark.peer
def test_torch_gets_its_rows() -> None:
    """In this process, as importing PyTorch takes longer than all the rest."""
    torch = pytest.importorskip("torch")
    options = argparse.Namespace(batch=[2], threads=[1], only=["torch"], quick=True, spin=False)
    threads = torch.get_num_threads()
    try:
        rows = training.measure(options)
    finally:
        torch.set_num_threads(threads)
    assert {row["name"] for row in rows} == {"tinymnist", "torch", "torch channels_last"}
    assert all(row["ms_per_step"] > 0 and row["ratio"] > 0 for row in rows)
    lines = inference.table(rows).splitlines()
    assert {"tinymnist", "torch"} <= {line.partition(" ")[0] for line in lines}
