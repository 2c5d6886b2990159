"""Compare two models layer by layer: the first layer that differs, how far, and why.

To read it: ``outputs`` (what is compared), ``rerun`` and ``runners`` (where it comes from),
``matching`` and ``measuring``, ``causes`` and ``search_cause``, then ``comparison`` and
``compare_sides``.
"""

from tinymnist.comparison.assert_matches import assert_model_matches
from tinymnist.comparison.compare_sides import compare
from tinymnist.comparison.comparison import Comparison
from tinymnist.comparison.layer_outputs import layer_outputs
from tinymnist.comparison.outputs import ATOL, RTOL, Side

__all__ = [
    "ATOL",
    "RTOL",
    "Comparison",
    "Side",
    "assert_model_matches",
    "compare",
    "layer_outputs",
]
