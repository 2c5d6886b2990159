"""Fine-tuning on a few pictures: ``python -m benchmarks.fewshot --out fewshot.png``.

From one source at a time, a few pictures per class are drawn by seed, and a shipped network is
fine-tuned on them. Its error on all other pictures of the source is compared with the error before,
and MNIST's test pictures show how much was forgotten.

The sources are in the folder $TINYMNIST_TESTDATA: the largest one of ``data/own``, and the sets
``usps_train`` and ``optdigits``. Pictures are prepared once and kept in ``--cache``.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import hashlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.common import add_fine_tuning, add_json, command_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinymnist.finetuning import FineTuning
    from tinymnist.nn.sequential import Sequential

    Array = NDArray[Any]

EXAMPLES = """\
--out fewshot.png          three sources, ten seeds: half an hour
--seeds 3 --shots 5        a rough run
--sources optdigits --set unfreeze=1 --set augment=false"""
VARIABLE = "TINYMNIST_TESTDATA"
CACHE = Path(tempfile.gettempdir(), "tinymnist-fewshot")
DIGITS = tuple("0123456789")


class Source(NamedTuple):
    """The pictures of one source in MNIST's form, and their digits."""

    name: str
    x: Array
    y: Array


class Row(NamedTuple):
    """Errors and accuracies with one number of shots; lists have an entry for each seed."""

    source: str
    shots: int
    before: list[float]
    after: list[float]
    mnist: list[float]

    @property
    def fall(self) -> float:
        """The relative reduction of the mean error."""
        before = statistics.fmean(self.before)
        return 1 - statistics.fmean(self.after) / before if before else 0.0


def load_sources(folder: Path, cache: Path, names: Sequence[str]) -> list[Source]:
    """The sources, prepared with the recipe, or taken from the cache."""
    return [_cached(folder / "data", cache, name) for name in names]


def _cached(data: Path, cache: Path, name: str) -> Source:
    import numpy as np

    code = "".join(p.read_text("utf-8") for p in sorted(_package().glob("imaging/**/*.py")))
    file = cache / f"{name}-{hashlib.sha256(code.encode()).hexdigest()[:12]}.npz"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        label, x, y = _prepare(data, name)
        np.savez(file, label=label, x=x, y=y)
    with np.load(file) as kept:
        return Source(str(kept["label"]), kept["x"], kept["y"])


def _package() -> Path:
    import tinymnist

    return Path(tinymnist.__file__).parent


def _prepare(data: Path, name: str) -> Source:
    import numpy as np

    from tinymnist.data import load_set
    from tinymnist.imaging.digit.recipes import prepare_all

    labelled = load_set(data / "own" if name == "own" else data / "sets" / f"{name}.npz")
    chosen, label = np.arange(len(labelled.labels)), name
    if name == "own":
        column = labelled.columns["source"]
        label, _ = collections.Counter(column).most_common(1)[0]
        chosen = np.flatnonzero(np.array(column) == label)
    prepared = prepare_all([labelled.images[i] for i in chosen], "mnist")
    return Source(label, prepared.images, labelled.labels[chosen[prepared.kept]])


def draw(y: Array, shots: int, seed: int) -> Array:
    """The indices of ``shots`` pictures per class; more shots include those of fewer."""
    import numpy as np

    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(np.flatnonzero(y == digit))[:shots] for digit in range(10)]
    return np.asarray(np.sort(np.concatenate(chosen)))


def wrong(model: Sequential, x: Array, y: Array) -> Array:
    """Which pictures a model misreads."""
    mistakes: Array = model.predict(x, logits=True).argmax(axis=1) != y
    return mistakes


def measure(
    base: Sequential,
    sources: Sequence[Source],
    mnist: tuple[Array, Array],
    shots: Sequence[int],
    seeds: int,
    settings: FineTuning,
) -> list[Row]:
    """Fine-tune for every source, number of pictures and seed."""
    import numpy as np

    from tinymnist.finetuning import attempt

    rows = []
    for source in sources:
        at_first = wrong(base, source.x, source.y)
        for count in shots:
            row = Row(source.name, count, [], [], [])
            for seed in range(seeds):
                learnt = draw(source.y, count, seed)
                others = np.setdiff1d(np.arange(len(source.y)), learnt)
                own = dataclasses.replace(settings, seed=seed)
                model = attempt(base, source.x[learnt], source.y[learnt], DIGITS, own).model
                row.before.append(float(at_first[others].mean()))
                row.after.append(float(wrong(model, source.x, source.y)[others].mean()))
                row.mnist.append(1 - float(wrong(model, *mnist).mean()))
            rows.append(row)
            print(line(row), file=sys.stderr, flush=True)
    return rows


HEAD = f"{'source':34}{'shots':>8}{'before':>9}{'after':>9}{'falls by':>10}{'MNIST':>9}{'least':>9}"


def line(row: Row) -> str:
    """One row of the table."""
    before, after, mnist = (statistics.fmean(v) for v in (row.before, row.after, row.mnist))
    return (
        f"{row.source:34}{row.shots:8}{before:9.2%}{after:9.2%}{row.fall:10.0%}{mnist:9.2%}"
        f"{min(row.mnist):9.2%}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    options = parse(arguments)
    from tinymnist.data import load_set
    from tinymnist.finetuning import FineTuning
    from tinymnist.labelled import in_mnist_form
    from tinymnist.nn.sequential import load_model

    if not os.environ.get(VARIABLE):
        print(f"set {VARIABLE} to the folder of the test data", file=sys.stderr)
        return 2
    sources = load_sources(Path(os.environ[VARIABLE]), options.cache, options.sources)
    test = load_set("mnist-test")
    mnist = in_mnist_form(test.images), test.labels
    settings = dataclasses.replace(FineTuning(), **dict(options.set))
    base = load_model(options.model)
    rows = measure(base, sources, mnist, options.shots, options.seeds, settings)
    if options.json:
        print(json.dumps([row._asdict() | {"fall": row.fall} for row in rows]))
    else:
        print(f"{base.name}, {options.seeds} seeds, {settings}")
        print("\n".join([HEAD, *map(line, rows)]))
    if options.out:
        from benchmarks.charts import draw_curves

        draw_curves(
            [
                (source.name, [(row.shots, [100 * (1 - a / b) for a, b in pairs(row)]) for row in
                 rows if row.source == source.name])
                for source in sources
            ],
            options.out,
            title="Fine-tuned on a few pictures per class: reduction of the error (%)",
        )  # fmt: skip
    return 0


def pairs(row: Row) -> list[tuple[float, float]]:
    """(after, mean before) of each seed: the mean of its falls is the fall of the mean."""
    before = statistics.fmean(row.before)
    return [(after, before) for after in row.after]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    description = "Measure fine-tuning on a few pictures of one source."
    parser = command_line("fewshot", description, EXAMPLES)
    add_fine_tuning(parser, seeds=10)
    add, sources = parser.add_argument, ["own", "usps_train", "optdigits"]
    add("--sources", nargs="+", default=sources, metavar="NAME", help="default: all three")
    add("--cache", type=Path, default=CACHE, help=f"for prepared pictures; default: {CACHE}")
    add("--out", type=Path, metavar="PNG", help="draw the curves into this file")
    add_json(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
