"""Damaged inputs: the same every time, and whatever goes wrong is found and counted."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.mutations.__main__ import text
from benchmarks.mutations.kinds import Kind, Seed, damaged
from benchmarks.mutations.mutators import BYTES
from benchmarks.mutations.registry import all_kinds
from benchmarks.mutations.runner import Result, run
from benchmarks.mutations.worker import Watch, opened
from tinymnist.errors import InputError


def test_the_same_number_is_the_same_damage() -> None:
    kind = Kind("some", lambda: [], BYTES, print)
    seeds = [Seed("a", {"a": bytes(100)}), Seed("b", {"b": bytes(50), "c": b"x"})]
    found = [damaged(kind, seeds, 0, number) for number in range(30)]
    assert found == [damaged(kind, seeds, 0, number) for number in range(30)]
    assert found != [damaged(kind, seeds, 1, number) for number in range(30)]
    assert len({str(one) for one in found}) > 25


def test_only_one_line_of_input_error_is_right() -> None:
    def opens(error: BaseException | None) -> str:
        def fail(path: Path) -> None:
            if error is not None:
                raise error

        return opened(Kind("some", lambda: [], BYTES, fail), Path("x"))[0]

    assert opens(None) == "opened"
    assert opens(InputError("x is damaged")) == "refused"
    for error in (InputError("x\ny"), InputError("x" * 3000), ValueError("x"), MemoryError()):
        assert opens(error) == "wrong"


def test_deeds_outside_of_the_folder_are_noted(tmp_path: Path) -> None:
    watch = Watch(str(tmp_path))
    watch("os.system", ("true",))
    watch.on = True
    flags = os.O_WRONLY | os.O_CREAT
    watch("open", (str(tmp_path / "x"), "w", flags))
    watch("open", ("/etc/passwd", "r", os.O_RDONLY))
    assert watch.deeds == []
    watch("open", ("/tmp/x", "w", flags))
    watch("os.system", ("true",))
    assert [deed.split()[0] for deed in watch.deeds] == ["open", "os.system"]


def test_what_goes_wrong_is_grouped() -> None:
    result = Result()
    fine = {"outcome": "opened", "text": "", "where": "", "seconds": 0.1, "peak": 1 << 20}
    result.add("onnx", 0, fine)
    for number in (1, 2):
        wrong = {"outcome": "wrong", "text": f"KeyError: {number}", "where": "x.py:1"}
        result.add("onnx", number, fine | wrong)
    result.add("onnx", 3, fine | {"seconds": 11.0})
    result.add("onnx", 4, fine | {"peak": 2 << 30})
    result.add("onnx", 5, fine | {"deeds": ["open x"]})
    assert [found.count for found in result.findings.values()] == [2, 1, 1, 1]
    assert "2 x onnx: wrong: KeyError: 1" in text(result)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of processes as Linux has them")
def test_a_run() -> None:
    kinds = [kind for kind in all_kinds().values() if kind.name == "idx"]
    result = run(kinds, 40, key=0)
    assert result.count == 40 and result.outcomes["idx"]["refused"] > 20
    assert not result.findings, text(result)
