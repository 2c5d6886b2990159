"""Keras's recurrent layers: SimpleRNN, LSTM and GRU, cuDNN's versions, and Bidirectional."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymnist.interop.keras.building import Arrays, Call, Tensor
from tinymnist.interop.keras.elementwise import activation_word
from tinymnist.nn import layers
from tinymnist.nn.arrays import Array

_KINDS: dict[str, type[layers.SimpleRNN] | type[layers.LSTM] | type[layers.GRU]] = {
    "SimpleRNN": layers.SimpleRNN,
    **dict.fromkeys(("LSTM", "CuDNNLSTM"), layers.LSTM),
    **dict.fromkeys(("GRU", "CuDNNGRU"), layers.GRU),
}
_OLD_HARD_SIGMOID = 1.2
"""Keras 1 and 2 had ``clip(0.2 x + 0.5)``; Keras 3's ``clip(x / 6 + 0.5)`` equals it at 1.2 x."""
_UNKNOWN = ("return_state", "time_major")
"""Settings that change what a layer returns, and have no counterpart."""


def _recurrent(call: Call) -> Tensor:
    name, tensor = call.name, call.builder.in_order(call.inputs[0])
    source = _direction(call, call.config.kind, call.settings, call.config.arrays, name, tensor)
    return _result(call, source)


def _result(call: Call, source: str) -> Tensor:
    shape = call.builder.held(Tensor(source, (), None))
    return Tensor(source, shape, tuple(range(len(shape))))


def _direction(
    call: Call, kind: str, settings: dict[str, Any], arrays: list[Array], name: str,
    tensor: Tensor, **more: Any,
) -> str:  # fmt: skip
    """Add one layer that reads in one direction; return its name."""
    if kind not in _KINDS:
        raise call.refused(f"wraps a {kind!r}; expected LSTM, GRU or SimpleRNN")
    if unknown := [key for key in _UNKNOWN if settings.get(key)]:
        raise call.refused(f"has {unknown[0]}, which tinymnist lacks")
    if len(tensor.shape) != 2:
        raise call.refused(f"reads rows (t, features); its input is {tensor.shape}")
    is_cudnn = kind.startswith("CuDNN")
    words: dict[str, Any] = {"activation": _word(call, settings, "activation", "tanh")}
    uses = bool(settings.get("use_bias", True)) and len(arrays) > 2
    if len(arrays) != 2 + uses:
        raise call.refused(f"should have {2 + uses} arrays; found {len(arrays)}")
    kernel, recurrent, *rest = (np.asarray(array, np.float32) for array in arrays)
    bias = rest[0] if rest else None
    cell = _KINDS[kind]
    if cell is not layers.SimpleRNN:
        usual = "sigmoid" if call.builder.version > 2 or is_cudnn else "hard_sigmoid"
        gate = _word(call, settings, "recurrent_activation", usual)
        words["recurrent_activation"] = gate
        if gate == "hard_sigmoid" and call.builder.version < 3:
            kernel, recurrent, bias = _louder_gates(kernel, recurrent, bias, cell)
    if cell is layers.LSTM and is_cudnn and bias is not None:
        bias = bias.reshape(2, -1).sum(axis=0)
    if cell is layers.GRU:
        words["reset_after"] = is_cudnn or bool(settings.get("reset_after", False))
        if bias is not None and is_cudnn:
            bias = bias.reshape(2, -1)
    layer = cell(
        int(settings.get("units") or recurrent.shape[0]),
        use_bias=bias is not None,
        return_sequences=bool(settings.get("return_sequences")),
        **{"go_backwards": bool(settings.get("go_backwards")), **words, **more},
    )
    given: Arrays = {"kernel": kernel, "recurrent_kernel": recurrent}
    given |= {} if bias is None else {"bias": bias}
    return call.builder.add(layer, name, tensor.source, arrays=given)


def _word(call: Call, settings: dict[str, Any], key: str, usual: str) -> str:
    word = activation_word(settings.get(key, usual))
    if word not in layers.ACTIVATIONS:
        raise call.refused(f"has the {key} {word!r}, which tinymnist lacks")
    return word


def _louder_gates(
    kernel: Array, recurrent: Array, bias: Array | None, cell: type[layers.Layer]
) -> tuple[Array, Array, Array | None]:
    """Fold the steeper slope of the old hard sigmoid into the gates' columns."""
    units = recurrent.shape[0]
    slope = np.full(recurrent.shape[1], _OLD_HARD_SIGMOID, np.float32)
    slope[2 * units : 3 * units] = 1  # the candidate's activation is another one
    return kernel * slope, recurrent * slope, None if bias is None else bias * slope


def _bidirectional(call: Call) -> Tensor:
    """The layer in both directions; what the second returns is put into the input's order."""
    forward = call.settings.get("layer") or {}
    backward = call.settings.get("backward_layer") or forward
    settings = dict(forward.get("config") or {})
    turned = dict(backward.get("config") or {})
    if backward is forward:
        turned["go_backwards"] = not settings.get("go_backwards")
    half, tensor = len(call.config.arrays) // 2, call.builder.in_order(call.inputs[0])
    ends = []
    for way, inner, own, arrays in (
        ("forward", forward, settings, call.config.arrays[:half]),
        ("backward", backward, turned, call.config.arrays[half:]),
    ):
        kind, name = str(inner.get("class_name")), f"{call.name}_{way}"
        order = {"in_input_order": way == "backward"}
        ends.append(_direction(call, kind, own, arrays, name, tensor, **order))
    mode = call.settings.get("merge_mode", "concat")
    merging = {"concat": layers.Concatenate, "sum": layers.Add, "mul": layers.Multiply,
               "ave": layers.Add}  # fmt: skip
    if mode not in merging:
        raise call.refused(f"merges by {mode!r}; expected one of {list(merging)}")
    name = f"{call.name}_sum" if mode == "ave" else call.name
    source = call.builder.add(merging[mode](), name, *ends)
    if mode == "ave":
        source = call.builder.add(layers.Rescaling(0.5), call.name, source)
    return _result(call, source)


HANDLERS: dict[str, Callable[[Call], Tensor]] = {
    **dict.fromkeys(_KINDS, _recurrent),
    "Bidirectional": _bidirectional,
}
"""What converts each class of these layers."""
