"""Do new classes come off a few pictures? ``python -m benchmarks.newclasses``.

26 letters and 5 marks, drawn by :mod:`benchmarks.glyphs`: fine-tuned on some of each, measured on
others. Chance is 4 % and 20 %.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import time

from benchmarks.glyphs import LETTERS, MARKS, draw_set

TASKS = {"marks": tuple(MARKS), "letters": tuple(LETTERS)}
OTHERS = 20
"""Pictures a class to measure on."""


def main() -> int:
    """Print accuracy by task and number of pictures."""
    parser = argparse.ArgumentParser(description="Fine-tune on new classes that are drawn here.")
    parser.add_argument("--model", default="mnist-cnn")
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 2, 5, 10], metavar="N")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        type=lambda text: (text.partition("=")[0], json.loads(text.partition("=")[2])),
        help="a setting of FineTuning, its value as JSON",
    )
    options = parser.parse_args()
    from tinymnist.finetune import FineTuning, finetune
    from tinymnist.nn.sequential import load_model

    base = load_model(options.model)
    print(f"{base.name}: {'task':10}{'a class':>8}{'accuracy':>10}{'least':>9}{'seconds':>9}")
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
