"""The diagnosis finds the fault that was planted, and tells it in words, JSON and HTML."""

from __future__ import annotations

import base64
import io
import json
import re
import textwrap
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tinymnist.cli import main
from tinymnist.diagnosis.advice import STAGES, advise, odds
from tinymnist.diagnosis.costs import Change, change, costs_of, shapley
from tinymnist.diagnosis.diagnose import diagnose
from tinymnist.diagnosis.repairs import EVERY, NONE, PLANS, REPAIRS, in_sequence
from tinymnist.diagnosis.results import Pictures
from tinymnist.diagnosis.script import without_tinymnist
from tinymnist.diagnosis.text import scripts
from tinymnist.errors import InputError
from tinymnist.imaging.digit import normalize as recipe
from tinymnist.imaging.synthetic.paint import ink
from tinymnist.interop import load_model
from tinymnist.nn.arrays import Array
from tinymnist.reader import Reader

Digits = tuple[Array, Array]
"""Images (n, 28, 28) and labels (n,)."""


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader("keras-cnn", "mnist")


@pytest.fixture(scope="module")
def digits(reader: Reader) -> Digits:
    """(images in MNIST's form, labels), all of which the network reads right."""
    images, labels = [], []
    for slant in (0.0, 0.15):
        for digit in range(10):
            written = ink(digit, (120, 120), height=0.6, pen=0.12, slant=slant)
            images.append(recipe.normalize(written))
            labels.append(digit)
    stacked, known = np.stack(images), np.array(labels)
    right = reader.probabilities(stacked[..., None]).argmax(1) == known
    assert right.sum() >= 15
    return stacked[right], known[right]


def planted(digits: Digits, fault: Callable[[Array], Array]) -> Pictures:
    images, labels = digits
    return Pictures("planted", [fault(image) for image in images], labels)


def inverted(image: Array) -> Array:
    return 1 - image


def small(image: Array) -> Array:
    return np.pad(image, 24)


def shifted(image: Array) -> Array:
    return np.pad(image, ((0, 14), (0, 14)))[3:31, 4:32]


def dim(image: Array) -> Array:
    return 0.08 * image


def test_what_is_mnist_costs_nothing(reader: Reader, digits: Digits) -> None:
    found = diagnose(planted(digits, lambda image: image), reader)
    assert found.right(NONE).all() and found.right(EVERY).all() and found.right(None).all()
    assert [cost.points for cost in found.costs] == [0] * len(REPAIRS)
    assert not any(cost.is_certain for cost in found.costs)
    told = " ".join(one.text for one in advise(found))
    assert "no difference" in told and "no augmentation or fine-tuning is needed" in told


@pytest.mark.parametrize(
    ("fault", "repair", "property_"),
    [
        (inverted, "polarity", "polarity"),
        (small, "size", "size"),
        (shifted, "position", "across"),
        (dim, "intensity", "contrast"),
    ],
)
def test_the_planted_fault_is_the_dearest_and_drifts(
    reader: Reader, digits: Digits, fault: Any, repair: str, property_: str
) -> None:
    found = diagnose(planted(digits, fault), reader)
    dearest = found.costs[0]
    assert dearest.repair == repair
    assert dearest.is_certain and dearest.points > 0.1
    assert found.right(None).mean() > 0.9 > found.right(NONE).mean()
    assert found.drifts[property_].is_notable
    assert any(f"{repair.capitalize()} costs" in one.text for one in advise(found))


def test_costs_add_up_to_the_whole_gain(reader: Reader, digits: Digits) -> None:
    few = digits[0][:15], digits[1][:15]
    found = diagnose(planted(few, lambda image: inverted(small(image))), reader)
    total = found.right(EVERY).mean() - found.right(NONE).mean()
    assert sum(cost.points for cost in found.costs) == pytest.approx(total)
    assert total > 0.5


def test_without_labels_agreement_with_the_recipe_is_measured(
    reader: Reader, digits: Digits
) -> None:
    images, _ = digits
    found = diagnose(Pictures("unknown", [inverted(image) for image in images[:15]]), reader)
    assert not found.is_labelled
    assert found.right(None).all()
    agreement = (found.found[:, 0] == found.found[:, -1]).mean()
    assert found.right(NONE).mean() == agreement < 0.9
    assert found.costs[0].repair == "polarity"


def test_pictures_without_a_digit_count_as_wrong_and_are_named(
    reader: Reader, dozen: Digits, tmp_path: Path
) -> None:
    images, labels = dozen
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nno")
    sources = [*images, np.ones((40, 40), np.float32), broken]
    found = diagnose(Pictures("some", sources, np.array([*labels, 3, 4])), reader)
    assert sorted(found.failures) == [len(images), len(images) + 1]
    assert "broken.png" in str(found.failures[len(images) + 1])
    assert list(found.found[-2:, -1]) == [-1, -1]
    assert not found.right(None)[-2:].any()
    assert any("2 of" in one.text and "could not be read" in one.text for one in advise(found))


def test_nothing_readable_is_an_error(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"no picture of x could be read.*a\.png"):
        diagnose(Pictures("x", [tmp_path / "a.png"]), reader)


def test_a_class_that_stands_out_is_named(reader: Reader, digits: Digits) -> None:
    images, labels = digits
    swapped = np.where(labels == 7, 2, labels)  # as if these were a strange way to write a 2
    found = diagnose(Pictures("strange", [*images] * 2, np.tile(swapped, 2)), reader)
    advice = [one.text for one in advise(found) if one.topic == "training"]
    assert any("Class 2 stands out" in text and "mostly as 7" in text for text in advice)


def test_a_few_pictures_cannot_tell(reader: Reader, digits: Digits) -> None:
    images, labels = digits
    few = Pictures("few", [inverted(image) for image in images[:4]], labels[:4])
    told = [one.text for one in advise(diagnose(few, reader))]
    assert not any("Polarity costs" in text for text in told)
    assert any("4 pictures are too few to say: polarity" in text for text in told)
    assert any("only 4 pictures" in text for text in told)


def game(worth: Callable[[int, frozenset[str]], bool]) -> Callable[[frozenset[str]], Array]:
    """Six players whose coalition reads picture i right if worth(i, coalition)."""
    return lambda plan: np.array([worth(i, plan) for i in range(8)])


def test_shapley_of_a_known_game() -> None:
    """A picture that needs two repairs is half to the credit of each; none to the others'."""
    right = game(lambda i, plan: {"paper", "size"} <= plan)
    shares = {name: shapley(right, name) for name in REPAIRS}
    for name in REPAIRS:
        expected = 0.5 if name in ("paper", "size") else 0
        np.testing.assert_allclose(shares[name], expected, atol=1e-12)


def test_shapley_of_either_of_three() -> None:
    right = game(lambda i, plan: bool({"paper", "size", "stroke"} & plan))
    for name in ("paper", "size", "stroke"):
        np.testing.assert_allclose(shapley(right, name), 1 / 3)


def test_changes_are_those_between_the_right_sets() -> None:
    def right(plan: frozenset[str]) -> Array:
        return np.array([True, "polarity" in plan, "paper" not in plan, plan == EVERY])

    cost = next(cost for cost in costs_of(right) if cost.repair == "paper")
    assert (cost.alone.fixed, cost.alone.broken) == (0, 1)
    assert (cost.left_out.fixed, cost.left_out.broken) == (1, 1)
    assert cost.step == change(right(in_sequence("polarity")), right(in_sequence("paper")))
    assert not cost.is_certain


@pytest.mark.parametrize("fixed", [0, 1, 5, 6, 12, 400])
@pytest.mark.parametrize("broken", [0, 1, 3, 350])
def test_mcnemar_is_the_binomial_test(fixed: int, broken: int) -> None:
    from scipy.stats import binomtest  # slow to import

    total = fixed + broken
    expected = total > 0 and binomtest(fixed, total, 0.5).pvalue <= 0.05
    assert Change(0, 0, fixed, broken).is_certain == expected


@pytest.mark.parametrize(
    "table", [(3, 10, 2, 90), (0, 5, 3, 20), (5, 5, 0, 4), (40, 900, 20, 9000)]
)
def test_odds_are_fishers(table: tuple[int, int, int, int]) -> None:
    from scipy.stats import fisher_exact

    few, of_few, many, of_many = table
    cells = [[few, of_few - few], [many, of_many - many]]
    expected = fisher_exact(cells, alternative="greater").pvalue
    assert odds(*table) == pytest.approx(expected, rel=1e-6)


def test_advice_names_stages_that_there_are() -> None:
    named = {stage for stages in STAGES.values() for stage in stages.split(", ")}
    assert named <= set(recipe.STAGES)
    assert list(STAGES) == list(REPAIRS)


def save_set(place: Path, digits: Digits) -> Path:
    """Dark digits on white, one folder a class; the names are traps for HTML."""
    for i, (image, label) in enumerate(zip(*digits, strict=True)):
        (place / str(label)).mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(np.uint8(255 - 255 * image))
        picture.save(place / str(label) / f"a & <b>{i}.png")
    return place


@pytest.fixture(scope="module")
def dozen(digits: Digits) -> Digits:
    """Every class, few enough for the tests that do not count."""
    return digits[0][:12], digits[1][:12]


@pytest.fixture
def folder(tmp_path: Path, dozen: Digits) -> Path:
    return save_set(tmp_path / "set", dozen)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["diagnose", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_prints_tables_and_advice(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    code, out, err = run(capsys, folder, "--model", "keras-cnn")
    assert (code, err) == (0, "")
    for words in ("repaired one after the other", "the whole recipe", "Wasserstein-1", "Advice"):
        assert words in out
    assert re.search(r"^polarity \*", out, re.MULTILINE)


def test_json_is_one_object_with_all_figures(
    capsys: pytest.CaptureFixture[str], folder: Path, dozen: Digits
) -> None:
    code, out, _ = run(capsys, folder, "--model", "keras-cnn", "--json")
    record = json.loads(out)
    assert code == 0 and out.count("\n") == 1
    assert record["n"] == len(dozen[0]) and record["measure"] == "accuracy"
    assert record["costs"][0]["repair"] == "polarity"
    assert {cost["repair"] for cost in record["costs"]} == set(REPAIRS)
    polarity = record["properties"]["polarity"]
    assert polarity["drift"] == pytest.approx(10) and polarity["notable"]
    assert len(record["sequence"]) == len(REPAIRS) + 2
    assert record["advice"][0]["topic"] == "recipe"


@pytest.mark.parametrize("arguments", [("--no-labels",), ()])
def test_an_unlabelled_folder(
    capsys: pytest.CaptureFixture[str], folder: Path, arguments: Any
) -> None:
    flat = folder if arguments else folder / "3"
    code, out, _ = run(capsys, flat, "--json", *arguments, "--model", "keras-cnn")
    assert code == 0 and json.loads(out)["measure"] == "agreement"


def test_folders_that_are_no_classes_are_taken_as_not_labelled(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "3").rename(folder / "holiday")
    code, out, err = run(capsys, folder, "--json", "--model", "keras-cnn")
    assert code == 0 and json.loads(out)["measure"] == "agreement"
    assert "holiday" in err


@pytest.mark.parametrize("case", ["unlabelled", "unknown", "missing", "limit", "out"])
def test_what_cannot_be_is_refused(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, case: str
) -> None:
    (tmp_path / "odd" / "holiday").mkdir(parents=True)
    first = next((folder / "3").iterdir())
    (tmp_path / "odd" / "holiday" / "x.png").write_bytes(first.read_bytes())
    arguments, words = {
        "unlabelled": ((folder / "3", "--labels"), "labels.csv"),
        "unknown": ((tmp_path / "odd", "--labels"), "holiday"),
        "missing": ((tmp_path / "nowhere",), "nowhere"),
        "limit": ((folder, "--limit", 0), "--limit"),
        "out": ((folder, "--out", tmp_path / "no" / "r.html"), "folder"),
    }[case]
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "") and words in err and err.count("\n") == 1


def test_limit_draws_the_same_pictures_each_time(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    first, second = (
        run(capsys, folder, "--limit", 7, "--json", "--model", "keras-cnn")[1] for _ in "ab"
    )
    assert first == second
    assert json.loads(first)["n"] == 7


class Page(HTMLParser):
    """Checks that tags are closed in order, and gathers what a test wants to see."""

    VOID = frozenset({"meta", "img", "br", "link", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.links += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = save_set(tmp_path_factory.mktemp("page") / "set", digits)
    (folder / "5" / "blank.png").write_bytes(b"")
    report = folder.parent / "report.html"
    assert main(["diagnose", str(folder), "--model", "keras-cnn", "--out", str(report)]) == 1
    parsed = Page()
    parsed.feed(report.read_text(encoding="utf-8"))
    parsed.close()
    return parsed


def test_the_report_is_well_formed_and_self_contained(page: Page) -> None:
    assert page.open == []
    assert page.links and all(link.startswith("data:image/png;base64,") for link in page.links)
    assert not any(tag in ("script", "link", "iframe") for tag, _ in page.tags)
    assert "$" not in page.text


def test_the_reports_pictures_are_pictures(page: Page) -> None:
    for link in page.links:
        picture = Image.open(io.BytesIO(base64.b64decode(link.partition(",")[2])))
        picture.load()
        assert max(picture.size) <= 112


def test_the_reports_names_are_escaped(page: Page) -> None:
    assert "a & <b>" in page.text
    assert not any(tag == "b" and attrs for tag, attrs in page.tags)


def test_the_charts_stay_within_their_frames(page: Page) -> None:
    frame: list[float] = []
    checked = 0
    for tag, attrs in page.tags:
        if tag == "svg":
            frame = [float(number) for number in attrs["viewbox"].split()]
        if tag == "rect":
            x, y, width, height = (float(attrs[k]) for k in ("x", "y", "width", "height"))
            assert min(x, y, width, height) >= 0
            assert x + width <= frame[2] and y + height <= frame[3]
            checked += 1
    assert checked > 100


def test_the_report_tells_what_the_terminal_tells(page: Page) -> None:
    for words in ("Polarity costs", "What each mismatch costs", "class balance", "blank.png"):
        assert words in page.text


def test_a_report_that_cannot_be_written_leaves_nothing(
    reader: Reader, digits: Digits, tmp_path: Path
) -> None:
    from tinymnist.diagnosis.report import write_report

    found = diagnose(planted((digits[0][:3], digits[1][:3]), inverted), reader)
    (tmp_path / "report.html").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        write_report(found, advise(found), tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == [tmp_path / "report.html"]


def test_real_pictures_rank_polarity_first(reader: Reader, shared_folder: Path) -> None:
    from tinymnist.data import load_set

    own = load_set(shared_folder / "data" / "own")
    chosen = np.random.default_rng(0).choice(len(own.labels), 60, replace=False)
    sources: list[Path] = [own.images[i] for i in chosen]
    found = diagnose(Pictures("own", sources, own.labels[chosen]), reader)
    assert found.costs[0].repair == "polarity" and found.costs[0].is_certain
    assert found.right(NONE).mean() < 0.5 < 0.85 < found.right(EVERY).mean()
    assert len(PLANS) + 1 == found.found.shape[1]


@pytest.fixture
def photographed(tmp_path: Path) -> Path:
    """Thirty digits drawn dark on uneven paper, in folders by class."""
    rng = np.random.default_rng(7)
    for number in range(30):
        digit = number % 10
        drawn = ink(digit, (140, 180), height=0.5, pen=0.09, slant=0.1 * (number // 10) - 0.1)
        light = np.linspace(0.75, 0.95, 180)[None] * (1 - 0.7 * drawn)
        values = np.clip(light + rng.normal(0, 0.02, drawn.shape), 0, 1)
        (tmp_path / "photos" / str(digit)).mkdir(parents=True, exist_ok=True)
        file = tmp_path / "photos" / str(digit) / f"{number}.png"
        Image.fromarray(np.uint8(255 * values)).save(file)
    return tmp_path / "photos"


def test_the_printed_lines_repair_a_script(
    photographed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are run as they are printed, on every picture, and keep what the diagnosis promised."""
    assert main(["diagnose", str(photographed), "--model", "keras-cnn"]) == 0
    text = capsys.readouterr().out
    before = float(re.findall(r"^nothing .*?([\d.]+) %", text, re.MULTILINE)[0]) / 100
    promised = re.findall(r"In your own script, ([\d.]+) % are read right with", text)[0]
    few, of = re.findall(r"Without tinymnist, (\d+) of (\d+) are read right with", text)[0]
    shares = float(promised) / 100, int(few) / int(of)
    assert before < 0.5 and shares[0] > 0.9 and shares[1] > 0.8
    codes = [textwrap.dedent(code) for code in text.split("are read right with\n\n")[1:]]
    codes[0] = codes[0].partition("Without")[0].replace("\n    ", "\n").strip()
    model, files = load_model("keras-cnn"), sorted(photographed.rglob("*.png"))
    for code, share in zip(codes, shares, strict=True):
        right = 0
        for file in files:
            script = textwrap.dedent(code).replace('"photo.jpg"', repr(str(file)))
            exec(compile(script, "script.py", "exec"), {"model": model})
            right += capsys.readouterr().out.strip() == f"[{file.parent.name}]"
        assert right / len(files) == pytest.approx(share, abs=1e-3)


def test_the_lines_without_tinymnist_are_few_and_need_two_packages() -> None:
    code = without_tinymnist()
    assert set(re.findall(r"^(?:from|import) (\w+)", code, re.MULTILINE)) == {"numpy", "PIL"}
    body = code.partition("def prepare")[2].partition("\n\n\n")[0].splitlines()
    assert len(body) <= 32


def test_no_script_is_printed_where_nothing_is_gained(digits: Digits, reader: Reader) -> None:
    assert scripts(diagnose(planted(digits, lambda image: image), reader)) == {}
