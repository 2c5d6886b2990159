"""The review page in a real browser: keys, what is saved, and how it looks."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from tests.test_cli import SAMPLES
from tests.web.test_browser import CHROMIUM, expect, listen
from tests.web.test_browser import browser as browser  # noqa: PLC0414 (a fixture)
from tests.web.test_review import EVIL, record
from tinymnist.web.application import Application
from tinymnist.web.doubtful import read_records
from tinymnist.web.labels import Labels
from tinymnist.web.review import Review, review_file
from tinymnist.web.server import Server

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hundred readings of copies of the samples, the worst read first; one has HTML as a name."""
    monkeypatch.chdir(tmp_path)
    lines = []
    for number in range(100):
        sample = SAMPLES[number % len(SAMPLES)]
        name = EVIL if number == 3 else f"{number:03d}{sample.suffix}"
        Path(name).write_bytes(sample.read_bytes())
        lines.append(record(name, int(sample.name[0]), 0.3 + number / 200))
    lines.append({"file": "gone.png", "error": "gone.png: no such file"})
    Path("r.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    review = Review(read_records("r.jsonl", 0.9), Labels(folder / "labels.csv"))
    server = Server("127.0.0.1", 0, Application(routes=review.routes))
    threading.Thread(target=server.run, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def rows(folder: Path) -> list[str]:
    return (folder / "labels.csv").read_text(encoding="utf-8").splitlines()[1:]


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_keys_label_and_nothing_is_lost(browser: Any, address: str, folder: Path) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    faults: list[str] = []
    listen(page, faults)
    page.goto(address)
    cards = page.locator("#sheet li")
    expect(cards).to_have_count(60)
    expect(cards.nth(0)).to_contain_text("missing")
    press(page, "ArrowRight", " ", "5", "x", "u", "Enter", "1", "u", "Delete", "ArrowRight", "9")
    expect(page.locator("#progress")).to_contain_text("5 labelled")
    expect(cards.nth(1)).to_contain_text("2 ✓")
    expect(cards.nth(2)).to_contain_text("5")
    expect(cards.nth(3)).to_contain_text("4 ✓")
    expect(cards.nth(4)).to_contain_text("not a digit")
    expected = ["000.png,2", "001.png,5", "002.png,4", "005.jpg,9"]
    assert rows(folder) == expected
    page.reload()
    expect(page.locator("#sheet li.done")).to_have_count(5)
    press(page, "0")  # the missing one cannot have a label
    expect(page.locator("#message")).to_contain_text("missing")
    expect(cards.nth(0)).not_to_have_class("done")
    assert rows(folder) == expected
    press(page, "PageDown")
    expect(page.locator("#place")).to_have_text("2 of 2")
    expect(page.locator("#sheet li")).to_have_count(41)
    page.click("#classes button[value='8']")
    expect(page.locator("#progress")).to_contain_text("6 labelled")
    press(page, "ArrowLeft", "ArrowLeft")  # from the second to the first, to the page before
    expect(page.locator("#place")).to_have_text("1 of 2")
    expect(page.locator("#sheet li[aria-selected=true]")).to_have_id("item-59")
    context.close()
    assert not faults[1:]  # the first is the browser's own note of the refusal


def test_one_file_keeps_labels_and_gives_them(browser: Any, folder: Path) -> None:
    page_file = folder / "review.html"
    found = read_records("r.jsonl", 0.9)
    page_file.write_text(review_file(found, Labels(folder / "labels.csv"), "r"), encoding="utf-8")
    context = browser.new_context(offline=True, accept_downloads=True)
    page = context.new_page()
    faults: list[str] = []
    listen(page, faults)
    page.goto(page_file.as_uri())
    expect(page.locator("#sheet li")).to_have_count(60)
    press(page, "ArrowRight", "Enter", "7", "x", "Enter")
    expect(page.locator("#progress")).to_contain_text("4 labelled")
    page.reload()
    expect(page.locator("#progress")).to_contain_text("4 labelled")
    with page.expect_download() as download:
        page.click("#download")
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert text == f"file,label\n000.png,2\n001.png,7\n{EVIL},5\n"
    context.close()
    assert not faults


def test_other_names_are_written_in_a_field(browser: Any, address: str, folder: Path) -> None:
    page = browser.new_page()
    line = {**record("001.png", 0, 0.5), "digit": "tick", "class_names": ["tick", "x"]}
    Path("r2.jsonl").write_text(json.dumps(line) + "\n")
    review = Review(read_records("r2.jsonl", 0.9), Labels(folder / "labels.csv"))
    server = Server("127.0.0.1", 0, Application(routes=review.routes))
    threading.Thread(target=server.run, daemon=True).start()
    page.goto(f"http://127.0.0.1:{server.server_port}/")
    expect(page.locator("#sheet li")).to_have_count(1)
    press(page, "x")  # a class of this name comes first
    expect(page.locator("#sheet li")).to_contain_text("x")
    assert rows(folder) == ["001.png,x"]
    press(page, "/")
    page.keyboard.type("cross")
    press(page, "Enter")
    expect(page.locator("#sheet li")).to_contain_text("cross")
    assert rows(folder) == ["001.png,cross"]
    server.shutdown()
    page.close()


@pytest.mark.parametrize("kind", ["light", "dark", "phone"])
def test_it_fits_and_can_be_used_by_everyone(browser: Any, address: str, kind: str) -> None:
    size = {"width": 390, "height": 844} if kind == "phone" else {"width": 1440, "height": 1000}
    scheme = "dark" if kind == "dark" else "light"
    # The checker is injected as inline code, which the page's own policy would stop.
    context = browser.new_context(viewport=size, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(address)
    expect(page.locator("#sheet li")).to_have_count(60)
    press(page, "ArrowRight", "Enter", "5", "x")
    expect(page.locator("#progress")).to_contain_text("3 labelled")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    if folder := os.environ.get("TINYMNIST_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"review-{kind}.png")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    faults = [
        (fault["id"], [node["html"][:120] for node in fault["nodes"][:3]])
        for fault in axe.run(page).response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
    context.close()
    assert not faults
