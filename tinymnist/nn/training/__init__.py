"""Training: the loop, ``fit`` around it, callbacks and checkpoints."""
