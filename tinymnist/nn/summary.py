"""The table that ``model.summary()`` prints and a notebook shows."""

from __future__ import annotations

from html import escape

from tinymnist.nn.graph import Graph

HEADINGS = ("layer", "class", "output", "parameters", "multiply-adds")
_TEXT_COLUMNS = 3
"""The first columns hold words, aligned to the left; the others hold numbers."""


def summarize(model: Graph) -> str:
    """One row per layer, with totals. Inputs are named if they are not the layer above."""
    title, rows, totals = _contents(model)
    table = [HEADINGS, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(HEADINGS))]
    lines = [
        "  ".join(
            cell.ljust(width) if i < _TEXT_COLUMNS else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    return "\n".join([title, lines[0], "-" * len(lines[0]), *lines[1:], totals])


def summarize_in_html(model: Graph) -> str:
    """The same table in HTML."""
    title, rows, totals = _contents(model)

    def row(cells: tuple[str, ...], tag: str) -> str:
        sides = ["left"] * _TEXT_COLUMNS + ["right"] * (len(cells) - _TEXT_COLUMNS)
        return "".join(
            f'<{tag} style="text-align:{side}">{escape(cell)}</{tag}>'
            for cell, side in zip(cells, sides, strict=True)
        )

    body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in rows)
    table = f"<table><tr>{row(HEADINGS, 'th')}</tr>{body}</table>"
    return f"<div><p>{escape(title)}</p>{table}<p>{escape(totals)}</p></div>"


def _contents(model: Graph) -> tuple[str, list[tuple[str, ...]], str]:
    """A line above the table, its rows, and a line below."""
    rows: list[tuple[str, ...]] = []
    works = []
    for layer in model.layers:
        sources = model.sources[layer.name]
        works.append(layer.multiply_adds(*(model.shapes[s] for s in sources)))
        kind = type(layer).__name__
        activation = getattr(layer, "activation", "linear")
        if activation != "linear" and kind != "Activation":
            kind += f" ({activation})"
        if layer.name in model.wiring:
            kind += " of " + ", ".join(sources)
        shape = " x ".join(map(str, model.shapes[layer.name]))
        numbers = f"{layer.count_parameters:,}" + ("" if layer.trainable else " frozen")
        rows.append((layer.name, kind, shape, numbers, f"{works[-1]:,}"))
    total = model.count_params()
    learning = sum(array.size for array in model.trainable_weights.values())
    size = " x ".join(map(str, model.input_shape))
    return (
        f"{model.name}: {size} in, {model.dtype}",
        rows,
        f"{total:,} parameters, {learning:,} trainable; {sum(works):,} multiply-adds per picture",
    )
