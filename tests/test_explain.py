"""``explain``: each stage in words and pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tinymnist.cli import main
from tinymnist.commands import explain as command
from tinymnist.errors import InputError
from tinymnist.explanation import explain
from tinymnist.imaging.digit.normalize import STAGES
from tinymnist.reader import Reader
from tinymnist.web.endpoints import SAMPLES

PHOTO, CHALK = SAMPLES / "7-tilted-photo.jpg", SAMPLES / "8-chalk-on-black.jpg"


@pytest.fixture(scope="module")
def reader() -> Any:
    return Reader("mlp")


def notes(source: Any, reader: Any, **settings: Any) -> Any:
    return {step.name: step.note for step in explain(source, reader, **settings).steps}


def test_the_last_stage_is_what_the_network_read(reader: Any) -> None:
    explanation = explain(PHOTO, reader)
    expected = reader.predict(PHOTO)
    assert np.array_equal(explanation.prediction.probabilities, expected.probabilities)
    assert explanation.steps[-1].image.shape == (28, 28)


def test_the_notes_say_what_happened(reader: Any) -> None:
    photo, chalk = notes(PHOTO, reader), notes(CHALK, reader)
    assert photo["polarity"] == "dark ink on light: kept"
    assert chalk["polarity"] == "light ink on dark: inverted"
    assert "600x800" not in photo["grey"] and "pixels" in photo["grey"]
    assert "evened out" in photo["background"]
    assert photo["box"].endswith("wide") and "become" in photo["box"]


def test_the_noise_is_measured(reader: Any) -> None:
    rng = np.random.default_rng(0)
    page = np.full((120, 100), 0.9)
    page[30:90, 45:55] = 0.1
    quiet = notes(page, reader)["noise"]
    loud = notes(np.clip(page + 0.2 * rng.standard_normal(page.shape), 0, 1), reader)["noise"]
    assert quiet == "noise 0.0 %: kept"
    assert "averaged to" in loud


def test_what_is_in_mnists_form_is_left_alone(reader: Any) -> None:
    image = explain(PHOTO, reader).steps[-1].image
    image = np.round(image * 255).astype(np.uint8)
    steps = explain(image, reader).steps
    assert [step.name for step in steps] == ["grey", "centre"]
    assert steps[1].note == "in MNIST's form already: nothing to do"


def test_skipped_stages_are_missing(reader: Any) -> None:
    found = notes(PHOTO, reader, skip=("noise", "slant"))
    assert "noise" not in found and "background" in found
    assert notes(PHOTO, reader, skip=())["slant"] == "set upright"


def test_the_command_offers_every_stage() -> None:
    assert [*command.STAGES[:6], "slant", *command.STAGES[6:]] == list(STAGES)


def test_a_blank_page_is_refused(reader: Any) -> None:
    with pytest.raises(InputError, match=r"array of shape \(50, 40\): no digit found"):
        explain(np.ones((50, 40)), reader)


def test_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "stages.png"
    assert main(["explain", str(PHOTO), "--out", str(out), "--model", "mlp"]) == 0
    printed = capsys.readouterr().out
    assert "read as" in printed and "background" in printed and str(out) in printed
    with Image.open(out) as figure:
        assert figure.format == "PNG" and figure.width > 5 * figure.height
    assert main(["explain", str(PHOTO), "--json", "--skip", "noise", "--upright"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [s["stage"] for s in report["stages"]][:2] == ["grey", "polarity"]
    assert "slant" in {s["stage"] for s in report["stages"]}
