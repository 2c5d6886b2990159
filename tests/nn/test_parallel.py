"""Threads: results in order, BLAS held still and let go again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import tinymnist
from tinymnist.errors import InputError
from tinymnist.nn.architectures import mlp
from tinymnist.nn.parallel import (
    Workers,
    available_workers,
    blas_thread_control,
    single_threaded_blas,
)
from tinymnist.threads import BLAS_VARIABLES, THREADS_VARIABLE, threads

needs_control = pytest.mark.skipif(
    blas_thread_control() is None, reason="NumPy's BLAS here has no thread control"
)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_results_come_in_order(count: int) -> None:
    with Workers(count) as workers:
        assert workers.map(lambda n: n * n, range(20)) == [n * n for n in range(20)]


def test_an_error_in_a_thread_comes_out() -> None:
    def fail(n: Any) -> None:
        raise ZeroDivisionError(n)

    with Workers(2) as workers, pytest.raises(ZeroDivisionError):
        workers.map(fail, range(3))


@needs_control
def test_the_environment_sets_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS_VARIABLE, "3")
    assert available_workers() == 3
    for nonsense in ("", "0", "-1", "many"):
        monkeypatch.setenv(THREADS_VARIABLE, nonsense)
        assert available_workers() >= 1


@needs_control
def test_blas_is_held_at_one_thread_and_let_go() -> None:
    control = blas_thread_control()
    assert control is not None
    get, set_ = control
    before = get()
    try:
        set_(2)
        with single_threaded_blas():
            with single_threaded_blas():
                assert get() == 1
            assert get() == 1
        assert get() == 2
    finally:
        set_(before)


@needs_control
def test_one_setting_for_threads_and_blas() -> None:
    control = blas_thread_control()
    assert control is not None
    before = control[0]()
    try:
        tinymnist.set_threads(2)
        assert available_workers() == threads() == control[0]() == 2
        with single_threaded_blas():
            tinymnist.set_threads(1)
            assert control[0]() == 1
        assert available_workers() == threads() == control[0]() == 1
    finally:
        tinymnist.set_threads(None)
        control[1](before)
    with pytest.raises(ValueError, match="count=0"):
        tinymnist.set_threads(0)


def test_threadpoolctl_limits_any_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes over if NumPy's folder does not hold OpenBLAS."""
    pytest.importorskip("threadpoolctl")
    monkeypatch.setattr("glob.glob", lambda place: [])
    blas_thread_control.cache_clear()
    try:
        test_blas_is_held_at_one_thread_and_let_go()
    finally:
        blas_thread_control.cache_clear()


def test_a_blas_without_control_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own threads use the cores, so there are no others, unless it is limited from outside."""
    monkeypatch.setattr("glob.glob", lambda place: [])
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    for variable in BLAS_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    blas_thread_control.cache_clear()
    try:
        assert available_workers() == 1
        with pytest.raises(InputError, match="threadpoolctl"):
            tinymnist.set_threads(3)
        monkeypatch.setenv("MKL_NUM_THREADS", "1")
        assert available_workers() == threads()
    finally:
        blas_thread_control.cache_clear()


@pytest.mark.parametrize("given", ["--threads", THREADS_VARIABLE])
def test_the_command_line_limits_blas_before_numpy_is_imported(given: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in BLAS_VARIABLES}
    option = ["--threads", "1"] if given == "--threads" else []
    environment |= {} if option else {THREADS_VARIABLE: "1"}
    program = (
        "import os, sys\nfrom tinymnist.cli import main\n"
        f"main(['summary', 'mlp', *{option}])\n"
        "from tinymnist.nn.parallel import available_workers\n"
        f"print([os.environ[v] for v in {BLAS_VARIABLES}], available_workers())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.splitlines()[-1] == f"{['1'] * len(BLAS_VARIABLES)} 1"


def test_many_threads_may_use_one_model() -> None:
    model = mlp()
    x = np.random.default_rng(0).random((64, 28, 28, 1), np.float32)
    expected = model.predict(x, workers=1)
    found = {}

    def predict(number: Any) -> None:
        found[number] = model.predict(x, batch_size=16, workers=2)

    threads = [threading.Thread(target=predict, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(np.allclose(p, expected, rtol=1e-5, atol=1e-7) for p in found.values())
