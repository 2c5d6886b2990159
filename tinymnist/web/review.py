"""``tinymnist review``: the page on which doubtful readings are looked at and corrected.

It is served, and then writes each label into a file at once, or it is one HTML file, from which the
labels are downloaded.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from html import escape
from typing import Any

from tinymnist.errors import InputError
from tinymnist.reporting.html import data_address, png
from tinymnist.web.doubtful import Doubtful, Item, Pictures, holder_of
from tinymnist.web.endpoints import Answer
from tinymnist.web.labels import Labels
from tinymnist.web.onefile import STATIC, bundle, hash_of
from tinymnist.web.requests import Refused, Request, number

PAGE = 60
"""Pictures on one page of the contact sheet."""
MOST_IN_A_FILE = 2000
"""Pictures in one HTML file, the most doubtful ones."""
_SMALL, _LARGE, _IN_A_FILE = 160, 900, 200
"""Pixels of the longer side."""
_LONGEST_LABEL = 100


class Review:
    """The functions behind the addresses, for :class:`tinymnist.web.application.Application`.

    Attributes:
        routes: method and path to the function that answers.
    """

    def __init__(self, doubtful: Doubtful, labels: Labels) -> None:
        """Serve these items, and write what is said about them."""
        self.items, self.classes, _ = doubtful
        self.labels = labels
        self.pictures = Pictures(item.name for item in self.items)
        self._lock = threading.Lock()
        self.routes: dict[tuple[str, str], Callable[[Request], Any]] = {
            ("GET", "/"): self.page,
            ("GET", "/api/review"): self.sheet,
            ("GET", "/api/picture"): self.picture,
            ("POST", "/api/label"): self.label,
        }

    def page(self, request: Request) -> Answer:
        """The page itself, which asks for the rest."""
        html = (STATIC / "review.html").read_bytes()
        return "200 OK", "text/html; charset=utf-8", html, [("Cache-Control", "no-cache")]

    def sheet(self, request: Request) -> Any:
        """The items of one page of the sheet."""
        pages = max(-(-len(self.items) // PAGE), 1)
        asked = request.query.get("page", "0")
        page = min(int(asked), pages - 1) if asked.isdecimal() and len(asked) < 9 else 0
        shown = enumerate(self.items[page * PAGE : (page + 1) * PAGE], page * PAGE)
        return {
            "page": page,
            "pages": pages,
            "total": len(self.items),
            "done": self._done(),
            "classes": self.classes,
            "labels": str(self.labels.path),
            "items": [self._described(number, item) for number, item in shown],
        }

    def picture(self, request: Request) -> Answer:
        """The picture of one item, as a PNG: small, or ``large``."""
        try:
            item = self._item(int(request.query.get("number", "")))
            picture = self.pictures.shown(item, _LARGE if "large" in request.query else _SMALL)
        except ValueError as error:  # InputError is one
            raise Refused("404 Not Found", str(error)) from None
        return "200 OK", "image/png", png(picture), [("Cache-Control", "no-store")]

    def label(self, request: Request) -> Any:
        """Write a label, that it is not a digit (``rejected``), or with neither that it is open."""
        body = request.json()
        item = self._item(int(number(body, "number", 0, 1e9, -1)))
        label, rejected = body.get("label"), body.get("rejected") is True
        is_text = isinstance(label, str) and 0 < len(label) <= _LONGEST_LABEL
        if not (label is None or (is_text and label == label.strip() and label.isprintable())):
            raise InputError(
                f"a label has 1 to {_LONGEST_LABEL} characters; received {label!r:.120}"
            )
        with self._lock:
            self.labels.put(item, self.pictures, None if rejected else label, rejected)
            return {"done": self._done()}

    def _item(self, number: int) -> Item:
        if not 0 <= number < len(self.items):
            raise InputError(f"number must be in 0..{len(self.items) - 1}; received {number}")
        return self.items[number]

    def _described(self, number: int, item: Item) -> dict[str, Any]:
        entry = self.labels.entry(item)
        return describe(number, item) | {
            "missing": holder_of(item.name) is None,
            "label": self.labels.labels.get(entry),
            "rejected": entry in self.labels.rejected,
        }

    def _done(self) -> int:
        return len(self.labels.labels) + len(self.labels.rejected)


def describe(number: int, item: Item) -> dict[str, Any]:
    """An item for the page."""
    described = item._asdict() | {"number": number}
    return described | {"confidence": max(item.confidence, 0)}


def review_file(doubtful: Doubtful, labels: Labels, title: str) -> str:
    """The page as one HTML file that holds the pictures.

    Args:
        doubtful: what to show; at most :data:`MOST_IN_A_FILE` of it are.
        labels: where the table will lie, and what is in it. A picture outside of that folder is
            copied into it, as the table must name it.
        title: of the page.
    """
    items = doubtful.items[:MOST_IN_A_FILE]
    pictures = Pictures(item.name for item in items)
    described: list[dict[str, Any]] = [{} for _ in items]
    for i in sorted(range(len(items)), key=lambda i: items[i].name):  # page by page of a scan
        item, shown = items[i], None
        entry = labels.entry(item)
        try:
            shown = png(pictures.shown(item, _IN_A_FILE))
            if not (target := labels.path.parent / entry).is_file():
                pictures.copy(item, target)
        except InputError:
            pass  # it is shown as missing
        described[i] = describe(i, item) | {
            "entry": entry,
            "missing": holder_of(item.name) is None,
            "label": labels.labels.get(entry),
            "rejected": entry in labels.rejected,
            "picture": shown and data_address(shown),
        }
    data = {
        "title": f"{title} {hash_of(json.dumps([one['entry'] for one in described]))}",
        "items": described,
        "size": PAGE,
        "classes": doubtful.classes,
        "labels": labels.path.name,
        "rejected": labels.rejected_path.name,
        "others": {
            n: c for n, c in labels.labels.items() if n not in {d["entry"] for d in described}
        },
    }
    style = "".join((STATIC / f"{name}.css").read_text("utf-8") for name in ("style", "review"))
    script = bundle("review")
    page = (STATIC / "review.html").read_text("utf-8")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{hash_of(style)}'; "
        f"script-src '{hash_of(script)}'"
    )
    embedded = json.dumps(data).replace("<", "\\u003c")
    parts = {
        '<link rel="stylesheet" href="style.css">': f"<style>{style}</style>",
        '<link rel="stylesheet" href="review.css">': "",
        '<script type="module" src="review.js"></script>': (
            f'<script type="application/json" id="data">{embedded}</script>\n'
            f'<script type="module">{script}</script>'
        ),
        "<title>tinymnist review</title>": (
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            f"<title>{escape(title)}</title>"
        ),
    }
    pattern = "|".join(map(re.escape, parts))
    return re.sub(pattern, lambda match: parts[match[0]], page)
