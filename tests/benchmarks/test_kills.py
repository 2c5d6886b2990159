"""Processes killed while they write: no half-written file, no litter after the next one."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from benchmarks.kills import faults, kill_fork, main, make_set

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


def test_eight_kills(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--count", "8", "--commands", "0", "--learning", "0", "--json"]) == 0
    assert '"killed": 8' in capsys.readouterr().out


def test_a_half_written_file_is_noticed(tmp_path: Path) -> None:
    make_set(tmp_path / "set")
    assert kill_fork(tmp_path, random.Random(0)) == []
    model = tmp_path / "forked" / "model.npz"
    model.write_bytes(b"PK\3\4 half")
    (tmp_path / "forked" / "0.png").write_bytes(b"half")
    (tmp_path / "forked" / "s.jsonl").write_bytes(b'{"number": 1}\n{"fi')
    assert len(faults(tmp_path / "forked", tmp_path / "set")) == 3
