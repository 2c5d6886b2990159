"""The benchmarks are no part of the package: find them in the checkout, after what is installed."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))
