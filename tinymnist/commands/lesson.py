"""``tinymnist lesson``: exercises, and what is wrong with an answer."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tinymnist.commands import Declared, add_options, number, print_json, show
from tinymnist.errors import InputError
from tinymnist.lessons.catalogue import LESSONS, find_lesson
from tinymnist.lessons.check import Problem
from tinymnist.lessons.lesson import Lesson, empty_file, solution_file
from tinymnist.lessons.process import SECONDS, check_file
from tinymnist.reporting.text import say, table

EXAMPLES = """\
examples:
  tinymnist lesson                            list all lessons
  tinymnist lesson 4                          read the task of one
  tinymnist lesson 4 --out work/              write work/softmax_cross_entropy.py to fill in
  tinymnist lesson 4 --check work/softmax_cross_entropy.py
  tinymnist lesson 4 --solution               the package's own functions

exit codes: 0 right, or shown; 1 the function is wrong; 2 no such lesson, or an unusable file
"""
_ABOVE_0 = partial(number, float, "a number of seconds, above 0 and at most 3600",
                   lambda value: 0 < value <= 3600)  # fmt: skip


def add_lesson(parser: argparse.ArgumentParser) -> Declared:
    """Declare the command's arguments."""
    what = "its number or the name of its function; default: list them all"
    parser.add_argument("lesson", nargs="?", metavar="LESSON", help=what)
    action = parser.add_mutually_exclusive_group()
    add = action.add_argument
    what = "write the task and an empty function into this folder or .py file, which must be new"
    add("--out", type=Path, metavar="PATH", help=what)
    add("--check", type=Path, metavar="FILE", help="run this file, and say what is wrong with it")
    add("--solution", action="store_true", help="print the package's own functions")
    what = f"how long a check may take; default: {SECONDS:g}"
    parser.add_argument("--seconds", type=_ABOVE_0, default=SECONDS, metavar="S", help=what)
    add_options(parser, "--json")
    return EXAMPLES, _run


def _run(arguments: argparse.Namespace) -> int:
    if arguments.lesson is None:
        if arguments.out or arguments.check or arguments.solution:
            raise InputError("--out, --check and --solution need the number of a lesson")
        return _list(arguments)
    which = find_lesson(arguments.lesson)
    lesson = LESSONS[which - 1]
    record = {"lesson": which, "title": lesson.title, "function": lesson.name}
    if arguments.check is not None:
        problems = check_file(which, arguments.check, arguments.seconds)
        found = {"right": not problems, "problems": [asdict(problem) for problem in problems]}
        show(arguments, record | found, _verdict(which, lesson, problems))
        return 1 if problems else 0
    if arguments.out is not None:
        path = _write(arguments.out, lesson, empty_file(lesson, which))
        return show(arguments, record | {"file": str(path)}, f"write your function into {path}")
    if arguments.solution:
        source = solution_file(lesson)
        return show(arguments, record | {"solution": source}, source)
    text = f"lesson {which}: {lesson.title}\n\n{lesson.name}\n\n{lesson.task}"
    return show(arguments, record | {"task": lesson.task}, text)


def _list(arguments: argparse.Namespace) -> int:
    if arguments.json:
        for which, lesson in enumerate(LESSONS, 1):
            print_json({"lesson": which, "title": lesson.title, "function": lesson.name})
        return 0
    rows = [("", "lesson", "function to write")]
    rows += [(str(i), lesson.title, lesson.name) for i, lesson in enumerate(LESSONS, 1)]
    say(table(rows, left=3))
    return 0


def _verdict(which: int, lesson: Lesson, problems: list[Problem]) -> str:
    if not problems:
        return f"lesson {which}, {lesson.title}: right"
    lines = [f"lesson {which}, {lesson.title}: wrong"]
    for problem in problems:
        where = ", with ".join(filter(None, (problem.part or lesson.name, problem.case)))
        lines.append(f"{where}: {problem.text}")
        if problem.mistake:
            lines.append(f'  it looks like "{problem.mistake}": {problem.hint}')
    return "\n".join(lines)


def _write(path: Path, lesson: Lesson, text: str) -> Path:
    """Write a new file; an existing one is never touched."""
    if path.suffix != ".py":
        try:
            path.mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {path}: {error.strerror}") from None
        path /= f"{lesson.name}.py"
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(
            f"{path} exists already, and may be your work; choose another name"
        ) from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
    return path
