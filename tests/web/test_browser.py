"""The page in a real browser: what a visitor does, and what must follow.

Needs playwright and Debian's chromium: ``pip install '.[browser]'``, ``apt-get install chromium``.
With ``TINYMNIST_SCREENSHOTS=FOLDER`` the page is also photographed in light, dark and on a phone.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist.explanation import explain
from tinymnist.interop import export
from tinymnist.nn import functional as F
from tinymnist.reader import Reader
from tinymnist.web.application import Application
from tinymnist.web.endpoints import SAMPLES
from tinymnist.web.onefile import one_file
from tinymnist.web.server import Server

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
PHOTO = SAMPLES / "7-tilted-photo.jpg"
SLOW = 60_000  # milliseconds
Point = tuple[float, float]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = Server("127.0.0.1", 0, Application())
    threading.Thread(target=server.run, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The page, with the tilted photo read; a fault in its code fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, accept_downloads=True)
    page = context.new_page()
    faults: list[str] = []
    page.set_default_timeout(SLOW)
    listen(page, faults)
    page.goto(address)
    expect(page.locator("#digit")).to_have_text("7")
    yield page
    context.close()
    assert not faults


def expect(locator: Any) -> Any:
    """playwright's assertions, with a longer patience: this may be a busy machine."""
    playwright.expect.set_options(timeout=SLOW)
    return playwright.expect(locator)


def listen(page: Any, faults: list[str]) -> None:
    """Note every error of the page's code, and everything that its policy stops."""

    def note(line: Any) -> None:
        if line.type == "error":
            faults.append(line.text)

    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", note)


def draw(page: Any, pad: Any, points: list[Point]) -> None:
    """One stroke of the mouse, through points in 0..1."""
    box = pad.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=10)
    page.mouse.up()


SEVEN: list[Point] = [(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)]
HEART: list[Point] = [(0.5, 0.85), (0.2, 0.45), (0.3, 0.25), (0.5, 0.4), (0.7, 0.25), (0.8, 0.45)]


def test_a_drawn_7_is_read_and_the_address_keeps_it(page: Any, address: str) -> None:
    page.locator("#samples button").first.click()
    expect(page.locator("#digit")).to_have_text("2")
    page.click("#draw")
    draw(page, page.locator("#pad canvas"), SEVEN)
    expect(page.locator("#digit")).to_have_text("7")
    expect(page).to_have_url(re.compile("drawing=.{40}"))
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    expect(page.locator("#digit")).to_have_text("7")
    assert page.locator("#pad").is_visible()


def test_the_keyboard_draws(page: Any) -> None:
    page.click("#draw")
    for key in (["ArrowUp"] * 10) + [" "] + (["ArrowDown"] * 20) + [" "]:
        page.keyboard.press(key)
    expect(page.locator("#digit")).to_have_text("1")


def test_a_dropped_photo_is_read(page: Any) -> None:
    transfer = page.evaluate_handle(
        """async () => {
            const file = await (await fetch("/samples/5-marker-on-yellow.jpg")).blob();
            const transfer = new DataTransfer();
            transfer.items.add(new File([file], "five.jpg", { type: "image/jpeg" }));
            return transfer;
        }"""
    )
    page.dispatch_event("#photo", "drop", {"dataTransfer": transfer})
    expect(page.locator("#digit")).to_have_text("5")


def test_a_page_of_digits_is_read(page: Any) -> None:
    page.set_input_files("#file", SAMPLES / "8-chalk-on-black.jpg")
    expect(page.locator("#digit")).to_have_text("8")
    page.click("#readpage")
    page.locator("#pages button").first.click()
    expect(page.locator("#photo img")).to_have_attribute("alt", re.compile("one digit of the page"))
    expect(page.locator("#digit")).to_have_text("8")


def test_stages_are_switched_and_the_tutorials_fail(page: Any) -> None:
    duel = page.locator(".duel")
    expect(duel.locator(".reads b").nth(0)).to_have_text("7")
    expect(duel.locator(".reads b").nth(1)).not_to_have_text("7")
    before = explain(PHOTO, "mnist-cnn").prediction
    without = explain(PHOTO, "mnist-cnn", ("slant", "box")).prediction
    assert without.confidence != before.confidence
    page.click("[data-stage=box]")
    expect(duel.locator(".reads").nth(0)).to_contain_text(f"{100 * without.confidence:.1f} %")
    expect(page).to_have_url(re.compile("skip=slant%2Cbox"))
    page.click("[data-stage=box]")
    expect(duel.locator(".reads").nth(0)).to_contain_text(f"{100 * before.confidence:.1f} %")


def as_javascript(value: float) -> str:
    """A number as the page writes it."""
    if value != 0 and abs(value) < 0.0005:
        return re.sub(r"e([+-])0*", r"e\1", f"{value:.1e}")
    return re.sub(r"^-(0\.000)$", r"\1" if value == 0 else r"-\1", f"{value:.3f}")


def values(page: Any, table: str) -> list[str]:
    return [text.strip() for text in page.locator(f"#sums {table} td").all_inner_texts()]


def test_the_numbers_are_those_of_the_functions(page: Any) -> None:
    """A patch, its kernel, the products and the sum, to the last digit shown."""
    page.select_option("#model", "keras-cnn")
    page.click("#tab-layers")
    page.click("[data-layer=conv2d_1]")
    page.click("#map-5")
    big = page.locator("#bigmap")
    size = big.bounding_box()
    big.hover(position={"x": size["width"] * 4.5 / 11, "y": size["height"] * 6.5 / 11})
    expect(page.locator(".large figcaption")).to_have_text("map 5, row 6, column 4")
    expect(page.locator("#sums [data-value=before]")).to_be_visible()
    model = Reader("keras-cnn").model
    x = explain(PHOTO, "keras-cnn").steps[-1].image[None, ..., None]
    first, second = (model.get_layer(name).weights for name in ("conv2d", "conv2d_1"))
    pooled = F.max_pool2d(F.relu(F.conv2d(x, first["kernel"], first["bias"])[0])[0], 2)[0]
    z = F.conv2d(pooled, second["kernel"], second["bias"])[0][0, 6, 4, 5]
    expect(page.locator("#sums [data-value=before]")).to_have_text(as_javascript(z))
    expect(page.locator("#sums [data-value=value]")).to_have_text(as_javascript(max(z, 0)))
    patch, kernel = pooled[0, 6:9, 4:7].astype(np.float64), second["kernel"][..., 5].astype(float)
    channel = int(np.abs((patch * kernel).sum((0, 1))).argmax())
    shown = [values(page, f"figure:nth-of-type({i})") for i in (1, 2, 3)]
    one, other = patch[..., channel].ravel(), kernel[..., channel].ravel()
    expected = [[*map(as_javascript, numbers)] for numbers in (one, other, one * other)]
    assert shown == expected
    field = page.locator("[data-field=input] figcaption small")
    expect(field).to_have_text(
        re.compile("8.8 of 28.28")
    )  # 3x3, pooled: 6x6, and 3x3 before that: 8x8
    page.click("#tab-answer")
    logits = model.run(x, logits=True)
    for i, p in enumerate(F.softmax(logits)[0][0]):
        expect(page.locator(f"[data-step='{i}-0']")).to_have_text(as_javascript(logits[0, i]))
        expect(page.locator(f"[data-step='{i}-3']")).to_have_text(f"{p:.4f}")
    page.select_option("#label", "3")
    cost = -np.log(F.softmax(logits)[0][0, 3])
    expect(page.locator("[data-value=loss]")).to_have_text(as_javascript(cost))


@pytest.mark.parametrize("name", ["mnist-cnn", "lenet5"])
def test_every_layer_is_taken_apart(page: Any, name: str) -> None:
    """The strongest output of each layer, from its inputs, is what the layer gives."""
    page.select_option("#model", name)
    page.click("#tab-layers")
    model, x = Reader(name).model, explain(PHOTO, name).steps[-1].image[None, ..., None]
    for layer, output in list(model.capture(x).items())[1:]:
        page.click(f"[data-layer={layer}]")
        values = output.ravel()
        strongest = values[np.abs(values).argmax()]
        shown = page.locator("#sums [data-value=value], #sums [data-value=before]").last
        expect(shown).to_have_text(as_javascript(strongest))


def test_a_weight_and_the_picture_are_changed(page: Any) -> None:
    page.click("#tab-change")
    expect(page.locator("#accuracy")).to_contain_text("200 of 200")
    page.locator("#effect-turn").fill("60")
    expect(page.locator("#accuracy [data-value=right]")).not_to_have_text("200 of 200")
    page.click("#undo")
    expect(page.locator("#accuracy")).to_contain_text("200 of 200")
    before = page.locator("#outcome .reads").inner_text()
    page.click("#tap-12")
    page.locator("#weight").fill("1.5")
    expect(page.locator("#weight-value")).to_have_text("1.500")
    expect(page.locator("#outcome .reads")).not_to_have_text(before)
    page.click("#switch-2")
    expect(page.locator("#switch-2")).to_have_attribute("aria-pressed", "false")
    expect(page).to_have_url(re.compile(r"edits=conv2d%2Fkernel%3A384%3A1\.\d+&off=conv2d%3A2"))


def test_why_shows_both_maps(page: Any) -> None:
    page.click("#tab-why")
    page.locator("[data-map=occlusion] canvas").hover()
    expect(page.locator("[data-map=occlusion] figcaption")).to_have_text(
        re.compile(r"row \d+, column \d+: -?\d")
    )
    page.select_option("#why-class", "1")
    expect(page.locator("[data-map=gradient] canvas")).to_have_attribute(
        "aria-label", "Gradient for 1"
    )


def test_three_epochs_are_trained_and_the_network_is_looked_into(page: Any) -> None:
    page.click("#tab-train")
    page.click("#train-step")
    expect(page.locator("#train-state")).to_contain_text("0 steps")
    page.click("#train-step")
    expect(page.locator("#train-state")).to_contain_text("1 steps")
    page.click("#train-pause")
    page.locator("#train-result button").first.click()
    expect(page.locator("#model")).to_have_value("trained")
    expect(page.locator("[data-layer=dense_1]")).to_be_visible()
    page.click("#tab-train")
    state = page.locator("#train-state")
    expect(state).to_contain_text("finished: 75 steps")
    assert float(re.findall(r"accuracy ([\d.]+) %", state.inner_text())[0]) > 60
    assert page.locator("#kernels canvas").count() == 6


@pytest.mark.parametrize("late", ["model", "layers"])
def test_what_arrives_late_is_not_shown_beside_another_network(
    page: Any, address: str, late: str
) -> None:
    page.goto(f"{address}#model=keras-cnn&layer=dense")
    expect(page.locator(".duel")).to_contain_text("read by keras-cnn")
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route(f"**/api/{late}*", hold, times=1)
    if late == "layers":  # its own, which are on their way when another network is chosen
        with page.expect_request("**/api/layers"):
            page.click("[data-stage=noise]")
        with page.expect_response("**/api/explain*"):
            page.select_option("#model", "lenet5")
    else:
        with page.expect_request("**/api/model?*"):
            page.select_option("#model", "lenet5")
    page.click("#tab-layers")
    expect(page.locator("#view-layers")).to_contain_text("There is no picture in the network yet")
    held[0].continue_()
    expect(page.locator(".layerlist")).to_have_attribute("data-model", "lenet5")
    expect(page.locator("#sums")).to_contain_text("bias")


def test_a_new_sign_is_taught(page: Any) -> None:
    page.click("#tab-teach")
    page.fill("#teach-name", "heart")
    pad = page.locator("#view-teach .pad")
    for i in range(5):
        points = [(x + 0.02 * i, y - 0.01 * i) for x, y in [*HEART, HEART[0]]]
        draw(page, pad, points)
        page.click("#teach-add")
        expect(page.locator(".sign-row img")).to_have_count(i + 1)
    page.click("#teach-go")
    expect(page.locator("#teach-result summary")).to_have_text(
        "20 arrays stayed, bit for bit; 2 are new"
    )
    page.click("#draw")
    draw(page, page.locator("#pad canvas"), [(x - 0.03, y) for x, y in [*HEART, HEART[0]]])
    expect(page.locator("#digit")).to_have_text("heart")
    with page.expect_download() as download:
        page.click("#teach-save")
    assert Reader(download.value.path()).class_names[-1] == "heart"


def test_a_model_is_dropped_and_compared(page: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    export("lenet5", tmp_path / "mine.onnx")
    page.click("#tab-models")
    page.set_input_files("#model-file", tmp_path / "mine.onnx")
    expect(page.locator("#model")).to_have_value("mine.onnx")
    expect(page.locator("#digit")).to_have_text("7")
    page.select_option("#compare-a", "lenet5")
    page.select_option("#compare-b", "mine.onnx")
    page.click("#compare-go")
    expect(page.locator("#compare-headline")).to_contain_text("They agree in all")
    (tmp_path / "bad.onnx").write_bytes(b"nothing of use")
    page.set_input_files("#model-file", tmp_path / "bad.onnx")
    expect(page.locator("#message")).to_contain_text("bad.onnx")


def test_the_walk_leads_through_every_chapter(page: Any) -> None:
    page.click("#walk")
    for chapter in range(1, 10):
        expect(page.locator("#chapter .count")).to_have_text(f"Chapter {chapter} of 9")
        expect(page.locator("#chapter code")).to_have_text(re.compile(r"^tinymnist lesson \d+$"))
        page.click("#walk-next")
    expect(page.locator("#chapter")).to_be_hidden()


def test_what_can_be_saved(page: Any) -> None:
    for kind, ending in (("picture", ".png"), ("numbers", ".json"), ("python", ".py")):
        with page.expect_download() as download:
            page.select_option("#export", kind)
        assert download.value.suggested_filename.endswith(ending)


def test_one_file_opens_from_disk(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "photo.html"
    path.write_text(one_file(PHOTO, Reader("mnist-cnn"), "photo"), encoding="utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    faults: list[str] = []
    listen(page, faults)
    page.goto(path.as_uri())
    expect(page.locator(".duel .reads b").first).to_have_text("7")
    page.click("[data-stage=polarity]")
    expect(page.locator("#message")).not_to_have_text("")
    page.click("#tab-layers")
    page.click("[data-layer=conv2d_2]")
    expect(page.locator("#sums [data-value=before]")).to_have_text(re.compile(r"-?\d"))
    expect(page.locator("[data-field=photo] img")).to_be_visible()
    page.click("#tab-why")
    expect(page.locator("[data-map=occlusion]")).to_be_visible()
    context.close()
    assert not faults


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_accessibility_fault(browser: Any, address: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    # The checker is injected as inline code, which the page's own policy would stop.
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    serious = []
    for view in ("recipe&walk=1", "layers", "answer", "why", "change", "train", "teach", "models"):
        page.goto("about:blank")
        page.goto(f"{address}#view={view}")
        expect(page.locator("#digit")).to_have_text("7")
        expect(page.locator(f"#tab-{view.split('&')[0]}")).to_be_visible()
        for fault in axe.run(page).response["violations"]:
            if fault["impact"] in ("serious", "critical"):
                nodes = [node["html"][:120] for node in fault["nodes"][:3]]
                serious.append((view, fault["id"], nodes))
    context.close()
    assert not serious


@pytest.mark.parametrize("kind", ["light", "dark", "phone"])
def test_it_fits_the_screen(browser: Any, address: str, kind: str) -> None:
    size = {"width": 390, "height": 844} if kind == "phone" else {"width": 1440, "height": 1000}
    context = browser.new_context(
        viewport=size, color_scheme="dark" if kind == "dark" else "light", has_touch=kind == "phone"
    )
    page = context.new_page()
    for view in ("recipe", "layers", "answer", "why", "change", "train", "teach", "models"):
        page.goto("about:blank")
        page.goto(f"{address}#view={view}")
        expect(page.locator("#digit")).to_have_text("7")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], view
        if folder := os.environ.get("TINYMNIST_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{view}-{kind}.png", full_page=True)
    context.close()
