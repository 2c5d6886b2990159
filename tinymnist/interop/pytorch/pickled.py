"""Weights that somebody pickled as NumPy arrays by name: ``{"W1": ..., "b1": ..., "W2": ...}``.

The pickle runs on :mod:`~tinymnist.interop.pytorch.machine`, as those inside PyTorch's files do.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from tinymnist import limits
from tinymnist.interop.bare.blocks import natural
from tinymnist.interop.pytorch.machine import Instance, Machine, Name, Refused, brief
from tinymnist.nn.arrays import Array

_NAME = re.compile("[Wb]_?[0-9]{1,3}")
_ADVICE = (
    "expected NumPy's arrays as {'W1': ..., 'b1': ..., ...}. Unpickling would run any code in it. "
    "If you trust it, load it in Python and save its arrays as PyTorch names them"
)


def read_pickle(data: bytes) -> dict[str, Array]:
    """The arrays, named and laid out as in PyTorch; matrices in the file are (in, out).

    Raises:
        Refused: when it holds or names anything else.
    """
    made: dict[tuple[str, str], Callable[..., Any]] = {
        ("_codecs", "encode"): lambda text, coding: str(text).encode("latin1"),
        ("numpy", "dtype"): lambda code, *_: Instance(Name("numpy.dtype", str(code))),
    }
    for home in ("numpy.core.multiarray", "numpy._core.multiarray"):
        made[home, "_reconstruct"] = lambda *_: Instance(Name("numpy", "ndarray"))
    try:
        root = Machine(made, lambda _: None).run(io.BytesIO(data))
        if not isinstance(root, dict) or not all(_NAME.fullmatch(str(key)) for key in root):
            raise Refused(f"it holds {brief(root)}")
        return dict(_named(key, _array(root[key])) for key in sorted(root, key=natural))
    except Refused as refusal:
        raise Refused(f"{refusal}; {_ADVICE}") from None


def _named(key: str, array: Array) -> tuple[str, Array]:
    number, is_kernel = key.lstrip("Wb_"), key[0] == "W"
    name = f"layer{number}.{'weight' if is_kernel else 'bias'}"
    return name, array.T if array.ndim == 2 else array


def _array(value: Any) -> Array:
    """An array, of the state that its pickle gives it: version, shape, type, order, numbers."""
    match value:
        case Instance(
            state=(
                int(),
                tuple() as shape,
                Instance(kind=Name(name=code), state=(int(), "<" | ">" as order, *_)),
                bool() as turned,
                bytes() as data,
            )
        ) if code in ("f2", "f4", "f8"):
            limits.charge(4 * len(data), "an array")
            return np.frombuffer(data, order + code).reshape(shape, order="F" if turned else "C")
    raise Refused(f"it holds {brief(value)} in place of an array of floats")
