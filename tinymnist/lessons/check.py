"""Try a learner's function on the cases of a lesson, and say what is wrong."""

from __future__ import annotations

import copy
import linecache
import pickle
import traceback
import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinymnist.comparison.measuring import difference, largest
from tinymnist.lessons.lesson import Function, Lesson
from tinymnist.nn.arrays import Array

TOLERANCE = 1e-5
"""How far a number may be off, as a share of the largest in its array: float32 will do."""
Outcome = list[Array] | BaseException
"""What a function returned, as float64, or what it raised."""


@dataclass(frozen=True)
class Problem:
    """Something that is wrong.

    Attributes:
        part: the name of the array that is wrong; "" if the function has returned none.
        case: what it was tried on.
        text: what is wrong, in one sentence.
        mistake: the name of the usual mistake that has the same results; "" if none has.
        hint: what to do about that.
        line: the line in the learner's file at which it went wrong; 0 if that is not known.
    """

    part: str
    case: str
    text: str
    mistake: str = ""
    hint: str = ""
    line: int = 0


class _Unfit(ValueError):
    """A result that is not of the kind that was asked for."""


def check(lesson: Lesson, function: Function, file: str = "") -> list[Problem]:
    """Compare a function with the package's own, on small and odd and even sizes.

    Args:
        lesson: what the function should do.
        function: the learner's.
        file: where it stands, to name its lines.

    Returns:
        At most one problem for each array that the function should return; [] if it is right.
    """
    cases = lesson.cases(np.random.default_rng(0))
    right, own = _outcomes(lesson, lesson.function), _outcomes(lesson, function)
    for case, outcome in own.items():
        if isinstance(outcome, BaseException):
            mistake, hint = _recognized(lesson, own, right, None)
            text, line = _describe_error(outcome, file)
            return [Problem("", case, text, mistake, hint, line)]
    problems = []
    for i, part in enumerate(lesson.returns):
        wrong = [case for case in cases if not _agree(own[case], right[case], i)]
        if wrong:
            mistake, hint = _recognized(lesson, own, right, i)
            text = _describe_difference(own[wrong[0]][i], right[wrong[0]][i])  # type: ignore[index]
            problems.append(Problem(part, wrong[0], text, mistake, hint))
    return problems


def _outcomes(lesson: Lesson, function: Function) -> dict[str, Outcome]:
    """What a function does in each case."""
    cases = lesson.cases(np.random.default_rng(0))
    return {case: _outcome(lesson, function, arguments) for case, arguments in cases.items()}


def _outcome(lesson: Lesson, function: Function, arguments: tuple[Any, ...]) -> Outcome:
    given = copy.deepcopy(arguments)
    before = pickle.dumps(given)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            result = function(*given)
        outcome = _as_arrays(result, lesson.returns)
        if pickle.dumps(given) != before:
            raise _Unfit(f"{lesson.name} changes its arguments; compute with copies instead")
    except (Exception, SystemExit) as error:  # whatever a learner's function may raise
        return error
    return outcome


def _as_arrays(result: Any, names: tuple[str, ...]) -> list[Array]:
    expected = names[0] if len(names) == 1 else f"({', '.join(names)})"
    if result is None:
        raise _Unfit(f"it returns None; expected {expected}. Does it end with return?")
    parts = (result,) if len(names) == 1 else result
    if not isinstance(parts, tuple | list) or len(parts) != len(names):
        raise _Unfit(f"it returns {_kind(result)}; expected {expected}")
    arrays = []
    for name, part in zip(names, parts, strict=True):
        try:
            arrays.append(np.array(part, np.float64))
        except (TypeError, ValueError):
            raise _Unfit(f"it returns {_kind(part)} as {name}; expected numbers") from None
    return arrays


def _kind(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else repr(value)[:60]


def _agree(a: Outcome, b: Outcome, part: int | None) -> bool:
    """Whether two outcomes are the same, in one part or in all (None)."""
    if isinstance(a, BaseException) or isinstance(b, BaseException):
        return type(a) is type(b)
    pairs = list(zip(a, b, strict=True))
    return all(_close(x, y) for x, y in (pairs if part is None else pairs[part : part + 1]))


def _close(a: Array, b: Array) -> bool:
    if a.shape != b.shape:
        return False
    gap = difference(np.atleast_1d(a), np.atleast_1d(b))
    return bool((gap <= TOLERANCE * largest(b) + 1e-15).all())


def _recognized(
    lesson: Lesson, own: dict[str, Outcome], right: dict[str, Outcome], part: int | None
) -> tuple[str, str]:
    """The usual mistake that has the same results, and the hint; two times "" if none has.

    One that agrees in all cases comes first. Otherwise there may be several mistakes, and one that
    agrees in a case that is wrong is one of them.
    """
    wrong = {case for case in own if not _agree(own[case], right[case], part)}
    also: list[tuple[str, str]] = []
    for name, hint in lesson.mistakes.items():
        made = _outcomes(lesson, partial(lesson.twin, name))
        agreeing = {case for case in own if _agree(own[case], made[case], part)}
        if len(agreeing) == len(own):
            return name, hint
        if any(not isinstance(own[case], BaseException) for case in wrong & agreeing):
            also.append((name, hint))
    return also[0] if also else ("", "")


def _describe_error(error: BaseException, file: str) -> tuple[str, int]:
    """What was raised and at which of the learner's lines, and that line's number."""
    text = " ".join(str(error).split())
    if isinstance(error, _Unfit):
        return text, 0
    described = f"{type(error).__name__}: {text}" if text else type(error).__name__
    lines = [f.lineno or 0 for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    if not lines:
        return described, 0
    return f"{described} in line {lines[-1]}: {linecache.getline(file, lines[-1]).strip()}", lines[
        -1
    ]


def _describe_difference(own: Array, right: Array) -> str:
    if own.shape != right.shape:
        turned = " (transposed)" if own.ndim > 1 and own.shape == right.shape[::-1] else ""
        return f"its shape is {own.shape}{turned}; expected {right.shape}"
    gap = difference(np.atleast_1d(own), np.atleast_1d(right))
    place = np.unravel_index(gap.argmax(), right.shape)
    where = f"at {tuple(map(int, place))} " if right.ndim else ""
    text = f"{where}it is {own[place]:.6g}; expected {right[place]:.6g}"
    if np.isfinite([own, right]).all() and right.any():
        factor = (own * right).sum() / (right * right).sum()
        if factor and _close(own, factor * right):
            return f"{text}. Every number is {factor:.6g} times what it should be"
    return text
