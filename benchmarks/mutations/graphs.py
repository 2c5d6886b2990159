"""Tiny graphs of TensorFlow's operations, written byte by byte: to be damaged, and for tests.

A convolution with a bias and ReLU, flattened by its own shape as Keras wrote it, and a product.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import numpy as np

_CONV: dict[str, Any] = {"strides": (1, 1, 1, 1), "padding": "VALID", "data_format": "NHWC"}


def varint(value: int) -> bytes:
    """A number of variable size in protobuf."""
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number: int, value: int | bytes | str) -> bytes:
    """A field of a protobuf message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value % (1 << 64))
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def shape(sides: Sequence[int]) -> bytes:
    """TensorShapeProto."""
    return b"".join(field(2, field(1, side)) for side in sides)


def node(name: str, op: str, *inputs: str, **settings: Any) -> bytes:
    """NodeDef; settings are numbers of types, texts, tuples of numbers, shapes (lists), arrays."""
    text = field(1, name) + field(2, op) + b"".join(field(3, one) for one in inputs)
    for key, value in settings.items():
        text += field(5, field(1, key) + field(2, _setting(value)))
    return text


def _setting(value: Any) -> bytes:
    if isinstance(value, float):
        return varint(4 << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, (int, str)):
        return field(6 if isinstance(value, int) else 2, value)
    if isinstance(value, tuple):
        return field(1, field(3, b"".join(map(varint, value))))
    if isinstance(value, list):
        return field(7, shape(value))
    if isinstance(value, bytes):  # the name of a function
        return field(10, field(1, value))
    kind = 1 if value.dtype.kind == "f" else 3
    return field(8, field(1, kind) + field(2, shape(value.shape)) + field(4, value.tobytes()))


def body(x: str, kernel: str, bias: str, dense: str, port: str = "") -> list[bytes]:
    """The operations on an input; ``port`` is what results are called inside a function."""
    zero, one, rest = (np.array(n, "<i4") for n in ([0], [1], -1))
    return [
        node("conv/Conv2D", "Conv2D", x, kernel, **_CONV),
        node("conv/BiasAdd", "BiasAdd", f"conv/Conv2D{port}", bias),
        node("conv/Relu", "Relu", f"conv/BiasAdd{port}"),
        node("flat/Shape", "Shape", f"conv/Relu{port}"),
        node("flat/zero", "Const", value=zero, dtype=3),
        node("flat/one", "Const", value=one, dtype=3),
        node("flat/rest", "Const", value=rest, dtype=3),
        node("flat/batch", "StridedSlice", f"flat/Shape{port}", f"flat/zero{port}",
             *[f"flat/one{port}"] * 2, shrink_axis_mask=1),
        node("flat/shape", "Pack", f"flat/batch{port}", f"flat/rest{port}"),
        node("flat/Reshape", "Reshape", f"conv/Relu{port}", f"flat/shape{port}"),
        node("dense/MatMul", "MatMul", f"flat/Reshape{port}", dense),
    ]  # fmt: skip


def frozen(side: int, kernel: Any, bias: Any, dense: Any) -> bytes:
    """GraphDef with constants, and the number of the class at its end."""
    arrays = {"conv/kernel": kernel, "conv/bias": bias, "dense/kernel": dense}
    nodes = [node("x", "Placeholder", dtype=1, shape=[-1, side, side, 1])]
    nodes += [node(name, "Const", value=array, dtype=1) for name, array in arrays.items()]
    nodes += [
        *body("x", "conv/kernel", "conv/bias", "dense/kernel"),
        node("one", "Const", value=np.array(1, "<i4"), dtype=3),
    ]
    return b"".join(field(1, n) for n in [*nodes, node("class", "ArgMax", "dense/MatMul", "one")])


def served(side: int, bound: Sequence[int]) -> bytes:
    """SavedModel whose function takes variables, which are these objects of the checkpoint."""
    names = ("kernel", "bias", "dense")
    call = node("call", "StatefulPartitionedCall", "x", *names, f=b"serve")
    nodes = [node("x", "Placeholder", dtype=1, shape=[-1, side, side, 1])]
    nodes += [*(node(name, "VarHandleOp", dtype=1) for name in names), call]
    inside = [node(f"read_{name}", "ReadVariableOp", f"{name}_resource") for name in names]
    kernel, bias, dense = (f"read_{name}:value:0" for name in names)
    inside += body("inputs", kernel, bias, dense, ":output:0")
    taken = ("inputs", *(f"{name}_resource" for name in names))
    signature = field(1, "serve") + b"".join(field(2, field(1, name)) for name in taken)
    signature += field(3, field(1, "scores"))
    function = field(1, signature) + b"".join(field(3, n) for n in inside)
    function += field(4, field(1, "scores") + field(2, "dense/MatMul:product:0"))
    graph = b"".join(field(1, n) for n in nodes) + field(2, field(1, function))
    ports = [field(number, field(1, "t") + field(2, field(1, name)))
             for number, name in ((1, "x:0"), (2, "call:0"))]  # fmt: skip
    served_as = field(5, field(1, "serving_default") + field(2, b"".join(ports)))
    concrete = field(1, "serve") + field(2, field(2, b"".join(map(varint, bound))))
    meta = field(2, graph) + served_as + field(7, field(2, concrete))
    return field(1, 1) + field(2, meta)


def in_json(side: int, arrays: dict[str, Any]) -> dict[str, Any]:
    """TensorFlow.js's description of the same graph, with the operations that it fuses."""

    def text(value: str) -> dict[str, str]:
        return {"s": base64.b64encode(value.encode()).decode()}

    fused = {"list": {"s": [text(op)["s"] for op in ("BiasAdd", "Relu")]}}
    ones = {"list": {"i": ["1"] * 4}}
    conv = {"strides": ones, "padding": text("VALID"), "fused_ops": fused}
    sides = {"dim": [{"size": str(n)} for n in (-1, side, side, 1)]}
    names = list(arrays)
    nodes: list[dict[str, Any]] = [
        {"name": "x", "op": "Placeholder", "attr": {"shape": {"shape": sides}}},
        *({"name": name, "op": "Const", "attr": {"dtype": {"type": "T"}}} for name in names),
        {"name": "conv", "op": "_FusedConv2D", "input": ["x", *names[:2]], "attr": conv},
        {"name": "flat", "op": "Reshape", "input": ["conv", names[3]]},
        {"name": "y", "op": "MatMul", "input": ["flat", names[2]],
         "attr": {"transpose_b": {"b": False}}},
    ]  # fmt: skip
    outputs = {"y": {"name": "y:0"}}
    return {"format": "graph-model", "modelTopology": {"node": nodes},
            "signature": {"inputs": {"x": {"name": "x:0"}}, "outputs": outputs}}  # fmt: skip


def table(pairs: dict[str, bytes]) -> bytes:
    """A table of LevelDB of one block."""

    def block(entries: list[tuple[bytes, bytes]]) -> bytes:
        out, before = b"", b""
        for key, value in entries:
            pairs_of = zip(before, key, strict=False)
            shared = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs_of)))
            out += varint(shared) + varint(len(key) - shared) + varint(len(value))
            out, before = out + key[shared:] + value, key
        return out + struct.pack("<II", 0, 1)

    data = block([(key.encode(), pairs[key]) for key in sorted(pairs)])
    index = block([(b"\xff", varint(0) + varint(len(data)))])
    handles = varint(0) + varint(0) + varint(len(data) + 5) + varint(len(index))
    out = data + bytes(5) + index + bytes(5) + handles.ljust(40, b"\0")
    return out + 0xDB4775248B80FB57.to_bytes(8, "little")


def leaf(key: str) -> bytes:
    """The object of a checkpoint that is the variable with this key."""
    return field(1, field(2, field(1, "VARIABLE_VALUE") + field(3, key)))


def checkpoint(arrays: dict[str, Any], objects: bytes) -> dict[str, bytes]:
    """The files of a SavedModel's variables by their names, with its graph of objects."""
    text = varint(len(objects)) + bytes(4) + objects
    entries, data = {"": field(1, 1)}, b""
    for key, array in arrays.items():
        place = field(4, len(data)) + field(5, array.nbytes)
        entries[key] = field(1, 1) + field(2, shape(array.shape)) + place
        data += array.tobytes()
    entries["_CHECKPOINTABLE_OBJECT_GRAPH"] = (
        field(1, 7) + field(2, b"") + field(4, len(data)) + field(5, len(text))
    )
    return {
        "variables/variables.index": table(entries),
        "variables/variables.data-00000-of-00001": data + text,
    }
