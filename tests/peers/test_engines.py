"""joblib, dask, Ray and Spark read a folder to the same bytes as one process."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tinymnist
from tinymnist import engines
from tinymnist.cli import main
from tinymnist.imaging.synthetic.paint import ink

ROOT = Path(__file__).parents[2]
PROGRAMS = {
    re.findall(r"^ *from ([\w.]+)|^ *import ([\w.]+)", code, re.MULTILINE)[1]: code
    for code in re.findall(r"::\n\n((?:    .*\n|\n)+)", engines.__doc__ or "")
}
"""The programs of the module's docstring, by the engine that they import."""
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
ENVIRONMENT |= {
    "RAY_AUTH_MODE": "disabled",
    "PYSPARK_PYTHON": sys.executable,
    "SPARK_LOCAL_IP": "127.0.0.1",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``scans`` in it: 79 pictures and a file that is none."""
    folder = tmp_path_factory.mktemp("engines")
    (folder / "scans").mkdir()
    for number in range(79):
        drawn = 255 - 255 * ink(number % 10, (40, 40 + number % 7), height=0.7, pen=0.12)
        Image.fromarray(drawn.astype(np.uint8)).save(folder / "scans" / f"{number:02}.png")
    (folder / "scans" / "broken.png").write_bytes(b"not a picture")
    return folder


def run(program: str, folder: Path) -> str:
    """The standard output of a script, without what engines say of themselves."""
    script = folder / "program.py"
    script.write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_docstring_shows_four_engines() -> None:
    names = {engine for pair in PROGRAMS for engine in pair if engine}
    assert names == {"joblib", "dask.distributed", "ray", "pyspark.ml.functions"}
    assert all(code.strip().count("\n") < 14 for code in PROGRAMS.values())


@pytest.mark.parametrize("names", PROGRAMS, ids=lambda names: "".join(names).split(".")[0])
def test_every_engine_gives_the_same_answers(names: tuple[str, str], folder: Path) -> None:
    engine = "".join(names).split(".")[0]
    if importlib.util.find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed")
    if engine == "pyspark" and shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    files = sorted((folder / "scans").iterdir())
    found = tinymnist.make_predict_fn()(files)
    expected = [
        f"{file.name} {digit} {confidence}"
        for file, digit, confidence in zip(files, found["digit"], found["confidence"], strict=True)
    ]
    code = re.sub("^    ", "", PROGRAMS[names], flags=re.MULTILINE)
    try:
        printed = run(code, folder)
    except AssertionError as error:
        if "node timed out during startup" not in str(error):
            raise
        pytest.skip("Ray did not start within its own limit of time; is the machine busy?")
    lines = [line for line in printed.splitlines() if ".png " in line]
    assert lines == expected and expected[79] == "broken.png -1 0.0"


CLUSTER = """
import contextlib, io, os, sys
import dask, dask.config
from distributed import LocalCluster
from tinymnist.cli import main
from tinymnist.engines import predict_on_dask
from tinymnist.reader import Reader

class Poison:
    "A picture that ends the process that reads it."
    name = "poison.png"
    def read(self, *_): os._exit(1)

def printed(*arguments):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["predict", "scans", *arguments]) == 1
    return out.getvalue()

if __name__ == "__main__":
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        there = ["--dask", cluster.scheduler_address]
        for form in ("--json", "--csv"):
            assert printed(form) == printed(form, *there) != "", form
        assert printed("--out", "serial.jsonl") == printed("--out", "dask.jsonl", *there)
        whole = open("dask.jsonl", "rb").read()
        assert whole == open("serial.jsonl", "rb").read()
        open("dask.jsonl", "wb").write(whole[: len(whole) // 2])
        printed("--out", "dask.jsonl", "--resume", *there)
        assert whole == open("dask.jsonl", "rb").read()
        files = [f"scans/{n:02}.png" for n in range(12)]
        reader = Reader("mlp")
        expected = list(reader.predict_many(iter(files)))
        found = list(predict_on_dask(reader, [*files[:5], Poison(), *files[5:]], there[1]))
        assert "has ended" in str(found.pop(5)) and found == expected
    print("all is well")
"""


def test_a_cluster_gives_the_same_bytes_and_survives_what_ends_its_workers(folder: Path) -> None:
    pytest.importorskip("distributed")
    assert run(CLUSTER, folder).endswith("all is well\n")


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_an_interruption_ends_the_local_cluster(folder: Path) -> None:
    pytest.importorskip("distributed")
    (folder / "list").write_text("\n".join(["scans"] * 1000), encoding="utf-8")
    command = [sys.executable, "-m", "tinymnist", "predict", "--model", "mlp", "--json"]
    command += ["--files-from", "list", "--dask", "local", "--workers", "1"]
    child = subprocess.Popen(
        command,
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert child.stdout is not None and child.stderr is not None
    child.stdout.readline()
    os.killpg(child.pid, signal.SIGINT)  # as a terminal sends it, to the workers as well
    _, error = child.communicate(timeout=120)
    assert child.returncode == 130 and error.endswith(b"tinymnist: interrupted\n"), error
    for _ in range(100):
        try:
            os.killpg(child.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("a worker is still running")


def test_a_scheduler_that_does_not_answer_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(engines, "_WAIT", 0.5)
    file = str(folder / "scans" / "07.png")
    for address in ("127.0.0.1:9", "no where"):
        assert main(["predict", file, "--dask", address]) == 2
        error: Any = capsys.readouterr().err
        assert f"--dask {address}: expected the address" in error and error.count("\n") == 1
