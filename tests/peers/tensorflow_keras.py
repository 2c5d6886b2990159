"""Keras on TensorFlow, without what these packages think of NumPy and of each other.

Importing this skips a test file where one of them is not installed.
"""

from __future__ import annotations

import os
import warnings

import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # plain kernels, and no notice on stderr
with warnings.catch_warnings():
    for package in ("tensorflow", "keras", "google", "h5py"):
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=package)
        warnings.filterwarnings("ignore", category=FutureWarning, module=package)
    tf = pytest.importorskip("tensorflow")
    keras = pytest.importorskip("keras")
