"""Pictures that ask for gigabytes or hours: one line or an answer, little time and memory."""

from __future__ import annotations

import sys

import pytest

if sys.platform != "linux":
    pytest.skip("limits of memory as Linux has them", allow_module_level=True)

from tests.bombs import outcomes
from tests.imaging.bombs import BOMBS

MOST_SECONDS, MOST_MEGABYTES = 10, 800
READ = {"page_of_10000_specks", "page_of_a_grid"}
"""What may be read: a grid of empty cells."""
SAID = {
    "tar_cut_in_a_header": "cut off",
    "tar_with_a_damaged_header": "cut off",
    "tiff_whose_second_page_is_large": "2 listed",
    "tiff_of_1000_pages": "1000 listed",
    "zip_of_5000_pictures": "5000 listed",
}
"""What must be said about what is left out, or how many there are."""


def test_bombs_are_harmless_and_nothing_is_lost_silently() -> None:
    """One test, so that they run once, however many workers pytest has."""
    found = outcomes("tests.imaging.bombs")
    for name in BOMBS:
        assert name in found, f"the process died: {found['stderr']}"
        outcome, seconds, peak = (found[name][key] for key in ("outcome", "seconds", "peak"))
        assert "refused: " in outcome or name in READ, f"{name}: {outcome}"
        assert not outcome.startswith("wrong") and "\n" not in outcome, f"{name}: {outcome}"
        assert seconds < MOST_SECONDS and peak < MOST_MEGABYTES, f"{name}: {seconds} s, {peak} MB"
    for name, part in SAID.items():
        assert part in found[name]["outcome"], f"{name}: {found[name]['outcome']}"
