"""Scripts for Keras run here with changed imports; ``tests/peers`` compares their numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.scripts import SCRIPTS
from tinymnist.data.mnist import load_mnist_sample
from tinymnist.datasets import mnist


def few_pictures(path: str = "mnist.npz") -> Any:
    """48 pictures to learn from and 16 others, as ``mnist.load_data`` gives them."""
    images, labels = load_mnist_sample()
    chosen = np.random.default_rng(0).permutation(1000)[:64]
    images, labels = images[chosen], labels[chosen].astype("uint8")
    return (images[:48], labels[:48]), (images[48:], labels[48:])


def with_changed_imports(script: str) -> str:
    """The script, importing from tinymnist what it imported from Keras."""
    script = script.replace("keras.src.legacy.preprocessing", "tinymnist.preprocessing")
    script = re.sub(r"^import keras$", "import tinymnist as keras", script, flags=re.M)
    script = re.sub(r"^import tensorflow as tf$", "import tinymnist as tf", script, flags=re.M)
    return re.sub(r"^(\s*)from (?:tensorflow\.)?keras\b", r"\1from tinymnist", script, flags=re.M)


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.filterwarnings("ignore:ModelCheckpoint does nothing")
def test_a_script_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("h5py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mnist, "load_data", few_pictures)
    scope: dict[str, Any] = {"DROP": 0.25}
    exec(with_changed_imports(SCRIPTS[name]), scope)
    assert scope["result"]


PUBLIC = {
    "models": "Sequential Model load_model save_model clone_model model_from_json",
    "layers": "Input Dense Conv2D Convolution2D DepthwiseConv2D MaxPooling2D MaxPool2D Flatten "
    "AveragePooling2D GlobalAveragePooling2D GlobalMaxPooling2D Dropout BatchNormalization "
    "Activation LeakyReLU ReLU ELU PReLU Softmax Add Concatenate Multiply Reshape Permute "
    "ZeroPadding2D Rescaling Normalization LayerNormalization Average add average "
    "concatenate multiply SeparableConv2D SpatialDropout2D GaussianNoise Lambda",
    "data": "Dataset AUTOTUNE",
    "optimizers": "SGD RMSprop Adam AdamW Adagrad Adadelta Adamax Nadam Lion get schedules",
    "losses": "CategoricalCrossentropy SparseCategoricalCrossentropy BinaryCrossentropy Huber "
    "MeanSquaredError MeanAbsoluteError categorical_crossentropy mse mae mean_squared_error "
    "sparse_categorical_crossentropy binary_crossentropy get",
    "metrics": "Accuracy BinaryAccuracy CategoricalAccuracy SparseCategoricalAccuracy Precision "
    "Recall TopKCategoricalAccuracy MeanSquaredError categorical_crossentropy",
    "callbacks": "Callback EarlyStopping ModelCheckpoint ReduceLROnPlateau LearningRateScheduler "
    "CSVLogger LambdaCallback TerminateOnNaN TensorBoard History",
    "regularizers": "l1 l2 l1_l2 L1 L2 L1L2",
    "initializers": "GlorotUniform HeNormal HeUniform RandomNormal RandomUniform Constant Zeros "
    "TruncatedNormal VarianceScaling Orthogonal glorot_uniform he_normal",
    "constraints": "MaxNorm max_norm UnitNorm NonNeg",
    "activations": "relu softmax sigmoid tanh elu selu softplus linear get",
    "utils": "to_categorical normalize load_img img_to_array array_to_img set_random_seed "
    "plot_model np_utils Sequence",
    "utils.np_utils": "to_categorical normalize",
    "preprocessing.image": "ImageDataGenerator load_img img_to_array array_to_img save_img",
    "datasets": "mnist",
    "datasets.mnist": "load_data",
    "backend": "image_data_format set_image_data_format clear_session",
    "optimizers.schedules": "ExponentialDecay CosineDecay PolynomialDecay InverseTimeDecay "
    "PiecewiseConstantDecay",
}


@pytest.mark.parametrize("module", PUBLIC)
def test_the_names_that_scripts_import(module: str) -> None:
    """``from tinymnist.MODULE import NAME`` for every name, with a docstring."""
    for name in PUBLIC[module].split():
        scope: dict[str, Any] = {}
        exec(f"from tinymnist.{module} import {name}", scope)
        assert scope[name].__doc__, f"{module}.{name}"
