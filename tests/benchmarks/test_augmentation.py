"""The benchmark of random variants compares before it times, and does without Keras."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import augmentation


def test_it_does_without_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.setitem(sys.modules, "keras.src.legacy.preprocessing.image", None)
    found = augmentation.pictures(quick=True)
    assert found.keys() == {
        "tinymnist, one core",
        "tinymnist, two cores",
        "scipy.ndimage.affine_transform alone",
    }
    assert min(found.values()) > 0
    learnt = {"without": 100.0, "with variants": 160.0}
    text = augmentation.text({"pictures": found, "training": learnt})
    assert "keras: missing: pip install" in text
    assert "1.60, target below 1.5: MISSED" in text


def test_figures_are_compared_with_targets() -> None:
    found = {"keras": 90.0, "tinymnist, one core": 20.0, "tinymnist, two cores": 12.0}
    text = augmentation.text({"pictures": found, "training": {"without": 1, "with variants": 1.2}})
    assert "one core: 4.50, target above 4: met" in text
    assert "two cores: 7.50, target above 8: MISSED" in text
    assert "1.20, target below 1.5: met" in text


def test_another_batch_is_caught() -> None:
    batch = np.zeros((2, 4, 4, 1), np.float32)

    class Flow:
        def __init__(self, batch: NDArray[Any]) -> None:
            self.batch = batch

        def __len__(self) -> int:
            return 1

        def __next__(self) -> Any:
            return self.batch

    augmentation.check(Flow(batch), Flow(batch))
    with pytest.raises(ArithmeticError, match="must agree"):
        augmentation.check(Flow(batch), Flow(batch + np.float32(2e-5)))
