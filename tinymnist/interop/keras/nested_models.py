"""Models inside models laid out flat: one list of layers in an order in which they can be run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tinymnist.errors import InputError
from tinymnist.interop.keras.config import LayerConfig, ModelConfig, Source

START = ""
"""The source of what goes into the whole model."""


@dataclass(eq=False)
class Step:
    """One use of a layer.

    Attributes:
        layer: what is run.
        sources: keys of the steps whose outputs it takes; :data:`START` is the model's input.
    """

    layer: LayerConfig
    sources: list[str]


def unfold(model: ModelConfig, path: str) -> dict[str, Step]:
    """The steps that the output depends on, by keys and in order; the last gives the output.

    Raises:
        InputError: when there are several outputs, a source is missing, or the graph has a cycle.
    """
    if len(model.outputs) != 1:
        names = [name for name, _ in model.outputs]
        raise InputError(f"{path} gives several outputs, {names}; expected a model of one")
    steps: dict[str, Step] = {}
    end = _lay_out(model, "", START, steps, path)
    return {key: steps[key] for key in _in_order(steps, end, path)}


def _lay_out(model: ModelConfig, prefix: str, start: str, steps: dict[str, Step], path: str) -> str:
    """Add the steps of a model that is fed by ``start``; give the key of its output."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise InputError(
            f"{path} holds a model {model.name!r} of several inputs or outputs; expected one of "
            "each"
        )
    counts = {layer.name: max(len(layer.calls), 1) for layer in model.layers}

    def key(source: Source) -> str:
        name, use = source
        if name not in counts:
            raise InputError(f"{path} wires a layer to {name!r}, which is not there")
        return f"{prefix}{name}#{min(use, counts[name] - 1)}"

    for layer in model.layers:
        for use, sources in enumerate(layer.calls or [[]]):
            fed = [key(source) for source in sources]
            if layer.name in model.inputs and not fed:
                fed = [start]
            end = key((layer.name, use))
            if layer.model is None:
                steps[end] = Step(layer, fed)
                continue
            if len(fed) != 1 or len(layer.calls) > 1:
                raise InputError(f"{path} uses the model {layer.name!r} inside it more than once")
            last = _lay_out(layer.model, f"{prefix}{layer.name}/", fed[0], steps, path)
            # Where an inner model ends, a step that hands on what it gets.
            steps[end] = Step(LayerConfig("InputLayer", layer.name, {}), [last])
    return key(model.outputs[0])


def _in_order(steps: dict[str, Step], end: str, path: str) -> Iterator[str]:
    """Depth first from the end, without recursion; every step after those that it needs."""
    done, under_way, waiting = {START}, set[str](), [end]
    while waiting:
        key = waiting[-1]
        missing = [source for source in steps[key].sources if source not in done] if key else []
        if key in done or not missing:
            waiting.pop()
            if key not in done:
                done.add(key)
                yield key
        elif key in under_way:
            raise InputError(f"{path} wires layers in a circle, through {steps[key].layer.name!r}")
        else:
            under_way.add(key)
            waiting += missing
