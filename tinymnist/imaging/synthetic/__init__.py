"""Painted and rendered digits: training data that real pictures are not needed for."""
