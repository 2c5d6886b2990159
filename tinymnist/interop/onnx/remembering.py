"""What a model remembers of the file that it came from, and takes along into the next one."""

from __future__ import annotations

import json
from typing import Any

from tinymnist.interop.onnx.loading import Source

KEY = "tinymnist"
"""Under this key of ONNX's own metadata, ``writing`` leaves what a model tells of itself."""
CARRIED = ("class_names", "preprocessing", "metrics")
_LONGEST = 1 << 16


def remembered(source: Source, told: dict[str, Any]) -> dict[str, Any]:
    """The ``metadata`` of a model that was read from a file."""
    about = {
        "format": "ONNX",
        "framework": source.producer,
        "opset": source.opset,
        "ir_version": source.ir_version,
        "file": source.path.name,
    }
    return {"source": about | told} | _carried(source.metadata.get(KEY, ""))


def _carried(text: str) -> dict[str, Any]:
    """What tinymnist itself wrote; anything else is nothing."""
    if not text or len(text) > _LONGEST:
        return {}
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    kinds = {"class_names": list, "preprocessing": dict, "metrics": dict}
    return {
        k: told[k] for k in kinds if isinstance(told, dict) and isinstance(told.get(k), kinds[k])
    }
