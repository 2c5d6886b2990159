"""A graph of TensorFlow's operations, put into ONNX's words, for formats that describe no layers.

ONNX's reader then does what it does for ONNX files: it computes constants, follows axes, makes
layers, and runs the graph beside them. Where a graph can train, it is read as for inference: inputs
that are switches are off, shares to keep are 1, and random numbers are 0.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tinymnist.errors import InputError
from tinymnist.files import read_bytes
from tinymnist.interop.onnx.nodes import Network, Node, Port, Unmappable, sort
from tinymnist.interop.onnx.reading import OPERATIONS, model_of
from tinymnist.interop.onnx.running import run_node
from tinymnist.interop.tensorflow.graphdef import Graph, from_protobuf
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential

Variables = Callable[[str], Array | None]
"""The value of a variable by the name of its node; None if it is unknown."""
_RENAMED: dict[str, str] = {
    "AddV2": "Add", "AddN": "Sum", "BatchMatMulV2": "MatMul", "Maximum": "Max", "Minimum": "Min",
    "Prelu": "PRelu", "RealDiv": "Div", "TopKV2": "TopK",
}  # fmt: skip
_RENAMED |= {op: op for op in (
    "Add", "ArgMax", "Div", "Elu", "Exp", "HardSwish", "LeakyRelu", "Log", "LogSoftmax", "Mul",
    "Neg", "Pow", "Reciprocal", "Relu", "Reshape", "Selu", "Shape", "Sigmoid", "Softmax",
    "Softplus", "Softsign", "Sqrt", "Sub", "Tanh",
)}  # fmt: skip
"""Operations that ONNX has, too."""
_PASSING = (
    *("Identity", "ReadVariableOp", "StopGradient", "PlaceholderWithDefault", "PreventGradient"),
    *("CheckNumerics", "Snapshot", "Enter", "Exit"),
)
_WINDOWS = {
    **dict.fromkeys(("Conv2D", "_FusedConv2D"), "Conv"),
    **dict.fromkeys(("DepthwiseConv2dNative", "FusedDepthwiseConv2dNative"), "Conv"),
    **{"MaxPool": "MaxPool", "AvgPool": "AveragePool"},
    **{f"FusedBatchNorm{v}": "BatchNormalization" for v in ("", "V2", "V3")},
}
"""Operations on channels, which TensorFlow has behind the pixels and ONNX in front."""
_NUMBERS = re.compile("keep|prob|rate|drop|phase|train")
"""Names of inputs that are no pictures."""
_VARIABLES = ("VarHandleOp", "VariableV2", "Variable")
_RANDOM = ("RandomUniform", "StatelessRandomUniformV2")
_REDUCTIONS = ("Max", "Mean", "Min", "Prod", "Sum")
_TYPES = {1: 1, 2: 1, 14: 1, 19: 1, 3: 6, 4: 2, 9: 7, 10: 9}
"""ONNX's numbers of types by TensorFlow's; layers compute all floats alike."""
_FEW = 1000
_MOST_ENDS = 16
_FIRST, _LAST = (0, 3, 1, 2), (0, 2, 3, 1)
_MOST = np.iinfo(np.int64).max


def read(path: Path) -> Sequential:
    """Read a frozen graph, ``.pb``; its output is one that no operation takes.

    Raises:
        InputError: when it is damaged, or has an operation that no layer does.
    """
    graph = from_protobuf(read_bytes(path))
    taken = {name for node in graph.nodes for name in node.inputs}
    ends = [node.outputs[0] for node in graph.nodes if not taken.intersection(node.outputs)]
    return translate(graph, path, ends[-_MOST_ENDS:], "TensorFlow (frozen graph)")


def translate(
    graph: Graph, path: Path, ends: Sequence[str], source: str, variables: Variables | None = None
) -> Sequential:
    """The model that computes a result of a graph.

    Args:
        graph: with one input that is a picture.
        path, source: for messages and the model's metadata.
        ends: the results that may be the model's output; what cannot be is passed over.
        variables: where the graph's variables are.

    Raises:
        InputError: when an operation or a variable is unknown, or there are several inputs.
    """
    part = Network(graph.nodes, {}, [], []).needed_for(*map(graph.source, ends))
    translation = _Translation(variables or (lambda _: None))
    for node in sort(part.nodes, (), str(path)):
        translation.add(node)
    made = {name for node in translation.nodes for name in node.outputs}
    outputs = dict.fromkeys(translation.names.get(name, name) for name in part.outputs)
    ends = [name for name in outputs if name in made]
    network = Network(translation.nodes, translation.constants, translation.ports, ends)
    if not ends:
        raise InputError(f"{path} holds nothing that is computed of an input")
    model, _ = model_of(network, path)
    source = f"{source}, {path.name}"
    model.metadata = {"preprocessing": {"recipe": "mnist"}, "source": source}
    return model


class _Translation:
    """Puts one node after another into ONNX's words.

    Attributes:
        nodes, constants, ports: as in a Network.
        names: the tensors that are the same as another one.
        is_random: whether there are random numbers.
        spread: pictures of which blocks are taken apart, for a dilated convolution: that or None,
            the picture before, the block, and the frame around it.
    """

    def __init__(self, variables: Variables) -> None:
        self.nodes: list[Node] = []
        self.constants: dict[str, Array] = {}
        self.ports: list[Port] = []
        self.names: dict[str, str] = {}
        self.is_random = False
        self.spread: dict[str, tuple[Node, str, Array, Array]] = {}
        self._variables, self._dead = variables, set[str]()

    def add(self, node: Node) -> None:
        """Add a node: a constant, an input, another name for a tensor, or operations."""
        inputs = tuple(self.names.get(name, name) for name in node.inputs)
        alive = [name for name in inputs if name not in self._dead]
        node, result = replace(node, inputs=inputs), node.outputs[0]
        if node.op in ("Merge", *_PASSING) and alive:
            self.names[result] = alive[0]
        elif len(alive) < len(inputs):
            self._dead.update(node.outputs)
        elif node.op == "Switch" and inputs[1] in self.constants:
            taken = f"{node.name}:{int(bool(self.constants[inputs[1]]))}"
            self._dead |= set(node.outputs) - {taken}
            self.names[taken] = inputs[0]
        elif node.op in ("Select", "SelectV2") and np.all(self.constants.get(inputs[0], False)):
            self.names[result] = inputs[1]
        elif node.op == "Const" and node.get("value") is not None:
            self.constants[result] = node.get("value")
        elif node.op in _VARIABLES and (value := self._variables(node.name)) is not None:
            self.constants[result] = value
        elif node.op in _RANDOM:
            self.constants[result], self.is_random = np.zeros((), np.float32), True
        elif node.op == "Placeholder":
            self._place(node)
        else:
            self._translate(node)

    def _place(self, node: Node) -> None:
        """A picture, or a number: a share to keep, a rate, or whether it is training."""
        shape, is_flag = node.get("shape"), node.get("dtype") == 10
        if is_flag or (not shape and _NUMBERS.search(node.name)):
            falls = is_flag or "rate" in node.name
            self.constants[node.outputs[0]] = np.array(0 if falls else 1, np.float32)
        else:
            sides = tuple(None if side < 0 else side for side in shape or ()) or None
            self.ports.append(Port(node.outputs[0], sides))

    def _translate(self, node: Node) -> None:
        """Emit what it does; what has no words in ONNX stays, and is refused if it is needed."""
        try:
            made = self._emitted(node)
        except (LookupError, ValueError, TypeError):
            made = None
        if made is None:
            self.nodes.append(node)
        else:
            self.names[node.outputs[0]] = made

    def emit(self, node: Node, op: str, *inputs: str, **attributes: Any) -> str:
        """Add an operation, or compute it of a few constants; return the name of its result."""
        result = f"{len(self.nodes) + len(self.constants)}/{node.outputs[0]}"
        made = Node(op, inputs, (result,), attributes, name=node.name)
        known = [self.constants[name] for name in inputs if name in self.constants]
        if len(known) == len(inputs) and sum(array.size for array in known) < _FEW:
            with contextlib.suppress(Unmappable):
                self.constants |= run_node(made, self.constants, OPERATIONS)
                return result
        self.nodes.append(made)
        return result

    def fixed(self, node: Node, value: Any) -> str:
        """A new constant."""
        name = f"{node.outputs[0]}.{len(self.constants)}#"
        self.constants[name] = np.asarray(value)
        return name

    def _emitted(self, node: Node) -> str | None:
        """The result of the operations that do what a node does; None if there are none."""
        op, inputs, at = node.op, node.inputs, self.constants
        if op in _RENAMED:
            alpha = {"alpha": node.get("alpha", 0.2)} if op == "LeakyRelu" else {}
            return self.emit(node, _RENAMED[op], *inputs, **alpha)
        if op in _REDUCTIONS:
            axes = tuple(at[inputs[1]].ravel().tolist())
            keep = int(bool(node.get("keep_dims")))
            return self.emit(node, f"Reduce{op}", inputs[0], axes=axes, keepdims=keep)
        if op in _WRITTEN_OUT:
            return _WRITTEN_OUT[op](self, node)
        if op in ("MatMul", "_FusedMatMul"):
            turned = {f"trans{k.upper()}": int(bool(node.get(f"transpose_{k}"))) for k in "ab"}
            return self._fused(node, self.emit(node, "Gemm", *inputs[:2], **turned))
        if op in _WINDOWS:
            return self.window(node)
        return None

    def window(self, node: Node, dilation: Any = None, pads: Any = None) -> str:
        """A convolution, a pooling or a normalization, with channels in front as in ONNX."""
        op, (x, *more), given = node.op, node.inputs, node.get
        if x in self.spread:  # what it does is known at the end
            self.spread[node.outputs[0]] = (node, *self.spread[x][1:])
            return node.outputs[0]
        first = given("data_format", "NHWC") == "NCHW"
        across = slice(2, 4) if first else slice(1, 3)
        x = x if first else self.emit(node, "Transpose", x, perm=_FIRST)
        word = _WINDOWS[op]
        if word == "BatchNormalization":
            training = int(bool(given("is_training", 1)))
            epsilon = given("epsilon", 1e-4)
            y = self.emit(node, word, x, *more[:4], epsilon=epsilon, training_mode=training)
        else:
            padding = given("padding")
            if padding == "EXPLICIT":
                pads = np.reshape(given("explicit_paddings"), (4, 2))[across]
            moves: dict[str, Any] = {"strides": tuple(given("strides")[across])}
            if pads is not None:
                moves["pads"] = tuple(np.asarray(pads).T.ravel().tolist())
            else:
                moves["auto_pad"] = {"SAME": "SAME_UPPER", "VALID": "VALID"}[padding]
            if word == "Conv":
                listed: Any = given("dilations") or (1, 1, 1, 1)
                moves["dilations"] = tuple(dilation or listed[across])
                weights, kernel = self.constants[more[0]], f"{len(self.nodes)}/{more[0]}"
                self.constants[kernel] = weights.transpose(3, 2, 0, 1)
                if "Depthwise" in op:  # (kh, kw, in, times) -> (in * times, 1, kh, kw)
                    kh, kw, moves["group"], _ = weights.shape
                    rows = weights.transpose(2, 3, 0, 1)
                    self.constants[kernel] = rows.reshape(-1, 1, kh, kw)
                y = self.emit(node, word, x, kernel, **moves)
            else:
                y = self.emit(node, word, x, kernel_shape=tuple(given("ksize")[across]), **moves)
        return self._fused(node, y if first else self.emit(node, "Transpose", y, perm=_LAST))

    def _fused(self, node: Node, y: str) -> str:
        """What TensorFlow fused into a node: a bias, then an activation."""
        more = list(node.inputs[2:])
        for op in node.get("fused_ops") or ():
            if op == "BiasAdd":
                y = self.emit(node, "Add", y, more.pop(0))
            else:
                alpha = {"alpha": node.get("leakyrelu_alpha", 0.2)} if op == "LeakyRelu" else {}
                taken = [more.pop(0)] if op == "Prelu" else []
                inner = Node(op, (y, *taken), (f"{y}&",), alpha, name=node.name)
                if (made := self._emitted(inner)) is None:
                    raise ValueError(f"{op} in an operation")
                y = made
        return y


def _bias(t: _Translation, node: Node) -> str:
    x, bias = node.inputs
    if node.get("data_format") == "NCHW":
        bias = t.emit(node, "Unsqueeze", bias, t.fixed(node, [1, 2]))
    return t.emit(node, "Add", x, bias)


def _pack(t: _Translation, node: Node) -> str:
    axis = int(node.get("axis", 0))
    parts = [t.emit(node, "Unsqueeze", x, t.fixed(node, [axis])) for x in node.inputs]
    return t.emit(node, "Concat", *parts, axis=axis)


def _strided(t: _Translation, node: Node) -> str:
    """Parts of axes; an axis of which one place is taken goes."""
    begin, end, step = (t.constants[name].ravel().tolist() for name in node.inputs[1:4])
    if node.get("ellipsis_mask") or node.get("new_axis_mask"):
        raise ValueError("a slice that adds axes")
    gone = [i for i in range(len(begin)) if int(node.get("shrink_axis_mask", 0)) >> i & 1]
    for i in range(len(begin)):
        if int(node.get("begin_mask", 0)) >> i & 1:
            begin[i] = 0
        if i in gone:
            end[i] = begin[i] + 1 or _MOST
        elif int(node.get("end_mask", 0)) >> i & 1:
            end[i] = _MOST
    sides = [t.fixed(node, side) for side in (begin, end, list(range(len(begin))), step)]
    y = t.emit(node, "Slice", node.inputs[0], *sides)
    return t.emit(node, "Squeeze", y, t.fixed(node, gone)) if gone else y


def _pad(t: _Translation, node: Node) -> str:
    pads = t.fixed(node, t.constants[node.inputs[1]].T.ravel())
    return t.emit(node, "Pad", node.inputs[0], pads, *node.inputs[2:3])


def _spread(t: _Translation, node: Node) -> str:
    """A dilated convolution begins."""
    block, frame = (t.constants[name] for name in node.inputs[1:3])
    t.spread[node.outputs[0]] = node, node.inputs[0], block, frame
    return node.outputs[0]


def _gathered(t: _Translation, node: Node) -> str:
    """A dilated convolution ends; what is cropped was not needed in front of it."""
    window, x, block, frame = t.spread[node.inputs[0]]
    taken = replace(window, inputs=(x, *window.inputs[1:]))
    return t.window(taken, block.tolist(), frame - t.constants[node.inputs[2]])


def _squeezed(t: _Translation, node: Node) -> str:
    axes = [t.fixed(node, axes)] if (axes := node.get("squeeze_dims")) else []
    return t.emit(node, "Squeeze", node.inputs[0], *axes)


def _kept(t: _Translation, node: Node) -> str:
    """Which units a dropout keeps: all, if its rate is 0."""
    if node.op == "Floor":
        made = t.emit(node, "Floor", *node.inputs)
    else:
        made = t.emit(node, "Not", t.emit(node, "Less", *node.inputs))
    if t.is_random and not np.all(t.constants.get(made, True)):
        raise InputError(
            f"{node.name[:60]!r} drops units at random; expected a graph for inference"
        )
    return made


_WRITTEN_OUT: dict[str, Callable[[_Translation, Node], str]] = {
    "BiasAdd": _bias,
    "Pack": _pack,
    "StridedSlice": _strided,
    **dict.fromkeys(("Pad", "PadV2"), _pad),
    "SpaceToBatchND": _spread,
    "BatchToSpaceND": _gathered,
    "Squeeze": _squeezed,
    **dict.fromkeys(("Floor", "GreaterEqual"), _kept),
    "Rsqrt": lambda t, n: t.emit(n, "Reciprocal", t.emit(n, "Sqrt", n.inputs[0])),
    "Cast": lambda t, n: t.emit(n, "Cast", n.inputs[0], to=_TYPES[n.get("DstT")]),
    "ConcatV2": lambda t, n: t.emit(
        n, "Concat", *n.inputs[:-1], axis=int(t.constants[n.inputs[-1]])
    ),
    "ExpandDims": lambda t, n: t.emit(
        n, "Unsqueeze", n.inputs[0], t.fixed(n, t.constants[n.inputs[1]].ravel())
    ),
    "Relu6": lambda t, n: t.emit(
        n, "Clip", n.inputs[0], t.fixed(n, np.float32(0)), t.fixed(n, np.float32(6))
    ),
    "Square": lambda t, n: t.emit(n, "Mul", n.inputs[0], n.inputs[0]),
    "Transpose": lambda t, n: t.emit(
        n, "Transpose", n.inputs[0], perm=tuple(t.constants[n.inputs[1]].tolist())
    ),
}
"""Operations that ONNX has in another form, and what emits that."""
