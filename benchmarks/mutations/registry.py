"""All kinds of input, by name."""

from __future__ import annotations

from benchmarks.mutations import models, pictures, sets
from benchmarks.mutations.kinds import Kind

MAKERS = (models.kinds, sets.kinds, pictures.kinds)
"""Functions that return kinds: add yours here."""


def all_kinds() -> dict[str, Kind]:
    """Every kind by its name."""
    return {kind.name: kind for make in MAKERS for kind in make()}
