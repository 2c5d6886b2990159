"""The peak memory of the recipe on one file, as JSON: ``python -m benchmarks.peak FILE``.

It needs its own process, as a process's peak never falls. tracemalloc would miss what Pillow
allocates.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import command_line


def peak_bytes() -> int | None:
    """The peak memory of this process so far; None if the system does not report it.

    On Linux, getrusage includes the memory of the parent at the fork; /proc does not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def limit_growth(most: int) -> None:
    """Let this process take at most ``most`` more bytes of addresses than it has now (Linux)."""
    import resource

    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + most, size + most))


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare the file as ``tinymnist predict`` does, and print the peak before and after."""
    parser = command_line("peak", "Measure the peak memory of the recipe on one file.")
    parser.add_argument("file", metavar="FILE")
    from tinymnist.imaging.digit.recipes import prepare_image  # others measure without it

    file = parser.parse_args(arguments).file
    before = peak_bytes()
    prepare_image(file)
    print(json.dumps({"before": before, "peak": peak_bytes()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
