"""What ``fit`` prints: one moving line on a terminal, one line per epoch if piped."""

from __future__ import annotations

import sys
import time

from tinymnist.nn.training.state import Callback, Training

REPAINT_SECONDS = 0.1


class Progress(Callback):
    """Batch, time left, loss and accuracy, on standard error."""

    def __init__(self, verbose: str | int = "auto") -> None:
        """Choose how much: "auto", 0 (nothing), 1 (a moving line) or 2 (a line per epoch)."""
        if verbose not in ("auto", 0, 1, 2):
            raise ValueError(f'verbose must be "auto", 0, 1 or 2. Received: verbose={verbose!r}')
        self.level = (1 if sys.stderr.isatty() else 2) if verbose == "auto" else int(verbose)
        self._epoch_began = self._painted = 0.0
        self._first_batch = 0

    def on_train_begin(self, training: Training) -> None:
        """Start the clock."""
        self._start_epoch(training)

    def on_batch_end(self, training: Training) -> None:
        """Repaint the moving line, not too often."""
        now = time.monotonic()
        if self.level != 1 or now - self._painted < REPAINT_SECONDS:
            return
        self._painted = now
        position, batches = training.position, training.batches
        each = (now - self._epoch_began) / max(position.batch - self._first_batch, 1)
        left = each * (batches - position.batch)
        means = f"loss {position.mean_loss:.4f}  accuracy {position.accuracy:.4f}"
        self._paint(
            f"{self._head(training)}  {position.batch}/{batches}  {left:3.0f} s left  {means}"
        )

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """One line that stays."""
        if self.level:
            seconds = time.monotonic() - self._epoch_began
            figures = "  ".join(
                f"{name} {value:.2e}" if name == "learning_rate" else f"{name} {value:.4f}"
                for name, value in logs.items()
            )
            epoch = f"epoch {training.position.epoch}/{training.epochs}"
            self._paint(f"{epoch}  {seconds:.1f} s  {figures}", end="\n")
        self._start_epoch(training)

    def on_train_end(self, training: Training) -> None:
        """Report that the training was interrupted."""
        if training.interrupted and self.level:
            self._paint("stopped after this batch; the model is kept", end="\n")

    def _start_epoch(self, training: Training) -> None:
        self._epoch_began, self._first_batch = time.monotonic(), training.position.batch

    def _head(self, training: Training) -> str:
        return f"epoch {training.position.epoch + 1}/{training.epochs}"

    def _paint(self, line: str, end: str = "") -> None:
        clear = "\r\x1b[K" if self.level == 1 else ""
        print(f"{clear}{line}", end=end, file=sys.stderr, flush=True)
