"""Where tests find data that does not belong to the project; without it, they skip."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

import pytest

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell's background job; children of the
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests inherit that, and wait for it
if "PYTEST_XDIST_WORKER" in os.environ:  # every core has a worker of pytest, so more threads and
    # processes would only wait; before NumPy is imported
    for variable in ("OPENBLAS_NUM_THREADS", "TINYMNIST_THREADS"):
        os.environ.setdefault(variable, "1")

_NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds in the user's cache what another one left there, or leaves anything."""
    name = f"cache/{next(_NUMBERS)}"  # not created until somebody writes
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / name))


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """MNIST's four files, from $TINYMNIST_DATA."""
    folder = os.environ.get("TINYMNIST_DATA")
    if not folder:
        pytest.skip("TINYMNIST_DATA is not set: no MNIST to measure on")
    return Path(folder)


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Other people's pictures and models, from $TINYMNIST_TESTDATA."""
    folder = os.environ.get("TINYMNIST_TESTDATA")
    if not folder:
        pytest.skip("TINYMNIST_TESTDATA is not set: no real pictures to measure on")
    return Path(folder)
