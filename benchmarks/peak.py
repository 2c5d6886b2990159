"""The peak memory of the recipe on one file, as JSON: ``python -m benchmarks.peak FILE``.

A process of its own, because what a process has once held it does not get rid of: neither in the
system's books nor, often, in fact. tracemalloc would not see what Pillow holds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tinymnist.imaging.digit.recipes import prepare_image


def peak_bytes() -> int | None:
    """The most memory that this process has held since it began; None where nobody tells.

    On Linux, getrusage counts what the parent held at the fork as well; /proc does not.
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


def main() -> int:
    """Read the file as ``tinymnist predict`` would, and tell the peak before and after."""
    before = peak_bytes()
    prepare_image(sys.argv[1])
    print(json.dumps({"before": before, "peak": peak_bytes()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
