"""Numbers and names that the command line tells before anything heavy is imported."""

from __future__ import annotations

ATOL, RTOL = 1e-6, 1e-5
"""What two float32 runs of one network stay within, as a rule."""
RUNS = ("tinymnist", "keras", "torch", "onnxruntime")
"""Who can run a model."""
