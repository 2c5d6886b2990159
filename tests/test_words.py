"""Phrases that make a reader decode stay out of code, messages, help and pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [
    *sorted((ROOT / "tinymnist").rglob("*.py")),
    *sorted((ROOT / "benchmarks").rglob("*.py")),
    *(ROOT / name for name in ("README.md", "weights/README.md")),
]
PATTERNS = {
    r"(?<!there )\bis no\b(?! longer| more)": "is not a",
    r"(?<!\.)\b(?:tells?|told)\b": "says, specifies, reports, distinguishes",
    r"\bbut for\b": "except, without",
    r"\banew\b": "again",
    r"\bso many\b": "this many, the number of",
    r"\bthose of that kind\b": "such files",
    r"\bnobody (?:draws|says|reads|needs|gives)\b": "none, unused, by default",
    r"\bwhoever\b": "the reader, the program",
    r"\bwhat is otherwise\b": "what differs",
    r"\bby custom\b": "by convention",
    r"\bfor Keras's sake\b": "for compatibility with Keras",
    r"\bin vain\b": "without success",
    r"\bin the place of\b": "instead of",
    r"\bbeyond all measure\b": "too large (limit N)",
    r"\babsurd\b": "invalid",
    r"\bof (?:its|their) own accord\b": "by itself",
}
"""A phrase as a regular expression, and what to write instead."""


@pytest.mark.parametrize("pattern", PATTERNS)
def test_plain_words(pattern: str) -> None:
    """The pages and the code that a reader meets; tests may quote anything."""
    found = []
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        for match in re.finditer(pattern, text, re.IGNORECASE):
            line = text.count("\n", 0, match.start()) + 1
            found.append(f"{file.relative_to(ROOT)}:{line}: {text.splitlines()[line - 1].strip()}")
    assert not found, f"write {PATTERNS[pattern]!r} instead:\n" + "\n".join(found)
