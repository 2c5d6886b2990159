"""Named tensors to blocks: which module of PyTorch had which tensors, and in which layout."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from tinymnist.interop.bare.blocks import Block
from tinymnist.nn.arrays import Array

Leaves = dict[str, Array]


class Unmapped(ValueError):
    """A module that has no counterpart in tinymnist; the message names it and says what it is."""


def blocks_of(tensors: Mapping[str, Array]) -> list[Block]:
    """Group tensors by module, and bring them to tinymnist's layouts.

    Args:
        tensors: by their names in a state_dict, ``conv1.weight`` (out, in, kh, kw) and so on.

    Raises:
        Unmapped: for a module that is neither a convolution, nor linear, nor a normalization, nor
            a PReLU.
    """
    modules: dict[str, Leaves] = {}
    for name, array in tensors.items():
        module, leaf = _split(name)
        if leaf != "num_batches_tracked":
            modules.setdefault(module, {})[leaf] = array
    for name, leaves in modules.items():
        _refuse_special(name, leaves)
    return [_block(name, leaves) for name, leaves in modules.items() if leaves]


def _split(name: str) -> tuple[str, str]:
    """Module and leaf; the ``W1, b1, W2, b2`` of networks written by hand are layers, too."""
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
"""Leaves that tell a kind of module, and what it is."""


def _refuse_special(name: str, leaves: Leaves) -> None:
    for leaf, what in _SPECIAL.items():
        if leaf in leaves:
            raise Unmapped(f"{name or leaf} is {what}: tinymnist has no such layer")


def _block(name: str, leaves: Leaves) -> Block:
    if {"weight_orig", "weight_mask"} <= leaves.keys():  # pruned by torch.nn.utils.prune
        kept = leaves.pop("weight_orig") * leaves.pop("weight_mask")
        leaves = {"weight": kept} | leaves
    if {"running_mean", "running_var"} <= leaves.keys():
        return _norm(name, leaves)
    weight = leaves.get("weight")
    if weight is None or leaves.keys() - {"weight", "bias"}:
        found = {leaf: tuple(array.shape) for leaf, array in leaves.items()}
        raise Unmapped(f"{name or 'the model'} holds {str(found)[:200]}: no module that is known")
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
    raise Unmapped(f"{name} has a weight of shape {weight.shape}: no layer for digits")


def _norm(name: str, leaves: Leaves) -> Block:
    mean, variance = leaves["running_mean"], leaves["running_var"]
    arrays = {
        "gamma": leaves.get("weight", np.ones_like(mean)),
        "beta": leaves.get("bias", np.zeros_like(mean)),
        "moving_mean": mean,
        "moving_variance": variance,
    }
    if mean.ndim != 1 or any(array.shape != mean.shape for array in arrays.values()):
        raise Unmapped(f"{name} is a batch normalization whose arrays differ in shape")
    return Block(name, "norm", {leaf: _float(name, array) for leaf, array in arrays.items()})


def _float(name: str, array: Array) -> Array:
    if array.dtype.kind != "f":
        raise Unmapped(f"{name} holds {array.dtype} numbers; expected floating-point weights")
    return np.array(array, np.float32, order="C")
