"""A description whose layers have their arrays becomes a Sequential.

Models inside models are laid out flat first: one list of calls of layers, each after its inputs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator

from tinymnist.errors import InputError
from tinymnist.interop.keras import elementwise, recurrent, spatial
from tinymnist.interop.keras.building import MOST_NUMBERS, Builder, Call, Tensor
from tinymnist.interop.keras.config import LayerConfig, ModelConfig, Source, input_shape
from tinymnist.nn.sequential import Sequential

HANDLERS: dict[str, Callable[[Call], Tensor]] = {
    **spatial.HANDLERS, **recurrent.HANDLERS, **elementwise.HANDLERS, **elementwise.MERGING_HANDLERS
}  # fmt: skip
"""What converts each class of layers."""
_NEEDS = {
    "Lambda": "its author's Python code, which a reader of files should not run",
    **dict.fromkeys(("SlicingOpLambda", "TensorFlowOpLayer"), "the operation that it wraps"),
    **dict.fromkeys(("Attention", "MultiHeadAttention"), "attention"),
    "Embedding": "a table of words",
    "TimeDistributed": "a layer applied along an axis of time",
    **dict.fromkeys(("ConvLSTM2D", "RNN"), "a recurrent cell of another kind"),
    "Masking": "masks along an axis of time",
    **{f"Conv{n}D": f"convolution along {of}" for n, of in ((1, "one axis"), (3, "three axes"))},
    "Cropping2D": "cutting frames off",
    "Resizing": "pictures that change their size",
    "LocallyConnected2D": "kernels that differ from place to place",
    "KerasLayer": "TensorFlow Hub",
}
"""What support of a layer would need."""
_START = ""
"""The key of the whole model's input."""


def check_layers(model: ModelConfig, path: str) -> None:
    """Refuse a model with a layer that cannot be converted, before its arrays are read.

    Raises:
        InputError: with the layer's name and what it would need.
    """
    for leaf in model.leaves():
        kind, policy = leaf.kind, leaf.settings.get("dtype")
        if kind in HANDLERS:
            described = policy if isinstance(policy, dict) else {}
            named = str(described.get("class_name"))
            mode = (described.get("config") or {}).get("mode")
            if not re.search("Quantized|Int4", named) or (kind == "Dense" and mode == "int8"):
                continue
            kind = f"quantized {kind}"
        need = _NEEDS.get(kind.rpartition(">")[2], "code that the file or tinymnist does not have")
        if "quant" in kind.lower():
            need = "arithmetic in 8 bits or fewer"
        raise InputError(f"{path}: the layer {leaf.name!r} is a {kind}; it would need {need}")


def assemble(model: ModelConfig, path: str, version: int, theano: bool, name: str) -> Sequential:
    """Build the model.

    Args:
        model: its description, checked and with the arrays in place.
        path: of the file, for messages.
        version: the major version of Keras that wrote the file.
        theano: whether Keras ran on Theano.
        name: of the result.

    Raises:
        InputError: when something cannot be converted exactly.
    """
    steps = _flat(model, path)
    builder = Builder(path, version, theano)
    shape = input_shape(model, path)
    if min(shape) < 1 or math.prod(shape) > MOST_NUMBERS:
        raise InputError(f"{path} takes an input of the shape {shape}; expected pictures")
    tensors, used = {_START: builder.start(shape)}, set()
    for key, (layer, sources) in steps.items():
        if layer.arrays and id(layer) in used:
            reason = "tinymnist cannot share weights between layers"
            raise InputError(f"{path} uses the layer {layer.name!r} twice, and {reason}")
        used.add(id(layer))
        before = len(builder.layers)
        call = Call(builder, layer, [tensors[source] for source in sources])
        if len(sources) != 1 and layer.kind not in elementwise.MERGING_HANDLERS:
            raise call.refused(f"takes {len(sources)} inputs; expected one")
        tensors[key] = HANDLERS[layer.kind](call)
        if layer.settings.get("trainable") is False:
            for added in builder.layers[before:]:
                added.trainable = False
    return builder.finish(tensors[next(reversed(steps))], name)


_Step = tuple[LayerConfig, list[str]]
"""One call of a layer, and the keys of the steps whose outputs it takes."""


def _flat(model: ModelConfig, path: str) -> dict[str, _Step]:
    """The steps that the output depends on, in order; the last one computes it."""
    if len(model.outputs) != 1:
        names = [name for name, _ in model.outputs]
        raise InputError(f"{path} has several outputs, {names}; expected one")
    steps: dict[str, _Step] = {}
    end = _lay_out(model, "", _START, steps, path)
    return {key: steps[key] for key in _in_order(steps, end, path)}


def _lay_out(
    model: ModelConfig, prefix: str, start: str, steps: dict[str, _Step], path: str
) -> str:
    """Add the steps of a model whose input is ``start``; return the key of its output."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        found = f"a model {model.name!r} with several inputs or outputs"
        raise InputError(f"{path} holds {found}; expected one of each")
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
                steps[end] = layer, fed
                continue
            if len(fed) != 1 or len(layer.calls) > 1:
                raise InputError(f"{path} uses the model {layer.name!r} inside it more than once")
            last = _lay_out(layer.model, f"{prefix}{layer.name}/", fed[0], steps, path)
            # An inner model ends with a step that passes its input on.
            steps[end] = LayerConfig("InputLayer", layer.name, {}), [last]
    return key(model.outputs[0])


def _in_order(steps: dict[str, _Step], end: str, path: str) -> Iterator[str]:
    """Depth first from the end, without recursion; every step after its sources."""
    done, under_way, waiting = {_START}, set[str](), [end]
    while waiting:
        key = waiting[-1]
        missing = [source for source in steps[key][1] if source not in done] if key else []
        if key in done or not missing:
            waiting.pop()
            if key not in done:
                done.add(key)
                yield key
        elif key in under_way:
            raise InputError(f"{path} wires layers in a circle, through {steps[key][0].name!r}")
        else:
            under_way.add(key)
            waiting += missing
