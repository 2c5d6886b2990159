"""The README's Python examples run, and what it says they print is what they print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[1] / "README.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("code", SNIPPETS, ids=range(len(SNIPPETS)))
def test_snippet(code: Any, tmp_path: Path) -> None:
    """A line's comment ``# -> text`` is what the line prints."""
    promised = re.findall(r"print\(.*\)\s+# -> (.*)", code)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=README.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:-1] == promised


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) >= 3
