"""Pictures that ask for gigabytes or hours: one line or an answer, little time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("limits of memory as Linux has them", allow_module_level=True)

from tests.imaging.bombs import BOMBS

ROOT = Path(__file__).parents[2]
MOST_SECONDS, MOST_MEGABYTES = 10, 800
READ = {"page_of_10000_specks", "page_of_a_grid"}
"""What may be read: a grid of empty cells."""
SAID = {
    "tar_cut_in_a_header": "cut off",
    "tar_with_a_damaged_header": "cut off",
    "tiff_whose_second_page_is_large": "2 listed",
    "tiff_of_3000_pages": "3000 listed",
    "zip_of_20000_pictures": "20000 listed",
}
"""What must be said about what is left out, or how many there are."""


def outcomes() -> dict[str, Any]:
    """What came of each bomb, in one process with a limit of memory."""
    command = [sys.executable, "-m", "tests.imaging.bombs"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["name"]: line for line in lines} | {"stderr": done.stderr[-500:]}


def test_bombs_are_harmless_and_nothing_is_lost_silently() -> None:
    """One test, so that they run once, however many workers pytest has."""
    found = outcomes()
    for name in BOMBS:
        assert name in found, f"the process died: {found['stderr']}"
        outcome, seconds, peak = (found[name][key] for key in ("outcome", "seconds", "peak"))
        assert "refused: " in outcome or name in READ, f"{name}: {outcome}"
        assert not outcome.startswith("wrong") and "\n" not in outcome, f"{name}: {outcome}"
        assert seconds < MOST_SECONDS and peak < MOST_MEGABYTES, f"{name}: {seconds} s, {peak} MB"
    for name, part in SAID.items():
        assert part in found[name]["outcome"], f"{name}: {found[name]['outcome']}"
