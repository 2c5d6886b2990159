"""What every layer promises, checked for every layer."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tinymnist.nn import layers as L
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import LAYERS, Conv2D, Dense, Dropout, Layer, layer_from_config
from tinymnist.nn.layers.base import default_name

RNG = np.random.default_rng(0)


def forward(layer: Layer, xs: list[Array], training: bool = False) -> tuple[Array, Any]:
    return layer.forward(*xs, training=training, rng=np.random.default_rng(5))


def test_every_layer_has_a_case(covered_layers: set[str]) -> None:
    assert covered_layers == set(LAYERS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("training", [False, True])
def test_dtype_is_kept(layer_case: Any, dtype: str, training: bool) -> None:
    layer = layer_case.built(dtype)
    y, cache = forward(layer, layer_case.inputs(3, dtype), training)
    assert y.dtype == np.dtype(dtype)
    dxs, gradients = layer.backward(np.ones_like(y), cache)
    assert {g.dtype for g in (*dxs, *gradients.values())} == {np.dtype(dtype)}


def test_output_has_the_promised_shape(layer_case: Any) -> None:
    y, _ = forward(layer_case.built(), layer_case.inputs(3))
    assert y.shape == (3, *layer_case.built().output_shape(*layer_case.input_shapes))


def test_gradients_have_the_shapes_of_what_they_belong_to(layer_case: Any) -> None:
    layer, xs = layer_case.built(), layer_case.inputs(3)
    y, cache = forward(layer, xs, training=True)
    dxs, gradients = layer.backward(np.ones_like(y), cache)
    assert [dx.shape for dx in dxs] == [x.shape for x in xs]
    learnt = {k: a.shape for k, a in layer.weights.items() if k in layer.parameters}
    assert {k: g.shape for k, g in gradients.items()} == learnt


@pytest.mark.parametrize("training", [False, True])
def test_nothing_that_is_handed_in_changes(layer_case: Any, training: bool) -> None:
    """Inputs, gradients and weights are made read-only, so a write would raise."""
    layer, xs = layer_case.built(), layer_case.inputs(3)
    for array in (*xs, *layer.weights.values()):
        array.flags.writeable = False
    y, cache = forward(layer, xs, training)
    dy = np.ones_like(y)
    dy.flags.writeable = False
    layer.backward(dy, cache)


def test_strided_input_gives_the_same(layer_case: Any) -> None:
    layer, xs = layer_case.built(), layer_case.inputs(4)
    strided = [np.repeat(x, 2, axis=0)[::2] for x in xs]
    assert np.array_equal(forward(layer, strided)[0], forward(layer, xs)[0])


def test_an_empty_batch_gives_an_empty_batch(layer_case: Any) -> None:
    layer, xs = layer_case.built(), layer_case.inputs(0)
    y, cache = forward(layer, xs)
    assert y.shape == (0, *layer.output_shape(*layer_case.input_shapes))
    dxs, gradients = layer.backward(np.zeros_like(y), cache)
    assert [dx.shape for dx in dxs] == [x.shape for x in xs]
    assert all(not g.any() for g in gradients.values())


def test_a_batch_gives_what_its_parts_give(layer_case: Any) -> None:
    layer, xs = layer_case.built(), layer_case.inputs(5)
    whole = forward(layer, xs)[0]
    parts = [forward(layer, [x[cut] for x in xs])[0] for cut in (slice(0, 2), slice(2, 5))]
    assert np.allclose(whole, np.concatenate(parts), rtol=1e-13, atol=1e-13)


def test_the_layer_holds_no_activations(layer_case: Any) -> None:
    """Attributes are the same objects after a forward and a backward pass as before."""
    layer, xs = layer_case.built(), layer_case.inputs(3)
    before = dict(vars(layer))
    y, cache = forward(layer, xs, training=True)
    layer.backward(np.ones_like(y), cache)
    assert vars(layer).keys() == before.keys()
    assert all(vars(layer)[name] is value for name, value in before.items())


def test_two_caches_do_not_disturb_each_other(layer_case: Any) -> None:
    """Two batches forward, then both backward, in either order: what threads do."""
    layer, one = layer_case.built(), layer_case.inputs(3)
    other = [2 * x + 1 for x in one]
    alone = layer.backward(np.ones_like(forward(layer, one)[0]), forward(layer, one)[1])
    y, first = forward(layer, one)
    forward(layer, other)
    again = layer.backward(np.ones_like(y), first)
    for a, b in zip((*alone[0], *alone[1].values()), (*again[0], *again[1].values()), strict=True):
        assert np.array_equal(a, b)


def test_a_frozen_layer_has_no_gradients_and_still_passes_dx(layer_case: Any) -> None:
    layer, xs = layer_case.built(), layer_case.inputs(3)
    layer.trainable = False
    y, cache = forward(layer, xs, training=True)
    dxs, gradients = layer.backward(np.ones_like(y), cache)
    assert gradients == {}
    assert all(dx is not None for dx in dxs)
    assert layer.new_statistics(cache) == {}


def test_dx_is_not_computed_unless_needed(layer_case: Any) -> None:
    """A layer that only passes numbers on may still return a view."""
    layer, xs = layer_case.built(), layer_case.inputs(3)
    y, cache = forward(layer, xs)
    dy = np.ones_like(y)
    dxs, gradients = layer.backward(dy, cache, need_dx=False)
    assert all(dx is None or np.shares_memory(dx, dy) for dx in dxs)
    assert gradients.keys() == {k for k in layer.parameters if k in layer.weights}


def test_pickles(layer_case: Any) -> None:
    layer, xs = layer_case.built(), layer_case.inputs(3)
    twin = pickle.loads(pickle.dumps(layer))
    assert np.array_equal(forward(twin, xs)[0], forward(layer, xs)[0])


def test_a_layer_shows_how_it_was_made(layer_case: Any) -> None:
    layer = layer_case.built()
    layer.name, layer.trainable = "it", False
    assert eval(repr(layer), vars(L) | LAYERS).config() == layer.config()


def test_only_settings_that_differ_are_shown() -> None:
    layer = Conv2D(32, (3, 3), activation="relu", name="conv2d")
    assert repr(layer) == 'Conv2D(32, (3, 3), activation="relu", name="conv2d")'
    assert repr(Dense(10)) == "Dense(10)"


def test_config_goes_through_json(layer_case: Any) -> None:
    layer, xs = layer_case.built(), layer_case.inputs(3)
    twin = layer_from_config(json.loads(json.dumps(layer.config())))
    twin.build(*layer_case.input_shapes, rng=np.random.default_rng(0), dtype=np.dtype("float64"))
    twin.set_weights(layer.weights)
    assert np.array_equal(forward(twin, xs)[0], forward(layer, xs)[0])


def test_set_weights_insists_on_names_and_shapes(layer_case: Any) -> None:
    layer = layer_case.built()
    with pytest.raises(ValueError, match=r"has the weights .*Received: names="):
        layer.set_weights({**layer.weights, "other": np.zeros(1)})
    for name in layer.weights:
        with pytest.raises(ValueError, match=rf"{name} must be of shape .*Received: shape="):
            layer.set_weights({**layer.weights, name: np.zeros((1, 2, 3))})


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (Conv2D(1, 1), "conv2d"),
        (L.MaxPooling2D(), "max_pooling2d"),
        (L.GlobalAveragePooling2D(), "global_average_pooling2d"),
        (L.DepthwiseConv2D(1), "depthwise_conv2d"),
        (L.BatchNormalization(), "batch_normalization"),
    ],
)
def test_default_names_are_those_of_keras(layer: Layer, name: str) -> None:
    assert default_name(layer) == name


def bad_shapes() -> Iterator[tuple[Layer, list[tuple[int, ...]], str]]:
    vector, picture = (5,), (6, 7, 3)
    takes_pictures = {
        "AveragePooling2D": (), "Conv2D": (4, 3), "DepthwiseConv2D": (3,), "MaxPooling2D": (),
        "GlobalAveragePooling2D": (), "GlobalMaxPooling2D": (), "ZeroPadding2D": (),
    }  # fmt: skip
    for kind, settings in takes_pictures.items():
        yield (
            getattr(L, kind)(*settings, name="it"),
            [vector],
            ("it takes pictures (h, w, c). Received: input_shape=(5,)"),
        )
    yield (
        L.Dense(4, name="it"),
        [picture],
        (
            "it takes vectors; put Flatten() or a global pooling before it. "
            "Received: input_shape=(6, 7, 3)"
        ),
    )
    yield (
        Conv2D(4, 9, name="it"),
        [picture],
        (
            "the window must fit into the padded input. "
            "Received: size=6, padding=(0, 0), kernel=9, dilation=1"
        ),
    )
    yield (
        Conv2D(4, 3, groups=2, name="it"),
        [picture],
        ("groups must divide channels and filters. Received: groups=2, channels=3, filters=4"),
    )


@pytest.mark.parametrize(("layer", "shapes", "message"), list(bad_shapes()))
def test_a_bad_shape_is_refused_in_one_sentence(
    layer: Layer, shapes: list[tuple[int, ...]], message: str
) -> None:
    with pytest.raises(ValueError) as refusal:
        layer.output_shape(*shapes)
    assert str(refusal.value) == message


@pytest.mark.parametrize("kind", ["Add", "Concatenate"])
def test_branches_that_do_not_fit_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="Received: "):
        LAYERS[kind](name="it").output_shape((6, 7, 3), (6, 8, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(4, activation="rely"), r"activation must be one of \[.*'relu'.*'rely'"),
        (lambda: Dropout(1.0), r"Received: .*1\.0"),
        (lambda: layer_from_config({"class": "Danse"}), r"one of \[.*'Dense'.*class='Danse'"),
        (lambda: layer_from_config({"class": "Dense", "unit": 4}), "Dense cannot be made"),
        (lambda: Conv2D(4, 3, kernel_initializer="x"),
         r"initializer must be one of .*Received: 'x'"),
    ],
)  # fmt: skip
def test_bad_settings_are_refused_with_the_known_ones(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_moving_statistics_keep_the_share_momentum_of_the_old_value() -> None:
    layer = L.BatchNormalization(momentum=0.9)
    layer.build((1,), rng=RNG, dtype=np.dtype("float64"))
    _, cache = layer.forward(np.array([[1.0], [5.0]]), training=True)  # mean 3, variance 4
    moved = layer.new_statistics(cache)
    assert moved["moving_mean"] == pytest.approx([0.9 * 0 + 0.1 * 3])
    assert moved["moving_variance"] == pytest.approx([0.9 * 1 + 0.1 * 4])
