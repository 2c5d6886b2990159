"""A smaller run of the planted faults: the port is right, every fault shows, and is named."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import benchmarks.faults
from benchmarks.faults import measure
from benchmarks.faults.__main__ import table
from benchmarks.faults.measure import VIEWS, cases, pictures
from benchmarks.faults.models import MADE, colour, residual, settled
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
    """Two of the ten models, which between them can have nearly every fault.

    Two pictures show every fault of these.
    """
    monkeypatch.setattr(measure, "pictures", lambda model: pictures(model)[:2])
    first = list(cases([settled(residual(), 1)], tmp_path, views=VIEWS[:1]))
    others = [fault for fault in FAULTS if fault not in {case.fault for case in first}]
    results = first + list(cases([settled(colour(), 2)], tmp_path, others))
    assert {f.name for f in FAULTS} - {c.fault.name for c in results} == {"1e-3 for 1e-5"}
    assert all(case.differs for case in results)
    assert sum(case.found for case in results) >= 0.9 * len(results)
    assert f"of {sum(case.view == VIEWS[0] for case in results)} |" in table(results)
