"""Small files that ask for gigabytes or hours are refused: one line, little time and memory."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bombs import outcomes
from tests.interop.bombs import BOMBS

MOST_SECONDS, MOST_MEGABYTES = 5, 800
pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="limits of memory as Linux has them"
)


def test_bombs_are_refused() -> None:
    """One test, so that they run once, however many workers pytest has."""
    found = outcomes("tests.interop.bombs")
    for name in BOMBS:
        assert name in found, f"the process died: {found['stderr']}"
        outcome, seconds, peak = (found[name][key] for key in ("outcome", "seconds", "peak"))
        assert outcome.startswith("refused: ") and "\n" not in outcome, f"{name}: {outcome}"
        assert seconds < MOST_SECONDS and peak < MOST_MEGABYTES, f"{name}: {seconds} s, {peak} MB"


@pytest.mark.parametrize("options", [{}, {"architecture": "mlp"}, {"plan": 1}])
def test_a_pipe_is_not_waited_for(tmp_path: Path, options: Any) -> None:
    import tinymnist

    os.mkfifo(tmp_path / "m.pt")
    with pytest.raises(tinymnist.InputError, match="not a regular file"):
        tinymnist.load_model(tmp_path / "m.pt", **options)


def test_a_message_is_one_short_line() -> None:
    from tinymnist.errors import InputError
    from tinymnist.limits import opening

    for error in (InputError("x\n" * 9000), ValueError("y\n" * 9000), KeyError("z" * 9000)):
        with pytest.raises(InputError) as refusal, opening("path", "a file"):
            raise error
        assert "\n" not in str(refusal.value) and len(str(refusal.value)) <= 1500


def test_the_limits_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tinymnist

    monkeypatch.setattr(tinymnist.limits, "FILE_BYTES", 1000)
    tinymnist.load_model("mlp").save(tmp_path / "m.npz")
    with pytest.raises(tinymnist.InputError, match=r"expected at most 1,000 \(limits.FILE_BYTES\)"):
        tinymnist.load_model(tmp_path / "m.npz")
