"""The program that times the recipe, stage by stage, and weighs its memory."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks import painted, recipe, stages
from benchmarks.stages import CASES, Case, Row
from tinymnist.imaging.picture.decode import decode

ROOT = Path(__file__).resolve().parents[2]
MEGA = 1_000_000


@pytest.mark.parametrize("kind", painted.KINDS, ids=lambda kind: kind.__name__)
def test_pictures_have_the_size_asked_for_and_are_the_same_every_time(kind: Any) -> None:
    first, second = (kind(7, (90, 140), np.random.default_rng(1)) for _ in range(2))
    assert first.size == (140, 90)
    np.testing.assert_array_equal(np.asarray(first), np.asarray(second))
    assert np.ptp(np.asarray(first)) > 100


def test_large_pictures_are_photographs_with_noise_in_every_pixel() -> None:
    ((digit, picture),) = painted.paint(1, (1000, 1200))
    assert digit == 0 and picture.size == (1200, 1000) and picture.mode == "RGB"
    grey = np.asarray(picture.convert("L"), np.float32)
    assert 2 < np.abs(np.diff(grey[-100:, :100])).mean() < 8


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_files_are_what_they_are_called(form: str) -> None:
    ((_, picture),) = painted.paint(1, (50, 60))
    with Image.open(io.BytesIO(painted.encoded(picture, form))) as image:
        assert (image.format, image.size) == (form, (60, 50))


def test_a_row_tells_times_stages_and_what_was_read() -> None:
    row = stages.measure(Case("small", (64, 64), "PNG", 3), quick=True)
    assert row.right == row.of == 3
    assert row.total == row.decode + row.normalize
    assert sum(row.stages.values()) == pytest.approx(row.total)
    assert min(row.stages.values()) >= -1e-9
    assert {"ink_map", "denoise", "isolate_digit", "fit_box"} <= row.stages.keys()


def test_the_slowest_stage_is_found_whatever_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "def stages(grey):\n    quick(grey)\n    slow(grey)\n    slow(grey)\n"
    made = {"quick": lambda grey: None, "slow": lambda grey: sum(range(20_000))}
    for name, function in made.items():
        made[name].__code__ = function.__code__.replace(co_name=name)
    exec(code, made)
    monkeypatch.setattr(stages, "stages", made["stages"])
    shares = stages.stage_shares([np.zeros(1, np.float32)] * 5)
    assert next(iter(shares)) == "slow" and shares["slow"] > 0.9
    assert sum(shares.values()) == pytest.approx(1)


def rows(milliseconds: float) -> list[Row]:
    return [Row(case.name, 1.0, milliseconds - 1, 3, 3, {"decode": 1.0}) for case in CASES]


@pytest.mark.parametrize(("milliseconds", "word"), [(1.9, "met"), (2.1, "MISSED")])
def test_targets_are_judged(milliseconds: float, word: str) -> None:
    text = recipe.text(rows(milliseconds), {"JPEG": {"before": 1, "peak": 2 * MEGA}})
    assert f"400x400: {milliseconds:.2f} ms, target below 2: {word}" in text
    assert "4000x3000: " in text and "target below 30: met" in text
    assert "50 megapixels: 2.00 MB, target below 1000: met" in text


def test_where_memory_cannot_be_seen_nothing_is_claimed() -> None:
    text = recipe.text(rows(2.0), {"JPEG": {"before": None, "peak": None}})
    assert "unknown" in text and "50 megapixels: " not in text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getrusage")
def test_the_peak_grows_with_the_picture() -> None:
    small, large = (
        stages.peak_of(painted.encoded(painted.photo(7, size, np.random.default_rng(0)), "PNG"))
        for size in ((100, 100), (1000, 1500))
    )
    assert small["before"] and small["peak"] and large["peak"]
    assert 5 * MEGA < small["before"] <= small["peak"] < 200 * MEGA
    assert 4 * MEGA < large["peak"] - small["peak"] < 30 * MEGA  # 1.5 megapixels, 4 bytes each


def test_the_large_files_are_50_megapixels() -> None:
    assert stages.LARGE[0] * stages.LARGE[1] >= 50 * MEGA


def test_large_files_come_in_five_forms_and_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "LARGE", (60, 80))
    forms = dict(stages.large_files())
    assert list(forms) == ["JPEG", "PNG", "PNG, RGBA", "PNG, 16-bit grey", "TIFF, float grey"]
    known = decode(forms["PNG"])
    for file in forms.values():
        assert np.abs(decode(file) - known).mean() < 0.15  # grey chooses its weights by the colours


SMALLER = """
from benchmarks import recipe

def pin(count, pin_threads=recipe.pin_threads):
    pin_threads(count)
    from benchmarks import stages
    stages.CASES[:] = [case._replace(size=(30, 40)) for case in stages.CASES]

recipe.pin_threads = pin
raise SystemExit(recipe.main(["--quick", "--json"]))
"""
"""The program with small pictures, which it may import only when its threads are pinned."""


def test_the_program_runs() -> None:
    command = [sys.executable, "-c", SMALLER]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [row["case"] for row in report["milliseconds"]] == [case.name for case in CASES]
    assert report["measured"].keys() == {*recipe.TARGETS} - {"50 megapixels"}
    assert report["peak_bytes"] == {}
