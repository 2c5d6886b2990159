"""How well is a page of digits read? ``python -m benchmarks.pages``.

Pages of MNIST's test digits are painted in rows, some slanted, ruled, touching, with printed words
or in the boxes of a form, and read as ``tinymnist read`` does it. Nothing here is trained on.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.page_scores import Score, score, summary
from benchmarks.page_writing import Page, Source
from benchmarks.painted_pages import KINDS, paint_page
from benchmarks.timing import machine_line
from tinymnist.commands.output import Counter
from tinymnist.data import load_mnist
from tinymnist.errors import InputError
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.page.annotate import annotate
from tinymnist.prediction import Page as Read
from tinymnist.reader import DEFAULT_MODEL, Reader
from tinymnist.reporting.text import percent, table

EXAMPLES = """\
examples:
  python -m benchmarks.pages                                    60 pages, five of each kind
  python -m benchmarks.pages --pages 400 --model my.npz --json  the same for another network
  python -m benchmarks.pages --kinds touching form --out sheet.png
  python -m benchmarks.pages --split train --seed 1             for choosing anything at all

A symbol is a digit; row ends that are missing or too many count as wrong symbols as well. A digit's
confidence is right if it is that digit, and its box lies on it.
"""

ALL = "all"
LARGE = (4000, 3000)
"""A telephone's photograph, width and height: 12 megapixels."""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pages",
        description="Measure how pages of MNIST's digits are read.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--pages", type=int, default=60, metavar="N", help="how many in all; default: 60")
    add("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND",
        help=f"which: {', '.join(KINDS)}")  # fmt: skip
    add("--model", default=DEFAULT_MODEL, metavar="NAME|FILE", help="the network that reads")
    add("--split", choices=("test", "train"), default="test", help="whose digits; default: test")
    add("--seed", type=int, default=0, help="for everything random; default: 0")
    add("--json", action="store_true", help="print one JSON object, no table")
    add("--out", metavar="PNG", help="draw a page of every kind, and what was read on it")
    parsed = parser.parse_args(arguments)
    if parsed.pages < 1:
        parser.error("--pages must be at least 1")
    if parsed.seed < 0:
        parser.error("--seed must be at least 0")
    return parsed


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report."""
    options = parse(arguments)
    try:
        source = Source(*load_mnist(options.split))
        reader = Reader(options.model)
    except InputError as error:
        print(f"pages: {error}", file=sys.stderr)
        return 2
    measured = measure(reader, source, options)
    large = time_large(reader, source, options.seed)
    if options.out:
        draw(reader, source, options).save(Path(options.out), format="PNG")
    print(as_json(measured, large, options) if options.json else text(measured, large, options))
    return 0


def measure(
    reader: Reader, source: Source, options: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Paint and read; figures by kind, then of all."""
    scores: dict[str, list[Score]] = {kind: [] for kind in options.kinds}
    counter = Counter(options.pages, "pages")
    for number in range(options.pages):
        kind = options.kinds[number % len(options.kinds)]
        page, picture = painted(kind, source, options.seed, number // len(options.kinds))
        read, seconds = read_timed(reader, picture)
        scores[kind].append(score(page, read, seconds))
        counter.tick()
    counter.close()
    figures = {kind: summary(own) for kind, own in scores.items() if own}
    return figures | {ALL: summary([one for own in scores.values() for one in own])}


def painted(kind: str, source: Source, seed: int, number: int) -> tuple[Page, Image.Image]:
    """A page of a kind by its number, whatever other pages are painted."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind), number])
    return paint_page(kind, source, rng)


def read_timed(reader: Reader, picture: Image.Image) -> tuple[Read, float]:
    """What is read on a picture, which may be nothing, and how many seconds it took."""
    began = time.perf_counter()
    try:
        page = reader.read(picture)
    except NoDigitFound:
        page = Read(())
    return page, time.perf_counter() - began


def time_large(reader: Reader, source: Source, seed: int) -> float:
    """Seconds for a JPEG photograph of 12 megapixels, decoding included: the best of three."""
    _, picture = painted("photo", source, seed, 0)
    file = io.BytesIO()
    picture.resize(LARGE, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        reader.read(file.getvalue())
        times.append(time.perf_counter() - began)
    return min(times)


def text(measured: dict[str, dict[str, float]], large: float, options: argparse.Namespace) -> str:
    """A row for each kind."""
    rows = [("pages", "digits", "symbols wrong", "wholly right", "false digits a word",
             "confidence", "right", "calibration error", "ms a page")]  # fmt: skip
    names = ["", *measured]
    for own in measured.values():
        words = own["false_digits_a_word"]
        shares = [own[name] for name in ("symbol_error_rate", "wholly_right")]
        trust = [own[name] for name in ("confidence", "precision", "calibration_error")]
        rows.append((
            str(own["pages"]), str(own["symbols"]), *map(percent, shares),
            "-" if np.isnan(words) else f"{words:.2f}",
            *map(percent, trust), f"{1000 * own['seconds']:.0f}",
        ))  # fmt: skip
    cells = table([(name, *row) for name, row in zip(names, rows, strict=True)])
    where = (
        f"{options.model} on MNIST's {options.split} digits, seed {options.seed}; "
        f"{machine_line('numpy', 'pillow')}"
    )
    return f"{cells}\na photograph of 12 megapixels: {1000 * large:.0f} ms\n{where}"


def as_json(
    measured: dict[str, dict[str, float]], large: float, options: argparse.Namespace
) -> str:
    """Everything that was measured, as one object; what is not there is null."""
    clean = {
        kind: {name: None if np.isnan(value) else value for name, value in own.items()}
        for kind, own in measured.items()
    }
    settings = {name: getattr(options, name) for name in ("model", "split", "seed")}
    where = {"machine": machine_line("numpy", "pillow"), **settings}
    return json.dumps({**where, "seconds_12_megapixels": large, "kinds": clean})


def draw(reader: Reader, source: Source, options: argparse.Namespace) -> Image.Image:
    """A sheet with a page of every kind, annotated with what was read."""
    tiles = []
    for kind in options.kinds:
        _, picture = painted(kind, source, options.seed, 0)
        found, _ = read_timed(reader, picture)
        boxes, labels = [d.box for d in found.digits], [str(d.digit) for d in found.digits]
        confidences = [d.confidence for d in found.digits]
        tile = annotate(picture.convert("RGB"), boxes, labels, confidences)
        tile.thumbnail((700, 500))
        tiles.append(tile)
    columns = min(3, len(tiles))
    sheet = Image.new("RGB", (columns * 710, -(-len(tiles) // columns) * 510), "#888888")
    for number, tile in enumerate(tiles):
        sheet.paste(tile, (number % columns * 710 + 5, number // columns * 510 + 5))
    return sheet


if __name__ == "__main__":
    sys.exit(main())
