"""ONNX's own conformance cases, through the functions of ``nn.functional``.

Every case of the operations below runs, except those named in ``NOT_HERE`` with the reason. The
cases come from onnx itself: ``node`` are made by its authors with NumPy, ``pytorch-converted`` and
``pytorch-operator`` were exported from PyTorch. ``python -m pytest tests/peers/test_onnx_backend.py
-v`` lists them.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tinymnist.nn import functional as F
from tinymnist.nn.layers import BatchNormalization
from tinymnist.nn.losses import cross_entropy, example_weights, one_hot
from tinymnist.nn.shapes import resolve_padding

pytestmark = pytest.mark.peer
onnx = pytest.importorskip("onnx")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the cases divide by zero on purpose, elsewhere
    from onnx import numpy_helper
    from onnx.backend.test.case.node import collect_testcases
    from onnx.backend.test.loader import load_model_tests

NOT_HERE = {
    r"(Conv|Pool)[13]d|pool_[13]d|operator_maxpool": "not pictures",
    r"_ceil|averagepool_2d_dilations": "output sizes are rounded down",
    r"maxpool_2d_dilations|MaxPool2d_stride_padding_dilation": "pooling windows have no gaps",
    r"with_argmax|dropout.*mask": "the cache is no output",
    r"uint|int8|int16": "numbers are floats",
    r"training_dropout(_default)?$|dropout_random_old": "their random generator is another one",
    r"add_bcast|operator_add_|operator_addconstant|sum_one_input": "add takes arrays of one shape",
    r"gemm_default_matrix_bias": "a bias is one number a unit",
    r"matmul_(?!2d)": "dense takes vectors",
    r"flatten_(axis[023]|negative_axis[124])|operator_view": "flatten keeps the batch axis",
    r"reshape_(reordered_all|one_dim|negative_extended|allowzero)": "reshape keeps the batch axis",
    r"sce_.*_ii": "no label is ignored",
}
"""Cases that do not run, by pattern of name, and why."""


def channels_last(x):
    return np.moveaxis(x, 1, -1)


def channels_first(y):
    return np.moveaxis(y, -1, 1)


def padding(settings, x, kernel, strides, dilation=(1, 1)):
    """ONNX's pads or auto_pad as ((top, bottom), (left, right))."""
    if settings.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER"):
        upper = resolve_padding("same", x.shape[2:], kernel, strides, dilation)
        if settings["auto_pad"] == b"SAME_LOWER":  # the odd pixel goes first
            return tuple(side[::-1] for side in upper)
        return upper
    top, left, bottom, right = settings.get("pads", (0, 0, 0, 0))
    return (top, bottom), (left, right)


def conv(settings, x, kernel, bias=None):
    strides, dilation = (tuple(settings.get(k, (1, 1))) for k in ("strides", "dilations"))
    pads = padding(settings, x, kernel.shape[2:], strides, dilation)
    y, _ = F.conv2d(
        channels_last(x),
        kernel.transpose(2, 3, 1, 0),
        bias,
        strides=strides,
        padding=pads,
        dilation=dilation,
        groups=settings.get("group", 1),
    )
    return channels_first(y)


def pool(function, **more):
    def run(settings, x):
        size = tuple(settings["kernel_shape"])
        strides = tuple(settings.get("strides", (1, 1)))
        pads = padding(settings, x, size, strides)
        options = {name: bool(settings.get(name, 0)) for name in more}
        y, _ = function(channels_last(x), size, strides=strides, padding=pads, **options)
        return channels_first(y)

    return run


def global_pool(function):
    return lambda settings, x: function(channels_last(x))[0][:, :, None, None]


def gemm(settings, a, b, c=None):
    a = a.T if settings.get("transA") else a
    kernel = (b.T if settings.get("transB") else b) * np.float32(settings.get("alpha", 1))
    if c is None:
        return F.dense(a, kernel)[0]
    bias = np.broadcast_to(c, (1, kernel.shape[1]))[0] * np.float32(settings.get("beta", 1))
    return F.dense(a, kernel, bias)[0]


def batch_normalization(settings, x, gamma, beta, mean, variance):
    """In training, with the statistics after the batch, as the layer keeps them."""
    layer = BatchNormalization(settings.get("momentum", 0.9), settings.get("epsilon", 1e-5))
    arrays = (gamma, beta, mean, variance)
    for name, array in zip((*layer.parameters, *layer.statistics), arrays, strict=True):
        setattr(layer, name, array)
    y, cache = layer.forward(channels_last(x), training=bool(settings.get("training_mode")))
    return channels_first(y), *layer.new_statistics(cache).values()


def along(function, default):
    """Softmax over any axis: over the last one after moving it there."""

    def run(settings, x):
        axis = settings.get("axis", default)
        return np.moveaxis(function(np.moveaxis(x, axis, -1))[0], -1, axis)

    return run


def concatenate(settings, *xs):
    axis = settings["axis"]
    return np.moveaxis(F.concatenate(*(np.moveaxis(x, axis, -1) for x in xs))[0], -1, axis)


def reshape(settings, x, shape):
    """0 stands for what was there, -1 for what fits."""
    wanted = [x.shape[i] if size == 0 else size for i, size in enumerate(shape)]
    fitted = np.empty(x.shape, bool).reshape(wanted).shape
    assert fitted[0] == len(x)
    return F.reshape(x, fitted[1:])[0]


def loss(settings, scores, labels, weights=None):
    """Each pixel is an example; the mean divides by the sum of the weights, as in PyTorch."""
    classes = scores.shape[1]
    logits = channels_last(scores).reshape(-1, classes)
    flat = labels.reshape(-1)
    by_class = None if weights is None else dict(enumerate(weights))
    of_example = example_weights(flat, by_class, dtype=scores.dtype)
    losses = cross_entropy(logits, one_hot(flat, classes, scores.dtype))[0] * of_example
    log_p = channels_first(F.log_softmax(channels_last(scores))[0])
    how = settings.get("reduction", b"mean")
    if how == b"none":
        return losses.reshape(labels.shape), log_p
    return losses.sum() / (of_example.sum() if how == b"mean" else 1), log_p


def dropout(settings, x, ratio=0.5, training=False):
    """At inference nothing is dropped; in training only a rate of 0 can be compared."""
    return F.dropout(x, float(ratio), np.random.default_rng(0))[0] if training else x


def elementwise(function, **defaults):
    """Functions of one array, with settings by ONNX's name: (our name, default)."""

    def run(settings, x):
        options = {ours: settings.get(theirs, value) for theirs, (ours, value) in defaults.items()}
        return function(x, **options)[0]

    return run


def gelu(settings, x):
    return F.gelu(x, approximate=settings.get("approximate", b"none") == b"tanh")[0]


OPERATIONS = {
    "Add": lambda settings, *xs: F.add(*xs)[0],
    "AveragePool": pool(F.average_pool2d, count_include_pad=False),
    "BatchNormalization": batch_normalization,
    "Concat": concatenate,
    "Conv": conv,
    "Dropout": dropout,
    "Elu": elementwise(F.elu, alpha=("alpha", 1.0)),
    "Flatten": lambda settings, x: F.flatten(x)[0],
    "Gelu": gelu,
    "Gemm": gemm,
    "GlobalAveragePool": global_pool(F.global_average_pool2d),
    "GlobalMaxPool": global_pool(F.global_max_pool2d),
    "LeakyRelu": elementwise(F.leaky_relu, alpha=("negative_slope", 0.01)),
    "LogSoftmax": along(F.log_softmax, -1),
    "MatMul": gemm,
    "MaxPool": pool(F.max_pool2d),
    "Relu": elementwise(F.relu),
    "Reshape": reshape,
    "Sigmoid": elementwise(F.sigmoid),
    "Softmax": along(F.softmax, -1),
    "SoftmaxCrossEntropyLoss": loss,
    "Sum": lambda settings, *xs: F.add(*xs)[0],
    "Tanh": elementwise(F.tanh),
}


def operation_of(model):
    """The node, if the model has but one and it is an operation that exists here."""
    nodes = model.graph.node
    return nodes[0] if len(nodes) == 1 and nodes[0].op_type in OPERATIONS else None


def stored(case):
    """Model and data sets of a case that lies in files, as the generated ones have them."""
    folder = Path(case.model_dir)
    model = onnx.load(folder / "model.onnx")

    def arrays(data, kind):
        files = sorted(data.glob(f"{kind}_*.pb"))
        return [numpy_helper.to_array(onnx.load_tensor(file)) for file in files]

    sets = [
        (arrays(data, "input"), arrays(data, "output"))
        for data in sorted(folder.glob("test_data_set_*"))
    ]
    return model, sets


def all_cases():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in collect_testcases(None):
            if operation_of(case.model) is not None:
                yield case.name, case, case.model, case.data_sets
        for kind in ("pytorch-converted", "pytorch-operator"):
            for case in load_model_tests(kind=kind):
                model, data = stored(case)
                if operation_of(model) is not None:
                    yield case.name, case, model, data


CASES = list(all_cases())
EXCLUDED = {name for name, *_ in CASES if any(re.search(p, name) for p in NOT_HERE)}
RUN = [case for case in CASES if case[0] not in EXCLUDED]


@pytest.mark.parametrize("case", [pytest.param(case, id=case[0]) for case in RUN])
def test_conformance(case):
    _, limits, model, data_sets = case
    node = operation_of(model)
    settings = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    fed = [i.name for i in model.graph.input if i.name not in constants]
    for inputs, outputs in data_sets:
        named = constants | dict(zip(fed, inputs, strict=False))
        found = OPERATIONS[node.op_type](settings, *(named[name] for name in node.input if name))
        found = found if isinstance(found, tuple) else (found,)
        assert len(found) >= len(outputs)  # some cases ask for the first output only
        for ours, theirs in zip(found, outputs, strict=False):
            assert np.shape(ours) == np.shape(theirs)
            np.testing.assert_allclose(ours, theirs, rtol=limits.rtol, atol=limits.atol)


def test_every_operation_runs_and_every_exclusion_is_used():
    ran = Counter(operation_of(model).op_type for _, _, model, _ in RUN)
    assert ran.keys() == OPERATIONS.keys()
    for pattern in NOT_HERE:
        assert any(re.search(pattern, name) for name in EXCLUDED), pattern
