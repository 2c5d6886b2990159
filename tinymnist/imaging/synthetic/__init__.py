"""Painted training data."""
