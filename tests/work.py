"""What worker processes do in tests: a module of its own, which they import in no time."""

from __future__ import annotations

import os
import time

from tinymnist.errors import InputError


def process_of(item: int) -> tuple[int, int]:
    return item, os.getpid()


def refuse_thirteen(item: int) -> int:
    if item == 13:
        raise InputError("thirteen")
    return -item


def end_at_thirteen(item: int) -> int:
    if item == 13:
        os._exit(1)
    return -item


def divide(item: int) -> float:
    return 1 / (13 - item)


def answer_slowly(item: object) -> int:
    time.sleep(0.01)
    return os.getpid()
