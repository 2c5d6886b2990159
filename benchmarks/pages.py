"""Accuracy on painted pages: ``python -m benchmarks.pages``.

MNIST's test digits are painted in rows, some slanted, ruled, touching, with printed words or in the
boxes of a form, and read as by ``tinymnist read``. Every kind of page adds one difficulty to plain
rows, and its own light, noise and blur. The pages are never used for training.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import page_extras, page_looks
from benchmarks.common import add_json, at_least, command_line, machine_line
from benchmarks.page_scores import Score, score, summary
from benchmarks.page_writing import Layout, Page, Rng, Source, write_page
from tinymnist.commands import Counter
from tinymnist.data import load_mnist
from tinymnist.errors import InputError
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.page.annotate import annotate
from tinymnist.pages import Page as Read
from tinymnist.reader import DEFAULT_MODEL, Reader
from tinymnist.reporting.text import percent, table

EXAMPLES = """\
                                     60 pages, five of each kind
--pages 400 --model my.npz --json    another network
--kinds touching form --out sheet.png
--split train --seed 1               pages for making choices"""
DESCRIPTION = """\
Measure how pages of MNIST's digits are read. A symbol is a digit; missing and additional row ends
also count as wrong symbols. A digit is right if its class is, and its box lies on the written one.
"""

ALL = "all"
LARGE = (4000, 3000)
"""Width and height of a phone's photograph: 12 megapixels."""

Extra = Callable[[Page, Rng], None]
Look = Callable[[Page, Rng], Image.Image]

KINDS: dict[str, tuple[Layout, tuple[Extra, ...], Look]] = {
    "plain": (Layout(), (), page_looks.scan),
    "photo": (Layout(), (), page_looks.photo),
    "chalk": (Layout(), (), page_looks.board),
    "slanted": (Layout(slope=0.12, lean=0.5), (), page_looks.photo),
    "sizes": (Layout(sizes=0.35, jump=0.15), (), page_looks.scan),
    "ruled": (Layout(), (page_extras.rule,), page_looks.photo),
    "touching": (Layout(columns=7, touching=0.5, gaps=(0.15, 0.4)), (), page_looks.scan),
    "printed": (Layout(rows=3, columns=7), (page_extras.print_words,), page_looks.photo),
    "blots": (Layout(), (page_extras.blot,), page_looks.scan),
    "form": (Layout(gaps=(0.4, 0.7), jump=0.03), (page_extras.box_in,), page_looks.scan),
    "dashes": (Layout(signs=0.3), (), page_looks.photo),
    "desk": (Layout(rows=3, slope=0.05), (page_extras.add_margins,), page_looks.desk),
}
"""By name: how digits are written, what else is drawn, and how the page looks."""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_line("pages", DESCRIPTION, EXAMPLES)
    add = parser.add_argument
    add("--pages", type=at_least(1), default=60, metavar="N", help="number of pages; default: 60")
    add("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND",
        help=f"which: {', '.join(KINDS)}")  # fmt: skip
    add("--model", default=DEFAULT_MODEL, metavar="NAME|FILE", help="the network")
    add("--split", choices=("test", "train"), default="test", help="of MNIST; default: test")
    add("--seed", type=at_least(0), default=0, help="for everything random; default: 0")
    add("--out", metavar="PNG", help="draw a page of every kind with the digits read on it")
    add_json(parser)
    return parser.parse_args(arguments)


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
    """Paint and read pages; figures by kind, then of all."""
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
    """Page ``number`` of a kind, independent of other pages: its contents and the picture."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind), number])
    layout, extras, look = KINDS[kind]
    page = write_page(kind, layout, source, rng)
    for extra in extras:
        extra(page, rng)
    return page, look(page, rng)


def read_timed(reader: Reader, picture: Image.Image) -> tuple[Read, float]:
    """The digits read on a picture, which may be none, and the seconds that it took."""
    began = time.perf_counter()
    try:
        page = reader.read(picture)
    except NoDigitFound:
        page = Read(())
    return page, time.perf_counter() - began


def time_large(reader: Reader, source: Source, seed: int) -> float:
    """Seconds for a JPEG of 12 megapixels, decoding included: the best of three."""
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
    """A table with a row per kind."""
    head = ("pages", "digits", "symbols wrong", "wholly right", "false digits per word",
            "confidence", "right", "calibration error", "ms per page")  # fmt: skip
    rows: list[tuple[str, ...]] = [head]
    names = ["", *measured]
    for own in measured.values():
        words = own["false_digits_per_word"]
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
    """All measurements as one object, null for missing ones."""
    clean = {
        kind: {name: None if np.isnan(value) else value for name, value in own.items()}
        for kind, own in measured.items()
    }
    settings = {name: getattr(options, name) for name in ("model", "split", "seed")}
    where = {"machine": machine_line("numpy", "pillow"), **settings}
    return json.dumps({**where, "seconds_12_megapixels": large, "kinds": clean})


def draw(reader: Reader, source: Source, options: argparse.Namespace) -> Image.Image:
    """A sheet with a page of every kind, annotated with the digits read."""
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
