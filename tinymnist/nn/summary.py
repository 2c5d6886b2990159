"""The table that ``model.summary()`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinymnist.nn.graph import Graph

HEADINGS = ("layer", "class", "output", "parameters", "multiply-adds")


def summarize(model: Graph) -> str:
    """One row a layer, with totals; what a layer takes is named where it is not the row above."""
    rows: list[tuple[str, ...]] = [HEADINGS]
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
    return "\n".join(
        (
            f"{model.name}: {size} in, {model.dtype}",
            _table(rows),
            f"{total:,} parameters, {learning:,} of them learn; "
            f"{sum(works):,} multiply-adds a picture",
        )
    )


def _table(rows: list[tuple[str, ...]]) -> str:
    """Align columns: words to the left, numbers to the right; a line under the headings."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    lines = [
        "  ".join(
            cell.rjust(width) if i >= 3 else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
