"""How fast, against what, on which machine. Run as ``python -m benchmarks.im2col`` and the like."""
