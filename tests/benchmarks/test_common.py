"""Timing, command lines and child processes, and that ``--help`` never runs a benchmark."""

from __future__ import annotations

import importlib
import time
from pathlib import Path

import numpy as np
import pytest

import benchmarks
from benchmarks.common import (
    at_least,
    command_line,
    interleaved,
    last_json,
    machine_line,
    medians,
    peak_memory,
    pin_threads,
    run_child,
    verdict,
)

FOLDER = Path(benchmarks.__file__).parent
PROGRAMS = [
    ".".join(file.relative_to(FOLDER).with_suffix("").parts)
    for file in sorted(FOLDER.rglob("*.py"))
    if '__name__ == "__main__"' in file.read_text(encoding="utf-8")
]


def test_candidates_take_turns() -> None:
    seen: list[str] = []
    times = interleaved(
        {"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, rounds=5, shortest=0
    )
    assert [len(turns) for turns in times.values()] == [5, 5]
    rounds = seen[4:]  # each was called twice before, to warm up and to see how long it takes
    assert all({*rounds[i : i + 2]} == {"a", "b"} for i in range(0, 10, 2))


def test_a_quick_candidate_fills_its_turn() -> None:
    calls: list[int] = []
    interleaved({"a": lambda: calls.append(1)}, rounds=1, shortest=0.02)
    assert len(calls) > 10


def test_a_slow_candidate_drops_out() -> None:
    times = interleaved({"slow": lambda: time.sleep(0.01), "quick": int}, rounds=4, budget=0.005)
    assert len(times["slow"]) == 1
    assert len(times["quick"]) == 4


def test_medians() -> None:
    assert medians({"a": [3.0, 1.0, 100.0], "b": [1.0, 2.0]}) == {"a": 3.0, "b": 1.5}


def test_peak_memory_counts_what_is_gone_again() -> None:
    def run() -> np.ndarray:
        np.ones(1_000_000, np.uint8).sum()
        return np.ones(1000, np.uint8)

    assert 1_000_000 <= peak_memory(run) < 1_100_000


def test_threads_cannot_be_pinned_too_late() -> None:
    with pytest.raises(RuntimeError, match="before numpy is imported"):
        pin_threads(1)


def test_a_missing_package_is_named() -> None:
    assert "no-such-package missing" in machine_line("numpy", "no-such-package")


def test_verdicts() -> None:
    assert verdict("time", 2.9, 3, below=True, unit=" ms") == "time: 2.90 ms, target below 3: met"
    assert verdict("ratio", 2.9, 3, below=False) == "ratio: 2.90, target above 3: MISSED"


def test_integers_have_a_lower_limit(capsys: pytest.CaptureFixture[str]) -> None:
    parser = command_line("x", "Measures.", "--n 3    three\n--n 4")
    parser.add_argument("--n", type=at_least(1))
    assert parser.parse_args(["--n", "1"]).n == 1
    for text in ("0", "one"):
        with pytest.raises(SystemExit):
            parser.parse_args(["--n", text])
    assert "at least 1, not 0" in capsys.readouterr().err
    assert "  python -m benchmarks.x --n 3    three\n" in parser.format_help()


def test_a_failed_child_is_reported_by_its_last_line() -> None:
    with pytest.raises(RuntimeError, match=r"benchmarks\.peak gone\.png: .*no such file"):
        last_json(run_child("peak", "gone.png"))


@pytest.mark.parametrize("module", PROGRAMS)
def test_help_runs_nothing(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    program = importlib.import_module(f"benchmarks.{module}")
    with pytest.raises(SystemExit) as stopped:
        program.main(["--help"])
    assert stopped.value.code == 0
    help_text = capsys.readouterr().out
    assert help_text.startswith(f"usage: python -m benchmarks.{module.removesuffix('.__main__')} ")


def test_the_readme_names_every_file() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    names = [file.name for file in FOLDER.glob("*.py") if file.name != "__init__.py"]
    assert [name for name in names if f"`{name}`" not in text] == []
