"""Fine-tuning: a trained network learns your own pictures, from one per class upwards.

To read it: ``settings`` (what may be chosen), ``stages`` (the model to start from, and the
training), ``trial`` (accuracy on pictures that were held out), ``report`` (a page).
"""

from __future__ import annotations

from tinymnist.finetuning.settings import Checkpoints, FineTuning
from tinymnist.finetuning.stages import finetune
from tinymnist.finetuning.trial import Trial, attempt

__all__ = ["Checkpoints", "FineTuning", "Trial", "attempt", "finetune"]
