"""HTML pages that hold all they show: style sheet, charts and pictures inside, no scripts.

Arguments called ``text`` or ``title`` are escaped here; those called ``html`` must be HTML already.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template

from PIL import Image

from tinymnist.files import whole_file
from tinymnist.reporting.text import printable

_PAGE = Path(__file__).with_name("page.html")
"""The skeleton of a page, with the style sheet of all reports."""


def page(title: str, command: str, heading: str, header: str, sections: Iterable[str]) -> str:
    """A whole page.

    Args:
        title, command: for the browser's tab; the subcommand that made the page.
        heading, header: HTML of the largest heading, and between that and the sections.
        sections: HTML, see :func:`section`; empty ones are left out.
    """
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(title),
        command=escape(command),
        heading=heading,
        header=header,
        main="\n\n".join(part for part in sections if part),
    )


def write_page(html: str, path: Path) -> None:
    """Write a page completely or not at all.

    Raises:
        InputError: when the file cannot be written.
    """
    with whole_file(path) as temporary:
        html = printable(html, keep="\n\t")
        temporary.write_text(html, encoding="utf-8", errors="xmlcharrefreplace")


def section(title: str, *html: str) -> str:
    """A heading and what belongs to it."""
    return "\n".join([f"<h2>{escape(title)}</h2>", *html])


def paragraph(text: str) -> str:
    """Plain text as a paragraph."""
    return f"<p>{escape(text)}</p>"


def scroll(html: str) -> str:
    """What may be wider than the page."""
    return f'<div class="scroll">{html}</div>'


Cell = str | tuple[str, str]
"""HTML of a cell, or that and the cell's CSS class."""


def row(cells: Iterable[Cell], names: int = 1, kind: str = "") -> str:
    """A row of a table, whose first ``names`` cells name it; ``kind`` is its CSS class."""
    html = ""
    for number, cell in enumerate(cells):
        tag = "th" if number < names else "td"
        inside, cell_kind = (cell, "") if isinstance(cell, str) else cell
        html += f"<{tag}{_class(cell_kind)}>{inside}</{tag}>"
    return f"<tr{_class(kind)}>{html}</tr>"


def table(heads: Sequence[str], rows: Iterable[str], kind: str = "") -> str:
    """A table of :func:`row` s, with HTML heads, that scrolls when it is wider than the page.

    ``kind`` is "numbers" to align all but the names to the right, "pictures" to centre them.
    """
    head = "".join(f"<th>{head}</th>" for head in heads)
    return scroll(
        f"<table{_class(kind)}><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def figures(items: Iterable[tuple[str, str, str]]) -> str:
    """Key figures side by side: each a number, what it means, and a smaller remark or ""."""
    cards = "".join(
        f'<div class="figure"><b>{escape(number)}</b>{escape(meaning)}'
        + (f"<small>{escape(remark)}</small></div>" if remark else "</div>")
        for number, meaning, remark in items
    )
    return f'<div class="figures">{cards}</div>'


def image(picture: Image.Image, alt: str, kind: str = "") -> str:
    """A picture as its own PNG bytes (RFC 2397), inside the page; ``kind`` is its CSS class."""
    source = data_address(png(picture, optimize=True))
    return f'<img{_class(kind)} alt="{escape(alt, quote=True)}" src="{source}">'


def png(picture: Image.Image, *, optimize: bool = False) -> bytes:
    """A picture as the bytes of a PNG file; ``optimize`` takes more time for fewer of them."""
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=optimize)
    return stream.getvalue()


def data_address(png: bytes) -> str:
    """The address of a picture that is its own content (RFC 2397)."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
