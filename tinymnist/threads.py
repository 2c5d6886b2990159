"""How many cores to use: one setting for this package's threads, BLAS's own, and worker processes.

It is ``--threads``, :func:`tinymnist.set_threads` or ``$TINYMNIST_THREADS``; without any, every
core. BLAS, which multiplies NumPy's matrices, has threads of its own: OpenBLAS, which NumPy's
wheels carry, is limited at any time, and others too if threadpoolctl is installed (``pip install
threadpoolctl``). Without it, MKL and Accelerate read their number when NumPy is imported.
"""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

THREADS_VARIABLE = "TINYMNIST_THREADS"
BLAS_VARIABLES = (
    *("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    *("OMP_NUM_THREADS", "BLIS_NUM_THREADS"),
)
"""What the libraries read when they are loaded."""

SETTING = SimpleNamespace(threads=None)
"""What was set in this process, or None; it takes precedence over the environment."""


def threads() -> int:
    """How many cores to use, at least 1: the setting, or every core this process may run on."""
    if (limit := thread_limit()) is not None:
        return limit
    if hasattr(os, "sched_getaffinity"):  # Linux: respects taskset and containers
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_limit() -> int | None:
    """The setting of this process or of the environment; None if there is none."""
    if SETTING.threads is not None:
        return int(SETTING.threads)
    named = os.environ.get(THREADS_VARIABLE, "")
    return int(named) if named.isdigit() and int(named) > 0 else None


def limit_blas_to_come() -> None:
    """Let every BLAS that is loaded later on, with NumPy, use as many threads as are set."""
    limit = thread_limit()
    if limit is not None and "numpy" not in sys.modules:
        os.environ.update(dict.fromkeys(BLAS_VARIABLES, str(limit)))
