"""The table of functions that convert Keras's layers, and what the other layers would need."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tinymnist.errors import InputError
from tinymnist.interop.keras.building import Builder, Tensor
from tinymnist.interop.keras.config import LayerConfig

Handler: TypeAlias = Callable[[Builder, LayerConfig, list[Tensor]], Tensor]
"""``handler(builder, layer, inputs) -> output``."""
HANDLERS: dict[str, Handler] = {}
"""By the layer's class; filled by ``learned``, ``elementwise`` and ``shaping``."""
_MERGING: set[str] = set()
_NEEDS = {
    "Lambda": "its author's Python code, which a reader of files should not run",
    "TFOpLambda": "the TensorFlow function that it wraps",
    "SlicingOpLambda": "the TensorFlow function that it wraps",
    "TensorFlowOpLayer": "the TensorFlow operation that it wraps",
    "MultiHeadAttention": "attention",
    "Attention": "attention",
    "Embedding": "a table of words",
    "TimeDistributed": "a layer applied along an axis of time",
    "Bidirectional": "recurrence",
    "ConvLSTM2D": "recurrence",
    "LSTM": "recurrence",
    "GRU": "recurrence",
    "SimpleRNN": "recurrence",
    "RNN": "recurrence",
    "Masking": "masks along an axis of time",
    "Conv1D": "convolution along one axis",
    "Conv3D": "convolution along three axes",
    "Conv2DTranspose": "transposed convolution",
    "UpSampling2D": "pictures that grow",
    "Cropping2D": "cutting frames off",
    "Resizing": "pictures that change their size",
    "LocallyConnected2D": "kernels that differ from place to place",
    "KerasLayer": "TensorFlow Hub",
}
"""What support of a layer would need."""


def handles(*kinds: str, merges: bool = False) -> Callable[[Handler], Handler]:
    """Register a function for layers of these classes; ``merges`` if they take many inputs."""

    def mark(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(kinds, handler))
        if merges:
            _MERGING.update(kinds)
        return handler

    return mark


def check_known(config: LayerConfig, path: str) -> None:
    """Refuse a layer that cannot be converted.

    Raises:
        InputError: with the layer's name and what it would need.
    """
    kind, policy = config.kind, config.settings.get("dtype")
    if kind in HANDLERS:
        if not isinstance(policy, dict) or "Quantized" not in str(policy.get("class_name")):
            return
        kind = f"quantized {kind}"
    need = _NEEDS.get(kind.rpartition(">")[2], "code that the file or tinymnist does not have")
    if "quant" in kind.lower():
        need = "arithmetic in 8 bits or fewer"
    raise InputError(f"{path}: the layer {config.name!r} is a {kind}; it would need {need}")


def build_layer(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    """Convert one layer with these inputs into layers of tinymnist.

    Raises:
        InputError: when it cannot be done exactly.
    """
    check_known(config, builder.path)
    if len(inputs) != 1 and config.kind not in _MERGING:
        raise InputError(
            f"{builder.path}: the layer {config.name!r} takes {len(inputs)} inputs; expected one"
        )
    return HANDLERS[config.kind](builder, config, inputs)


def refused(builder: Builder, config: LayerConfig, reason: str) -> InputError:
    """The error for a layer whose settings cannot be converted."""
    return InputError(f"{builder.path}: the layer {config.name!r} ({config.kind}) {reason}")
