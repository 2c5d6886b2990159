"""The web application without a browser: every endpoint, and what it refuses."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tinymnist
from tests.web.client import Client
from tinymnist.adapter import model_input
from tinymnist.cli import main
from tinymnist.explanation import explain
from tinymnist.imaging.digit.normalize import STAGES
from tinymnist.nn import functional as F
from tinymnist.reader import Reader
from tinymnist.web.application import Application
from tinymnist.web.digits import to_learn, to_measure
from tinymnist.web.endpoints import SAMPLES
from tinymnist.web.onefile import MAX_BYTES, STATIC, bundle, one_file
from tinymnist.web.packing import pack, unpack
from tinymnist.web.requests import MAX_BODY

PHOTO = SAMPLES / "7-tilted-photo.jpg"
TOKEN = "a-test-that-is-not-secret"


@pytest.fixture(scope="module")
def client() -> Client:
    return Client(Application("mlp"))


@pytest.fixture(scope="module")
def seven(client: Client) -> dict[str, Any]:
    """The 28x28 picture of the tilted photo, packed."""
    found: dict[str, Any] = client.post("/api/explain", PHOTO.read_bytes())["image"]
    return found


def test_predict_reads_what_the_reader_reads(client: Client) -> None:
    found = client.post("/api/predict", PHOTO.read_bytes())
    expected = Reader("mlp").predict(PHOTO)
    assert client.status == "200 OK"
    assert found["digit"] == expected.digit == 7
    assert list(found["probabilities"].values()) == expected.probabilities.tolist()


def test_read_gives_rows_with_boxes(client: Client) -> None:
    found = client.post("/api/read", PHOTO.read_bytes())
    assert found["text"] == "7"
    left, top, right, bottom = found["rows"][0][0]["box"]
    assert right - left > 50 and bottom - top > 100


def test_explain_shows_every_stage_beside_the_tutorials_failure(client: Client) -> None:
    found = client.post("/api/explain", PHOTO.read_bytes())
    steps = explain(PHOTO, "mlp").steps
    assert [s["name"] for s in found["stages"]] == [step.name for step in steps]
    assert [s["note"] for s in found["stages"]] == [step.note for step in steps]
    assert np.array_equal(unpack(found["image"]), steps[-1].image)
    assert found["answer"]["digit"] == 7 != found["tutorial"]["answer"]["digit"]


def test_a_stage_can_be_switched_off(client: Client) -> None:
    found = client.post("/api/explain?skip=centre,slant", PHOTO.read_bytes())
    assert "slant" not in [stage["name"] for stage in found["stages"]]
    assert not np.array_equal(unpack(found["image"]), explain(PHOTO, "mlp").steps[-1].image)
    assert "STAGE" in client.post("/api/explain?skip=STAGE", PHOTO.read_bytes())["error"]


@pytest.mark.parametrize("skip", [("slant",), ("slant", "centre"), ()])
def test_the_place_in_the_photo_is_where_the_ink_lies(client: Client, skip: tuple[str]) -> None:
    """The middle of the digit in 28x28 lands, in the photo, in the middle of the dark pixels."""
    steps = {step.name: step.image for step in explain(PHOTO, "mlp", skip).steps}
    found = client.post(f"/api/explain?skip={','.join(skip)}", PHOTO.read_bytes())["place"]
    small, large = unpack(pack(steps["centre"])), steps["components" if skip else "slant"]
    assert list(large.shape) == found["shape"] == list(steps[found["stage"]].shape)
    for axis, (start, scale) in enumerate((found["rows"], found["columns"])):
        middles = [
            (image.sum(1 - axis) @ (np.arange(image.shape[axis]) + 0.5)) / image.sum()
            for image in (small, large)
        ]
        assert start + scale * middles[0] == pytest.approx(middles[1], abs=0.7 * scale)


def test_every_layer_gives_what_the_functions_give(client: Client, seven: Any) -> None:
    found = client.post("/api/layers?model=keras-cnn", {"image": seven})
    reader = Reader("keras-cnn")
    x = unpack(seven)[None, ..., None]
    maps = {name: unpack(packed) for name, packed in found["maps"].items()}
    first = reader.model.get_layer("conv2d").weights
    y = F.relu(F.conv2d(x, first["kernel"], first["bias"])[0])[0]
    assert np.array_equal(maps["conv2d"], y[0])
    assert np.array_equal(maps["max_pooling2d"], F.max_pool2d(y, 2)[0][0])
    logits = np.array([found["logits"]], np.float32)
    assert np.array_equal(maps["dense"], F.softmax(logits)[0][0])


def test_a_weight_can_be_changed_and_a_filter_switched_off(client: Client, seven: Any) -> None:
    edit = ["conv2d/kernel", 40, 3.0]  # tap (0, 1) of filter 8
    changed = client.post(
        "/api/layers?model=keras-cnn", {"image": seven, "edits": [edit], "off": [["conv2d", 3]]}
    )
    weights = {
        n: a.copy() for n, a in Reader("keras-cnn").model.get_layer("conv2d").weights.items()
    }
    weights["kernel"].flat[40] = 3.0
    y = F.relu(F.conv2d(unpack(seven)[None, ..., None], weights["kernel"], weights["bias"])[0])[0]
    y[..., 3] = 0
    assert np.array_equal(unpack(changed["maps"]["conv2d"]), y[0])
    again = client.post("/api/layers?model=keras-cnn", {"image": seven})
    assert again["answer"] != changed["answer"], "the shared model must stay as it was"


def test_effects_change_the_picture(client: Client, seven: Any) -> None:
    def moved(**effects: float) -> Any:
        found = client.post("/api/layers", {"image": seven, "maps": False, "effects": effects})
        return unpack(found["image"])

    plain = unpack(seven)
    assert np.array_equal(moved(), plain)
    assert np.allclose(moved(right=2, down=-1)[:-1, 2:], plain[1:, :-2])
    assert moved(thickness=1).sum() > plain.sum() > moved(thickness=-0.5).sum()
    assert moved(blur=1.5).max() < plain.max()
    assert not np.array_equal(moved(noise=0.1), plain)
    quarter = moved(turn=90)  # clockwise: what was on top is at the right
    assert np.allclose(quarter, np.rot90(plain, -1), atol=1e-4)


def test_accuracy_is_measured_on_200_digits(client: Client) -> None:
    images, labels = to_measure()
    right = (Reader("mlp").model.predict(images).argmax(1) == labels).sum()
    found = client.post("/api/accuracy", {})
    assert (found["right"], found["of"]) == (right, 200)
    assert client.post("/api/accuracy", {"effects": {"turn": 90}})["right"] < 100


def test_the_shipped_digits_are_balanced_and_apart() -> None:
    (images, labels), (held, held_labels) = to_learn(), to_measure()
    assert np.bincount(labels).tolist() == [80] * 10
    assert np.bincount(held_labels).tolist() == [20] * 10
    assert not {image.tobytes() for image in images} & {image.tobytes() for image in held}


def test_occlusion_and_gradient_are_what_their_formulas_say(client: Client, seven: Any) -> None:
    found = client.post("/api/attribution?model=lenet5", {"image": seven, "class": 1, "side": 3})
    reader, x = Reader("lenet5"), unpack(seven)
    covered = x.copy()
    covered[9:12, 13:16] = 0
    p = reader.probabilities(np.stack([x, covered])[..., None])[:, 1]
    assert unpack(found["occlusion"])[10, 14] == pytest.approx(p[0] - p[1], abs=1e-6)
    double = reader.model.astype("float64")
    step = np.zeros((28, 28))
    step[10, 14] = 1e-5
    up, down = (
        double.run(model_input((x + sign * step)[None, ..., None], (28, 28, 1), {}), logits=True)
        for sign in (1, -1)
    )
    slope = float((up - down)[0, 1]) / 2e-5
    assert unpack(found["gradient"])[10, 14] == pytest.approx(slope, rel=1e-3)


def test_a_model_is_described_with_its_windows(client: Client) -> None:
    layers = client.get("/api/model?model=lenet5")["layers"]
    assert layers[0]["windows"]["pads"] == [[2, 2], [2, 2]]
    weights = client.get("/api/weights?model=lenet5&layer=dense")
    assert np.array_equal(
        unpack(weights["kernel"]), Reader("lenet5").model.get_layer("dense").weights["kernel"]
    )


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/api/predict", b"", "picture"),
        ("/api/predict", b"GIF89a but not really", "picture"),
        ("/api/predict?model=/etc/passwd", b"x", "model must be one of"),
        ("/api/layers", b"[1]", "object"),
        ("/api/layers", b"[" * 100_000, "JSON"),
        ("/api/layers", {"image": 7}, "float32"),
        ("/api/layers", {"image": {"shape": [9**9, 9**9], "data": ""}}, "float32"),
        ("/api/layers", {"image": {"shape": [2, 2], "data": "AAAA"}}, "float32"),
        ("/api/layers", {"image": pack(np.full((28, 28), np.nan))}, "finite"),
        ("/api/layers", {"image": pack(np.zeros((5, 5)))}, "(28, 28)"),
        ("/api/accuracy", {"effects": {"blur": 1e9}}, "blur"),
        ("/api/accuracy", {"effects": {"evil": 1}}, "evil"),
        ("/api/accuracy", {"edits": [["dense/kernel", -1, 0]]}, "number -1"),
        ("/api/accuracy", {"edits": "x"}, "edit"),
        ("/api/accuracy", {"off": [["dense", 999]]}, "channel 999"),
        ("/api/accuracy", {"off": [["dense", 0]] * 2000}, "at most"),
        ("/api/attribution", {"image": pack(np.zeros((28, 28))), "class": 11}, "class"),
        ("/api/training", {"epochs": 1e6}, "epochs"),
        ("/api/training", {"architecture": "resnet"}, "architecture"),
        ("/api/finetune", {"signs": {}}, "signs"),
        ("/api/finetune", {"signs": {"A": ["no picture"]}}, "base64"),
    ],
)
def test_bad_input_is_a_clear_error(client: Client, path: str, body: Any, message: str) -> None:
    found = client.post(path, body, HTTP_X_PAGE=TOKEN)
    assert client.status == "400 Bad Request"
    assert message in found["error"]
    assert "Traceback" not in found["error"] and str(Path.home()) not in found["error"]


def test_a_blank_picture_is_named_so(client: Client) -> None:
    stream = io.BytesIO()
    Image.new("L", (30, 30), 255).save(stream, "PNG")
    for path in ("/api/predict", "/api/explain", "/api/read"):
        error = client.post(path, stream.getvalue())["error"]
        assert error == "no digit found: the picture is blank"


def test_no_path_leads_out_of_the_page(client: Client) -> None:
    for path in (
        "/../app.py",
        "/static/../../app.py",
        "/samples/../api.py",
        "/%2e%2e/app.py",
        "/x",
    ):
        assert "error" in client.get(path)
        assert client.status == "404 Not Found"
    client.post("/index.html")
    assert client.status == "405 Method Not Allowed"


def test_only_this_machine_is_answered(client: Client) -> None:
    for host in ("localhost", "127.0.0.1:80", "[::1]:8000", "192.168.0.7"):
        client.get("/api/models", HTTP_HOST=host)
        assert client.status == "200 OK"
    client.get("/api/models", HTTP_HOST="evil.example")
    assert client.status == "403 Forbidden"
    client.get("/api/models", HTTP_HOST="127.0.0.1:8000", HTTP_ORIGIN="http://evil.example")
    assert client.status == "403 Forbidden"
    client.get("/api/models", HTTP_HOST="127.0.0.1:8000", HTTP_ORIGIN="http://127.0.0.1:8000")
    assert client.status == "200 OK"


def test_large_bodies_are_not_read(client: Client) -> None:
    found = client.post("/api/predict", b"x", CONTENT_LENGTH=str(MAX_BODY + 1))
    assert client.status.startswith("413") and "25 MB" in found["error"]
    client.post("/api/predict", b"x", CONTENT_LENGTH="100")
    assert client.status.startswith("408")
    client.post("/api/predict", b"x", CONTENT_LENGTH="many")
    assert client.status.startswith("400")


def test_a_fault_of_the_program_shows_nothing(client: Client) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise KeyError("/home/me/secret")

    log = io.StringIO()
    environ = {"wsgi.input": Broken(b"x"), "wsgi.errors": log, "CONTENT_LENGTH": "1"}
    assert client.post("/api/predict", b"x", **environ) == {"error": "internal error"}
    assert client.status.startswith("500") and "secret" in log.getvalue()


def test_the_page_needs_nothing_from_outside(client: Client) -> None:
    """No inline code, no other host, and less than 400 KB."""
    assert b"main.js" in client.raw("GET", "/")
    policy = client.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert sum(file.stat().st_size for file in STATIC.iterdir()) < 400_000
    for name in ("index.html", "reference.html"):
        text = client.raw("GET", f"/{name}").decode()
        assert client.headers["Content-Type"] == "text/html; charset=utf-8"
        assert not re.search(r"<script(?! type=\"module\" src)|<style| on\w+=| style=", text)
        assert not re.search(r"(src|href)=\"(https?:)?//", text)
    client.raw("GET", "/main.js")
    assert client.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert client.raw("HEAD", "/main.js") == b"" and client.headers["Content-Length"] != "0"


def test_every_endpoint_is_in_the_reference(client: Client) -> None:
    text = (STATIC / "reference.html").read_text(encoding="utf-8")
    for method, path in client.app.routes:
        assert f"{method} {path}" in text or path == "/api/end"


def test_one_file_holds_every_number(tmp_path: Path) -> None:
    page = one_file(PHOTO, Reader("keras-cnn"), "<7>")
    assert "&lt;7&gt;: read as 7" in page and len(page.encode()) < MAX_BYTES
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    data = json.loads(re.findall(r'id="data">(.*?)</script>', page)[0])
    assert set(data["without"]) <= set(STAGES) and len(data["without"]) > 6
    assert set(data["weights"]) == {"conv2d", "conv2d_1", "dense"}
    assert "import " not in re.sub(r"//.*", "", bundle("file"))


def test_explain_writes_the_page(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "photo.html"
    assert main(["explain", str(PHOTO), "--model", "mlp", "--out", str(out)]) == 0
    assert "drawn in" in capsys.readouterr().out
    assert "7-tilted-photo.jpg: read as 7" in out.read_text(encoding="utf-8")
    blank = tmp_path / "blank.png"
    Image.new("L", (40, 40), 255).save(blank)
    assert main(["explain", str(blank), "--out", str(tmp_path / "x.html")]) == 2
    assert not (tmp_path / "x.html").exists()


def test_jobs_need_a_name_for_the_page(client: Client) -> None:
    assert "X-Page" in client.post("/api/training", {})["error"]
    assert "X-Page" in client.post("/api/models", b"x", HTTP_X_PAGE="short")["error"]
    client.get("/api/job", HTTP_X_PAGE=TOKEN)
    assert client.status.startswith("404")


def test_download_is_the_model(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(client.raw("GET", "/api/download?model=lenet5"))
    assert tinymnist.load_model(path).get_layer("dense")
    assert b"import numpy" in client.raw("GET", "/api/download?model=mlp&format=py")
    assert 'filename="mlp.py"' in client.headers["Content-Disposition"]


def follow(client: Client, token: str) -> list[dict[str, Any]]:
    """All events of the page's job."""
    events: list[dict[str, Any]] = []
    following, over = 0, False
    while not over:
        found = client.get(f"/api/job?since={following}", HTTP_X_PAGE=token)
        events += found["events"]
        following, over = found["next"], found["over"] and not found["events"]
    return events


def test_training_is_watched_and_its_model_kept(client: Client) -> None:
    settings = {"architecture": "lenet5", "epochs": 1, "batch_size": 100, "paused": True}
    client.post("/api/training", settings, HTTP_X_PAGE=TOKEN)
    client.post("/api/job", {"action": "step"}, HTTP_X_PAGE=TOKEN)
    client.post("/api/job", {"action": "rate", "rate": 0.003}, HTTP_X_PAGE=TOKEN)
    client.post("/api/job", {"action": "resume"}, HTTP_X_PAGE=TOKEN)
    events = follow(client, TOKEN)
    frames = [event for event in events if event["event"] == "frame"]
    assert frames[0]["step"] == 0 and frames[-1]["step"] == 8
    assert frames[-1]["rate"] == 0.003 and frames[-1]["measured"]["accuracy"] > 0.3
    assert sum(len(frame["losses"]) for frame in frames) == 8
    assert events[-1]["event"] == "end"
    assert "trained" in client.get("/api/models", HTTP_X_PAGE=TOKEN)["own"]
    assert client.get("/api/models", HTTP_X_PAGE=TOKEN[::-1])["own"] == [], "another page's"
    assert "model must be one of" in client.get("/api/model?model=trained")["error"]


def test_a_new_head_learns_a_sign_and_the_base_stays(client: Client) -> None:
    files = sorted(SAMPLES.iterdir())[:3]
    pictures = [base64.b64encode(file.read_bytes()).decode() for file in files]
    body = {
        "model": "lenet5",
        "signs": {"A": pictures[:1], "B": pictures[1:]},
        "keep_digits": False,
    }
    client.post("/api/finetune", body, HTTP_X_PAGE=TOKEN)
    learned = next(event for event in follow(client, TOKEN) if event["event"] == "model")
    assert "conv2d/kernel" in learned["kept"] and "head/kernel" in learned["changed"]
    found = client.post("/api/predict?model=my-signs", files[0].read_bytes(), HTTP_X_PAGE=TOKEN)
    assert found["digit"] == "A"


def test_a_model_is_opened_and_compared_in_a_process(client: Client) -> None:
    weights = client.raw("GET", "/api/download?model=lenet5")
    name = "..%2F..%2Fmine.npz"
    opened = client.post(f"/api/models?name={name}", weights, HTTP_X_PAGE=TOKEN)
    assert opened["name"] == "mine.npz" and len(opened["layers"]) == 8
    body = {"a": "lenet5", "b": "mine.npz", "edits": [["dense/bias", 0, 1.0]]}
    record = client.post("/api/compare", body, HTTP_X_PAGE=TOKEN)["record"]
    assert record["first_mismatch"]["b"] == "dense before tanh"


def test_a_hostile_model_is_one_line(client: Client) -> None:
    found = client.post("/api/models?name=evil.npz", b"PK\x03\x04 nonsense", HTTP_X_PAGE=TOKEN)
    assert client.status.startswith("400") and "/tmp" not in found["error"]
    client.post("/api/end?page=" + TOKEN)
    assert client.get("/api/models", HTTP_X_PAGE=TOKEN)["own"] == []
