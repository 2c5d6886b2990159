"""Scripts written for Keras end with Keras's numbers when only their imports are changed.

Both sides start from the same weights, and go through the pictures in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.peers.tensorflow_keras import keras
from tests.scripts import SCRIPTS
from tests.test_scripts import few_pictures, with_changed_imports
from tinymnist.datasets import mnist
from tinymnist.nn.sequential import Sequential
from tinymnist.utils import set_random_seed

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="Keras runs elsewhere"),
    pytest.mark.filterwarnings("ignore"),  # Keras's, of its own older words and of NumPy
]


def same_start(kind: Any, on_first: Callable[[Any], None], patch: pytest.MonkeyPatch) -> None:
    """Call ``on_first`` with each model of a kind before it learns, and shuffle nothing."""
    seen: list[Any] = []

    def prepared(learn: Callable[..., Any]) -> Callable[..., Any]:
        def learn_prepared(model: Any, x: Any, *args: Any, **settings: Any) -> Any:
            if not any(model is other for other in seen):
                seen.append(model)
                if not getattr(model, "built", bool(getattr(model, "shapes", True))):
                    model.build(np.shape(x))
                on_first(model)
            if learn.__name__ == "fit":
                settings.setdefault("shuffle", False)
            return learn(model, x, *args, **settings)

        return learn_prepared

    for name in ("fit", "train_on_batch"):
        patch.setattr(kind, name, prepared(getattr(kind, name)))


def close(found: Any, expected: Any, place: str = "result") -> None:
    """Compare what both left: numbers, arrays, lists and histories."""
    if isinstance(expected, dict):
        for name, values in expected.items():
            close(found[name], values, f"{place}[{name!r}]")
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected), place
        for number, pair in enumerate(zip(found, expected, strict=True)):
            close(*pair, f"{place}[{number}]")
    else:
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4, err_msg=place)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_ends_with_kerass_numbers(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    set_random_seed(0)  # a start on which no two classes happen to tie
    weights: list[Any] = []
    results = []
    with monkeypatch.context() as patch:
        patch.setattr(mnist, "load_data", few_pictures)
        same_start(Sequential, lambda model: weights.append(model.get_weights()), patch)
        scope: dict[str, Any] = {"DROP": 0.0}
        exec(with_changed_imports(SCRIPTS[name]), scope)
        results.append(scope["result"])
    with monkeypatch.context() as patch:
        patch.setattr(keras.datasets.mnist, "load_data", few_pictures)
        waiting = iter(weights)

        def take(model: Any) -> None:
            own = next(waiting)
            if len(own) == len(model.get_weights()) - 3:  # Keras counts what Normalization measured
                own = [*model.get_weights()[:3], *own]
            model.set_weights(own)

        same_start(keras.Model, take, patch)
        scope = {"DROP": 0.0}
        exec(SCRIPTS[name], scope)
        results.append(scope["result"])
    close(*results)
