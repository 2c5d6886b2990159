"""The registry of kinds of input: sound files, how to damage them, and what opens them.

To add a kind, make a module with a function that returns its :class:`Kind`, and list the function
in ``MAKERS`` of ``registry``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

Mutator: TypeAlias = Callable[[bytes, random.Random], bytes]
"""Damages the content of a file; the same generator gives the same damage."""


@dataclass(frozen=True)
class Seed:
    """A sound input: one file, or the files of a folder, by name."""

    name: str
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Kind:
    """One kind of input.

    Attributes:
        name: what ``--only`` calls it.
        seeds: makes the sound inputs; called once per process, empty if a package is missing.
        mutators: ways to damage a file.
        open: does with a file what a user does. May raise InputError, and nothing else.
        prepare: imports what ``open`` needs, before memory is limited and writes are recorded.
    """

    name: str
    seeds: Callable[[], Sequence[Seed]]
    mutators: Sequence[Mutator]
    open: Callable[[Path], object]
    prepare: Callable[[], object] = lambda: None


def damaged(kind: Kind, seeds: Sequence[Seed], key: int, number: int) -> Mapping[str, bytes]:
    """Input ``number`` of a run: a sound one with one to three damages, the same every time."""
    rng = random.Random(f"{key} {kind.name} {number}")
    seed = rng.choice(seeds)
    files = dict(seed.files)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        name = rng.choice(sorted(files))
        files[name] = rng.choice(kind.mutators)(files[name], rng)
    return files
