"""The lessons in the order of a course, and how to find one."""

from __future__ import annotations

from tinymnist.errors import InputError, did_you_mean
from tinymnist.lessons.gradients import BACKPROPAGATION, DENSE, SOFTMAX, TWO_GRADIENTS
from tinymnist.lessons.lesson import Lesson
from tinymnist.lessons.pictures import AUGMENTATION, CENTRE, POLARITY
from tinymnist.lessons.training import ADAM, NORMALIZATION, TRAINING
from tinymnist.lessons.transfer import DIFFERENCE, HEAD
from tinymnist.lessons.windows import CONVOLUTION, IM2COL, POOLING

LESSONS: tuple[Lesson, ...] = (
    POLARITY, CENTRE, DENSE, SOFTMAX, TWO_GRADIENTS, BACKPROPAGATION, CONVOLUTION, IM2COL, POOLING,
    NORMALIZATION, ADAM, TRAINING, AUGMENTATION, HEAD, DIFFERENCE,
)  # fmt: skip
"""Lesson 1 comes first."""


def find_lesson(word: str) -> int:
    """The number of a lesson, from 1, by that number or by its function's name.

    Raises:
        InputError: if there is no such lesson.
    """
    names = [lesson.name for lesson in LESSONS]
    if word in names:
        return names.index(word) + 1
    if word.isdecimal() and 1 <= int(word) <= len(LESSONS):
        return int(word)
    rule = f"there is no lesson {word!r}; expected 1 to {len(LESSONS)} or one of {names}"
    raise InputError(f"{rule}{did_you_mean(word, names)}")
