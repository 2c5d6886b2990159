"""Pages for ``benchmarks.pages``: MNIST's digits painted in rows, with all that lies around them.

What is written where is known, so what was read can be counted. Every kind of page adds one
difficulty to plain rows, and its own share of light, noise and blur.
"""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from benchmarks import page_extras, page_looks
from benchmarks.page_writing import Layout, Page, Rng, Source, write_page

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
    "desk": (Layout(rows=3, slope=0.05), (page_extras.widen,), page_looks.desk),
}
"""By name: how the digits stand, what else is drawn, and how it is seen."""


def paint_page(kind: str, source: Source, rng: Rng) -> tuple[Page, Image.Image]:
    """Paint a page: what is on it, and the picture.

    Args:
        kind: a name of :data:`KINDS`.
        source: of digits.
        rng: where everything that varies comes from.
    """
    layout, extras, look = KINDS[kind]
    page = write_page(kind, layout, source, rng)
    for extra in extras:
        extra(page, rng)
    return page, look(page, rng)
