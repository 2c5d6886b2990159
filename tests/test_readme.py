"""The README's Python examples run, and what it says they print is what they print."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("code", SNIPPETS, ids=range(len(SNIPPETS)))
def test_snippet(
    code: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A line's comment ``# -> text`` is what the line prints, in whatever folder it runs."""
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(README), "exec"), {"__name__": "__main__"})
    promised = re.findall(r"print\(.*\)\s+# -> (.*)", code)
    assert capsys.readouterr().out.splitlines() == promised


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) >= 3
