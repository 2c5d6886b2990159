"""ONNX files: ``read`` makes layers of a graph, ``write`` makes a graph of layers.

Start with ``reading``, which lists the passes. Both need the package ``onnx``, which is imported
when they are called.
"""

from tinymnist.interop.onnx.reading import read
from tinymnist.interop.onnx.writing import write

__all__ = ["read", "write"]
