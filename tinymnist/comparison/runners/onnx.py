"""ONNX: onnxruntime's run with every intermediate tensor as an output, channels last."""

from __future__ import annotations

import math
from os import PathLike
from typing import Any

import numpy as np

from tinymnist.comparison.outputs import INPUT_KIND, Output, channels_last, kind_of, reorder_vector
from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array

_CHANNELS_FIRST = (
    *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"),
    *("BatchNormalization", "InstanceNormalization", "LRN"),
)
"""Operators whose pictures are (n, c, h, w) by ONNX's definition."""


def run(model: Any, x: Array) -> list[Output]:
    """Run a ``ModelProto`` or file in onnxruntime, without its optimizations, node by node."""
    import onnx
    import onnxruntime

    proto = onnx.ModelProto()
    proto.CopyFrom(onnx.load(model) if isinstance(model, (str, PathLike)) else model)
    last = [output.name for output in proto.graph.output]
    names = [name for node in proto.graph.node for name in node.output if name] + last
    del proto.graph.output[:]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(names))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        stated = _picture_input(session, x)
        given, first = _shaped(stated, x)
        values = _run_all(session, stated, given)
    except Exception as error:  # onnxruntime's own errors have no common base
        reason = " ".join(str(error).split())
        raise InputError(f"onnxruntime cannot run the model: {reason}") from None
    outputs = _in_our_layout(proto.graph.node, values, first, len(x))
    outputs.sort(key=lambda output: output.name in last)  # the model's own outputs come last
    return [Output("input", INPUT_KIND, np.asarray(x, np.float32)), *outputs]


def _picture_input(session: Any, x: Array) -> Any:
    """The input that fits the examples; a training graph also has one for labels."""
    inputs, size = session.get_inputs(), math.prod(x.shape[1:])
    known = [[side for side in one.shape[1:] if isinstance(side, int)] for one in inputs]
    fitting = (one for one, sides in zip(inputs, known, strict=True) if math.prod(sides) == size)
    return next(fitting, inputs[0])


def _shaped(stated: Any, x: Array) -> tuple[Array, bool]:
    """The examples in the input's shape, and whether that is channels first."""
    shape = [side if isinstance(side, int) else None for side in stated.shape]
    x = np.ascontiguousarray(x, np.float64 if "double" in stated.type else np.float32)
    if len(shape) == 4 and x.ndim == 4:
        _, h, w, c = x.shape
        first = shape[1] in (c, None) and shape[3] in (w, None) and shape[1:] != [h, w, c]
        return (np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if first else x), first
    sides = [side for side in shape[1:] if side]
    if len(sides) == len(shape) - 1 and math.prod(sides) == math.prod(x.shape[1:]):
        return x.reshape(len(x), *sides), False
    return x.reshape(len(x), -1) if len(shape) == 2 else x, False


def _run_all(session: Any, stated: Any, given: Array) -> dict[str, Array]:
    """Every tensor by name; a model with a fixed batch size is run batch by batch."""
    fixed = stated.shape[0] if stated.shape else 0
    size = fixed if isinstance(fixed, int) and fixed > 0 else len(given)
    feeds = {
        one.name: np.zeros([s if isinstance(s, int) else size for s in one.shape], np.float32)
        for one in session.get_inputs()
    }
    batches: list[list[Array]] = []
    for start in range(0, len(given), size):
        batch = given[start : start + size]
        missing = size - len(batch)
        padded = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)])
        results = session.run(None, feeds | {stated.name: padded})
        batches.append([r[: len(batch)] if np.ndim(r) and len(r) == size else r for r in results])
    joined = [
        np.concatenate(parts) if len(parts) > 1 and np.ndim(parts[0]) else parts[0]
        for parts in zip(*batches, strict=True)
    ]
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, joined, strict=True))


def _in_our_layout(nodes: Any, values: dict[str, Array], first: bool, n: int) -> list[Output]:
    """Outputs channels last: follow the layout of pictures and vectors through the nodes."""
    layouts: dict[str, bool] = {}  # tensor -> whether it is channels first
    flattened: dict[str, tuple[int, int, int]] = {}  # vector -> the picture (h, w, c) it was
    outputs = []
    for node in nodes:
        source = next((name for name in node.input if name in values or name in layouts), "")
        channels_first = node.op_type in _CHANNELS_FIRST or layouts.get(source, first)
        if node.op_type == "Transpose":
            order = next((tuple(a.ints) for a in node.attribute if a.name == "perm"), ())
            after = {(0, 2, 3, 1): False, (0, 3, 1, 2): True}
            channels_first = after.get(order, channels_first)
        kind, before = kind_of(node.op_type), values.get(source)
        for name in node.output:
            value = values.get(name)
            if value is None or value.dtype.kind != "f" or value.ndim < 2 or len(value) != n:
                continue
            layouts[name] = channels_first
            if value.ndim == 2:
                if channels_first and kind == "flatten" and before is not None and before.ndim == 4:
                    c, h, w = before.shape[1:]
                    flattened[name] = (h, w, c)
                elif source in flattened and kind != "dense":
                    flattened[name] = flattened[source]
            picture = flattened.get(name)
            if picture is not None and int(np.prod(picture)) == value.shape[1]:
                value = reorder_vector(value, picture)
            elif channels_first:
                value = channels_last(value)
            outputs.append(Output(node.name or name, kind, np.ascontiguousarray(value)))
    return outputs


def load(path: str) -> Any:
    """Open an ONNX file."""
    import onnx

    try:
        return onnx.load(path)
    except Exception as error:  # protobuf and external data raise errors of many kinds
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{path}: onnx cannot read it: {reason}") from None
