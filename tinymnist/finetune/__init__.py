"""Fine-tuning: a trained network learns somebody's own pictures, from one a class upwards.

``settings`` says what may be chosen, ``head`` finds the best start, ``stages`` does the learning,
``trial`` measures it on pictures that were held out, ``report`` shows that on a page.
"""

from __future__ import annotations

from tinymnist.finetune.settings import Checkpoints, FineTuning
from tinymnist.finetune.stages import finetune
from tinymnist.finetune.trial import Trial, attempt

__all__ = ["Checkpoints", "FineTuning", "Trial", "attempt", "finetune"]
