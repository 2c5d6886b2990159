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


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Any]:
    """What came of each bomb, in one process with a limit of memory."""
    command = [sys.executable, "-m", "tests.imaging.bombs"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["name"]: line for line in lines} | {"stderr": done.stderr[-500:]}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_harmless(name: str, outcomes: Any) -> None:
    assert name in outcomes, f"the process died: {outcomes['stderr']}"
    found = outcomes[name]
    assert "refused: " in found["outcome"] or name in READ
    assert not found["outcome"].startswith("wrong") and "\n" not in found["outcome"]
    assert found["seconds"] < MOST_SECONDS and found["peak"] < MOST_MEGABYTES


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("tar_cut_in_a_header", "cut off"),
        ("tar_with_a_damaged_header", "cut off"),
        ("tiff_whose_second_page_is_large", "2 listed"),
        ("tiff_of_3000_pages", "3000 listed"),
        ("zip_of_20000_pictures", "20000 listed"),
    ],
)
def test_nothing_is_lost_silently(name: str, part: str, outcomes: Any) -> None:
    assert part in outcomes[name]["outcome"]
