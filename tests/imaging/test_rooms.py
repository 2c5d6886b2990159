"""The rooms of ``imaging`` know only the rooms before them, and inside each imports run one way."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tinymnist.imaging

PREFIX = "tinymnist.imaging."
ROOMS = ("picture", "digit", "page", "synthetic")
"""In reading order."""
FOLDER = Path(tinymnist.imaging.__path__[0])


def imported(file: Path) -> Iterator[list[str]]:
    """Room and file of each import from ``imaging``, wherever it stands in the file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PREFIX):
            path = str(node.module).removeprefix(PREFIX).split(".")
            yield from [path] if len(path) > 1 else [[*path, alias.name] for alias in node.names]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_knows_only_those_before_it(room: str) -> None:
    for file in (FOLDER / room).glob("*.py"):
        for other, _ in imported(file):
            assert ROOMS.index(other) <= ROOMS.index(room), f"{file} imports {other}"


@pytest.mark.parametrize("room", ["picture", "digit", "page"])
def test_a_file_imports_only_those_before_it_in_the_reading_order(room: str) -> None:
    order = re.findall(r"``(\w+)``", str(importlib.import_module(PREFIX + room).__doc__))
    files = {file.stem for file in (FOLDER / room).glob("*.py")} - {"__init__"}
    assert sorted(order) == sorted(files)
    for name in files:
        for other, file in imported(FOLDER / room / f"{name}.py"):
            if other == room:
                assert order.index(file) < order.index(name), f"{name} imports {file}"
