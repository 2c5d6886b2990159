"""What do random variants cost? ``python -m benchmarks.augmentation``.

Rotation, shift, shear and zoom together, as in every tutorial: batches of 32 from tinymnist's
generator and from Keras's, which must be the same batches before they are timed. Then mnist-cnn
learns with and without them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from benchmarks.timing import interleaved, machine_line, medians, pin_threads

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXAMPLES = """\
examples:
  python -m benchmarks.augmentation             pictures a second and training, in about a minute
  python -m benchmarks.augmentation --quick     a rough one
  python -m benchmarks.augmentation --json
"""

SETTINGS: dict[str, Any] = {
    "rotation_range": 10,
    "width_shift_range": 0.1,
    "height_shift_range": 0.1,
    "shear_range": 0.1,
    "zoom_range": 0.1,
    "fill_mode": "nearest",
}
BATCH, STEPS, SHARE = 32, 32, 8
"""Pictures in a batch, batches in a turn, and those which a thread makes at one go."""
TARGETS = {"one core": 4.0, "two cores": 8.0, "training": 1.5}
"""Keras's time over ours must be above; training with variants over without, below."""

Run = Callable[[], object]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.augmentation",
        description="Time random variants of pictures, here and in Keras, and training with them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="few and short runs")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    options = parser.parse_args(arguments)
    pin_threads(1)
    report = {"pictures": pictures(options.quick), "training": training(options.quick)}
    machine = machine_line("numpy", "scipy", "keras")
    if options.json:
        print(json.dumps({"machine": machine, **report}))
    else:
        print(text(report))
        print(machine)
    return 0


def text(report: dict[str, dict[str, float]]) -> str:
    """The figures in words, and whether the targets are met."""
    found, learnt = report["pictures"], report["training"]
    lines = [f"{name}: {found[name]:.1f} us a picture" for name in found]
    if "keras" in found:
        for cores in ("one core", "two cores"):
            ratio = found["keras"] / found[f"tinymnist, {cores}"]
            lines.append(_verdict(f"Keras's time over tinymnist's, {cores}", ratio, cores))
    else:
        lines.append("keras: missing: pip install keras==3.15.1 tensorflow-cpu==2.21.0")
    for name in learnt:
        lines.append(f"mnist-cnn learns {name}: {learnt[name]:.0f} us a picture")
    ratio = learnt["with variants"] / learnt["without"]
    lines.append(_verdict("time with variants over without", ratio, "training"))
    return "\n".join(lines)


def _verdict(what: str, ratio: float, target: str) -> str:
    goal = TARGETS[target]
    met = ratio < goal if target == "training" else ratio > goal
    side = "below" if target == "training" else "above"
    return f"{what}: {ratio:.2f}, target {side} {goal:g}: {'met' if met else 'MISSED'}"


def pictures(quick: bool) -> dict[str, float]:
    """Microseconds a picture by generator; Keras's is left out where it is missing."""
    import numpy as np
    from scipy import ndimage

    from tinymnist.augmentation import ImageDataGenerator

    x = np.random.default_rng(0).random((1600, 28, 28, 1), np.float32)
    ours = ImageDataGenerator(**SETTINGS).flow(x, batch_size=BATCH, seed=0)
    turn, still = np.array([[0.98, -0.17], [0.17, 0.98]]), np.array([2.0, -2.0])

    def scipy_alone() -> None:
        for image in x[: BATCH * STEPS, ..., 0]:
            ndimage.affine_transform(image, turn, still, order=1, mode="nearest")

    runs: dict[str, Run] = {
        "tinymnist, one core": partial(_take, ours),
        "scipy.ndimage.affine_transform alone": scipy_alone,
    }
    if (keras := _keras(x)) is not None:
        check(ours, keras)
        runs["keras"] = partial(_take, keras)
    with ThreadPoolExecutor(2) as pool:
        numbers: Iterator[int] = iter(range(10**9))
        runs["tinymnist, two cores"] = lambda: list(
            pool.map(ours.batches, [[*islice(numbers, SHARE)] for _ in range(STEPS // SHARE)])
        )
        times = interleaved(
            runs, rounds=5 if quick else 31, shortest=0.01, budget=2 if quick else 9
        )
    return {name: 1e6 * seconds / (BATCH * STEPS) for name, seconds in medians(times).items()}


def check(ours: Any, keras: Any) -> None:
    """Compare a round.

    Raises:
        ArithmeticError: when batches differ.
    """
    for _ in range(len(ours)):
        error = float(abs(next(ours) - next(keras)).max())
        if error > 1e-5:
            raise ArithmeticError(f"batches must agree with Keras's: {error=}")


def _take(flow: Any) -> None:
    for _ in range(STEPS):
        next(flow)


def _keras(x: NDArray[Any]) -> Any:
    """The same flow in Keras, or None."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")  # what Keras thinks of SciPy is not ours to mend
    try:
        from keras.src.legacy.preprocessing.image import ImageDataGenerator
    except ModuleNotFoundError:
        return None
    return ImageDataGenerator(**SETTINGS).flow(x, batch_size=BATCH, seed=0)


def training(quick: bool) -> dict[str, float]:
    """Microseconds a picture that mnist-cnn learns from, on both cores."""
    import numpy as np

    from tinymnist.augmentation import ImageDataGenerator
    from tinymnist.nn.architectures import mnist_cnn

    rng = np.random.default_rng(0)
    n = 256 if quick else 1024
    x, y = rng.random((n, 28, 28, 1), np.float32), rng.integers(0, 10, n)
    flow = ImageDataGenerator(**SETTINGS).flow(x, y, batch_size=128, seed=0)
    model = mnist_cnn()
    model.compile("adam")
    settings: dict[str, Any] = {"micro_batch_size": 64, "workers": 2, "verbose": 0}
    runs: dict[str, Run] = {
        "without": lambda: model.fit(x, y, batch_size=128, **settings),
        "with variants": lambda: model.fit(flow, **settings),
    }
    times = interleaved(runs, rounds=3 if quick else 11, shortest=0.0, budget=10 if quick else 60)
    return {name: 1e6 * seconds / n for name, seconds in medians(times).items()}


if __name__ == "__main__":
    sys.exit(main())
