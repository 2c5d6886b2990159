"""The cases of ``benchmarks.recipe``: pictures, times, stages, memory."""

from __future__ import annotations

import cProfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from PIL import Image

from benchmarks.common import interleaved, last_json, medians, run_child
from benchmarks.painted import encoded, paint, photo
from tinymnist.imaging.digit import normalize as recipe
from tinymnist.imaging.digit.normalize import normalize, stages
from tinymnist.imaging.picture.decode import decode
from tinymnist.imaging.picture.pixels import Array
from tinymnist.reader import Reader

Peak: TypeAlias = "dict[str, int | None]"
"""``before`` and ``peak`` in bytes; None if the system does not report it."""


class Case(NamedTuple):
    """Pictures of one size, (h, w) in pixels."""

    name: str
    size: tuple[int, int]
    form: str
    number: int


CASES = [
    Case("28x28", (28, 28), "PNG", 30),
    Case("100x100", (100, 100), "PNG", 30),
    Case("400x400", (400, 400), "PNG", 30),
    Case("1600x1200", (1200, 1600), "JPEG", 6),
    Case("4000x3000", (3000, 4000), "JPEG", 3),
]
LARGE = (6144, 8192)
"""50 megapixels."""


class Row(NamedTuple):
    """Milliseconds per picture of one size, and how many the default model reads right."""

    case: str
    decode: float
    normalize: float
    right: int
    of: int
    stages: dict[str, float]
    """Milliseconds by function, ``decode`` included."""

    @property
    def total(self) -> float:
        """Decoding and normalizing."""
        return self.decode + self.normalize


_CALLERS = [part.__code__ for part in (recipe._stages, recipe._run_stages)]
"""Helpers of ``stages``, whose own callees are the stages."""


def measure(case: Case, *, quick: bool = False) -> Row:
    """Read, then time, then profile the pictures of one size."""
    painted = paint(3 if quick else case.number, case.size)
    files = [encoded(picture, case.form) for _, picture in painted]
    greys = [decode(file) for file in files]
    right = count_right([digit for digit, _ in painted], greys)
    seconds = medians(
        interleaved(
            {
                "decode": lambda: [decode(file) for file in files],
                "normalize": lambda: [normalize(grey) for grey in greys],
            },
            rounds=3 if quick else 15,
            shortest=0.0,
            budget=1 if quick else 4,
        )
    )
    times = {name: 1e3 * value / len(files) for name, value in seconds.items()}
    shares = stage_shares(greys)
    parts = {name: share * times["normalize"] for name, share in shares.items()}
    return Row(
        case.name, **times, right=right, of=len(files), stages={"decode": times["decode"], **parts}
    )


def count_right(digits: Sequence[int], greys: Sequence[Array]) -> int:
    """How many pictures the default model reads right."""
    images = np.stack([normalize(grey)[..., None] for grey in greys])
    found = Reader().predict_prepared(images)
    return sum(one.digit == digit for one, digit in zip(found, digits, strict=True))


def stage_shares(greys: Sequence[Array]) -> dict[str, float]:
    """The share of time by function that ``stages`` of the recipe and its helpers call.

    The profiler knows the callees of every function, so it finds the stages by any name. It slows
    small functions down, so only the shares are used.
    """
    profile = cProfile.Profile()
    profile.runcall(lambda: [stages(grey) for grey in greys])
    entries = {entry.code: entry for entry in profile.getstats()}
    entry, parts = entries[stages.__code__], dict[str, float]()
    for caller in (entry, *map(entries.get, _CALLERS)):
        for callee in (caller and caller.calls) or []:
            if callee.code not in _CALLERS:
                name = callee.code if isinstance(callee.code, str) else callee.code.co_name
                parts[name] = parts.get(name, 0.0) + callee.totaltime / entry.totaltime
    parts["(between)"] = 1 - sum(parts.values())
    return dict(sorted(parts.items(), key=lambda part: -part[1]))


def weigh() -> dict[str, Peak]:
    """The memory for files of 50 megapixels, by format."""
    return {name: peak_of(file) for name, file in large_files()}


def large_files() -> Iterator[tuple[str, bytes]]:
    """One photograph in several formats, one after another."""
    picture = photo(7, LARGE, np.random.default_rng(0))
    yield "JPEG", encoded(picture, "JPEG")
    yield "PNG", encoded(picture, "PNG")
    yield "PNG, RGBA", encoded(picture.convert("RGBA"), "PNG")
    grey = np.asarray(picture.convert("L"))
    yield "PNG, 16-bit grey", encoded(Image.fromarray(np.uint16(grey) * np.uint16(257)), "PNG")
    yield "TIFF, float grey", encoded(Image.fromarray(np.float32(grey) / 255), "TIFF")


def peak_of(file: bytes) -> Peak:
    """The report of :mod:`benchmarks.peak` on one file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "picture")
        path.write_bytes(file)
        peak: Peak = last_json(run_child("peak", path))
    return peak
