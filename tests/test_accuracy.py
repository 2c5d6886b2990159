"""What the shipped models get right of MNIST's test pictures, where MNIST is at hand."""

from __future__ import annotations

import json

import pytest

from tinymnist.cli import main

FLOORS = {"mnist-cnn": 0.996, "keras-cnn": 0.99, "lenet5": 0.989, "mlp": 0.98}


def evaluated(capsys, monkeypatch, folder, *arguments):
    monkeypatch.setenv("TINYMNIST_DATA", str(folder))
    assert main(["evaluate", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("model", FLOORS)
def test_mnist(capsys, monkeypatch, mnist_folder, model):
    report = evaluated(capsys, monkeypatch, mnist_folder, "mnist-test", "--model", model)
    assert report["n"] == 10_000
    assert report["accuracy"] >= FLOORS[model]


def test_mnist_survives_the_recipe(capsys, monkeypatch, mnist_folder):
    """A picture in MNIST's form comes through the recipe as good as it was."""
    plain, prepared = (
        evaluated(capsys, monkeypatch, mnist_folder, "mnist-test", "--recipe", recipe)["accuracy"]
        for recipe in ("none", "mnist")
    )
    assert prepared >= plain - 0.0005


def test_real_pictures(capsys, monkeypatch, mnist_folder, shared_folder):
    """The tutorials' way fails on them, the default does not."""
    own = shared_folder / "data" / "own"
    tutorial = ("--recipe", "resize", "--model", "keras-cnn")
    failing = evaluated(capsys, monkeypatch, mnist_folder, own, *tutorial)["accuracy"]
    default = evaluated(capsys, monkeypatch, mnist_folder, own)["accuracy"]
    assert failing < 0.4
    assert default > 0.97
