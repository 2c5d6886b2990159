"""The figures of a training, epoch by epoch, and how a notebook shows them."""

from __future__ import annotations

import math

_WIDTH, _HEIGHT, _MARGIN = 320, 110, 8
"""The size of the curves in pixels."""
_RISE = _HEIGHT - 2 * _MARGIN
_COLOURS = {"loss": "#4c72b0", "val_loss": "#dd8452"}


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
        """Curves of the losses above a table of all figures."""
        from tinymnist.reporting import html

        columns = {"epoch": [str(number + 1) for number in self.epoch]} | {
            name: [f"{value:.4g}" for value in column] for name, column in self.history.items()
        }
        rows = zip(*columns.values(), strict=False)  # callbacks may add columns later
        table = html.table(list(columns), map(html.row, rows))
        losses = {n: self.history[n] for n in _COLOURS if len(self.history.get(n, ())) > 1}
        return f"<div>{_curves(losses) if losses else ''}{table}</div>"


def _curves(columns: dict[str, list[float]]) -> str:
    """An inline SVG with one line per column, all on one scale that starts at 0."""
    top = max((v for column in columns.values() for v in column if 0 <= v < math.inf), default=0)
    lines = names = ""
    for name, column in columns.items():
        step = (_WIDTH - 2 * _MARGIN) / (len(column) - 1)
        points = " ".join(
            f"{_MARGIN + i * step:.1f},{_HEIGHT - _MARGIN - v / (top or 1) * _RISE:.1f}"
            for i, v in enumerate(column)
            if 0 <= v <= top
        )
        style = f'fill="none" stroke="{_COLOURS[name]}" stroke-width="2"'
        lines += f'<polyline {style} points="{points}"/>'
        names += f' <span style="color:{_COLOURS[name]}">{name}</span>'
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img">{lines}</svg>'
        f"<p>0 to {top:.4g}:{names}</p>"
    )
