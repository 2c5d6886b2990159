"""The comparison: what is matched, measured, explained, and how the command tells it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymnist
from tinymnist.cli import main
from tinymnist.comparison import Side, assert_model_matches, compare, layer_outputs, search_cause
from tinymnist.comparison.causes import CAUSES
from tinymnist.comparison.matching import match
from tinymnist.comparison.measuring import difference, measure
from tinymnist.comparison.outputs import Output, as_outputs, is_captured, kind_of, read_arrays
from tinymnist.comparison.rerun import (
    Rerun,
    changed,
    gradients_in_tinymnist,
    seed_weights,
)
from tinymnist.comparison.search_cause import EXPERIMENTS
from tinymnist.errors import InputError
from tinymnist.nn import functional as F
from tinymnist.nn import layers as L
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import Layer
from tinymnist.nn.sequential import Input, Sequential

RNG = np.random.default_rng
LEARNED = ("one", "two", "three", "four")


def small(**settings: Any) -> Sequential:
    """Two convolutions and two dense layers, with statistics that are not trivial."""
    layers: list[Layer | Input] = [
        Input((10, 10, 1)),
        L.Conv2D(4, 3, padding="same", activation="relu", name="one"),
        L.Conv2D(5, 3, 2, name="two"),
        L.BatchNormalization(name="norm"),
        L.ReLU(name="relu"),
        L.Flatten(name="flatten"),
        L.Dropout(0.4, name="dropout"),
        L.Dense(12, activation="tanh", name="three"),
        L.Dense(4, activation="softmax", name="four"),
    ]
    model, rng = Sequential(layers, rng=1, **settings), RNG(2)
    for layer in model.layers:
        for key, array in layer.weights.items():
            low = 0.5 if key in ("gamma", "moving_variance") else -0.3
            if key != "kernel":
                setattr(layer, key, rng.uniform(low, low + 0.8, array.shape).astype(array.dtype))
    return model


def layer_of(model: Sequential, name: str) -> Any:
    return model.get_layer(name)


def pictures(n: int = 5) -> Array:
    """Smooth ones, without a symmetry that would hide a fault."""
    x = RNG(3).random((n, 10, 10, 1)).astype("float32")
    brighter = np.linspace(0, 1, 10, dtype="float32")[:, None, None]
    return np.asarray(np.clip(x * brighter, 0, 1))


def side(model: Sequential, x: Array, name: str = "a") -> Side:
    return Side(name, tuple(Rerun(model, x).run()), model, x)


def captured(outputs: dict[str, Any], name: str = "b") -> Side:
    return Side(name, as_outputs(outputs, name))


def run(*argv: object) -> tuple[Any, str, str]:
    """(exit code, standard output, standard error) of ``tinymnist compare``."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(["compare", *map(str, argv)])
        except SystemExit as stop:
            code = int(stop.code or 0)
    return code, out.getvalue(), err.getvalue()


# --- matching --------------------------------------------------------------------------------


def test_a_model_agrees_with_itself_in_every_layer() -> None:
    model, x = small(), pictures()
    comparison = compare(side(model, x), side(model, x, "b"))
    assert comparison.agrees and comparison.smallest_rtol == 0
    assert [row.a for row in comparison.rows] == [row.b for row in comparison.rows]
    assert comparison.unmatched_a == comparison.unmatched_b == ()


def test_fused_and_separate_activations_match_and_dropout_may_be_missing() -> None:
    """As PyTorch has it: other names, the activations as layers, no Dropout in the list."""
    model, x = small(), pictures()
    theirs: dict[str, Array] = {}
    outputs = Rerun(model, x).run()[1:]
    for output in outputs:
        if output.name != "dropout":
            theirs[f"layer{len(theirs)}"] = output.values
    comparison = compare(side(model, x), captured(theirs))
    assert comparison.agrees
    assert [row.a for row in comparison.rows] == [
        output.name for output in outputs if output.name != "dropout"
    ]
    assert comparison.unmatched_a == ("dropout",)


def test_only_the_last_output_is_enough() -> None:
    model, x = small(), pictures()
    comparison = compare(side(model, x), captured({"y": model.predict(x)}))
    assert comparison.agrees and len(comparison.rows) == 1


def test_channels_first_is_found_out() -> None:
    model, x = small(), pictures()
    theirs: dict[str, Array] = {}
    for name, y in model.capture(x).items():
        theirs[name] = y.transpose(0, 3, 1, 2) if y.ndim == 4 else y
    by_channel = theirs["relu"].reshape(len(x), -1)
    theirs["flatten"] = theirs["dropout"] = by_channel
    comparison = compare(side(model, x), captured(theirs))
    assert comparison.agrees and len(comparison.rows) == len(theirs)
    assert any("channels first" in note for note in comparison.notes)


def test_the_same_name_decides_between_fused_and_not() -> None:
    """Even where a fault has left no number alike."""
    model, x = small(), pictures()
    theirs = {name: 0.3 - 2 * y for name, y in model.capture(x).items() if name != "input"}
    pairs = match(Rerun(model, x).run(), as_outputs(theirs, "b"))
    assert all(pair.a.name == pair.b.name for pair in pairs)
    assert len(pairs) == len(theirs)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Conv2D", "conv"), ("BatchNorm2d", "batchnorm"), ("AdaptiveAvgPool2d", "global_pool"),
        ("MaxPool", "max_pool"), ("fc1", "dense"), ("Gemm", "dense"), ("LogSoftmax", "log_softmax"),
        ("LeakyReLU", "leaky_relu"), ("re_lu", "relu"), ("something", ""),
    ],
)  # fmt: skip
def test_kinds_are_guessed_from_names(name: str, kind: str) -> None:
    assert kind_of(name) == kind


# --- measuring -------------------------------------------------------------------------------


def test_the_figures_are_those_of_the_definition() -> None:
    a = Output("a", "", np.array([[1.0, -4.0]]))
    b = Output("b", "", np.array([[1.5, -4.0]]))
    exact = Output("e", "", np.array([[1.0, -4.0]]))
    row = measure(a, b, exact, atol=0.1, rtol=0.05)
    assert (row.max_error, row.mean_error, row.relative_error) == (0.5, 0.25, 0.125)
    assert row.smallest_rtol == pytest.approx(0.1)
    assert row.units_a == 0.0 and row.units_b == pytest.approx(0.5 / (4 * 2**-23))
    assert not row.passes
    assert measure(a, b, None, atol=0.1, rtol=row.smallest_rtol + 1e-12).passes


def test_not_a_number_is_a_difference_unless_it_is_on_both_sides() -> None:
    a, b = np.array([np.nan, 1.0, np.inf, np.nan]), np.array([np.nan, 1.0, np.inf, 2.0])
    assert difference(a, b).tolist() == [0, 0, 0, np.inf]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_infinite_value_does_not_excuse_the_others(bad: float) -> None:
    values = np.array([[1.0, 2.0, bad]])
    shifted = values + np.array([1.0, 0.0, 0.0])
    a, b, far = (Output("it", "", v) for v in (values, values.copy(), shifted))
    assert measure(a, b, None, 0.0, 1e-5).passes
    assert not measure(a, far, None, 0.0, 1e-5).passes
    assert not measure(Output("it", "", np.array([[1.0, 2.0, 3.0]])), b, None, 0.0, 1e-5).passes


def test_values_that_are_not_finite_are_told() -> None:
    outputs = (Output("it", "", np.array([[1.0, np.nan]])),)
    comparison = compare(Side("a", outputs), Side("b", outputs))
    assert comparison.agrees
    assert "b holds values that are not finite, first in it" in comparison.notes


def test_examples_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    small().save(tmp_path / "model.npz")
    np.savez(tmp_path / "x.npz", input=np.full((2, 10, 10, 1), np.nan, np.float32))
    files = [str(tmp_path / name) for name in ("model.npz", "model.npz", "x.npz")]
    with redirect_stderr(io.StringIO()) as said:
        assert main(["compare", *files[:2], "--inputs", files[2]]) == 2
    assert said.getvalue().count("\n") == 1
    assert "not finite" in said.getvalue()


def test_the_side_that_is_off_is_said() -> None:
    model, x = small(), pictures()
    theirs = model.capture(x)
    theirs["two"] = theirs["two"] + 0.01
    comparison = compare(side(model, x), captured(theirs))
    row = comparison.first_mismatch
    assert row is not None and row.units_a is not None and row.units_b is not None
    assert (row.a, row.b) == ("two", "two")
    assert row.units_a < 10 and row.units_b > 1000


# --- causes ----------------------------------------------------------------------------------


def damaged() -> Iterator[tuple[str, dict[str, Array]]]:
    """(cause, what the other side gives) for one fault of every kind; made by hand here."""
    model, x = small(), pictures()
    capture = model.capture

    def with_layer(name: str, **values: Any) -> dict[str, Array]:
        layers = [changed(a, **values) if a.name == name else a for a in model.layers]
        return Sequential(layers, input_shape=model.input_shape).capture(x)

    three, one, norm = (layer_of(model, name) for name in ("three", "one", "norm"))
    order = np.arange(80).reshape(4, 4, 5).transpose(2, 0, 1).ravel()
    yield "input scaling", capture(x * 255)
    yield "input scaling", capture((x - 0.1307) / 0.3081)
    yield "input scaling", capture(x * 3.3 - 0.7)
    yield "polarity", capture(1 - x)
    yield "channel order or layout", capture(x.transpose(0, 2, 1, 3))
    yield "flatten order", with_layer("three", kernel=three.kernel[order])
    yield "BatchNorm epsilon", with_layer("norm", epsilon=1e-5)
    yield "padding side", with_layer("one", padding=((2, 0), (2, 0)))
    yield "flipped kernels", with_layer("one", kernel=one.kernel[::-1, ::-1])
    yield "activation", with_layer("three", activation="sigmoid")
    logits = capture(x) | {"four": model.predict(x, logits=True)}
    yield "softmax", logits
    yield "softmax", capture(x) | {"again": F.softmax(model.predict(x))[0]}
    with np.errstate(invalid="ignore"):  # a mean may be negative, which no variance can be
        swapped = {"moving_mean": norm.moving_variance, "moving_variance": norm.moving_mean}
        yield "BatchNorm arrays exchanged", with_layer("norm", **swapped)
    yield "BatchNorm arrays exchanged", with_layer("norm", gamma=norm.beta, beta=norm.gamma)
    yield "bias left out", with_layer("two", bias=np.zeros(5))
    four, moved_by_one = layer_of(model, "four"), [1, 2, 3, 0]
    moved = {"kernel": four.kernel[:, moved_by_one], "bias": four.bias[moved_by_one]}
    yield "class order", with_layer("four", **moved)
    yield "output scaling", capture(x) | {"four": 100 * model.predict(x)}
    cooled = F.softmax(model.predict(x, logits=True) * np.float32(0.5))[0]
    yield "output scaling", capture(x) | {"four": cooled}
    over_batch = F.softmax(np.ascontiguousarray(model.predict(x, logits=True).T))[0].T
    yield "softmax", capture(x) | {"four": over_batch}
    frozen = [layer for layer in model.layers if layer.name != "dropout"]
    y, batch = x, {}
    for layer in frozen:
        y, _ = layer.forward(y, training=layer is norm)
        batch[layer.name] = y
    yield "BatchNorm in training mode", batch
    y, dropped = x, {}
    for layer in model.layers:
        y, _ = layer.forward(y, training=layer.name == "dropout", rng=RNG(4))
        dropped[layer.name] = y
    yield "dropout active", dropped
    yield "dropout active", {"y": dropped["four"]}


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that finds no pair of causes ends early."""
    monkeypatch.setattr(search_cause, "_MAX_LAYER_RUNS", 200)
    monkeypatch.setattr(search_cause, "_MAX_EXAMPLE_RUNS", 200)


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize(("cause", "outputs"), list(damaged()))
def test_the_cause_is_named_and_explains_everything(cause: str, outputs: dict[str, Any]) -> None:
    outputs.pop("input", None)
    comparison = compare(side(small(), pictures()), captured(outputs))
    assert not comparison.agrees
    found = comparison.explanation
    assert found is not None
    assert found.causes[0].cause == cause and cause in CAUSES
    assert len(found.causes) == 1 and found.complete
    assert found.causes[0].explained > 0.9


def test_two_faults_are_both_named() -> None:
    model, x = small(), pictures()
    outputs = model.capture(x * 255)
    outputs.pop("input")
    outputs["four"] = F.softmax(outputs["four"])[0]
    found = compare(side(model, x), captured(outputs)).explanation
    assert found is not None
    assert [cause.cause for cause in found.causes] == ["input scaling", "softmax"]
    assert found.causes[0].next_layer == "four" and found.complete


def test_two_faults_in_one_layer_are_both_named() -> None:
    """Neither of them alone brings the numbers any closer."""
    model, x = small(), pictures()
    one = layer_of(model, "one")
    flipped = Rerun(model, x).with_layers({"one": changed(one, kernel=one.kernel[::-1, ::-1])})
    outputs = {o.name: o.values for o in flipped.with_input(x * 255).run() if not o.is_input}
    for shown in (outputs, {"y": outputs["four"]}):
        found = compare(side(model, x), captured(shown)).explanation
        assert found is not None and found.complete
        assert {cause.cause for cause in found.causes} == {"input scaling", "flipped kernels"}
        assert "not enough alone" in found.causes[0].outcome


@pytest.mark.parametrize("behind", [L.Permute((2, 1)), L.Flatten()])
def test_a_softmax_is_found_behind_layers_that_only_move_numbers(behind: Layer) -> None:
    layers: list[Layer | Input] = [
        Input((6, 6, 2)),
        L.Conv2D(3, 6, name="conv"),
        L.Reshape((1, 3), name="row"),
        L.Softmax(name="softmax"),
        behind,
    ]
    model, x = Sequential(layers, rng=1), RNG(2).random((4, 6, 6, 2), np.float32)
    bare = Rerun(model, x).with_layers({"softmax": L.Activation("linear", name="softmax")}).run()
    twice = Rerun(model, x).with_function("softmax", lambda y: F.softmax(y)[0]).run()
    for outputs, words in ((bare, "no softmax at the end"), (twice, "two softmaxes at the end")):
        found = compare(side(model, x), captured({"y": outputs[-1].values})).explanation
        assert found is not None and found.complete
        assert (found.causes[0].cause, found.causes[0].change) == ("softmax", words)


@pytest.mark.usefixtures("brief")
def test_if_the_layers_explain_nothing_the_last_output_is_searched() -> None:
    """As where the other side's layers have the right shapes, but compute something else."""
    model, x = small(), pictures()
    outputs = model.capture(x)
    outputs = {"two": np.sin(outputs["two"] * 3), "y": F.softmax(outputs["four"])[0]}
    found = compare(side(model, x), captured(outputs)).explanation
    assert found is not None and not found.complete
    assert [cause.cause for cause in found.causes] == ["softmax"]
    assert "the layers before it could not be explained" in found.causes[0].outcome


def test_other_weights_are_not_explained_away() -> None:
    model, x = small(), pictures()
    other = small()
    layer = layer_of(other, "two")
    layer.kernel = layer.kernel + RNG(5).normal(0, 0.1, layer.kernel.shape).astype("float32")
    comparison = compare(side(model, x), captured(other.capture(x)))
    assert comparison.first_mismatch and comparison.first_mismatch.a == "two"
    assert comparison.explanation is None


@pytest.mark.usefixtures("brief")
def test_experiments_leave_the_model_alone() -> None:
    model, x = small(), pictures()
    before = {name: array.copy() for name, array in model.weights.items()}
    compare(side(model, x), captured({"y": RNG(0).random((5, 4))}))
    assert all(np.array_equal(array, before[name]) for name, array in model.weights.items())
    assert len(EXPERIMENTS) == len(set(EXPERIMENTS))


def test_a_layer_that_no_experiment_changes_stays_unexplained() -> None:
    layers = [L.Dense(6, activation="relu"), L.Dropout(0.5, name="dropout"), L.Dense(3)]
    model, x = Sequential(layers, input_shape=(5,), rng=1), RNG(2).random((4, 5), np.float32)
    outputs = model.capture(x)
    outputs["dropout"] = outputs["dropout"][::-1]
    comparison = compare(side(model, x), captured(outputs))
    assert comparison.first_mismatch and comparison.first_mismatch.a == "dropout"
    assert comparison.explanation is None


# --- what kind of difference it is -----------------------------------------------------------


def test_other_weights_make_neither_side_wrong() -> None:
    x, trained_further = pictures(), small()
    layer = layer_of(trained_further, "two")
    layer.kernel = layer.kernel * np.float32(1.01)
    comparison = compare(side(small(), x), side(trained_further, x, "b"))
    assert comparison.verdict.kind == "weights"
    lines = comparison.explanation_lines()
    assert lines == [comparison.verdict.words] and "first in two, by up to 9.6e-03" in lines[0]
    assert "neither side is wrong by itself" in lines[0]


def test_exchanged_arrays_are_a_fault_and_not_other_weights() -> None:
    x, wrong = pictures(), small()
    norm = layer_of(wrong, "norm")
    norm.gamma, norm.beta = norm.beta, norm.gamma
    comparison = compare(side(small(), x), side(wrong, x, "b"))
    assert comparison.explanation is not None and comparison.explanation.complete
    assert comparison.explanation.causes[0].cause == "BatchNorm arrays exchanged"
    assert not comparison.verdict.kind


def test_other_architectures_are_called_that() -> None:
    layers: list[Layer | Input] = [
        Input((10, 10, 1)),
        L.Flatten(),
        L.Dense(12, activation="tanh"),
        L.Dense(4, activation="softmax"),
    ]
    x, other = pictures(), Sequential(layers, rng=1)
    comparison = compare(side(small(), x), side(other, x, "b"))
    assert comparison.verdict.kind == "architectures"
    assert "different architectures: 4 and 2 layers with weights" in comparison.as_text()
    assert comparison.explanation is None and "Cause" not in comparison.as_text()
    assert comparison.as_record()["verdict"]["kind"] == "architectures"


def as_from_elsewhere(model: Sequential, x: Array, name: str) -> Side:
    """Outputs that another program computed from the same weights."""
    outputs = [replace(one, layer="") for one in Rerun(model, x).run()]
    return Side(name, tuple(outputs), model, x)


def test_a_side_is_off_if_two_programs_and_float64_are_against_it() -> None:
    model, x = small(), pictures()
    right, wrong = (as_from_elsewhere(model, x, name) for name in ("onnx", "keras"))
    noisy = [replace(one, values=one.values * np.float32(1.001)) for one in wrong.outputs[1:]]
    comparison = compare(right, replace(wrong, outputs=(wrong.outputs[0], *noisy)))
    assert comparison.verdict.kind == "off"
    assert comparison.verdict.words.startswith("b is the side that is off: onnx agrees with")
    ours = compare(side(model, x), replace(wrong, outputs=(wrong.outputs[0], *noisy)))
    assert not ours.verdict.kind  # tinymnist's own two runs are not independent of each other


def rounded(model: Sequential, x: Array, levels: int = 255) -> dict[str, Array]:
    """The outputs of a model whose weights and outputs have 8 bits, as of an exporter."""
    for layer in map(partial(layer_of, model), LEARNED):
        step = np.abs(layer.kernel).max() / 127
        layer.kernel = (np.rint(layer.kernel / step) * step).astype("float32")
    outputs = {}
    for name, y in model.capture(x).items():
        step = (y.max() - y.min()) / levels
        outputs[name] = (np.rint(y / step) * step).astype("float32")
    return outputs


def test_quantized_models_are_called_that_with_the_noise_of_each_layer() -> None:
    x, integers = np.repeat(pictures(8), 2, axis=0), small()
    outputs = rounded(integers, x)
    for other in (side(integers, x, "b"), captured(outputs)):
        comparison = compare(side(small(), x), other)
        assert comparison.verdict.kind == "quantized" and comparison.explanation is None
        assert "Not a fault: b is quantized" in comparison.as_text()
        assert " dB" in comparison.as_text() and "Cause" not in comparison.as_text()
        ratios = {row.b: row.sqnr for row in comparison.rows[1:]}
        assert all(20 < ratio < 90 for ratio in ratios.values()), ratios
    signal, noise = outputs["two"], outputs["two"] - small().capture(x)["two"]
    expected = 10 * np.log10(np.square(signal).sum() / np.square(noise).sum())
    assert ratios["two"] == pytest.approx(expected, rel=1e-4)


def test_a_fault_in_a_quantized_model_is_not_excused() -> None:
    x, integers = np.repeat(pictures(8), 2, axis=0), small()
    layer_of(integers, "two").bias = layer_of(integers, "two").bias + np.float32(5)
    comparison = compare(side(small(), x), captured(rounded(integers, x)))
    assert comparison.verdict.kind == ""


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halved_precision_is_seen_in_the_weights(dtype: str) -> None:
    x, half = pictures(), small()
    for layer in map(partial(layer_of, half), LEARNED):
        if dtype == "float16":
            layer.kernel = layer.kernel.astype("float16").astype("float32")
        else:
            layer.kernel = (layer.kernel.view("uint32") & 0xFFFF0000).view("float32")
    comparison = compare(side(small(), x), side(half, x, "b"))
    assert f"b is quantized ({dtype})" in comparison.verdict.words


# --- layouts and folded layers ---------------------------------------------------------------


def test_a_model_that_permutes_before_flatten_does_not_differ() -> None:
    """Both are right: one has the rows of its Dense kernel by channel, and permutes before it."""
    x, last = pictures(), small()
    order = np.arange(80).reshape(4, 4, 5).transpose(2, 0, 1).ravel()
    three = layer_of(last, "three")
    layers = [*last.layers[:4], L.Permute((3, 1, 2), name="permute"), *last.layers[4:6]]
    first = Sequential(
        [*layers, changed(three, kernel=three.kernel[order]), *last.layers[7:]],
        input_shape=last.input_shape,
    )
    for a, b in ((last, first), (first, last)):
        comparison = compare(side(a, x), side(b, x, "b"))
        assert comparison.agrees, comparison.headline
        assert {"flatten", "dropout"} <= {row.a for row in comparison.rows}
        assert any("flatten, dropout, which is right" in note for note in comparison.notes)


def test_a_folded_batch_normalization_is_matched_as_a_pair() -> None:
    """Also where a fault hides which numbers belong together."""
    model, x = small(), pictures()
    two, norm = layer_of(model, "two"), layer_of(model, "norm")
    scale = norm.gamma / np.sqrt(norm.moving_variance + norm.epsilon)
    bias = (two.bias - norm.moving_mean) * scale + norm.beta
    conv = changed(two, kernel=two.kernel * scale, bias=bias)
    layers = [conv if one is two else one for one in model.layers if one is not norm]
    folded = Sequential(layers, input_shape=model.input_shape)
    for a, b in ((model, folded), (folded, model)):
        comparison = compare(side(a, x), side(b, x, "b"))
        assert comparison.agrees
        assert {"norm", "two"} in [{row.a, row.b} for row in comparison.rows]
        assert comparison.unmatched_a == comparison.unmatched_b == ()
        assert any(note.startswith("two and norm of ") for note in comparison.notes)
    scaled = tuple(Rerun(folded, x * 255).run()[1:])
    found = compare(side(model, x), replace(side(folded, x), outputs=scaled))
    assert [(row.a, row.b) for row in found.rows if "two" in row.b] == [("norm", "two")]
    assert found.explanation is not None and found.explanation.complete
    assert [cause.cause for cause in found.explanation.causes] == ["input scaling"]


# --- the library ------------------------------------------------------------------------------


def test_activations_are_every_layer_by_name() -> None:
    model, x = small(), pictures()
    found = layer_outputs(model, x)
    assert list(found) == ["input", *(layer.name for layer in model.layers)]
    assert all(np.array_equal(found[name], y) for name, y in model.capture(x).items())


def test_activations_of_something_else_are_refused() -> None:
    with pytest.raises(ValueError, match="Received: <class 'list'>"):
        layer_outputs([1, 2], pictures())


def test_a_match_is_silent_and_a_difference_names_layer_and_cause() -> None:
    model, x = small(), pictures()
    assert assert_model_matches(model, model.astype("float64"), x).agrees
    assert_model_matches({"four": model.predict(x)}, model, x)
    assert_model_matches(model.predict(x), model, x)
    with pytest.raises(AssertionError) as failure:
        assert_model_matches(model.predict(255 * x), model, x)
    message = str(failure.value)
    assert message.startswith("They differ first in output / four: up to ")
    assert (
        "Cause: input scaling. With the input brought from 0..1 to 0..255, in reference," in message
    )


def test_tolerances_count() -> None:
    model, x = small(), pictures()
    off = {name: y * 1.001 for name, y in model.capture(x).items() if name != "input"}
    with pytest.raises(AssertionError):
        assert_model_matches(off, model, x)
    comparison = assert_model_matches(off, model, x, rtol=2e-3)
    assert comparison.smallest_rtol == pytest.approx(1e-3, rel=0.05)


def test_gradients_are_those_of_central_differences() -> None:
    model, x = small(dtype="float64"), pictures(2).astype("float64")
    weights = seed_weights((2, 4))
    found = gradients_in_tinymnist(model, x)
    nudge = RNG(6).normal(size=x.shape)
    up, down = (float((model.predict(x + s * nudge) * weights).sum()) for s in (1e-6, -1e-6))
    expected = (up - down) / 2e-6
    assert float((found["input"].values * nudge).sum()) == pytest.approx(expected, rel=1e-5)
    assert set(found) == {"input", *(layer.name for layer in model.layers)}
    for layer in model.layers:  # as in training, frozen layers and relus behind their poolings
        layer.trainable = False
    dx, _ = model.backward(weights, model.forward(x)[1], need_dx=True)
    assert dx is not None and np.allclose(found["input"].values, dx, rtol=1e-12, atol=1e-15)


# --- files and the command --------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A model, its inputs, and outputs captured right and wrong."""
    model, x = small(), pictures()
    model.save(tmp_path / "model.npz")
    np.savez(tmp_path / "x.npz", input=x)
    np.savez(tmp_path / "right.npz", **model.capture(x))  # type: ignore[arg-type]
    wrong = model.capture(x * 255) | {"input": x}
    np.savez(tmp_path / "wrong.npz", **wrong)  # type: ignore[arg-type]
    return tmp_path


def test_the_command_says_that_they_agree(files: Path) -> None:
    code, out, err = run(files / "model.npz", files / "right.npz")
    assert (code, err) == (0, "")
    assert "They agree in all 9 outputs; an rtol of 0 would be enough." in out
    assert "float64 run of model.npz" in out


def test_the_command_says_where_and_why_they_part(files: Path) -> None:
    report = files / "report.html"
    code, out, err = run(files / "model.npz", files / "wrong.npz", "--report", report)
    assert (code, err) == (1, "")
    assert "\n>  one " in out and "They differ first in one: up to " in out
    assert "side that is off" not in out  # tinymnist agrees with its own float64 run in any case
    assert "Cause: input scaling. With the input brought from 0..1 to 0..255, in model.npz" in out
    page = report.read_text()
    assert "input scaling" in page and "<svg" in page
    assert "http" not in page and "<script" not in page
    structure = page.partition("The two structures")[2].partition("<h2>")[0]
    assert structure.count('class="differs first"') == structure.count("<small>first</small>") == 1
    first = structure.partition('class="differs first"')[2].partition("</tr>")[0]
    assert "<b>one</b><small>relu, 10 x 10 x 4</small>" in first
    assert structure.count('class="layer"') == 2 * 9


def test_a_layer_of_one_side_alone_stands_beside_nothing() -> None:
    model, x = small(), pictures()
    theirs = {name: y for name, y in model.capture(x).items() if name != "dropout"}
    comparison = compare(side(model, x), captured(theirs))
    lines = [[one and one.name, other and other.name] for one, other in comparison.structure]
    assert [name for name, _ in lines] == [
        "input", "one", "two", "norm", "relu", "flatten", "dropout", "three", "four",
    ]  # fmt: skip
    assert [name for name, other in lines if other is None] == ["dropout"]


def test_json_tells_the_same(files: Path) -> None:
    code, out, _ = run(files / "model.npz", files / "wrong.npz", "--json")
    record = json.loads(out)
    assert code == 1 and out.count("\n") == 1
    assert record["first_mismatch"] == {"a": "one", "b": "one"}
    assert record["explanation"]["causes"][0]["cause"] == "input scaling"
    assert record["layers"][0]["a"] == "input" and record["layers"][0]["passes"]


def test_a_comparison_shows_itself(files: Path) -> None:
    model, x = small(), pictures()
    comparison = compare(side(model, x), captured({"y": model.predict(255 * x)}, "<b>"))
    assert repr(comparison) == f"<Comparison of a and <b>: {comparison.headline}>"
    shown = comparison._repr_html_()
    assert "&lt;b&gt;" in shown and "<b>" not in shown
    assert "input scaling" in shown and '<tr class="differs first"><th>four</th>' in shown
    assert comparison.headline in comparison.as_text()
    assert comparison.as_record()["first_mismatch"] == {"a": "four", "b": "y"}


def test_two_models_and_their_gradients(files: Path) -> None:
    code, out, _ = run(files / "model.npz", files / "model.npz", "--gradients", "--json")
    record = json.loads(out)
    assert code == 0 and record["examples"] > 0
    assert record["gradients"][0]["a"] == "four"
    assert all(row["passes"] and row["units_a"] < 100 for row in record["gradients"])


def test_a_shipped_model_is_run_on_the_sample_pictures() -> None:
    code, out, _ = run("mlp", "mlp")
    assert code == 0 and "6 examples" in out


def test_two_captured_files_need_no_model(files: Path) -> None:
    code, out, _ = run(files / "right.npz", files / "right.npz")
    assert code == 0 and "units" not in out
    code, out, _ = run(files / "right.npz", files / "wrong.npz")
    assert code == 1 and "Cause: not found" in out


def test_whole_numbers_are_divided_by_255(files: Path) -> None:
    x = np.rint(pictures() * 255).astype(np.uint8)
    np.savez(files / "bytes.npz", images=x[..., 0], labels=np.zeros(5, int))
    np.savez(files / "last.npz", y=small().predict(x / np.float32(255)))
    code, _, _ = run(files / "model.npz", files / "last.npz", "--inputs", files / "bytes.npz")
    assert code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model.npz", "missing.h5"], ["no such file", "missing.h5"]),
        (["model.npz", "noinput.npz"], ["does not hold the input", "--inputs"]),
        (["model.npz", "ragged.npz"], ["arrays of [3, 5] examples"]),
        (["model.npz", "pickled.npz"], ["pickled.npz", "an .npz of arrays"]),
        (["model.npz", "words.npz"], ["expected numbers"]),
        (["model.npz", "right.npz", "--run-b", "keras"], ["leave out --run"]),
        (["model.npz", "other.npz", "--inputs", "x.npz"], ["no layer of other.npz has the shape"]),
        (["model.npz", "right.npz", "--limit", "0"], ["--limit", "at least 1"]),
        (["model.npz", "right.npz", "--rtol", "nan"], ["--rtol", "at least 0"]),
        (["model.npz", "right.npz", "--report", "no/where.html"], ["no folder", "where.html"]),
        (["model.npz", "right.npz", "--inputs", "few.npz"], ["has outputs for 2 examples"]),
        (["model.npz", "right.npz", "--gradients"], ["holds outputs and no model"]),
        (["model.npz", "model.npz", "--inputs", "wide.npz"], ["takes (10, 10, 1)"]),
    ],
)
def test_bad_input_is_one_line_and_code_2(
    files: Path, monkeypatch: pytest.MonkeyPatch, arguments: Any, words: Any
) -> None:
    monkeypatch.chdir(files)
    np.savez("noinput.npz", y=np.zeros((5, 4)))
    np.savez("ragged.npz", a=np.zeros((5, 4)), b=np.zeros((3, 4)))
    np.savez("pickled.npz", y=np.array([{}], object))
    np.savez("words.npz", y=np.array(["a"]))
    np.savez("other.npz", y=np.zeros((5, 7)))
    np.savez("few.npz", input=pictures(2))
    np.savez("wide.npz", input=np.zeros((5, 10, 11, 1)))
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("tinymnist: ") and err.count("\n") == 1
    assert all(word in err for word in words), err


def test_captured_files_are_told_from_models(files: Path) -> None:
    assert is_captured(files / "right.npz") and not is_captured(files / "model.npz")
    assert not is_captured(Path(tinymnist.__file__))
    outputs = as_outputs(read_arrays(files / "right.npz"), "right.npz")
    assert outputs[0].kind == "input" and outputs[-1].name == "four"
    damaged = (files / "right.npz").read_bytes()[:400]
    (files / "cut.npz").write_bytes(damaged)
    assert not is_captured(files / "cut.npz")
    with pytest.raises(InputError):
        read_arrays(files / "cut.npz")
