"""What people rely on without looking: the shipped weights, the licence, versions in one place."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

import tinymnist

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "weights"
SUMS = {
    line.split()[1]: line.split()[0]
    for line in (WEIGHTS / "SHA256SUMS").read_text(encoding="ascii").splitlines()
}
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_every_shipped_model_has_a_hash() -> None:
    assert sorted(SUMS) == sorted(file.name for file in WEIGHTS.glob("*.npz"))


@pytest.mark.parametrize("name", SUMS)
def test_the_shipped_weights_are_those_that_were_measured(name: str) -> None:
    """After a new training: ``cd weights && sha256sum *.npz > SHA256SUMS``."""
    assert hashlib.sha256((WEIGHTS / name).read_bytes()).hexdigest() == SUMS[name]


def test_the_licence_is_declared_as_packaging_wants_it() -> None:
    """PEP 639: an expression and files, and no classifier beside them."""
    assert re.search(r'^license = "MIT"$', PROJECT, re.MULTILINE)
    files = re.search(r'^license-files = \["(.*)"\]$', PROJECT, re.MULTILINE)
    assert files is not None and "MIT" in (ROOT / files[1]).read_text(encoding="utf-8")
    assert "License ::" not in PROJECT


def test_one_version() -> None:
    assert f'version = "{tinymnist.__version__}"' in PROJECT


def test_security_says_what_is_true() -> None:
    text = (ROOT / ".github" / "SECURITY.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\((\.\./[^)]+)\)", text):
        assert (ROOT / ".github" / link).exists(), link
    assert "100 million pixels" in text and "256 MB" in text
    from tinymnist.files import MOST_BYTES
    from tinymnist.imaging.picture.decode import _MAX_PIXELS

    assert (_MAX_PIXELS, MOST_BYTES) == (100_000_000, 256 << 20)
