"""New classes from a few pictures: ``python -m benchmarks.newclasses``.

26 letters and 5 marks, drawn by :mod:`benchmarks.glyphs`: fine-tuned on some of each, measured on
others. Chance is 4 % and 20 %.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
import time
from collections.abc import Sequence

from benchmarks.common import add_fine_tuning, command_line
from benchmarks.glyphs import LETTERS, MARKS, draw_set

TASKS = {"marks": tuple(MARKS), "letters": tuple(LETTERS)}
OTHERS = 20
"""Pictures per class to measure on."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the accuracy by task and number of pictures."""
    description = "Fine-tune on new classes: drawn letters and marks."
    parser = command_line("newclasses", description, "--shots 5 --seeds 1    a rough run")
    add_fine_tuning(parser, seeds=3)
    options = parser.parse_args(arguments)
    from tinymnist.finetuning import FineTuning, finetune
    from tinymnist.nn.sequential import load_model

    base = load_model(options.model)
    print(f"{base.name}: {'task':10}{'shots':>8}{'accuracy':>10}{'least':>9}{'seconds':>9}")
    for task, glyphs in TASKS.items():
        x, y = draw_set(glyphs, OTHERS, seed=10_000)
        for shots in options.shots:
            found, seconds = [], []
            for seed in range(options.seeds):
                settings = dataclasses.replace(FineTuning(seed=seed), **dict(options.set))
                learnt = draw_set(glyphs, shots, seed)
                began = time.perf_counter()
                model = finetune(base, *learnt, glyphs, settings)
                seconds.append(time.perf_counter() - began)
                found.append(model.evaluate(x, y)[1])
            print(
                f"{base.name}: {task:10}{shots:8}{statistics.fmean(found):10.2%}{min(found):9.2%}"
                f"{statistics.median(seconds):9.2f}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
