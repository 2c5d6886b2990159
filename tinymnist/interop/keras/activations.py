"""Keras's activations: words, layers in the place of words, and what the words used to mean."""

from __future__ import annotations

from typing import Any

from tinymnist.errors import InputError
from tinymnist.nn.layers import ACTIVATIONS, Activation, Layer, Rescaling

_WORDS = {
    "swish": "silu",
    "hard_swish": "hard_silu",
    "softmax_v2": "softmax",
    "log_softmax_v2": "log_softmax",
}
_OLD_HARD_SIGMOID = 1.2
"""Keras 1 and 2 had ``clip(0.2 x + 0.5)``; Keras 3's ``clip(x / 6 + 0.5)`` is that of 1.2 x."""


def activation_word(value: Any) -> str | None:
    """The name of an activation function, or None where it is a layer or something unheard of."""
    if value is None:
        return "linear"
    if isinstance(value, dict):
        if (
            value.get("class_name") in ("function", "Activation")
            or value.get("module") == "builtins"
        ):
            inside = value.get("config")
            return activation_word(inside.get("activation") if isinstance(inside, dict) else inside)
        return None
    return _WORDS.get(value, value) if isinstance(value, str) else None


def activation_layers(word: str, version: int, owner: str) -> list[Layer]:
    """The layers that do what an activation function does.

    Raises:
        InputError: when tinymnist has no such function.
    """
    if word not in ACTIVATIONS:
        raise InputError(
            f"{owner} uses the activation {word!r}, which tinymnist lacks; it has "
            f"{sorted(ACTIVATIONS)}"
        )
    if word == "hard_sigmoid" and version < 3:
        return [Rescaling(_OLD_HARD_SIGMOID), Activation(word)]
    return [Activation(word)]
