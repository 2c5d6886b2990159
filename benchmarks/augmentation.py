"""The cost of random variants: ``python -m benchmarks.augmentation``.

Rotation, shift, shear and zoom together, as in every tutorial: batches of 32 from tinymnist's
generator and from Keras's, checked to be equal before they are timed. Then mnist-cnn trains with
and without them.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from benchmarks.common import (
    add_json,
    add_quick,
    command_line,
    interleaved,
    machine_line,
    medians,
    pin_threads,
    verdict,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

SETTINGS: dict[str, Any] = {
    "rotation_range": 10,
    "width_shift_range": 0.1,
    "height_shift_range": 0.1,
    "shear_range": 0.1,
    "zoom_range": 0.1,
    "fill_mode": "nearest",
}
BATCH, STEPS, SHARE = 32, 32, 8
"""Images per batch, batches per turn, and batches that a thread makes at once."""
TARGETS = {"one core": 4.0, "two cores": 8.0, "training": 1.5}
"""Lower limits of Keras's time over ours; upper limit of training with variants over without."""

Run = Callable[[], object]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report."""
    parser = command_line(
        "augmentation",
        "Time random variants of images, here and in Keras, and training with them.",
        "          images and training, in about a minute\n--quick   a rough run\n--json",
    )
    add_quick(parser)
    add_json(parser)
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
    """The figures, and whether they meet the targets."""
    found, learnt = report["pictures"], report["training"]
    lines = [f"{name}: {found[name]:.1f} us per image" for name in found]
    if "keras" in found:
        for cores in ("one core", "two cores"):
            ratio = found["keras"] / found[f"tinymnist, {cores}"]
            what = f"Keras's time over tinymnist's, {cores}"
            lines.append(verdict(what, ratio, TARGETS[cores], below=False))
    else:
        lines.append("keras: missing: pip install keras==3.15.1 tensorflow-cpu==2.21.0")
    for name in learnt:
        lines.append(f"mnist-cnn trains {name}: {learnt[name]:.0f} us per image")
    ratio = learnt["with variants"] / learnt["without"]
    what = "time with variants over without"
    lines.append(verdict(what, ratio, TARGETS["training"], below=True))
    return "\n".join(lines)


def pictures(quick: bool) -> dict[str, float]:
    """Microseconds per image by generator, without Keras's if it is not installed."""
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
    """Compare all batches of a round.

    Raises:
        ArithmeticError: if batches differ.
    """
    for _ in range(len(ours)):
        error = float(abs(next(ours) - next(keras)).max())
        if error > 1e-5:
            raise ArithmeticError(f"batches must agree with Keras's: {error=}")


def _take(flow: Any) -> None:
    for _ in range(STEPS):
        next(flow)


def _keras(x: NDArray[Any]) -> Any:
    """The same flow in Keras; None if it is not installed."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")  # Keras's warnings about SciPy
    try:
        from keras.src.legacy.preprocessing.image import ImageDataGenerator
    except ModuleNotFoundError:
        return None
    return ImageDataGenerator(**SETTINGS).flow(x, batch_size=BATCH, seed=0)


def training(quick: bool) -> dict[str, float]:
    """Microseconds per training image of mnist-cnn, on two cores."""
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
