"""A network of tinymnist in PyTorch, Keras, JAX and ONNX, with its weights.

Frameworks are imported on use, so that threads can be pinned first, and any of them may be missing.
The layers are those of the shipped ``keras-cnn`` and ``mnist-cnn``, and of longer and wider ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinymnist.nn.layers import Layer
    from tinymnist.nn.sequential import Sequential

    Array = NDArray[Any]


def reference(name: str, seed: int = 0) -> Sequential:
    """A shipped architecture with random biases and statistics, as zeros would hide a mistake."""
    from tinymnist.nn.architectures import ARCHITECTURES

    return with_random_weights(ARCHITECTURES[name](rng=seed), seed)


def with_random_weights(network: Sequential, seed: int = 0) -> Sequential:
    """Set every array but the kernels to random numbers, those of variances above 0."""
    import numpy as np

    rng = np.random.default_rng(seed)
    ranges = {"bias": (-0.2, 0.2), "beta": (-0.2, 0.2), "moving_mean": (-0.2, 0.2)}
    ranges |= {"gamma": (0.5, 1.5), "moving_variance": (0.5, 1.5)}
    weights = dict(network.weights)
    for name, array in weights.items():
        if name.rpartition("/")[2] in ranges:
            weights[name] = rng.uniform(*ranges[name.rpartition("/")[2]], array.shape)
    network.set_weights(weights)
    return network


def dense_kernel(network: Sequential, layer: Layer) -> Array:
    """A Dense kernel whose inputs are in the order of (c, h, w), if a Flatten comes before it."""
    kernel: Array = layer.weights["kernel"]
    sizes = list(network.shapes.values())[: network.layers.index(layer) + 1]  # of what comes before
    h, w, c = next(shape for shape in reversed(sizes) if len(shape) == 3)
    if len(kernel) != h * w * c:  # a global pooling came before
        return kernel
    return kernel.reshape(h, w, c, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)


def torch_module(network: Sequential) -> Any:
    """An ``nn.Sequential`` of (n, c, h, w) that returns logits."""
    import torch
    from torch import nn

    def tensor(array: Array) -> Any:
        return nn.Parameter(torch.from_numpy(array.copy()))

    makers: dict[str, Callable[[], Any]] = {
        "ReLU": nn.ReLU,
        "MaxPooling2D": lambda: nn.MaxPool2d(2),
        "GlobalAveragePooling2D": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        "Flatten": nn.Flatten,
        "Dropout": nn.Identity,
    }
    modules: list[Any] = []
    for layer in network.layers:
        kind, own = type(layer).__name__, layer.weights
        if kind == "Conv2D":
            kh, kw, c, o = own["kernel"].shape
            same = "same" if getattr(layer, "padding", "") == "same" else "valid"
            module: Any = nn.Conv2d(c, o, (kh, kw), padding=same, bias="bias" in own)
            module.weight = tensor(own["kernel"].transpose(3, 2, 0, 1))
        elif kind == "Dense":
            kernel = dense_kernel(network, layer)
            module = nn.Linear(*kernel.shape)
            module.weight = tensor(kernel.T)
        elif kind == "BatchNormalization":
            module = nn.BatchNorm2d(len(own["gamma"]), eps=getattr(layer, "epsilon", 1e-3))
            module.weight, module.bias = tensor(own["gamma"]), tensor(own["beta"])
            module.running_mean = torch.from_numpy(own["moving_mean"].copy())
            module.running_var = torch.from_numpy(own["moving_variance"].copy())
        else:
            module = makers[kind]()
        if "bias" in own:
            module.bias = tensor(own["bias"])
        modules.append(module)
        if getattr(layer, "activation", "") == "relu":
            modules.append(nn.ReLU())
    return nn.Sequential(*modules).eval()


def keras_model(network: Sequential) -> Any:
    """The same ``keras.Sequential``."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras

    theirs = keras.Sequential([keras.Input(network.input_shape)])
    for layer in network.layers:
        config = layer.config()
        theirs.add(getattr(keras.layers, config.pop("class"))(**_for_keras(config)))
    for ours, their in zip(network.layers, theirs.layers, strict=True):
        their.set_weights(list(ours.weights.values()))
    return theirs


def _for_keras(config: dict[str, Any]) -> dict[str, Any]:
    """Settings without those at which Keras's layers have no say."""
    return {key: value for key, value in config.items() if value is not None}


def jax_function(network: Sequential) -> Callable[[Array], Any]:
    """A function (n, h, w, c) -> probabilities, compiled by XLA: what Keras runs on JAX."""
    import jax
    from jax import lax

    def apply(x: Any) -> Any:
        for layer in network.layers:
            kind, own = type(layer).__name__, layer.weights
            if kind == "Conv2D":
                padding = str(getattr(layer, "padding", "valid")).upper()
                axes = ("NHWC", "HWIO", "NHWC")
                x = lax.conv_general_dilated(
                    x, own["kernel"], (1, 1), padding, dimension_numbers=axes
                )
            elif kind == "Dense":
                x = x @ own["kernel"]
            elif kind == "BatchNormalization":
                root = (own["moving_variance"] + getattr(layer, "epsilon", 1e-3)) ** 0.5
                x = (x - own["moving_mean"]) * (own["gamma"] / root) + own["beta"]
            elif kind == "MaxPooling2D":
                window = (1, 2, 2, 1)
                x = lax.reduce_window(x, -jax.numpy.inf, lax.max, window, window, "VALID")
            elif kind == "GlobalAveragePooling2D":
                x = x.mean(axis=(1, 2))
            elif kind == "Flatten":
                x = x.reshape(len(x), -1)
            x = x + own["bias"] if "bias" in own else x
            if kind == "ReLU" or getattr(layer, "activation", "") == "relu":
                x = jax.nn.relu(x)
            elif getattr(layer, "activation", "") == "softmax":
                x = jax.nn.softmax(x)
        return x

    compiled: Callable[[Array], Any] = jax.jit(apply)
    return compiled


def onnx_bytes(network: Sequential) -> bytes:
    """The graph as an ONNX file of (n, c, h, w) -> (n, classes), softmax included."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes: list[Any] = []
    arrays: dict[str, Array] = {}
    last = "x"

    def node(kind: str, *inputs: str, **settings: Any) -> str:
        output = f"{kind}{len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [output], **settings))
        return output

    def store(name: str, array: Array) -> str:
        arrays[name] = array.copy()
        return name

    for layer in network.layers:
        kind, own = type(layer).__name__, layer.weights
        named = {key: f"{layer.name}.{key}" for key in own}
        bias = [store(named["bias"], own["bias"])] if "bias" in own else []
        if kind == "Conv2D":
            kernel = store(named["kernel"], own["kernel"].transpose(3, 2, 0, 1))
            pad = "SAME_UPPER" if getattr(layer, "padding", "") == "same" else "VALID"
            last = node("Conv", last, kernel, *bias, auto_pad=pad)
        elif kind == "Dense":
            last = node("Gemm", last, store(named["kernel"], dense_kernel(network, layer)), *bias)
        elif kind == "BatchNormalization":
            keys = ("gamma", "beta", "moving_mean", "moving_variance")
            statistics = [store(named[key], own[key]) for key in keys]
            epsilon = getattr(layer, "epsilon", 1e-3)
            last = node("BatchNormalization", last, *statistics, epsilon=epsilon)
        elif kind == "MaxPooling2D":
            last = node("MaxPool", last, kernel_shape=[2, 2], strides=[2, 2])
        elif kind == "GlobalAveragePooling2D":
            last = node("Flatten", node("GlobalAveragePool", last))
        elif kind == "Flatten":
            last = node("Flatten", last)
        activation = "relu" if kind == "ReLU" else getattr(layer, "activation", "linear")
        if activation in ("relu", "softmax"):
            last = node("Relu" if activation == "relu" else "Softmax", last)

    h, w, c = network.input_shape
    graph = helper.make_graph(
        nodes,
        network.name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", c, h, w])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["n", *network.output_shape])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    # An old version of the format, which every current onnxruntime reads.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
