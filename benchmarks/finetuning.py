"""Training a new head on a frozen base, in three frameworks: ``python -m benchmarks.finetuning``.

keras-cnn's convolutions, frozen, under Dense(128, relu) and Dense(10, softmax): 500 images, 10
epochs in batches of 32, Adam, in tinymnist, PyTorch and Keras as their users write it. So PyTorch
and Keras run the frozen convolutions forward in every epoch, without gradients; tinymnist's ``fit``
keeps their outputs and runs them once. Each runs in its own process, in turns, to measure start-up
separately. First, an epoch in a fixed order must lead to the same probabilities.

If the images change in every step, nothing can be kept. Then an epoch should take as long as the
forward pass of the base plus an epoch of the head, which is measured at the end.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import common, peers

EXAMPLES = """\
               three rounds on 2 threads
--rounds 1 --only torch"""
TOLERANCE = 0.02
"""Of probabilities after an epoch; PyTorch's Adam uses epsilon differently."""


def spawn(name: str, options: argparse.Namespace, what: str) -> dict[str, Any]:
    """Run a child; add its total time, by the clock and of the processors, to its report."""
    began, before = time.perf_counter(), os.times()
    done = common.run_child(
        "heads", name, options.images, options.epochs, what, threads=options.threads
    )
    after, seconds = os.times(), time.perf_counter() - began
    if "ModuleNotFoundError" in done.stderr:
        return {"missing": f"missing: pip install {peers.INSTALL[name]}"}
    own: dict[str, Any] = common.last_json(done)
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    return own | {"all": seconds - own.get("again", 0.0), "all_cpu": used}


def check(names: list[str], options: argparse.Namespace) -> dict[str, str]:
    """Compare the probabilities after one epoch; return the frameworks that are missing.

    Raises:
        ArithmeticError: if they differ by more than the variants of Adam explain.
    """
    import numpy as np

    found = {name: spawn(name, options, "check") for name in names}
    missing = {name: own["missing"] for name, own in found.items() if "missing" in own}
    wanted = np.array(found[peers.OURS]["probabilities"])
    for name in found.keys() - missing.keys():
        error = float(abs(np.array(found[name]["probabilities"]) - wanted).max())
        if not error <= TOLERANCE:
            raise ArithmeticError(f"{name}: probabilities must agree with tinymnist's, {error=}")
    return missing


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, measure in turns, print medians and ratios."""
    options = parse(arguments)
    common.pin_threads(options.threads)
    names = [peers.OURS, *(options.only or ["torch", "keras"])]
    missing = check(names, options)
    names = [name for name in names if name not in missing]
    rounds = [
        {name: spawn(name, options, "measure") for name in names} for _ in range(options.rounds)
    ]
    keys = ("all", "fit", "again", "all_cpu", "fit_cpu")
    figures = {n: {k: statistics.median(r[n][k] for r in rounds) for k in keys} for n in names}
    print(common.machine_line("numpy", "torch", "keras", "tensorflow-cpu"))
    print(
        f"a new head, {options.images} images, {options.epochs} epochs, "
        f"{options.threads} threads, median of {options.rounds}; in brackets, relative to tinymnist"
    )
    print(f"{'':12}" + "".join(f"{title:>18}" for title in TITLES))
    for name, own in figures.items():
        cells = (f"{own[k]:.2f} s ({own[k] / figures[peers.OURS][k]:.1f}x)" for k in keys)
        print(f"{name:12}" + "".join(f"{cell:>18}" for cell in cells))
    for name, why in missing.items():
        print(f"{name:12}  {why}")
    print(text_of_frozen(frozen(options)))
    return 0


def frozen(options: argparse.Namespace) -> dict[str, float]:
    """Seconds of an epoch in which the base runs in every step, and of its parts."""
    from benchmarks.heads import BATCH, new_head, task
    from tinymnist.nn.sequential import Sequential
    from tinymnist.nn.training.frozen import split_frozen

    data, head, whole = task(options.images), new_head(), new_head()
    whole.unfreeze()
    parts = split_frozen(head)
    if parts is None:
        raise ArithmeticError("fit must split off the frozen base")
    base, rest = parts
    features = base.predict(data.x)
    alone = Sequential(rest.layers, input_shape=features.shape[1:])
    alone.compile("adam")
    settings: dict[str, Any] = {"batch_size": BATCH, "verbose": 0, "workers": options.threads}
    runs: dict[str, Callable[[], object]] = {
        "frozen": lambda: head.fit(data.x, data.y, keep_frozen=False, **settings),
        "base": lambda: base.predict(data.x, batch_size=BATCH // 2, workers=options.threads),
        "head": lambda: alone.fit(features, data.y, **settings),
        "whole": lambda: whole.fit(data.x, data.y, **settings),
    }
    return common.medians(common.interleaved(runs, rounds=5 * options.rounds, budget=10))


def text_of_frozen(found: dict[str, float]) -> str:
    """The figures in a sentence."""
    ms = {name: f"{1000 * seconds:.0f} ms" for name, seconds in found.items()}
    ratio = found["frozen"] / (found["base"] + found["head"])
    return (
        f"an epoch with the frozen base in every step {ms['frozen']}, {ratio:.2f} times the base's "
        f"forward pass ({ms['base']}) and the head alone ({ms['head']}); "
        f"training all layers {ms['whole']}"
    )


TITLES = ("with start-up", "fit", "fit again", "processor, all", "processor, fit")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    description = "Time the training of a new head on a frozen base."
    parser = common.command_line("finetuning", description, EXAMPLES)
    for name, default in (("rounds", 3), ("threads", 2), ("images", 500), ("epochs", 10)):
        what = f"default: {default}"
        parser.add_argument(f"--{name}", type=common.at_least(1), default=default, help=what)
    parser.add_argument("--only", nargs="+", choices=("torch", "keras"), help="compare with these")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
