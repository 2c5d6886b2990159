"""What scripts with OpenCV usually do with a folder, for ``benchmarks.folder``; run by it.

Grey, Otsu's threshold, ink on the side that the border is not, the largest contour, its box scaled
to 20 pixels in the middle of 28x28; then onnxruntime, in batches, with the same network.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import command_line

EXAMPLES = "pictures/   as benchmarks.folder runs it"
_BATCH = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the folder and print the rate and the share of right answers."""
    parser = command_line("folder_opencv", "Read a folder with OpenCV and onnxruntime.", EXAMPLES)
    parser.add_argument("folder", help="pictures, the last sign of whose names is the digit")
    folder = parser.parse_args(arguments).folder
    import cv2
    import onnxruntime

    import tinymnist

    cv2.setNumThreads(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory() as place:
        tinymnist.export("mnist-cnn", Path(place, "model.onnx"))
        session = onnxruntime.InferenceSession(str(Path(place, "model.onnx")), options)
    name = session.get_inputs()[0].name
    began = time.perf_counter()
    files = sorted(Path(folder).iterdir())
    right = 0
    for start in range(0, len(files), _BATCH):
        own = files[start : start + _BATCH]
        images = np.stack([prepared(cv2, str(file)) for file in own])
        (outputs,) = session.run(None, {name: images[..., None]})
        found = np.asarray(outputs).argmax(axis=1)
        right += sum(int(file.stem[-1]) == digit for file, digit in zip(own, found, strict=True))
    seconds = time.perf_counter() - began
    print(json.dumps({"rate": len(files) / seconds, "right": right / len(files)}))
    return 0


def prepared(cv2: Any, file: str) -> NDArray[np.float32]:
    """(28, 28) in 0..1."""
    grey = cv2.imread(file, cv2.IMREAD_GRAYSCALE)
    _, ink = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    border = np.concatenate([ink[0], ink[-1], ink[:, 0], ink[:, -1]])
    if border.mean() > 127:
        ink = 255 - ink
    contours, _ = cv2.findContours(ink, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    canvas = np.zeros((28, 28), np.float32)
    if not contours:
        return canvas
    left, top, width, height = cv2.boundingRect(max(contours, key=cv2.contourArea))
    scale = 20 / max(width, height)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    digit = cv2.resize(
        ink[top : top + height, left : left + width], size, interpolation=cv2.INTER_AREA
    )
    y, x = (28 - size[1]) // 2, (28 - size[0]) // 2
    canvas[y : y + size[1], x : x + size[0]] = digit / np.float32(255)
    return canvas


if __name__ == "__main__":
    sys.exit(main())
