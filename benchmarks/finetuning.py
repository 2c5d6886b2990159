"""How long does a new head take? ``python -m benchmarks.finetuning``.

keras-cnn's convolutions, frozen, under Dense(128, relu) and Dense(10, softmax): 500 pictures, 10
epochs in batches of 32, Adam, in tinymnist, PyTorch and Keras as their users write it. So PyTorch
and Keras run the frozen convolutions forward in every epoch, without gradients; tinymnist's ``fit``
keeps what they give, by itself, and runs them once. Each runs in a process of its own, in turns,
so that start-up can be told apart. First, an epoch in a fixed order must lead to the same
probabilities.

Where pictures are new in every step, nothing can be kept. Then an epoch of the head should take as
long as the frozen base's forward pass and the head alone, which is measured at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks import peers, timing

EXAMPLES = """\
examples:
  python -m benchmarks.finetuning                 three rounds on 2 threads
  python -m benchmarks.finetuning --rounds 1 --only torch
"""
TOLERANCE = 0.02
"""Of probabilities after an epoch; PyTorch's Adam has another epsilon."""


def spawn(name: str, options: argparse.Namespace, what: str) -> dict[str, Any]:
    """Run a child; the whole time of it, by the clock and of the processors, goes with its own."""
    command = [sys.executable, "-m", "benchmarks.heads", name]
    command += [str(options.pictures), str(options.epochs), what]
    pinned = dict.fromkeys(timing.THREAD_VARIABLES, str(options.threads))
    began, before = time.perf_counter(), os.times()
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | pinned
    )
    after = os.times()
    if done.returncode:
        last = (done.stderr.strip() or "failed").splitlines()[-1]
        if "ModuleNotFoundError" in last:
            return {"missing": f"missing: pip install {peers.INSTALL[name]}"}
        raise RuntimeError(f"{name}: {last}")
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    own: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    seconds = time.perf_counter() - began
    again = own.get("again", 0.0)  # the second fit is no part of the whole
    return own | {"all": seconds - again, "all_cpu": used}


def check(names: list[str], options: argparse.Namespace) -> dict[str, str]:
    """Compare the probabilities after one epoch; gives what is missing.

    Raises:
        ArithmeticError: when they differ by more than the optimizers' variants explain.
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


def main() -> int:
    """Check, measure in turns, print medians and ratios."""
    options = _options()
    timing.pin_threads(options.threads)
    names = [peers.OURS, *(options.only or ["torch", "keras"])]
    missing = check(names, options)
    names = [name for name in names if name not in missing]
    rounds = [
        {name: spawn(name, options, "measure") for name in names} for _ in range(options.rounds)
    ]
    keys = ("all", "fit", "again", "all_cpu", "fit_cpu")
    figures = {n: {k: statistics.median(r[n][k] for r in rounds) for k in keys} for n in names}
    print(timing.machine_line("numpy", "torch", "keras", "tensorflow-cpu"))
    print(
        f"a new head, {options.pictures} pictures, {options.epochs} epochs, "
        f"{options.threads} threads, median of {options.rounds}; times tinymnist's in brackets"
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
    """Seconds of an epoch where the base runs in every step, and of its parts, in turns."""
    from benchmarks.heads import BATCH, new_head, task
    from tinymnist.nn.training.frozen import split_frozen

    data, head, whole = task(options.pictures), new_head(), new_head()
    whole.unfreeze()
    parts = split_frozen(head)
    if parts is None:
        raise ArithmeticError("a frozen base must be cut off")
    base, alone = parts
    alone.compile("adam")
    features = base.predict(data.x)
    settings: dict[str, Any] = {"batch_size": BATCH, "verbose": 0, "workers": options.threads}
    runs: dict[str, Callable[[], object]] = {
        "frozen": lambda: head.fit(data.x, data.y, keep_frozen=False, **settings),
        "base": lambda: base.predict(data.x, batch_size=BATCH // 2, workers=options.threads),
        "head": lambda: alone.fit(features, data.y, **settings),
        "whole": lambda: whole.fit(data.x, data.y, **settings),
    }
    return timing.medians(timing.interleaved(runs, rounds=5 * options.rounds, budget=10))


def text_of_frozen(found: dict[str, float]) -> str:
    """The figures in words."""
    ms = {name: f"{1000 * seconds:.0f} ms" for name, seconds in found.items()}
    ratio = found["frozen"] / (found["base"] + found["head"])
    return (
        f"an epoch with the frozen base in every step {ms['frozen']}, {ratio:.2f} times the base's "
        f"forward pass ({ms['base']}) and the head alone ({ms['head']}); "
        f"all layers learning {ms['whole']}"
    )


TITLES = ("with start-up", "fit", "fit again", "processor, all", "processor, fit")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Time the training of a new head on a frozen base.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--only", nargs="+", choices=("torch", "keras"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
