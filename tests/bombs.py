"""Inputs that ask for gigabytes or hours, opened in a process of their own with a limit of memory.

:func:`open_all` is what that process does, :func:`outcomes` starts it and collects what came of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.peak import limit_growth, peak_bytes

ROOT = Path(__file__).parents[1]
Maker = Callable[[Path], Any]
"""Writes a bomb into a folder, and returns what is to be opened."""


def open_all(
    makers: Mapping[str, Maker],
    open_one: Callable[[str, Any], str],
    most_bytes: int,
    prepare: Callable[[Path], object] = lambda place: None,
) -> None:
    """Make all bombs, or those named on the command line, open them, and print a line about each.

    Args:
        makers: by the names of the bombs.
        open_one: called with the name and what was made; says what came of it.
        most_bytes: how much the process may grow while they are opened.
        prepare: called before, with a folder, to import everything that will be used.
    """
    chosen = sys.argv[1:] or list(makers)
    with tempfile.TemporaryDirectory() as place:
        made = {}
        for name in chosen:
            (folder := Path(place, name)).mkdir()
            made[name] = makers[name](folder)
        prepare(Path(place))
        limit_growth(most_bytes)
        for name in chosen:
            start = time.process_time()
            try:
                outcome = open_one(name, made[name])
            except BaseException as error:
                outcome = f"wrong: {type(error).__name__}: {error}"
            seconds = round(time.process_time() - start, 3)
            peak = (peak_bytes() or 0) >> 20
            line = {"name": name, "outcome": outcome[:400], "seconds": seconds, "peak": peak}
            print(json.dumps(line), flush=True)


def outcomes(module: str) -> dict[str, Any]:
    """What ``python -m MODULE`` printed about each bomb, and the end of its standard error."""
    command = [sys.executable, "-m", module]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["name"]: line for line in lines} | {"stderr": done.stderr[-500:]}
