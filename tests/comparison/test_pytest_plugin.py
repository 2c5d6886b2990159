"""The fixture ``tinymnist_matches``, as the test suite of another project uses it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = """
import numpy as np
import tinymnist

def test_right(tinymnist_matches):
    model = tinymnist.load_model("mlp")
    assert tinymnist_matches(model.astype("float64"), "mlp").agrees

def test_wrong(tinymnist_matches):
    model = tinymnist.load_model("mlp")
    x = np.random.default_rng(0).random((4, 28, 28, 1), np.float32)
    tinymnist_matches(model.predict(255 * x), "mlp", x)
"""


def test_the_fixture_is_found_and_fails_with_the_cause(tmp_path: Path) -> None:
    (tmp_path / "test_port.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tinymnist.pytest_plugin",
        "test_port.py",
    ]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "Cause: input scaling" in done.stdout


def test_the_plugin_is_declared_and_costs_nothing_until_it_is_used() -> None:
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    entry = settings.partition("[project.entry-points.pytest11]")[2].strip().splitlines()[0]
    assert entry.endswith('= "tinymnist.pytest_plugin"')
    code = """import sys, pytest; before = set(sys.modules); import tinymnist.pytest_plugin
print(sorted(name for name in set(sys.modules) - before if name.startswith(("tinymnist", "numpy"))))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "['tinymnist', 'tinymnist.lazy', 'tinymnist.pytest_plugin']"
