"""TensorFlow Lite: each operation becomes the Keras layer that does the same.

Quantized files are read as what they stand for: ``scale * (q - zero_point)``, computed in float32.
Schema: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinymnist.errors import InputError
from tinymnist.files import read_bytes
from tinymnist.interop.keras.assembling import assemble, check_layers
from tinymnist.interop.tensorflow.flatbuffer import Table, root
from tinymnist.interop.tensorflow.operations import Layers
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.sequential import Sequential

_DTYPES = {0: "<f4", 1: "<f2", 2: "<i4", 3: "u1", 4: "<i8", 6: "?", 7: "<i2", 9: "i1", 10: "<f8"}
"""TensorFlow Lite's numbers of types."""
_OPERATIONS = {
    0: "Add", 1: "AvgPool", 2: "Concat", 3: "Conv2D", 4: "DepthwiseConv2D", 6: "Identity",
    9: "Dense", 14: "Sigmoid", 17: "MaxPool", 18: "Mul", 19: "Relu", 21: "Relu6", 22: "Reshape",
    25: "Softmax", 28: "Tanh", 34: "Pad", 39: "Transpose", 40: "Mean", 41: "Sub", 42: "RealDiv",
    43: "Reshape", 50: "LogSoftmax", 53: "Identity", 54: "Prelu", 60: "Pad", 70: "Reshape",
    82: "Max",    98: "LeakyRelu", 114: "Identity", 117: "HardSwish", 111: "Elu",
}  # fmt: skip
"""The operations that are understood; those of other frameworks' graphs have the same names."""
_SHAPES = (45, 77, 83, 94)
"""StridedSlice, Shape, Pack, Fill: only how shapes are computed, which the tensors state anyway."""
_FUSED = {0: "", 1: "Relu", 3: "Relu6", 4: "Tanh"}
_WORDS = {"Relu": "relu", "Tanh": "tanh"}
"""Activations that a layer with a kernel has itself."""
_FUSED_FIELD = {
    0: 0, 1: 5, 2: 1, 3: 3, 4: 4, 9: 0, 17: 5, 18: 0, 41: 0, 42: 0,
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
        codes = self.model.tables(1)
        self.codes = [max(c.number(0, "<b"), c.number(3, "<i")) for c in codes]

    def name(self, tensor: int) -> str:
        """A unique name of a tensor, that a layer may have."""
        text = self.tensors[tensor].text(3).strip("/").split(";")[0].rpartition("/")[2][:40]
        return f"{''.join(c if c.isalnum() else '_' for c in text) or 'tensor'}_{tensor}"

    def shape(self, tensor: int) -> Shape:
        """Without the batch axis."""
        return tuple(int(side) for side in self.tensors[tensor].numbers(0)[1:])

    def value(self, tensor: int) -> Array | None:
        """What a constant stands for, in floats or whole numbers; None if it is computed."""
        table = self.tensors[tensor]
        number = table.number(2, "<I")
        data = self._buffers[number].numbers(0, "u1") if number < len(self._buffers) else b""
        if not len(data):
            return None
        kind = table.number(1, "<b")
        if kind not in _DTYPES or table.table(6) is not None:
            raise InputError(f"{self.path} holds {self.name(tensor)!r} in an unknown form")
        shape = tuple(table.numbers(0).tolist())
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
    start, end = int(inputs[0]), int(outputs[0])
    layers = Layers(str(path), {})
    layers.start(str(start), graph.name(start), graph.shape(start))
    for operator in graph.graph.tables(3):
        _add(graph, layers, operator)
    config = layers.finish(str(end), path.stem)
    check_layers(config, str(path))
    result = assemble(config, str(path), 3, theano=False, name=path.stem)
    source = f"TensorFlow Lite, {path.name}"
    result.metadata = {"preprocessing": {"recipe": "mnist"}, "source": source}
    return result


def _add(graph: _Graph, layers: Layers, operator: Table) -> None:
    """Add the layer of one operation, and that of the activation fused into it."""
    code = graph.codes[operator.number(0, "<I")]
    ins, outs = operator.numbers(1).tolist(), operator.numbers(2).tolist()
    if code in _SHAPES:
        return
    operation = _OPERATIONS.get(code)
    if operation is None or len(outs) != 1:
        raise InputError(f"{graph.path} uses operation {code} of TensorFlow Lite, with no layer")
    for tensor in ins:
        is_known = tensor < 0 or str(tensor) in layers.values
        if not is_known and (value := graph.value(tensor)) is not None:
            layers.values[str(tensor)] = value
    options, out = operator.table(4), outs[0]
    fused = options.number(_FUSED_FIELD[code], "<b") if options and code in _FUSED_FIELD else 0
    if fused not in _FUSED:
        raise InputError(f"{graph.path} ends an operation in activation {fused}, unknown here")
    target, name = str(out), graph.name(out)
    before = f"{target}<" if _FUSED[fused] else target
    keys = [str(tensor) for tensor in ins if tensor >= 0]
    settings = _settings(code, options) if options else {}
    if operation in ("Conv2D", "DepthwiseConv2D", "Dense"):
        kernel = layers.constant(keys[1])
        if operation == "DepthwiseConv2D":  # (1, kh, kw, out) -> (kh, kw, in, out / in)
            settings["kernel"] = kernel.reshape(*kernel.shape[1:3], graph.shape(ins[0])[-1], -1)
        else:
            settings["kernel"] = kernel.transpose((1, 0) if kernel.ndim == 2 else (1, 2, 3, 0))
        if _FUSED[fused] in _WORDS:
            settings["activation"], fused, before = _WORDS[_FUSED[fused]], 0, target
    settings["shape"] = graph.shape(out)
    layers.add(operation, before, f"{name}_before" if _FUSED[fused] else name, keys, settings)
    if _FUSED[fused]:
        layers.add(_FUSED[fused], target, name, [before], {})


def _settings(code: int, options: Table) -> dict[str, object]:
    """The options of an operation, in Keras's words."""
    if code in (1, 3, 4, 17):
        strides = [options.number(2), options.number(1)]
        padding = "valid" if options.number(0, "<b") else "same"
        found: dict[str, object] = {"strides": strides, "padding": padding}
        if code in (1, 17):
            return found | {"pool_size": [options.number(4), options.number(3)]}
        at = 4 if code == 3 else 5
        return found | {"dilation_rate": [options.number(at + 1, default=1),
                                          options.number(at, default=1)]}  # fmt: skip
    if code in (40, 82):
        return {"keepdims": bool(options.number(0, "<b"))}
    if code == 2:
        return {"axis": options.number(0)}
    if code == 98:
        return {"alpha": options.number(0, "<f", 0.2)}
    if code == 25:
        return {"beta": options.number(0, "<f", 1.0)}
    return {}
