"""Check a learner's file in a process of its own: it may hang, crash, or print what it likes."""

from __future__ import annotations

import faulthandler
import json
import linecache
import os
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

from tinymnist.errors import InputError
from tinymnist.files import read_bytes
from tinymnist.lessons.catalogue import LESSONS
from tinymnist.lessons.check import Problem, check
from tinymnist.lessons.lesson import Function
from tinymnist.threads import BLAS_VARIABLES, THREADS_VARIABLE

SECONDS = 10.0
"""How long a check may take, unless specified."""
_MAX_BYTES, _MAX_MEMORY = 1 << 20, 4 << 30
_START = 20.0
"""Seconds beyond the limit after which the process is ended from outside."""


def check_file(number: int, path: Path, seconds: float = SECONDS) -> list[Problem]:
    """Check the function in a file, which is run: it can do whatever its user can.

    What it prints appears on standard error.

    Args:
        number: of the lesson, from 1.
        path: the learner's file.
        seconds: the time limit.

    Returns:
        What is wrong; [] if nothing is.

    Raises:
        InputError: if the file cannot be read or run, or lacks the function.
    """
    read_bytes(path, _MAX_BYTES)
    file = str(path.resolve())
    folders = [entry for entry in sys.path if isinstance(entry, str)]
    program = f"import sys; sys.path[:] = {folders!r}; from {__name__} import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(number), file, str(seconds)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches only this process, which ends the other
        env=os.environ | dict.fromkeys((*BLAS_VARIABLES, THREADS_VARIABLE), "1"),
    )
    try:
        answer, _ = process.communicate(timeout=seconds + _START)
    except subprocess.TimeoutExpired:
        answer = b"Timeout"
    finally:
        process.kill()
        process.wait()
    if answer.startswith(b"{"):
        found = json.loads(answer)
        if "unusable" in found:
            raise InputError(found["unusable"])
        return [Problem(**problem) for problem in found["problems"]]
    if not answer.startswith(b"Timeout"):  # as a stack begins
        return [Problem("", "", f"the program ended with code {process.returncode} in a test")]
    text, line = f"not finished after {seconds:g} s; stopped", 0
    if at := re.search(f'File "{re.escape(file)}", line (\\d+)', answer.decode(errors="replace")):
        line = int(at[1])
        text += f" in line {line}: {linecache.getline(file, line).strip()}"
    return [Problem("", "", text, line=line)]


def main() -> None:
    """Run in the other process: check, and write what is wrong as JSON to standard output."""
    number, file, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what is printed must not mix with the answer
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    lesson = LESSONS[number - 1]
    sys.path.insert(0, os.path.dirname(file))
    # The stack instead of an answer, and the end: even in a loop that never returns to Python.
    faulthandler.dump_traceback_later(seconds, exit=True, file=answers)
    try:
        problems = check(lesson, load_function(file, lesson.name), file)
        found: dict[str, Any] = {"problems": [asdict(problem) for problem in problems]}
    except InputError as error:
        found = {"unusable": str(error)}
    with suppress(Exception):  # the learner may have closed it
        sys.stdout.flush()
    answers.write(json.dumps(found))
    answers.flush()
    os._exit(0)  # without waiting for threads that the learner may have started


def load_function(file: str, name: str) -> Function:
    """Run a file and return a function of it; InputError if it cannot be run, or lacks it."""
    module = ModuleType("lesson")
    module.__file__ = file
    sys.modules["lesson"] = module  # dataclasses look for it there
    try:
        exec(compile(read_bytes(file, _MAX_BYTES), file, "exec"), vars(module))
    except SyntaxError as error:
        raise InputError(f"{file}, line {error.lineno}: {error.msg}") from None
    except (Exception, SystemExit) as error:  # whatever it may raise
        raise InputError(f"{file} cannot be run: {type(error).__name__}: {error}") from None
    function: Function | None = getattr(module, name, None)
    if not callable(function):
        raise InputError(f"{file} should define a function {name}")
    return function
