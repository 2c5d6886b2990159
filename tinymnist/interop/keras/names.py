"""The names that Keras makes of classes."""

from __future__ import annotations

import re


def snake_case(name: str) -> str:
    """``Conv2D`` -> ``conv2d``, ``PReLU`` -> ``p_re_lu``: Keras's own two substitutions."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def numbered(name: str) -> tuple[str, int]:
    """``dense_12`` -> ``("dense", 12)``, and ``dense`` -> ``("dense", 0)``."""
    stem, _, number = name.rpartition("_")
    return (stem, int(number)) if stem and number.isdecimal() else (name, 0)
