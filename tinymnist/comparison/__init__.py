"""Compare two models layer by layer: the first layer that differs, how far, and why.

To read it: ``outputs`` (what is compared), ``rerun`` and ``runners`` (where it comes from),
``matching`` and ``measuring``, ``verdict`` (what kind of difference), ``causes`` and
``search_cause``, then ``comparison`` and ``compare_sides``; ``opening`` and ``report`` serve the
command.
"""

from tinymnist.comparison.compare_sides import assert_model_matches, compare
from tinymnist.comparison.comparison import Comparison
from tinymnist.comparison.outputs import ATOL, RTOL, Side
from tinymnist.comparison.runners import layer_outputs

__all__ = ["ATOL", "RTOL", "Comparison", "Side", "assert_model_matches", "compare", "layer_outputs"]
