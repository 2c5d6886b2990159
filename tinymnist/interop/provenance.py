"""The origin of a model, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def provenance(metadata: Mapping[str, Any]) -> str:
    """Put ``metadata["source"]`` into words.

    Args:
        metadata: a model's; its source is a text, or a dict for an ONNX file.

    Returns:
        ``"Keras 2.3.1 (.h5), lenet.h5"``, ``"ONNX of pytorch 2.9.1 (opset 20), mnist.onnx"``, or
        ``"unknown"``.
    """
    source = metadata.get("source", "unknown")
    if not isinstance(source, Mapping):
        return str(source)
    framework = f" of {source['framework']}" if source.get("framework") else ""
    opset = f" (opset {source['opset']})" if source.get("opset") else ""
    return f"{source.get('format', 'unknown')}{framework}{opset}, {source.get('file', '?')}"
