"""Conversion of other people's trained models: ``python -m benchmarks.conversion``.

Converts every file of the manifest in ``$TINYMNIST_TESTDATA/models``. MNIST's test images decide on
the scaling (and, for bare weights, on the architecture). The accuracy is compared with the one in
the manifest.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.common import at_least, command_line
from tinymnist.data import load_mnist
from tinymnist.errors import InputError
from tinymnist.interop.bare.scaling import Labelled
from tinymnist.interop.conversion import Conversion, convert
from tinymnist.labelled import in_mnist_form

WEIGHTS = "h5, weights alone"
FORMATS = (
    "h5",
    "keras",
    WEIGHTS,
    "onnx",
    "pt",
    "safetensors",
    "savedmodel",
    "pb",
    "tflite",
    "tfjs",
)
"""Supported formats in the order of the table; all others should be refused."""
CLOSE = 2e-4 + 1e-9
"""0.02 points."""


@dataclass(frozen=True)
class Outcome:
    """The result for one file.

    Attributes:
        file, format: as in the manifest, with a separate format for .h5 files of bare weights.
        result: "converted", "refused" or "missing" (a package to read it is not installed).
        reason: of a refusal.
        expected, found: accuracy on MNIST's test images; None if unknown.
        scaling, plan: the chosen ones.
        recorded: the scaling in the manifest, which was chosen by accuracy.
        plans: number of architectures that fit the weights; 0 if the file defines one.
        first: whether the likeliest of them was chosen.
        seconds: of processor time.
    """

    file: str
    format: str
    result: str
    reason: str = ""
    expected: float | None = None
    found: float | None = None
    scaling: str = ""
    recorded: str = ""
    plan: str = ""
    plans: int = 0
    first: bool = False
    seconds: float = 0.0

    @property
    def is_close(self) -> bool:
        """Whether the accuracy is that of the manifest, within 0.02 points."""
        if self.expected is None or self.found is None:
            return False
        return abs(self.found - self.expected) <= CLOSE


def main(argv: Sequence[str] | None = None) -> int:
    """Convert all files, print a line for each, then the table."""
    description = "Convert the models of the test data, and compare their accuracy."
    parser = command_line("conversion", description, "--formats onnx --limit 500    a rough run")
    add = parser.add_argument
    add("--formats", nargs="*", help="only these; default: all in the manifest")
    add("--only", default="", metavar="TEXT", help="only files with this in their name")
    add("--limit", type=at_least(1), metavar="N", help="only N images, for a rough run")
    add("--json", type=Path, metavar="FILE", help="write the figures of every file")
    arguments = parser.parse_args(argv)
    folder = Path(os.environ.get("TINYMNIST_TESTDATA", "../shared"), "models")
    pictures = mnist_test()
    if pictures is None or not (folder / "manifest.csv").exists():
        print("conversion: set TINYMNIST_DATA and TINYMNIST_TESTDATA", file=sys.stderr)
        return 2
    if arguments.limit:
        mixed = pictures.mixed
        pictures = replace(
            mixed, images=mixed.images[: arguments.limit], labels=mixed.labels[: arguments.limit]
        )
    outcomes = []
    for outcome in outcomes_of(folder, pictures, arguments.formats, arguments.only):
        print(_line(outcome), flush=True)
        outcomes.append(outcome)
    print("\n" + table(outcomes))
    known = [o for o in outcomes if o.recorded and o.scaling]
    same = sum(o.scaling.partition(", ")[0] == o.recorded for o in known)
    print(f"\nscaling as on record: {same} of {len(known)} files")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(o) for o in outcomes], indent=1))
    return 0


def mnist_test() -> Labelled | None:
    """MNIST's test pictures, if they are on this machine."""
    try:
        images, labels = load_mnist("test")
    except InputError:
        return None
    return Labelled("mnist-test", in_mnist_form(images), labels)


def outcomes_of(
    folder: Path, pictures: Labelled, formats: Sequence[str] | None = None, only: str = ""
) -> Iterator[Outcome]:
    """Convert the files of a manifest, one by one."""
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if (formats and row["format"] not in formats) or only not in row["file"]:
            continue
        before = time.process_time()
        outcome = outcome_of(row, folder, pictures)
        yield replace(outcome, seconds=time.process_time() - before)


def outcome_of(row: dict[str, str], folder: Path, pictures: Labelled) -> Outcome:
    """Convert one file."""
    accuracy = row["accuracy_ours"] or row["accuracy"]
    kind = WEIGHTS if row["subformat"].startswith("weights-only") else row["format"]
    expected = float(accuracy) if accuracy else None
    blank = Outcome(row["file"], kind, "", expected=expected, recorded=row["scaling"])
    source = folder / row["file"]
    try:
        found = convert(source, pictures=pictures, architecture=_architecture(row, folder))
    except InputError as error:
        reason = str(error).replace(str(source), "").strip(" :")
        return replace(blank, result="refused", reason=reason)
    except ModuleNotFoundError as error:
        return replace(blank, result="missing", reason=str(error))
    return _measured(blank, found, len(pictures.labels))


def _measured(blank: Outcome, found: Conversion, n: int) -> Outcome:
    """Images of classes that a network does not have count as wrong, as in the manifest."""
    best = next(iter(found.scores), None)
    if best is None:
        return replace(blank, result="converted", reason="; ".join(found.doubts))
    return replace(
        blank,
        result="converted",
        found=int(best.right.sum()) / n,
        scaling=best.entry.scaling + (f", {best.entry.fit}" if best.entry.fit else ""),
        plan=best.entry.plan,
        plans=len(found.plans),
        first=bool(found.plans) and found.plans[0] == f"1) {best.entry.plan}",
    )


def _architecture(row: dict[str, str], folder: Path) -> Path | None:
    """The authors' description of the architecture of bare weights, if there is one."""
    if "architecture" not in row["needs"]:
        return None
    beside = Path(row["file"]).name.rpartition("__")[0]
    return next(iter(sorted((folder / "json").glob(f"{beside}__*.json"))), None)


def _line(o: Outcome) -> str:
    name = f"{o.format[:12]:12} {Path(o.file).name[:64]:64}"
    if o.result != "converted":
        return f"{name} {o.result}: {o.reason[:200]}"
    if o.found is None:
        return f"{name} converted; {o.reason[:160]}"
    expected = "-" if o.expected is None else f"{o.expected:.2%}"
    verdict = "" if o.is_close else "  DIFFERS"
    plan = f"; {o.plan} (of {o.plans})" if o.plans else ""
    return f"{name} {o.found:.2%} of {expected}{verdict}; {o.scaling}{plan}"


def table(outcomes: Sequence[Outcome]) -> str:
    """A Markdown table by format."""
    head = ("| format | files | converted | within 0.02 points | by shape alone | refused |\n"
            "|---|---:|---:|---:|---:|---:|")  # fmt: skip
    present = [o.format for o in outcomes]
    order = [f for f in FORMATS if f in present]
    order += sorted(set(present) - set(order))
    return "\n".join(
        [head, *(_row(name, [o for o in outcomes if o.format == name]) for name in order)]
    )


def _row(name: str, outcomes: Sequence[Outcome]) -> str:
    converted = [o for o in outcomes if o.result == "converted"]
    inferred = [o for o in converted if o.plans]
    cells = [
        f"{len(outcomes)}",
        f"{len(converted)}",
        f"{sum(o.is_close for o in converted)}",
        f"{sum(o.first for o in inferred)} of {len(inferred)}" if inferred else "",
        f"{sum(o.result == 'refused' for o in outcomes)}",
    ]
    missing = sum(o.result == "missing" for o in outcomes)
    label = f"{name} ({missing} without a reader)" if missing else name
    return f"| {label} | {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
