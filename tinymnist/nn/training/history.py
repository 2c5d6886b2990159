"""The figures of a training, epoch by epoch, and how a notebook shows them."""

from __future__ import annotations

from collections.abc import Sequence

_WIDTH, _HEIGHT, _MARGIN = 320, 110, 8
"""Pixels of a curve."""
_COLOURS = ("#4c72b0", "#dd8452")


class History:
    """What ``fit`` returns. A notebook shows it as curves and a table.

    Attributes:
        history: the columns ``"loss"``, ``"accuracy"``, ``"val_loss"`` ..., one number per epoch.
        epoch: the numbers of the epochs, from 0.
        interrupted: whether Ctrl-C ended the training early.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.interrupted = False

    def append(self, epoch: int, logs: dict[str, float]) -> None:
        """Add the figures of one epoch."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {column[-1]:.4g}" for name, column in self.history.items())
        ending = ", interrupted" if self.interrupted else ""
        return f"<History of {len(self.epoch)} epochs{ending}; last: {last or 'none'}>"

    def _repr_html_(self) -> str:
        """Curves of loss and accuracy, training beside validation, over a table of all figures."""
        curves = [
            _curves({n: self.history[n] for n in (name, f"val_{name}") if n in self.history})
            for name in ("loss", "accuracy")
            if len(self.history.get(name, ())) > 1
        ]
        columns = {"epoch": [str(number + 1) for number in self.epoch]} | {
            name: [f"{value:.4g}" for value in column] for name, column in self.history.items()
        }
        head = "".join(f"<th>{name}</th>" for name in columns)
        rows = zip(*columns.values(), strict=False)  # callbacks may add columns later
        body = "".join(f"<tr>{''.join(f'<td>{c}</td>' for c in row)}</tr>" for row in rows)
        return f"<div>{''.join(curves)}<table><tr>{head}</tr>{body}</table></div>"


def _curves(columns: dict[str, Sequence[float]]) -> str:
    """An inline SVG with one line per column, all on one scale."""
    finite = [v for column in columns.values() for v in column if abs(v) < float("inf")] or [0.0]
    low, high = min(finite), max(finite)
    lines = []
    for (name, column), colour in zip(columns.items(), _COLOURS, strict=False):
        step = (_WIDTH - 2 * _MARGIN) / (len(column) - 1)
        points = " ".join(
            f"{_MARGIN + i * step:.1f},"
            f"{_MARGIN + (high - v) / (high - low or 1) * (_HEIGHT - 2 * _MARGIN):.1f}"
            for i, v in enumerate(column)
            if low <= v <= high
        )
        lines.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}">'
            f"<title>{name}</title></polyline>"
        )
    names = ", ".join(
        f'<span style="color:{c}">{n}</span>' for n, c in zip(columns, _COLOURS, strict=False)
    )
    return (
        f'<figure style="display:inline-block"><svg width="{_WIDTH}" height="{_HEIGHT}">'
        f"{''.join(lines)}</svg><figcaption>{names}: {low:.4g} to {high:.4g}</figcaption></figure>"
    )
