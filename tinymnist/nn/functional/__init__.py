"""The mathematics: each operation a pure function, its gradient beside it.

``operation(x, ...) -> y, cache`` and ``operation_backward(dy, cache) -> gradients``. Nothing is
mutated, nothing is remembered; float32 in gives float32 out, and float64 stays float64.

To read it, start with :mod:`~tinymnist.nn.functional.linear`, then
:mod:`~tinymnist.nn.functional.convolution`.
"""

from tinymnist.nn.functional.activations import (
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    leaky_relu,
    leaky_relu_backward,
    log_softmax,
    log_softmax_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
    softmax_backward,
    tanh,
    tanh_backward,
)
from tinymnist.nn.functional.batchnorm import (
    batch_normalization,
    batch_normalization_backward,
    batch_normalization_inference,
    batch_normalization_inference_backward,
)
from tinymnist.nn.functional.convolution import col2im, conv2d, conv2d_backward, im2col, windows_of
from tinymnist.nn.functional.elementwise import (
    add,
    add_backward,
    concatenate,
    concatenate_backward,
    normalization,
    normalization_backward,
    rescaling,
    rescaling_backward,
)
from tinymnist.nn.functional.linear import dense, dense_backward
from tinymnist.nn.functional.pooling import (
    average_pool2d,
    average_pool2d_backward,
    global_average_pool2d,
    global_average_pool2d_backward,
    global_max_pool2d,
    global_max_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from tinymnist.nn.functional.regularization import dropout, dropout_backward
from tinymnist.nn.functional.reshaping import (
    flatten,
    flatten_backward,
    reshape,
    reshape_backward,
    zero_padding2d,
    zero_padding2d_backward,
)

__all__ = [
    "add",
    "add_backward",
    "average_pool2d",
    "average_pool2d_backward",
    "batch_normalization",
    "batch_normalization_backward",
    "batch_normalization_inference",
    "batch_normalization_inference_backward",
    "col2im",
    "concatenate",
    "concatenate_backward",
    "conv2d",
    "conv2d_backward",
    "dense",
    "dense_backward",
    "dropout",
    "dropout_backward",
    "elu",
    "elu_backward",
    "flatten",
    "flatten_backward",
    "gelu",
    "gelu_backward",
    "global_average_pool2d",
    "global_average_pool2d_backward",
    "global_max_pool2d",
    "global_max_pool2d_backward",
    "im2col",
    "leaky_relu",
    "leaky_relu_backward",
    "log_softmax",
    "log_softmax_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "normalization",
    "normalization_backward",
    "relu",
    "relu_backward",
    "rescaling",
    "rescaling_backward",
    "reshape",
    "reshape_backward",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "tanh",
    "tanh_backward",
    "windows_of",
    "zero_padding2d",
    "zero_padding2d_backward",
]
