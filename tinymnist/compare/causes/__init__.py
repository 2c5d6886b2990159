"""Likely causes, tried out: each module changes one thing in a model and its input."""
