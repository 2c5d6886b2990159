"""How the cost of a prediction grows, and how far it is from the machine's limits.

``python -m benchmarks.growth`` varies the number of pictures, the width and the depth of a network,
one at a time, and interleaves the plan, the plain layers and onnxruntime. Speed is counted in
multiply-adds of the network as it is written, so an algorithm that needs fewer of them can exceed
the peak, which is that of one large product of two matrices.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import networks, peers
from benchmarks.common import (
    add_json,
    add_quick,
    at_least,
    command_line,
    interleaved,
    last_json,
    machine_line,
    medians,
    pin_threads,
    run_child,
)
from benchmarks.inference import check, predictors
from benchmarks.peers import OURS, Row

if TYPE_CHECKING:
    from tinymnist.nn.sequential import Sequential

EXAMPLES = """\

--quick              a rough run
--out roofline.png   draw speed over intensity into this file
--memory --json      peak memory of a process for each framework, too"""

PLAIN = "tinymnist, plain"
COMPARED = (OURS, PLAIN, "onnxruntime")
FEW, MANY = 64, 10_000


class Variant(NamedTuple):
    """One point of a sweep."""

    sweep: str
    label: str
    network: Sequential
    batch: int


def convnet(width: int, depth: int) -> Sequential:
    """``depth`` 3x3 convolutions of ``width`` filters, the first pooled, on MNIST's pictures."""
    from tinymnist.nn.layers import Conv2D, Dense, Flatten, Layer, MaxPooling2D
    from tinymnist.nn.sequential import Input, Sequential

    further: list[Layer] = [
        Conv2D(width, 3, padding="same", activation="relu") for _ in range(depth - 1)
    ]
    first: list[Layer | Input] = [
        Input((28, 28, 1)),
        Conv2D(width, 3, activation="relu"),
        MaxPooling2D(),
    ]
    last: list[Layer] = [MaxPooling2D(), Flatten(), Dense(10, activation="softmax")]
    network = Sequential([*first, *further, *last], name=f"{width} filters, {depth} convolutions")
    return networks.with_random_weights(network)


def variants(quick: bool) -> list[Variant]:
    """Sweeps over the number of pictures, width and depth."""
    keras_cnn = networks.reference("keras-cnn")
    numbers = (1, 16, 256) if quick else (1, 4, 16, 64, 256, 1024, 4096)
    found = [Variant("pictures", f"keras-cnn, {n} pictures", keras_cnn, n) for n in numbers]
    mnist_cnn = networks.reference("mnist-cnn")
    found += [Variant("pictures", f"mnist-cnn, {n} pictures", mnist_cnn, n) for n in (1, 256)]
    for sweep, shapes in (
        ("width", [(width, 3) for width in ((8, 32) if quick else (8, 16, 32, 64, 128))]),
        ("depth", [(32, depth) for depth in ((1, 3) if quick else (1, 2, 3, 5, 9))]),
    ):
        made = [convnet(width, depth) for width, depth in shapes]
        found += [Variant(sweep, network.name, network, FEW) for network in made]
    return found


def limits() -> dict[str, float]:
    """The fastest product of two matrices in Gflop/s, and the fastest copy in Gbyte/s."""
    import numpy as np

    a, source = np.ones((1024, 1024), np.float32), np.ones(1 << 24, np.float32)
    product, target = np.empty_like(a), np.empty_like(source)
    times = interleaved(
        {"product": lambda: np.matmul(a, a, out=product), "copy": lambda: np.copyto(target, source)}
    )
    return {
        "gflops": 2 * 1024**3 / min(times["product"]) / 1e9,
        "gbytes": 2 * source.nbytes / min(times["copy"]) / 1e9,
    }


def work(variant: Variant) -> tuple[float, float]:
    """Operations per picture, and bytes if every number is read or written in memory once."""
    network, shapes = variant.network, variant.network.shapes
    flops, numbers = 0, network.count_params() / variant.batch
    for layer in network.layers:
        inputs = [shapes[source] for source in network.sources[layer.name]]
        flops += 2 * layer.multiply_adds(*inputs)
        numbers += _size(shapes[layer.name])
    return flops, 4 * (numbers + _size(network.input_shape))


def _size(shape: Sequence[int]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size


def measure(variant: Variant, peak: float, options: argparse.Namespace) -> list[Row]:
    """Check, then time the candidates in turns."""
    builders = predictors(options.threads, spin=False, network=variant.network)
    built: dict[str, Callable[[Any], Any]] = {
        OURS: builders[OURS](),
        PLAIN: partial(variant.network.predict, workers=options.threads, plain=True),
    }
    with suppress(ModuleNotFoundError):  # it has no row, then
        built["onnxruntime"] = builders["onnxruntime"]()
    x, _ = peers.noise(variant.batch)
    check(built, x)
    rounds, shortest = (3, 0.001) if options.quick else (15, 0.02)
    runs = {name: partial(predict, x) for name, predict in built.items()}
    times = interleaved(runs, rounds=rounds, shortest=shortest, budget=3)
    flops, moved = work(variant)
    rows: list[Row] = []
    for name, seconds in medians(times).items():
        gflops = flops * variant.batch / seconds / 1e9
        rows.append(
            {
                "sweep": variant.sweep,
                "label": variant.label,
                "name": name,
                "us_per_image": seconds / variant.batch * 1e6,
                "shortest": min(times[name]) / variant.batch * 1e6,
                "gflops": gflops,
                "share_of_peak": gflops / peak,
                "flops_per_byte": flops / moved,
            }
        )
    return rows


def memory_of(name: str, network: str, batch: int, threads: int) -> dict[str, Any]:
    """The peak memory in MB of this process, which predicts one batch."""
    from benchmarks.peak import peak_bytes

    x, _ = peers.noise(batch)
    before = peak_bytes()
    predict = predictors(threads, spin=False, network=network)[name]()
    predict(x)
    peak = peak_bytes()
    return {
        "name": name,
        "network": network,
        "batch": batch,
        "peak_mb": peak and peak / 1e6,
        "mb_before": before and before / 1e6,
    }


def memory_rows(options: argparse.Namespace) -> list[Row]:
    """A process for each framework and network; those that are missing have no row."""
    rows: list[Row] = []
    for network in ("keras-cnn", "mnist-cnn"):
        for name in (OURS, *peers.INSTALL):
            done = run_child(
                "growth", "--json", "--threads", options.threads, "--child", name, network
            )
            if "ModuleNotFoundError" not in done.stderr:
                rows.append(last_json(done))
    return rows


def table(rows: Sequence[Row]) -> str:
    """A line per variant and candidate."""
    lines = [f"{'':42}{'us per image':>26}{'shortest':>10}{'Gflop/s':>9}{'of peak':>9}"]
    for row in rows:
        lines.append(
            f"{row['label']:42}{row['name']:16}{row['us_per_image']:10.1f}{row['shortest']:10.1f}"
            f"{row['gflops']:9.1f}{row['share_of_peak']:9.0%}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report."""
    parser = command_line("growth", "Measure how the cost of a prediction grows.", EXAMPLES)
    parser.add_argument("--threads", type=at_least(1), default=1, help="default: 1")
    parser.add_argument("--out", metavar="PNG", help="draw a roofline chart into this file")
    parser.add_argument("--memory", action="store_true", help=f"of batches of {MANY:,} pictures")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    add_quick(parser)
    add_json(parser)
    options = parser.parse_args(arguments)
    pin_threads(options.threads)
    if options.child:
        name, network = options.child
        print(json.dumps(memory_of(name, network, MANY, options.threads)))
        return 0
    most, rows = limits(), []
    for variant in variants(options.quick):
        rows += measure(variant, most["gflops"], options)
    memory = memory_rows(options) if options.memory else []
    machine = machine_line("numpy", "onnxruntime")
    if options.json:
        print(json.dumps({"machine": machine, **most, "rows": rows, "memory": memory}))
    else:
        print(table(rows))
        for row in memory:
            print(f"{row['network']}, {row['batch']} pictures: {row['name']:24}"
                  f"{row['peak_mb']:8.0f} MB peak, {row['mb_before']:.0f} MB before")  # fmt: skip
        print(f"peak {most['gflops']:.1f} Gflop/s, memory {most['gbytes']:.1f} Gbyte/s; {machine}")
    if options.out:
        from benchmarks.charts import draw_roofline

        points = {name: [(row["flops_per_byte"], row["gflops"]) for row in rows
                         if row["name"] == name] for name in COMPARED}  # fmt: skip
        draw_roofline(points, options.out, **most)
    return 0


if __name__ == "__main__":
    sys.exit(main())
