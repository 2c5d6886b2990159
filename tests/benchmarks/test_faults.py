"""A smaller run of the planted faults: the port is right, every fault shows, and is named."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import benchmarks.faults
from benchmarks.faults import measure
from benchmarks.faults.__main__ import describe, table
from benchmarks.faults.measure import VIEWS, cases, one_each, pictures, two_at_once
from benchmarks.faults.models import MADE, residual, settled
from benchmarks.faults.planting import FAULTS
from benchmarks.faults.port import port_of
from tinymnist.comparison.causes import CAUSES
from tinymnist.nn.sequential import Sequential


@pytest.mark.parametrize("make", MADE)
def test_an_undamaged_port_computes_what_the_model_computes(make: Callable[[], Sequential]) -> None:
    model = settled(make(), 0)
    x = pictures(model)
    found, expected = port_of(model).run(x), model.capture(x)
    for name in expected.keys() & found.keys():
        scale = np.abs(expected[name]).max()
        assert np.abs(found[name] - expected[name]).max() <= 1e-5 * scale, name
    assert list(found)[-1] == list(expected)[-1] or model.layers[-1].config()["class"] == "Dropout"


def test_planter_and_finder_share_no_code() -> None:
    """The planters import NumPy, the standalone files' arithmetic, and nothing that compares."""
    folder = Path(benchmarks.faults.__file__).parent
    for file in ("planting.py", "port.py"):
        for node in ast.walk(ast.parse((folder / file).read_text())):
            module = getattr(node, "module", None) or ""
            assert "comparison" not in module and not module.startswith("tinymnist.nn.functional")


def test_causes_are_spelt_as_the_finder_spells_them() -> None:
    assert {fault.cause for fault in FAULTS} <= set(CAUSES)


def test_planted_faults_are_found_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One model that can have nearly every fault alone, then two at once.

    Two pictures show every fault of these.
    """
    monkeypatch.setattr(measure, "pictures", lambda model: pictures(model)[:2])
    model = settled(residual(), 1)
    planted = [*one_each([model]), *two_at_once([model], 8)]
    results = list(cases(planted, tmp_path, views=VIEWS[:1]))
    missing = {"blue, green, red", "1e-3 for 1e-5", "mean for maximum", "every dropout"}
    assert {f.name for f in FAULTS} - {c.faults[0].name for c in results[:-8]} == missing
    assert len(results) >= 30 and all(case.differs for case in results)
    missed = [describe(case) for case in results if not case.found]
    assert len(missed) <= 0.02 * len(results), missed
    assert f"| **all** |  | {len(results)} | {len(results) - len(missed)} | 0 |" in table(results)
