"""Damaged and hostile files through the public doors: ``python -m benchmarks.mutations``.

Every input must be opened, or refused by one InputError of one line: no other exception, no death,
no hang, less than 1 GB and 10 seconds, nothing written and nothing started.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import at_least, command_line
from benchmarks.mutations.kinds import damaged
from benchmarks.mutations.registry import all_kinds
from benchmarks.mutations.runner import Result, run

EXAMPLES = """\
--seconds 60                 as many as a minute allows
--count 100000 --seed 1      the long run, on other inputs than by default
--only onnx pytorch          two kinds alone
--only onnx --show 17        write input 17 of a kind to a folder, to look at it"""


def main(argv: list[str] | None = None) -> int:
    """Run; 1 if anything went wrong."""
    known = all_kinds()
    parser = command_line("mutations", "Open damaged files of every kind.", EXAMPLES)
    parser.add_argument(
        "--count", type=at_least(1), default=1000, metavar="N", help="inputs in all"
    )
    parser.add_argument("--seed", type=at_least(0), default=0, metavar="N", help="default: 0")
    parser.add_argument("--first", type=at_least(0), default=0, metavar="N", help="default: 0")
    parser.add_argument("--seconds", type=at_least(1), metavar="N", help="end after this time")
    parser.add_argument("--only", nargs="+", choices=known, default=list(known), metavar="KIND",
                        help=f"some of {', '.join(known)}")  # fmt: skip
    parser.add_argument("--show", type=at_least(0), metavar="N", help="write one input of a kind")
    args = parser.parse_args(argv)
    kinds = [known[name] for name in args.only]
    if args.show is not None:
        from benchmarks.mutations.worker import write

        files = damaged(kinds[0], kinds[0].seeds(), args.seed, args.show)
        print(write(files, Path(tempfile.mkdtemp())))
        return 0
    result = run(kinds, args.count, args.seed, args.seconds, _Progress(), args.first)
    print(text(result))
    return 1 if result.findings else 0


class _Progress:
    """One moving line on a terminal."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, result: Result) -> None:
        if sys.stderr.isatty() and time.monotonic() > self._last + 1:
            self._last = time.monotonic()
            print(f"\r{result.count:,} inputs, {len(result.findings)} findings", end="",
                  file=sys.stderr, flush=True)  # fmt: skip


def text(result: Result) -> str:
    """The counts of every kind, then what went wrong, the most frequent first."""
    lines = []
    for kind, counts in result.outcomes.items():
        listed = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.most_common())
        seconds, number = result.slowest[kind]
        lines.append(
            f"{kind:12} {sum(counts.values()):7,}: {listed}; {seconds} s at most ({number})"
        )
    lines.append(f"{result.count:,} inputs; peak of resident memory {result.peak >> 20:,} MiB")
    for found in sorted(result.findings.values(), key=lambda one: -one.count):
        numbers = ", ".join(map(str, found.numbers))
        lines.append(
            f"{found.count:5} x {found.kind}: {found.what}\n        {found.where} ({numbers})"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
