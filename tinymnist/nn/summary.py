"""The table that ``model.summary()`` prints and a notebook shows."""

from __future__ import annotations

from tinymnist.nn.graph import Graph
from tinymnist.reporting.text import table


def summarize(model: Graph) -> str:
    """One row per layer, with totals. Inputs are named if they are not the layer above."""
    rows = [("layer", "class", "output", "parameters", "multiply-adds")]
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
    headings, *lines = table(rows, left=3).splitlines()
    learning = sum(array.size for array in model.trainable_weights.values())
    size = " x ".join(map(str, model.input_shape))
    return "\n".join(
        (
            f"{model.name}: {size} in, {model.dtype}",
            headings,
            "-" * len(headings),
            *lines,
            f"{model.count_params():,} parameters, {learning:,} trainable; "
            f"{sum(works):,} multiply-adds per picture",
        )
    )
