"""The mathematics: each operation a pure function, its gradient beside it.

``operation(x, ...) -> y, cache`` and ``operation_backward(dy, cache) -> gradients``. Nothing is
mutated and no state is kept; float32 in gives float32 out, and float64 stays float64.

Reading order: ``windows``, ``linear``, ``activations``, ``normalizing``, ``fixed``.
"""

# ruff: noqa: F403, F405

from tinymnist.nn.functional.activations import *
from tinymnist.nn.functional.fixed import *
from tinymnist.nn.functional.linear import *
from tinymnist.nn.functional.normalizing import *
from tinymnist.nn.functional.windows import *

__all__ = [
    "dense", "dense_backward",
    "conv2d", "conv2d_backward", "im2col", "col2im",
    "windows_of",
    "max_pool2d", "max_pool2d_backward", "average_pool2d", "average_pool2d_backward",
    "global_max_pool2d", "global_max_pool2d_backward", "global_average_pool2d",
    "global_average_pool2d_backward",
    "elu", "elu_backward", "exponential", "exponential_backward", "gelu", "gelu_backward",
    "hard_sigmoid", "hard_sigmoid_backward", "hard_silu", "hard_silu_backward", "hard_tanh",
    "hard_tanh_backward", "leaky_relu", "leaky_relu_backward", "log_softmax",
    "log_softmax_backward", "mish", "mish_backward", "prelu", "prelu_backward", "relu",
    "relu_backward", "relu6", "relu6_backward", "relu_pieces", "relu_pieces_backward", "selu",
    "selu_backward", "sigmoid", "sigmoid_backward", "silu", "silu_backward", "softmax",
    "softmax_backward", "softplus", "softplus_backward", "softsign", "softsign_backward",
    "tanh", "tanh_backward",
    "batch_normalization", "batch_normalization_backward", "batch_normalization_inference",
    "batch_normalization_inference_backward", "layer_normalization",
    "layer_normalization_backward",
    "rescaling", "rescaling_backward", "normalization", "normalization_backward", "add",
    "add_backward", "multiply", "multiply_backward", "concatenate", "concatenate_backward",
    "flatten", "flatten_backward", "reshape", "reshape_backward", "permute",
    "permute_backward", "zero_padding2d", "zero_padding2d_backward",
    "dropout", "dropout_backward",
]  # fmt: skip
