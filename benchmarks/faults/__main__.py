"""``python -m benchmarks.faults``: a table of faults planted and found."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import command_line
from benchmarks.faults.measure import VIEWS, Case, cases
from benchmarks.faults.models import all_models
from benchmarks.faults.planting import FAULTS


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; exit code 0 if 90 % were found with every layer captured."""
    description = "Plant faults in ten models, and see whether tinymnist compare finds the cause."
    parser = command_line("faults", description, "--models lenet5    a rough run")
    models = {model.name: model for model in all_models()}
    parser.add_argument("--models", nargs="+", choices=models, help="default: all ten")
    chosen = parser.parse_args(arguments).models or models
    with tempfile.TemporaryDirectory() as folder:
        results = []
        for case in cases([models[name] for name in chosen], Path(folder)):
            results.append(case)
            if not case.found:
                print(f"missed: {describe(case)}", file=sys.stderr, flush=True)
    print(table(results))
    whole = [case for case in results if case.view == VIEWS[0]]
    return 0 if sum(case.found for case in whole) >= 0.9 * len(whole) else 1


def describe(case: Case) -> str:
    """Describe a case in one line."""
    said = f"said {case.named!r}" if case.named else "no cause named"
    said = said if case.differs else "not even seen"
    return f"{case.fault.cause} ({case.fault.name}) in {case.model}, {case.view}: {said}"


def table(results: Sequence[Case]) -> str:
    """A line per fault: in how many models it was planted, and found in each view."""
    lines = ["| cause | planted | models | " + " | ".join(VIEWS) + " |", "|---|---|---:|---:|---:|"]
    for fault in FAULTS:
        own = [case for case in results if case.fault is fault]
        counts = [sum(c.found for c in own if c.view == view) for view in VIEWS]
        models = len({case.model for case in own})
        lines.append(f"| {fault.cause} | {fault.name} | {models} | {counts[0]} | {counts[1]} |")
    totals = [[c for c in results if c.view == view] for view in VIEWS]
    found = [f"{sum(c.found for c in own)} of {len(own)}" for own in totals]
    return "\n".join([*lines, f"| **all** | | | {found[0]} | {found[1]} |"])


if __name__ == "__main__":
    sys.exit(main())
