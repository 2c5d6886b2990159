"""Tensors of a state_dict become blocks of weights, and layers become tensors of a state_dict."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from os import PathLike

import numpy as np

from tinymnist.errors import InputError
from tinymnist.interop.bare.assemble import FeatureOrder, orders_into
from tinymnist.interop.bare.blocks import Block
from tinymnist.nn import layers
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential

Leaves = dict[str, Array]
"""The tensors of one module, by the last part of their names."""
_NAMES = {"bias": "bias", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
          "moving_variance": "running_var"}  # fmt: skip
"""PyTorch's names of a layer's arrays."""
_NORMS = (layers.BatchNormalization, layers.LayerNormalization)


class _Unmapped(ValueError):
    """A module without a counterpart in tinymnist; the message names it and its kind."""


def blocks_of(tensors: Mapping[str, Array], path: str | PathLike[str]) -> list[Block]:
    """Group tensors by module, and bring them to tinymnist's layouts.

    Args:
        tensors: by their names in a state_dict, ``conv1.weight`` (out, in, kh, kw) for instance.
        path: of the file, for messages.

    Raises:
        InputError: for a module that is neither a convolution, nor linear, nor a normalization, nor
            a PReLU.
    """
    modules: dict[str, Leaves] = {}
    for name, array in tensors.items():
        module, leaf = _split(name)
        if leaf != "num_batches_tracked":
            modules.setdefault(module, {})[leaf] = array
    try:
        for name, leaves in modules.items():
            for leaf in [leaf for leaf in _SPECIAL if leaf in leaves]:
                raise _Unmapped(f"{name or leaf} is {_SPECIAL[leaf]}: tinymnist has no such layer")
        return [_block(name, leaves) for name, leaves in modules.items() if leaves]
    except _Unmapped as error:
        raise InputError(f"{path}: {error}") from None


def _split(name: str) -> tuple[str, str]:
    """Module and leaf; hand-written networks name their layers ``W1, b1, W2, b2``."""
    module, _, leaf = name.rpartition(".")
    by_hand = re.fullmatch("(w|weights?|b|bias|biases)_?([0-9]{1,3})", leaf, re.IGNORECASE)
    if by_hand is None:
        return module, leaf
    kind = "weight" if by_hand[1][0] in "wW" else "bias"
    return f"{module}.layer{by_hand[2]}".lstrip("."), kind


_SPECIAL = {
    "weight_ih_l0": "recurrent (RNN, LSTM or GRU)",
    "in_proj_weight": "attention",
    "fake_quant_enabled": "fake quantisation, which rounds what passes through",
    "observer_enabled": "fake quantisation, which rounds what passes through",
    "zero_point": "quantisation",
    "_packed_params": "quantisation",
    "weight_v": "weight normalization; remove it in PyTorch before saving "
    "(torch.nn.utils.remove_weight_norm)",
    "original0": "a parametrization; remove it in PyTorch before saving "
    "(torch.nn.utils.parametrize.remove_parametrizations)",
    "weight_u": "spectral normalization; remove it in PyTorch before saving "
    "(torch.nn.utils.remove_spectral_norm)",
    "pos_embed": "a transformer",
    "cls_token": "a transformer",
}
"""Leaves that identify a kind of module without a counterpart."""


def _block(name: str, leaves: Leaves) -> Block:
    if {"weight_orig", "weight_mask"} <= leaves.keys():  # pruned by torch.nn.utils.prune
        kept = leaves.pop("weight_orig") * leaves.pop("weight_mask")
        leaves = {"weight": kept} | leaves
    if {"running_mean", "running_var"} <= leaves.keys():
        return _norm(name, leaves)
    weight = leaves.get("weight")
    if weight is None or leaves.keys() - {"weight", "bias"}:
        found = {leaf: tuple(array.shape) for leaf, array in leaves.items()}
        raise _Unmapped(f"{name or 'the model'} holds {str(found)[:200]}, not a known module")
    bias = leaves.get("bias")
    if weight.ndim == 2 and bias is not None and bias.shape == weight.shape[1:] != weight.shape[:1]:
        weight = weight.T  # (in, out), as networks written by hand have it
    if weight.ndim in (2, 4) and (bias is None or bias.shape == weight.shape[:1]):
        axes = (2, 3, 1, 0) if weight.ndim == 4 else (1, 0)  # (out, in, kh, kw) or (out, in)
        arrays = {"kernel": _float(name, weight.transpose(axes))}
        if bias is not None:
            arrays["bias"] = _float(name, bias)
        return Block(name, "conv" if weight.ndim == 4 else "dense", arrays)
    if bias is None and (weight.size == 1 or weight.ndim == 1):
        return Block(name, "prelu", {"alpha": _float(name, weight.squeeze())})
    if weight.ndim == 1 and bias is not None and bias.shape == weight.shape:
        arrays = {"gamma": _float(name, weight), "beta": _float(name, bias)}
        return Block(name, "layernorm", arrays)
    raise _Unmapped(f"{name} has a weight of shape {weight.shape}; expected 1, 2 or 4 axes")


def _norm(name: str, leaves: Leaves) -> Block:
    mean = leaves["running_mean"]
    found = {"weight": np.ones_like(mean), "bias": np.zeros_like(mean)} | leaves
    ours = ("gamma", "beta", "moving_mean", "moving_variance")
    arrays = {leaf: found[_NAMES[leaf]] for leaf in ours}
    if mean.ndim != 1 or any(array.shape != mean.shape for array in arrays.values()):
        raise _Unmapped(f"{name} is a batch normalization whose arrays differ in shape")
    return Block(name, "norm", {leaf: _float(name, array) for leaf, array in arrays.items()})


def _float(name: str, array: Array) -> Array:
    if array.dtype.kind != "f":
        raise _Unmapped(f"{name} holds {array.dtype} numbers; expected floating-point weights")
    return np.array(array, np.float32, order="C")


def tensors_of(model: Sequential) -> dict[str, Array]:
    """The state_dict of the same network in PyTorch, layer by layer.

    Raises:
        InputError: when a layer's arrays have no counterpart in PyTorch.
    """
    try:
        orders = orders_into(model)
    except ValueError as error:
        raise InputError(f"{model.name} cannot be laid out with channels first: {error}") from None
    parts = ((layer.name, _tensors(layer, orders[layer.name])) for layer in model.layers)
    return {f"{name}.{leaf}": array for name, leaves in parts for leaf, array in leaves}


def _tensors(layer: layers.Layer, order: FeatureOrder) -> Iterator[tuple[str, Array]]:
    if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
        yield "weight", layer.kernel.transpose(3, 2, 0, 1)  # -> (out, in, kh, kw)
    elif isinstance(layer, layers.Dense):
        yield "weight", _reordered(layer.kernel, order).T  # -> (out, in)
    elif isinstance(layer, layers.PReLU):
        yield "weight", _reordered(layer.alpha.reshape(-1), order)
    elif layer.weights and not isinstance(layer, _NORMS):
        raise InputError(f"{layer.name} ({type(layer).__name__}) has no counterpart in PyTorch")
    own = order if isinstance(layer, _NORMS) else None
    for name, array in layer.weights.items():
        if name in _NAMES:
            yield _NAMES[name], _reordered(array, own)
    if isinstance(layer, layers.BatchNormalization):
        yield "num_batches_tracked", np.zeros((), np.int64)


def _reordered(array: Array, order: FeatureOrder) -> Array:
    """From our order of features to PyTorch's: the inverse of what ``assemble`` does."""
    return array if order is None else array[np.argsort(order)]
