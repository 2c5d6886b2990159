"""``python -m benchmarks.faults``: a table of faults planted and found."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import command_line
from benchmarks.faults.measure import VIEWS, Case, cases, one_each, two_at_once
from benchmarks.faults.models import all_models
from benchmarks.faults.planting import FAULTS

GOAL, ALL = 0.98, 500


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; exit code 0 if 98 % were found with every layer captured."""
    description = "Plant faults in ten models, and see whether tinymnist compare finds the cause."
    parser = command_line("faults", description, "--models lenet5 --count 50   a rough run")
    models = {model.name: model for model in all_models()}
    parser.add_argument("--models", nargs="+", choices=models, help="default: all ten")
    what = "how many cases: one fault each, then two at once; default: %(default)d"
    parser.add_argument("--count", type=int, default=ALL, metavar="N", help=what)
    chosen = parser.parse_args(arguments)
    used = [models[name] for name in chosen.models or models]
    single = list(one_each(used))[: chosen.count]
    planted = [*single, *two_at_once(used, chosen.count - len(single))]
    with tempfile.TemporaryDirectory() as folder:
        results = []
        for case in cases(planted, Path(folder)):
            results.append(case)
            if not case.found:
                print(f"missed: {describe(case)}", file=sys.stderr, flush=True)
    print(table(results))
    whole = [case for case in results if case.view == VIEWS[0]]
    return 0 if sum(case.found for case in whole) >= GOAL * len(whole) else 1


def describe(case: Case) -> str:
    """Describe a case in one line."""
    said = f"said {' and '.join(case.named)!r}" if case.named else "no cause named"
    said = said if case.differs else "not even seen"
    planted = " and ".join(f"{fault.cause} ({fault.name})" for fault in case.faults)
    return f"{planted} in {case.model}, {case.view}: {said}"


def table(results: Sequence[Case]) -> str:
    """Per fault: in how many models it was planted alone, and found in each view; then in pairs."""
    lines = ["| cause | planted | cases | " + " | ".join(VIEWS) + " |", "|---|---|---:|---:|---:|"]
    groups = [
        (fault.cause, fault.name, [c for c in results if c.faults == (fault,)]) for fault in FAULTS
    ]
    pairs = [case for case in results if len(case.faults) == 2]
    for cause in dict.fromkeys(fault.cause for fault in FAULTS):
        own = [case for case in pairs if cause in {fault.cause for fault in case.faults}]
        groups.append((cause, "and another fault", own))
    groups += [("**all**", "alone", [c for c in results if len(c.faults) == 1])]
    groups += [("**all**", "two at once", pairs), ("**all**", "", list(results))]
    for cause, name, own in groups:
        seen = [[case for case in own if case.view == view] for view in VIEWS]
        if own:
            counts = " | ".join(str(sum(case.found for case in view)) for view in seen)
            lines.append(f"| {cause} | {name} | {len(seen[0])} | {counts} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
