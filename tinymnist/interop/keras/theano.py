"""What Keras meant by padding "same" on Theano: half a window on either side, then cut to length.

TensorFlow pads as little as it can, and the odd pixel last; for a window of 3 and strides of 2 over
28 pixels it pads (0, 1), Theano (1, 1). Source: ``keras/backend/theano_backend.py`` of Keras 2.
"""

from __future__ import annotations

from tinymnist.nn.shapes import Pads, Pair


def conv_pads(size: Pair, kernel: Pair, strides: Pair) -> Pads:
    """Padding of a convolution: ``kernel // 2`` in front."""
    top, left = (_pads(n, k, s, k // 2) for n, k, s in zip(size, kernel, strides, strict=True))
    return top, left


def pool_pads(size: Pair, window: Pair, strides: Pair) -> Pads:
    """Padding of a maximum: ``window - 2`` in front for odd windows of 3 or more, else one more."""
    fronts = [k - 2 if k > 2 and k % 2 else k - 1 for k in window]
    top, left = (
        _pads(n, k, s, front) for n, k, s, front in zip(size, window, strides, fronts, strict=True)
    )
    return top, left


def _pads(size: int, kernel: int, stride: int, front: int) -> Pair:
    """As much behind as makes ``ceil(size / stride)`` windows."""
    wanted = -(-size // stride)
    return front, max((wanted - 1) * stride + kernel - size - front, 0)
