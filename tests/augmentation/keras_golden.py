"""Writes ``keras_golden.npz``: what Keras's own generator makes of a few pictures.

Run it where Keras is installed: ``python tests/augmentation/keras_golden.py``.
Parameters are drawn at random, so that no border hangs on the last bit of a machine's arithmetic.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).with_name("keras_golden.npz")
FILL_MODES = ("nearest", "constant", "reflect", "wrap")
FLOWS: dict[str, dict[str, Any]] = {
    "tutorial": {
        "rotation_range": 10,
        "width_shift_range": 0.1,
        "height_shift_range": 0.1,
        "shear_range": 0.1,
        "zoom_range": 0.1,
        "fill_mode": "nearest",
        "rescale": 1 / 255,
    },
    "choices": {
        "width_shift_range": 4,
        "height_shift_range": [1, 2.5],
        "fill_mode": "constant",
        "cval": 9.0,
        "horizontal_flip": True,
        "brightness_range": [0.5, 1.5],
    },
    "values": {
        "vertical_flip": True,
        "channel_shift_range": 40.0,
        "samplewise_std_normalization": True,
        "zoom_range": [0.7, 1.2],
        "fill_mode": "reflect",
    },
}
"""Settings whose batches are kept."""
BATCHES, BATCH_SIZE, SEED = 4, 3, 7


def pictures() -> np.ndarray:
    """Bytes (5, 12, 10, 3), smooth so that a shift of a place shows as a small difference."""
    rows, columns = np.mgrid[:12, :10]
    waves = [np.sin(rows * (0.3 + 0.1 * k) + columns * (0.5 - 0.07 * k)) for k in range(15)]
    return (
        np.round(127.5 * (1 + np.stack(waves, axis=-1))).reshape(12, 10, 5, 3).transpose(2, 0, 1, 3)
    )


def parameters(fill_mode: str) -> list[dict[str, float]]:
    """Five sets, each for one picture."""
    rng = np.random.default_rng(FILL_MODES.index(fill_mode))
    names = ("theta", "tx", "ty", "shear", "zx", "zy")
    limits = [(-180, 180), (-8, 8), (-8, 8), (-40, 40), (0.4, 1.8), (0.4, 1.8)]
    return [
        {name: float(rng.uniform(*limit)) for name, limit in zip(names, limits, strict=True)}
        for _ in range(5)
    ]


def main() -> None:
    """Ask Keras."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    images = pictures().astype(np.float32)
    kept = {}
    for fill_mode in FILL_MODES:
        generator = ImageDataGenerator(fill_mode=fill_mode, cval=3.0)
        pairs = zip(images, parameters(fill_mode), strict=True)
        kept[f"fill/{fill_mode}"] = np.stack([generator.apply_transform(x, p) for x, p in pairs])
    for name, settings in FLOWS.items():
        flow = ImageDataGenerator(**settings).flow(images, batch_size=BATCH_SIZE, seed=SEED)
        kept[f"flow/{name}"] = np.concatenate([next(flow) for _ in range(BATCHES)])
    arrays: Any = {name: array.astype(np.float32) for name, array in kept.items()}
    np.savez_compressed(GOLDEN, **arrays)


if __name__ == "__main__":
    main()
