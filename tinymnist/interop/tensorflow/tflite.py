"""TensorFlow Lite: its operations in TensorFlow's words, for :mod:`graph` to make layers of.

Quantized files are read as what they stand for: ``scale * (q - zero_point)``, computed in float32.
Schema: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinymnist import limits
from tinymnist.errors import InputError
from tinymnist.files import read_bytes
from tinymnist.interop.onnx.nodes import Node
from tinymnist.interop.tensorflow.flatbuffer import Table, root
from tinymnist.interop.tensorflow.graph import translate
from tinymnist.interop.tensorflow.graphdef import Graph
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.sequential import Sequential

_DTYPES = {0: "<f4", 1: "<f2", 2: "<i4", 3: "u1", 4: "<i8", 6: "?", 7: "<i2", 9: "i1", 10: "<f8"}
"""TensorFlow Lite's numbers of types."""
_INT4 = 17
_CONCAT, _CONV, _DEPTHWISE, _DEQUANTIZE, _DENSE, _SOFTMAX = 2, 3, 4, 6, 9, 25
_OPERATIONS = {
    0: "Add", 1: "AvgPool", _CONCAT: "ConcatV2", _CONV: "_FusedConv2D", _DEQUANTIZE: "Identity",
    _DEPTHWISE: "FusedDepthwiseConv2dNative", _DENSE: "_FusedMatMul", 14: "Sigmoid", 17: "MaxPool",
    18: "Mul", 19: "Relu", 21: "Relu6", 22: "Reshape", _SOFTMAX: "Softmax", 28: "Tanh", 34: "Pad",
    37: "BatchToSpaceND", 38: "SpaceToBatchND", 39: "Transpose", 40: "Mean", 41: "Sub",
    42: "RealDiv", 43: "Reshape", 50: "LogSoftmax", 53: "Identity", 54: "Prelu", 60: "PadV2",
    70: "Reshape", 82: "Max", 98: "LeakyRelu", 111: "Elu", 114: "Identity", 117: "HardSwish",
}  # fmt: skip
"""The operations that are understood, in TensorFlow's words."""
_SHAPES = (45, 77, 83, 94)
"""StridedSlice, Shape, Pack, Fill: only how shapes are computed, which the tensors state anyway."""
_FUSED = {0: "", 1: "Relu", 3: "Relu6", 4: "Tanh"}
_FUSED_FIELD = {
    0: 0, 1: 5, _CONCAT: 1, _CONV: 3, _DEPTHWISE: 4, _DENSE: 0, 17: 5, 18: 0, 41: 0, 42: 0,
}  # fmt: skip
"""Where the options of each operation say which activation follows."""


class _Graph:
    """The tensors of a file, and their constant values."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model = root(read_bytes(path))
        graphs = self.model.tables(2)
        if not graphs:
            raise ValueError("it has no graph")
        self.graph, self._buffers = graphs[0], self.model.tables(4)
        self.tensors = self.graph.tables(0)
        self.nodes: dict[str, Node] = {}
        self.widened: dict[int, Array] = {}
        codes = self.model.tables(1)
        self.codes = [max(c.number(0, "<b"), c.number(3, "<i")) for c in codes]

    def put(self, op: str, name: str, inputs: list[str], **settings: Any) -> str:
        """Add a node, and return its name."""
        taken = tuple(f"{one}:0" for one in inputs)
        self.nodes.setdefault(name, Node(op, taken, (), settings, name=name))
        return name

    def constant(self, name: str, value: Array) -> str:
        """Add a constant, and return its name."""
        return self.put("Const", name, [], value=value)

    def operand(self, tensor: int) -> str:
        """The name of a tensor that an operation takes, of which a constant is added."""
        name = self.name(tensor)
        value = None if name in self.nodes else self.value(tensor)
        return name if value is None else self.constant(name, value)

    def name(self, tensor: int) -> str:
        """A unique name of a tensor."""
        return f"{tensor}/{self.tensors[tensor].text(3).split(';')[0].replace(':', '_')[:100]}"

    def shape(self, tensor: int) -> Shape:
        """Without the batch axis."""
        return tuple(int(side) for side in self.tensors[tensor].numbers(0)[1:])

    def value(self, tensor: int) -> Array | None:
        """What a constant stands for, in floats or whole numbers; None if it is computed."""
        if tensor in self.widened:
            return self.widened[tensor]
        table = self.tensors[tensor]
        number = table.number(2, "<I")
        buffers = self._buffers[number : number + 1]
        if not buffers or not len(data := buffers[0].numbers(0, "u1")):
            return None
        kind = table.number(1, "<b")
        if kind not in (*_DTYPES, _INT4) or table.table(6) is not None:
            raise InputError(f"{self.path} holds {self.name(tensor)!r} in an unknown form")
        shape = tuple(table.numbers(0).tolist())
        limits.charge(4 * math.prod(shape), self.name(tensor))
        if kind == _INT4:  # two in a byte, the lower first
            pairs = np.stack([data.view(np.int8) << 4, data.view(np.int8)], axis=-1) >> 4
            data, kind = pairs.ravel()[: math.prod(shape)], 9
        numbers = np.frombuffer(bytes(data), _DTYPES[kind]).reshape(shape)
        coded = table.table(4)
        scale = coded.numbers(2, "<f4") if coded is not None else np.zeros(0, np.float32)
        if coded is None or not len(scale):
            return numbers.astype(np.float32) if numbers.dtype.kind == "f" else numbers
        zero = coded.numbers(3, "<i8")
        along = [1] * numbers.ndim
        if len(scale) > 1:
            along[coded.number(6)] = len(scale)
        zero = zero if len(zero) else np.zeros(len(scale), np.int64)
        centred = numbers.astype(np.float32) - zero.astype(np.float32).reshape(along)
        return np.asarray(centred * scale.reshape(along), np.float32)


def read(path: Path) -> Sequential:
    """Read a ``.tflite`` file.

    Raises:
        InputError: when it is damaged, or has an operation that no layer does.
        ValueError, IndexError: when the file makes no sense.
    """
    graph = _Graph(path)
    inputs, outputs = graph.graph.numbers(1), graph.graph.numbers(2)
    if len(inputs) != 1 or len(outputs) != 1:
        found = f"{len(inputs)} inputs and {len(outputs)} outputs"
        raise InputError(f"{path} has {found}; expected one of each")
    start = int(inputs[0])
    graph.put("Placeholder", graph.name(start), [], shape=[-1, *graph.shape(start)])
    for operator in graph.graph.tables(3):
        _add(graph, operator)
    ends = [f"{graph.name(int(outputs[0]))}:0"]
    return translate(Graph(graph.nodes.values(), {}), path, ends, "TensorFlow Lite")


def _add(graph: _Graph, operator: Table) -> None:
    """Add the node of an operation, and that of the activation fused into it."""
    code = graph.codes[operator.number(0, "<I")]
    ins, outs = operator.numbers(1).tolist(), operator.numbers(2).tolist()
    if code in _SHAPES:
        return
    if code == _DEQUANTIZE and (value := graph.value(ins[0])) is not None:
        graph.widened[outs[0]] = value  # a constant of 16 bits
        return
    if code not in _OPERATIONS or len(outs) != 1:
        raise InputError(f"{graph.path} uses operation {code} of TensorFlow Lite, with no layer")
    options, field, name = operator.table(4), _FUSED_FIELD.get(code), graph.name(outs[0])
    fused = options.number(field, "<b") if options and field is not None else 0
    if fused not in _FUSED:
        raise InputError(f"{graph.path} ends an operation in activation {fused}, unknown here")
    names = [graph.operand(tensor) for tensor in ins if tensor >= 0]
    settings = _settings(code, options) if options else {}
    if code in (_CONV, _DEPTHWISE, _DENSE):
        names[1], kernel = f"{name}/{names[1]}", graph.value(ins[1])
        if kernel is None:
            raise InputError(f"{graph.path}: {names[1][:60]!r} should be a constant")
        channels = graph.shape(ins[0])[-1] if code == _DEPTHWISE else 0
        graph.constant(names[1], _KERNELS[code](kernel, channels))
        settings["fused_ops"] = ["BiasAdd"] * (len(names) > 2)
        if code == _DENSE and len(graph.shape(outs[0])) == 1:  # it flattens what it takes
            rows = graph.constant(f"{name}/rows", np.array([-1, kernel.shape[1]]))
            names[0] = graph.put("Reshape", f"{name}/flat", [names[0], rows])
    elif _OPERATIONS[code] == "Reshape":  # or Squeeze, ExpandDims: the tensors state the shape
        names[1:] = [graph.constant(f"{name}/shape", np.array([-1, *graph.shape(outs[0])]))]
    elif code == _CONCAT:
        names.append(graph.constant(f"{name}/axis", np.array(settings["axis"])))
    before = f"{name}/before" if fused else name
    graph.put(_OPERATIONS[code], before, names, **settings)
    if fused:
        graph.put(_FUSED[fused], name, [before])


_KERNELS: dict[int, Callable[[Array, int], Array]] = {
    _CONV: lambda kernel, _: kernel.transpose(1, 2, 3, 0),
    # (1, kh, kw, out) -> (kh, kw, in, out / in)
    _DEPTHWISE: lambda kernel, ins: kernel.reshape(*kernel.shape[1:3], ins, -1),
    _DENSE: lambda kernel, _: kernel.T,
}
"""TensorFlow's layout of a kernel, from TensorFlow Lite's and the number of channels it takes."""


def _settings(code: int, options: Table) -> dict[str, Any]:
    """The options of an operation, in TensorFlow's words."""
    if code in (1, _CONV, _DEPTHWISE, 17):
        found: dict[str, Any] = {"strides": [1, options.number(2), options.number(1), 1]}
        found["padding"] = "VALID" if options.number(0, "<b") else "SAME"
        if code in (1, 17):
            return found | {"ksize": [1, options.number(4), options.number(3), 1]}
        at = 4 if code == _CONV else 5
        high, wide = options.number(at + 1, default=1), options.number(at, default=1)
        return found | {"dilations": [1, high, wide, 1]}
    if code in (40, 82):
        return {"keep_dims": bool(options.number(0, "<b"))}
    if code == _CONCAT:
        return {"axis": options.number(0)}
    if code == 98:
        return {"alpha": options.number(0, "<f", 0.2)}
    if code == _SOFTMAX and options.number(0, "<f", 1.0) != 1:
        raise ValueError("a softmax whose beta is not 1")
    return {}
