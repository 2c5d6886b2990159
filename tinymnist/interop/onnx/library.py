"""The library ``onnx``, imported when it is first needed."""

from __future__ import annotations

from typing import Any

from tinymnist.errors import InputError


def library() -> Any:
    """The library itself.

    Raises:
        InputError: when it is not installed.
    """
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError:
        raise InputError("ONNX files need the package onnx; `pip install onnx`") from None
    return onnx
