"""Where ``tinymnist`` and ``python -m tinymnist`` start: Ctrl-C ends them without a traceback."""

import gc
import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while modules are imported, nothing can be lost


def run() -> int:
    """Run the command line and return the exit code: 130 after Ctrl-C, 143 after SIGTERM.

    SIGTERM does what Ctrl-C does: a training ends after its batch, and temporary files are removed.
    """
    terminated = False

    def terminate(number: int, frame: object) -> None:
        nonlocal terminated
        terminated = True
        handler = signal.getsignal(signal.SIGINT)
        if not callable(handler):  # a shell lets its background jobs ignore Ctrl-C
            raise KeyboardInterrupt
        handler(signal.SIGINT, None)

    _open_closed_streams()
    gc.set_threshold(20_000)  # garbage is searched less often while modules are imported
    try:
        from tinymnist.cli import INTERRUPTED, main

        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, terminate)
        code = main()
    except KeyboardInterrupt:  # just before or after
        code = INTERRUPTED
    return 143 if terminated and code == INTERRUPTED else code


def _open_closed_streams() -> None:
    """Read nothing, and write nowhere, if this process was started with ``<&-`` or ``>&-``."""
    import os

    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # it gets the lowest descriptor that is free, its own
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115


if __name__ == "__main__":
    sys.exit(run())
