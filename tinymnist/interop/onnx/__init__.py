"""ONNX in and out; ``read`` makes layers of a graph, ``write`` a graph of layers.

Begin with ``reading``, which lists the passes. The library ``onnx`` is needed for both, and is
imported when they are called.
"""

from __future__ import annotations

from os import PathLike

from tinymnist.nn.sequential import Sequential


def read(path: str | PathLike[str]) -> Sequential:
    """Make a model of an ONNX file; see :func:`tinymnist.interop.onnx.reading.read`."""
    from tinymnist.interop.onnx.reading import read as read_file

    return read_file(path)


def write(model: Sequential, path: str | PathLike[str], *, channels_first: bool = False) -> None:
    """Write a model as an ONNX file; see :func:`tinymnist.interop.onnx.writing.write`."""
    from tinymnist.interop.onnx.writing import write as write_file

    write_file(model, path, channels_first=channels_first)


__all__ = ["read", "write"]
