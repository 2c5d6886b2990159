"""The stopwatch."""

from __future__ import annotations

import time

import numpy as np
import pytest

from benchmarks.timing import interleaved, machine_line, medians, peak_memory, pin_threads


def test_candidates_take_turns():
    seen = []
    times = interleaved(
        {"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, rounds=5, shortest=0
    )
    assert [len(turns) for turns in times.values()] == [5, 5]
    rounds = seen[4:]  # each was called twice before, to warm up and to see how long it takes
    assert all({*rounds[i : i + 2]} == {"a", "b"} for i in range(0, 10, 2))


def test_a_quick_candidate_fills_its_turn():
    calls = []
    interleaved({"a": lambda: calls.append(1)}, rounds=1, shortest=0.001)
    assert len(calls) > 10


def test_a_slow_candidate_drops_out():
    times = interleaved({"slow": lambda: time.sleep(0.01), "quick": int}, rounds=4, budget=0.005)
    assert len(times["slow"]) == 1
    assert len(times["quick"]) == 4


def test_medians():
    assert medians({"a": [3.0, 1.0, 100.0], "b": [1.0, 2.0]}) == {"a": 3.0, "b": 1.5}


def test_peak_memory_counts_what_is_gone_again():
    def run():
        np.ones(1_000_000, np.uint8).sum()
        return np.ones(1000, np.uint8)

    assert 1_000_000 <= peak_memory(run) < 1_100_000


def test_threads_cannot_be_pinned_too_late():
    with pytest.raises(RuntimeError, match="before numpy is imported"):
        pin_threads(1)


def test_a_missing_package_is_named():
    assert "no-such-package missing" in machine_line("numpy", "no-such-package")
