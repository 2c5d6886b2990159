"""How the command ends when it is ended from outside: no traceback, nothing half-written."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tinymnist
from tinymnist.cli import main
from tinymnist.web.endpoints import SAMPLES

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals and shells")

INTERRUPTED_IMPORT = """
import runpy, signal, sys
wanted = sys.argv[1]
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
sys.modules.pop(wanted, None)
sys.argv = ["tinymnist", "predict"]
runpy.run_module("tinymnist", run_name="__main__")
"""


@pytest.mark.parametrize("module", ["tinymnist.cli", "argparse", "numpy", "tinymnist.reader"])
def test_interrupted_while_it_is_imported(module: str) -> None:
    command = [sys.executable, "-c", INTERRUPTED_IMPORT, module]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (-signal.SIGINT, 130) and done.stdout == ""
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("number", "ignored", "code"),
    [(signal.SIGINT, False, 130), (signal.SIGTERM, False, 143), (signal.SIGTERM, True, 143)],
)
def test_ended_in_the_middle(
    tmp_path: Path, number: signal.Signals, ignored: bool, code: int
) -> None:
    """Also as a shell's background job, which ignores Ctrl-C."""
    out = tmp_path / "r.jsonl"
    command = [sys.executable, "-m", "tinymnist", "predict", "--model", "mlp"]
    if ignored:
        command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command]
    child = subprocess.Popen(
        [*command, "--files-from", "-", "--json", "--out", str(out)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with child:
        assert child.stdin is not None and child.stdout is not None and child.stderr is not None
        child.stdin.write(f"{SAMPLES}\n")
        child.stdin.flush()
        seen = [json.loads(child.stdout.readline()) for _ in range(3)]
        child.send_signal(number)
        error = child.stderr.read()
        assert child.wait(10) == code
    assert "Traceback" not in error and "--resume" in error
    records = [json.loads(line) for line in out.read_text().splitlines()][:3]
    assert [{k: v for k, v in record.items() if k != "by"} for record in records] == seen


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(closed: str) -> None:
    command = f'"{sys.executable}" -m tinymnist predict {closed}'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr and "Error" not in done.stderr
    assert (done.stdout.count("\n") == 7) is (">&-" not in closed.replace("2>&-", ""))


def test_a_closed_stdin_is_no_picture() -> None:
    command = f'"{sys.executable}" -m tinymnist predict - <&-'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("tinymnist: -")


def test_a_message_that_cannot_be_written_does_not_stop_the_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    file = tinymnist.sample("7-tilted-photo.jpg")
    assert main(["predict", "nowhere.png"]) == 2
    assert main(["predict", "--model", "mlp", "nowhere.png", file]) == 1
    assert file in capsys.readouterr().out
