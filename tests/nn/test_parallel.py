"""Threads: results in order, BLAS held still and let go again."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from tinymnist.nn.architectures import mlp
from tinymnist.nn.parallel import (
    THREADS_VARIABLE,
    Workers,
    available_workers,
    blas_thread_control,
    single_threaded_blas,
)

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
