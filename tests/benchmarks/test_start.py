"""The program that times whole processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import start
from benchmarks.start import BASE, EVALUATE, PREDICT, Row

pytestmark = pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs wait4")


ROOT = Path(__file__).parents[2]


def script(text: str) -> list[str]:
    return [sys.executable, "-S", "-c", text]


def test_the_larger_process_takes_longer_and_more_memory() -> None:
    busy = "x = bytearray(300_000_000)\nfor i in range(1_000_000): pass"
    candidates = {BASE: script(""), "b": script(busy), "c": None}
    program = f"from benchmarks.start import measure\nprint(measure({candidates}, 1))"
    done = subprocess.run(  # from a small process, as a peak is at least that of the parent
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    rows = {row.name: row for row in eval(done.stdout, {"Row": Row})}
    base, larger = rows[BASE], rows["b"]
    assert base.ratio == 1 and base.cpu and larger.cpu and larger.cpu > 2 * base.cpu
    assert base.peak_mb and larger.peak_mb and base.peak_mb < 300 < larger.peak_mb < 330
    assert rows["c"] == Row("c", None, None, None, None)


def test_a_process_that_fails_is_not_timed() -> None:
    with pytest.raises(RuntimeError, match="no such thing"):
        start.run(script("raise SystemExit('no such thing')"))


def rows(ratio: float, seconds: float | None) -> list[Row]:
    return [
        Row(BASE, 0.1, 0.1, 1.0, 27.0),
        Row(PREDICT, 0.1 * ratio, 0.1, ratio, 41.0),
        Row(EVALUATE, seconds, seconds, seconds and 10 * seconds, seconds and 90.0),
    ]


@pytest.mark.parametrize(("ratio", "word"), [(1.3, "met"), (1.5, "MISSED")])
def test_targets_are_judged(ratio: float, word: str) -> None:
    text = start.text(rows(ratio, 1.2))
    assert f"{ratio:.2f}, target below 1.4: {word}" in text
    assert "41.00, target below 45: met" in text and "1.20, target below 1.5: met" in text
    assert "evaluate mnist-test, s" not in start.text(rows(ratio, None))


def test_the_program_runs(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    candidates = {BASE: script(""), PREDICT: script(""), EVALUATE: None, "import torch": None}
    monkeypatch.setattr(start, "commands", lambda: candidates)
    assert start.main(["--quick", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in report["rows"]] == list(candidates)
    assert report["measured"].keys() == {*start.TARGETS} - {f"{EVALUATE}, s"}
    assert start.main(["--quick"]) == 0
    assert "missing" in capsys.readouterr().out
