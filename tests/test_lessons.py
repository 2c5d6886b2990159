"""Lessons: the package's own answer is right, and usual mistakes are called by their names."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.test_cli import assert_refused, run
from tinymnist.lessons.catalogue import LESSONS
from tinymnist.lessons.check import Problem, check
from tinymnist.lessons.gradients import (
    BACKPROPAGATION,
    SOFTMAX,
    backpropagate,
    central_differences,
    dense,
    softmax_cross_entropy,
)
from tinymnist.lessons.lesson import Lesson, empty_file, solution_file
from tinymnist.lessons.process import check_file, load_function
from tinymnist.lessons.training import NORMALIZATION

EACH = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
EACH_MISTAKE = pytest.mark.parametrize(
    ("lesson", "mistake"),
    [(lesson, name) for lesson in LESSONS for name in lesson.mistakes],
    ids=lambda value: value if isinstance(value, str) else value.name,
)


def test_there_are_fifteen_with_five_mistakes_each() -> None:
    assert len(LESSONS) == len({lesson.name for lesson in LESSONS}) == 15
    assert all(len(lesson.mistakes) >= 5 for lesson in LESSONS)


@EACH
def test_the_twin_without_a_mistake_is_right(lesson: Lesson) -> None:
    """It shares no code with the package, so this is a third opinion on the package's answer."""
    assert check(lesson, partial(lesson.twin, "")) == []


@EACH_MISTAKE
def test_each_mistake_is_recognized(lesson: Lesson, mistake: str) -> None:
    problems = check(lesson, partial(lesson.twin, mistake))
    assert {problem.mistake for problem in problems} == {mistake}
    assert {problem.hint for problem in problems} == {lesson.mistakes[mistake]}


@EACH
def test_the_printed_solution_passes(lesson: Lesson, tmp_path: Path) -> None:
    """It is the package's source, and runs as a file of its own."""
    file = tmp_path / "solution.py"
    file.write_text(solution_file(lesson), encoding="utf-8")
    assert check(lesson, load_function(str(file), lesson.name), str(file)) == []


@EACH
def test_the_empty_file_names_what_is_to_be_written(lesson: Lesson, tmp_path: Path) -> None:
    file = tmp_path / "empty.py"
    file.write_text(empty_file(lesson, 1), encoding="utf-8")
    (problem,) = check(lesson, load_function(str(file), lesson.name), str(file))
    assert "NotImplementedError" in problem.text and "still empty" in problem.text
    assert file.read_text("utf-8").splitlines()[problem.line - 1].startswith("    raise")
    for name in lesson.returns:
        assert name in lesson.task


def test_gradients_in_the_lessons_agree_with_differences() -> None:
    """The answer to the lesson on backpropagation, by the answer to the one before."""

    def loss(x: Any, labels: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
        hidden = np.maximum(dense(x, w1, b1), 0)
        return softmax_cross_entropy(dense(hidden, w2, b2), labels)[1]

    for arguments in BACKPROPAGATION.cases(np.random.default_rng(1)).values():
        for i, gradient in enumerate(backpropagate(*arguments), 2):
            before, after = arguments[:i], arguments[i + 1 :]
            moved = partial(lambda before, after, w: loss(*(*before, w, *after)), before, after)
            measured = central_differences(moved, arguments[i], 1e-5)
            assert np.allclose(gradient, measured, rtol=0, atol=1e-8)


def only_problem(function: Callable[..., Any]) -> Problem:
    (problem,) = check(LESSONS[2], function)
    return problem


def test_float32_will_do() -> None:
    def in_float32(x: Any, gamma: Any, beta: Any, epsilon: float, dy: Any) -> Any:
        arrays = (array.astype(np.float32) for array in (x, gamma, beta))
        return NORMALIZATION.twin("", *arrays, epsilon, dy.astype(np.float32))

    assert check(NORMALIZATION, in_float32) == []


def test_two_mistakes_in_two_parts_are_both_named() -> None:
    def both(logits: Any, labels: Any) -> Any:
        p, _ = SOFTMAX.twin("sum over the wrong axis", logits, labels)
        return p, SOFTMAX.twin("sum instead of the mean", logits, labels)[1]

    named = {problem.part: problem.mistake for problem in check(SOFTMAX, both)}
    assert named == {
        "probabilities": "sum over the wrong axis",
        "loss": "sum instead of the mean",
    }


def test_a_wrong_shape_is_said_with_both_shapes() -> None:
    problem = only_problem(lambda x, kernel, bias: np.zeros((7, 2)))
    assert "(7, 2)" in problem.text and "(3, 3)" in problem.text


def test_an_unknown_mistake_is_shown_with_its_numbers() -> None:
    problem = only_problem(lambda x, kernel, bias: 3 * (x @ kernel + bias))
    assert problem.mistake == "" and "3 times" in problem.text
    problem = only_problem(lambda x, kernel, bias: np.tanh(x @ kernel + bias))
    assert problem.mistake == "" and "expected" in problem.text


def test_what_is_not_an_answer_is_said() -> None:
    assert "None" in only_problem(lambda x, kernel, bias: None).text
    assert "expected numbers" in only_problem(lambda x, kernel, bias: "y").text
    assert "a tuple of 3" in check(SOFTMAX, lambda z, labels: (1, 2, 3))[0].text

    def changes(x: Any, kernel: Any, bias: Any) -> Any:
        y = x @ kernel + bias
        bias += 1
        return y

    assert "changes its arguments" in only_problem(changes).text


# Answers as people write them, each with a usual mistake ------------------------------------------


def adam(w: Any, m: Any, v: Any, g: Any, t: int, lr: float, b1: float, b2: float, e: float) -> Any:
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
    return w - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + e), m, v


def backpropagate_untransposed(x: Any, labels: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    h = np.maximum(x @ w1 + b1, 0)
    dz = np.exp(h @ w2 + b2) / np.exp(h @ w2 + b2).sum(1, keepdims=True)
    dz[np.arange(len(x)), labels] -= 1
    dz = dz / len(x)
    dh = dz @ w2
    dh[h <= 0] = 0
    return x.T @ dh, dh.sum(0), h.T @ dz, dz.sum(0)


def max_pool_by_equality(x: Any, dy: Any) -> Any:
    n, h, w, c = dy.shape
    cut = x[:, : 2 * h, : 2 * w]
    y, dx = cut.reshape(n, h, 2, w, 2, c).max((2, 4)), np.zeros_like(x)
    large = [a.repeat(2, 1).repeat(2, 2) for a in (y, dy)]
    dx[:, : 2 * h, : 2 * w] = (cut == large[0]) * large[1]
    return y, dx


def batch_normalize_std(x: Any, gamma: Any, beta: Any, epsilon: float, dy: Any) -> Any:
    axes, n = (0, 1, 2), x[..., 0].size
    s = x.std(axes) + epsilon
    z, dbeta = (x - x.mean(axes)) / s, dy.sum(axes)
    dgamma = (z * dy).sum(axes)
    return z * gamma + beta, gamma / s * (dy - dbeta / n - z * dgamma / n), dgamma, dbeta


def convolve_symmetric(x: Any, kernel: Any, bias: Any, stride: int) -> Any:
    (kh, kw), s = kernel.shape[:2], stride
    x = np.pad(x, ((0, 0), (kh // 2, kh // 2), (kw // 2, kw // 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(1, 2))[:, ::s, ::s]
    return np.einsum("nijcab,abco->nijo", windows, kernel) + bias


def white_on_black_by_mean(picture: Any) -> Any:
    return 1 - picture / 255 if picture.mean() > 127 else picture / 255


@pytest.mark.parametrize(
    ("number", "function", "mistake"),
    [
        (1, white_on_black_by_mean, "paper compared with a fixed grey"),
        (6, backpropagate_untransposed, "forgotten transposition"),
        (7, convolve_symmetric, "half a kernel on all sides"),
        (9, max_pool_by_equality, "gradient to every maximum"),
        (10, batch_normalize_std, "epsilon outside the root"),
        (11, adam, "epsilon after the correction"),
    ],
)
def test_a_mistake_is_recognized_in_other_words(
    number: int, function: Callable[..., Any], mistake: str
) -> None:
    problems = check(LESSONS[number - 1], function)
    assert {problem.mistake for problem in problems} == {mistake}


# In another process -----------------------------------------------------------------------------

RIGHT = "def dense(x, kernel, bias):\n    print('{\"right\": 0}')\n    return x @ kernel + bias\n"


def test_a_file_is_checked_and_may_print(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "dense.py"
    file.write_text(RIGHT)
    code, out, _ = run(capsys, "lesson", 3, "--check", file, "--json")
    assert code == 0 and json.loads(out)["right"] is True
    assert json.loads(out)["problems"] == []


def test_an_exception_shows_the_learners_own_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "dense.py"
    file.write_text("def dense(x, kernel, bias):\n    # not yet\n    return x @ kernel.T + bias\n")
    code, out, _ = run(capsys, "lesson", "dense", "--check", file)
    assert code == 1 and "line 3: return x @ kernel.T + bias" in out
    assert "transposed kernel" in out


def test_an_endless_loop_is_stopped(tmp_path: Path) -> None:
    file = tmp_path / "dense.py"
    file.write_text("def dense(x, kernel, bias):\n    while True:\n        pass\n")
    (problem,) = check_file(3, file, 0.5)
    assert "not finished after 0.5 s" in problem.text
    assert problem.line in (2, 3)


def test_a_crash_is_an_answer(tmp_path: Path) -> None:
    file = tmp_path / "dense.py"
    file.write_text("import os\ndef dense(x, kernel, bias):\n    os._exit(1)\n")
    (problem,) = check_file(3, file)
    assert "code 1" in problem.text


# The command ------------------------------------------------------------------------------------


def test_lessons_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "lesson")
    assert code == 0 and all(lesson.title in out for lesson in LESSONS)
    code, out, _ = run(capsys, "lesson", "--json")
    assert [json.loads(line)["lesson"] for line in out.splitlines()] == list(range(1, 16))
    code, out, _ = run(capsys, "lesson", 4)
    assert code == 0 and SOFTMAX.task in out
    code, out, _ = run(capsys, "lesson", 4, "--solution")
    assert code == 0 and "def softmax(x: Array)" in out


def test_a_file_is_written_and_never_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, _ = run(capsys, "lesson", 4, "--out", tmp_path / "work")
    file = tmp_path / "work" / "softmax_cross_entropy.py"
    assert code == 0 and file.read_text("utf-8") == empty_file(SOFTMAX, 4)
    file.write_text("mine")
    assert_refused(run(capsys, "lesson", 4, "--out", tmp_path / "work"), "exists already")
    assert_refused(run(capsys, "lesson", 4, "--out", file), "exists already")
    assert file.read_text() == "mine" and os.listdir(tmp_path / "work") == [file.name]


def test_unusable_input_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(run(capsys, "lesson", 16), "16", "1 to 15")
    assert_refused(run(capsys, "lesson", "--solution"), "number of a lesson")
    assert_refused(run(capsys, "lesson", 3, "--check", tmp_path / "none.py"), "none.py")
    file = tmp_path / "dense.py"
    for text, words in (
        ("def dense(x:\n", "line 1"),
        ("def other(x):\n    return x\n", "a function dense"),
        ("import nowhere_to_be_found\n", "ModuleNotFoundError"),
    ):
        file.write_text(text)
        with pytest.raises(ValueError, match=words):
            load_function(str(file), "dense")
    assert_refused(run(capsys, "lesson", 3, "--check", file), "cannot be run")
