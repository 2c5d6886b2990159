"""How many trained files of other people convert, and do they then read what they should?

``python -m benchmarks.conversion`` converts every file of the manifest in
``$TINYMNIST_TESTDATA/models``, with MNIST's test pictures deciding on scaling (and, for bare
weights, on the architecture), and compares the accuracy with the manifest's. ``--json FILE`` keeps
the figures of every file.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tinymnist.errors import InputError
from tinymnist.interop.bare.scaling import Labelled
from tinymnist.interop.conversion import Conversion, convert, mnist_at_hand

WEIGHTS = "h5, weights alone"
FORMATS = ("h5", "keras", WEIGHTS, "onnx", "pt", "safetensors")
"""Formats that are read, in the order of the table; every other one should be refused."""
CLOSE = 2e-4 + 1e-9
"""0.02 points."""


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes:
        file, format: as in the manifest, but .h5 of weights alone are told apart.
        result: "converted", "refused" or "missing" (there is no reader for it).
        reason: of a refusal.
        expected, found: accuracy on MNIST's test pictures; None where it is not known.
        scaling, plan: what was found.
        plans: how many architectures fit the weights; 0 where the file tells it.
        first: whether the likeliest of them was the right one.
        seconds: of processor time.
    """

    file: str
    format: str
    result: str
    reason: str = ""
    expected: float | None = None
    found: float | None = None
    scaling: str = ""
    plan: str = ""
    plans: int = 0
    first: bool = False
    seconds: float = 0.0

    @property
    def is_close(self) -> bool:
        """Whether it reads what the manifest says, within 0.02 points."""
        return None not in (self.expected, self.found) and abs(self.found - self.expected) <= CLOSE


def main(argv: Sequence[str] | None = None) -> None:
    """Convert all, print the table, then what was refused and what deviates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--formats", nargs="*", help="only these; default: all in the manifest")
    parser.add_argument("--only", default="", metavar="TEXT", help="files with this in their name")
    parser.add_argument("--limit", type=int, help="so many pictures, for a quick look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures")
    arguments = parser.parse_args(argv)
    folder = Path(os.environ.get("TINYMNIST_TESTDATA", "../shared"), "models")
    pictures = mnist_at_hand()
    if pictures is None or not (folder / "manifest.csv").exists():
        raise SystemExit("set TINYMNIST_DATA and TINYMNIST_TESTDATA; see tests/conftest.py")
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
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(o) for o in outcomes], indent=1))


def outcomes_of(
    folder: Path, pictures: Labelled, formats: Sequence[str] | None = None, only: str = ""
) -> Iterator[Outcome]:
    """Convert the files of a manifest one by one."""
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
    blank = Outcome(row["file"], kind, "", expected=float(accuracy) if accuracy else None)
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
    """Classes that a network does not know count as wrong, as in the manifest."""
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
    """The description that the authors of bare weights put beside them, if they did."""
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
    """By format, in Markdown."""
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
    main()
