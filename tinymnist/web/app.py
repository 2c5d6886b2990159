"""HTTP: which address answers with what. The application is a WSGI callable (PEP 3333).

It keeps to JSON for errors too, ``{"error": "..."}``, never shows a path of the machine, and
answers only requests that are meant for it: a ``Host`` that is a name of another site is how such
a site would reach a server on this machine (DNS rebinding).
"""

from __future__ import annotations

import base64
import ipaddress
import json
import mimetypes
import os
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np

from tinymnist import __version__
from tinymnist.errors import InputError
from tinymnist.imaging.digit.recipes import prepare_image
from tinymnist.interop import export
from tinymnist.nn.architectures import ARCHITECTURES
from tinymnist.nn.arrays import Array
from tinymnist.nn.optimizers import OPTIMIZERS
from tinymnist.nn.sequential import Sequential
from tinymnist.nn.weights import shipped
from tinymnist.reader import DEFAULT_MODEL, Reader
from tinymnist.web import views
from tinymnist.web.describing import describe, weights_of
from tinymnist.web.editing import Edits, edited
from tinymnist.web.effects import check_effects
from tinymnist.web.jobs import Busy, Job
from tinymnist.web.onefile import STATIC, one_file
from tinymnist.web.packing import pack, unpack, unpack_bytes
from tinymnist.web.visitors import Visitors

MAX_BODY = 25_000_000
"""Bytes of a request."""
SLOWEST_BODY, LONGEST_JOB = 30.0, 60.0
"""Seconds that a client may take to send a request, and that opening or comparing may take."""
SAMPLES = Path(__file__).parents[1] / "samples"
MAX_AT_ONCE = 2 * max(2, os.cpu_count() or 1)
"""Requests that compute at one time; the others wait, so that memory is bounded."""
MAX_SIGNS, MAX_PICTURES = 10, 20
"""Classes of one fine-tuning, and pictures of each."""

SECURITY = [
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]

StartResponse = Callable[..., Any]
Answer = tuple[str, str, bytes, list[tuple[str, str]]]
"""Status, content type, body, further headers."""


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: str, message: str) -> None:
        """``status`` is HTTP's, such as "404 Not Found"."""
        super().__init__(message)
        self.status = status


class Request:
    """What was asked."""

    def __init__(self, environ: dict[str, Any]) -> None:
        """Read everything except the body."""
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = environ.get("PATH_INFO", "/")
        self.token: str | None = environ.get("HTTP_X_PAGE")
        query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        self.query = {name: values[-1] for name, values in query.items()}

    def body(self) -> bytes:
        """The whole body.

        Raises:
            Refused: when it is too large, cut off, or too slow.
        """
        try:
            length = int(self.environ.get("CONTENT_LENGTH") or 0)
        except ValueError:
            raise Refused("400 Bad Request", "Content-Length must be a number") from None
        if length > MAX_BODY:
            self._discard(length)
            raise Refused("413 Content Too Large", f"at most {MAX_BODY // 10**6} MB are read")
        began, parts = time.monotonic(), []
        read = self.environ["wsgi.input"].read
        while length > 0:
            try:
                part = read(min(length, 1 << 16))
            except OSError:
                part = b""
            if not part or time.monotonic() - began > SLOWEST_BODY:
                raise Refused("408 Request Timeout", "the body ended early or came too slowly")
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def _discard(self, length: int) -> None:
        """Read on for a while: a client that is still sending would not see the answer."""
        end = time.monotonic() + 2
        with suppress(OSError):
            while length > 0 and time.monotonic() < end:
                length -= len(self.environ["wsgi.input"].read(min(length, 1 << 16))) or length

    def json(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises:
            InputError: when it is something else.
        """
        try:
            found = json.loads(self.body() or b"{}")
        except (ValueError, RecursionError):
            raise InputError("the body must be JSON") from None
        if not isinstance(found, dict):
            raise InputError("the body must be a JSON object")
        return found


def choice(body: dict[str, Any], name: str, allowed: Iterable[str], default: str) -> str:
    """A word out of several.

    Raises:
        InputError: for another.
    """
    found = body.get(name, default)
    if found not in (known := list(allowed)):
        raise InputError(f"{name} must be one of {', '.join(known)}; received {found!r:.80}")
    return str(found)


def number(body: dict[str, Any], name: str, low: float, high: float, default: float) -> float:
    """A number in a range.

    Raises:
        InputError: for anything else.
    """
    found = body.get(name, default)
    if isinstance(found, bool) or not isinstance(found, int | float) or not low <= found <= high:
        raise InputError(f"{name} must be a number in {low:g}..{high:g}; received {found!r:.80}")
    return found


class Application:
    """The WSGI callable.

    Attributes:
        default: the name of the model that answers if none is named.
        hosts: names of this machine under which it may be reached, beside addresses in numbers
            and localhost; taken from the environment variable ``TINYMNIST_HOSTS`` if not given.
    """

    def __init__(self, model: str | os.PathLike[str] | None = None, hosts: Iterable[str] = ()):
        """Open the model, if it is a file.

        Raises:
            InputError: when it cannot be opened.
        """
        self.visitors = Visitors()
        self.default = str(model or DEFAULT_MODEL)
        if self.default not in shipped():
            reader = Reader(self.default)
            self.default = Path(self.default).stem
            self.visitors.share(self.default, reader)
        named = os.environ.get("TINYMNIST_HOSTS", "").split(",")
        self.hosts = {"localhost", *filter(None, hosts), *filter(None, named)}
        self._places = threading.BoundedSemaphore(MAX_AT_ONCE)
        self.routes: dict[tuple[str, str], Callable[[Request], Any]] = {
            ("GET", "/api/models"): self.models,
            ("POST", "/api/models"): self.open_model,
            ("GET", "/api/model"): self.model,
            ("GET", "/api/weights"): self.weights,
            ("GET", "/api/download"): self.download,
            ("POST", "/api/predict"): self.predict,
            ("POST", "/api/read"): self.read,
            ("POST", "/api/explain"): self.explain,
            ("POST", "/api/onefile"): self.onefile,
            ("POST", "/api/layers"): self.layers,
            ("POST", "/api/attribution"): self.attribution,
            ("POST", "/api/accuracy"): self.accuracy,
            ("POST", "/api/compare"): self.compare,
            ("POST", "/api/training"): self.training,
            ("POST", "/api/finetune"): self.finetune,
            ("GET", "/api/job"): self.job,
            ("POST", "/api/job"): self.command,
            ("POST", "/api/end"): self.end,
        }

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        """Answer one request (PEP 3333)."""
        try:
            status, kind, body, headers = self._answer(environ)
        except Refused as error:
            status, kind, body, headers = _error(error.status, str(error))
        except Busy as error:
            status, kind, body, headers = _error("503 Service Unavailable", str(error))
        except (InputError, ValueError) as error:
            status, kind, body, headers = _error("400 Bad Request", str(error))
        except MemoryError:
            status, kind, body, headers = _error("413 Content Too Large", "not enough memory")
        except Exception:  # a fault of this program: noted here, and no detail leaves the machine
            environ["wsgi.errors"].write(traceback.format_exc())
            status, kind, body, headers = _error("500 Internal Server Error", "internal error")
        length = [("Content-Type", kind), ("Content-Length", str(len(body)))]
        start_response(status, [*length, *SECURITY, *headers])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

    def _answer(self, environ: dict[str, Any]) -> Answer:
        self._check_origin(environ)
        request = Request(environ)
        method = "GET" if request.method == "HEAD" else request.method
        handler = self.routes.get((method, request.path))
        if handler is None:
            if any(path == request.path for _, path in self.routes) or method != "GET":
                raise Refused("405 Method Not Allowed", f"{request.path} does not take {method}")
            return _static(request.path)
        waits = request.path in ("/api/job", "/api/compare", "/api/models", "/api/end")
        if waits:  # for a worker process, or for nothing at all
            found = handler(request)
        elif self._places.acquire(timeout=SLOWEST_BODY):
            try:
                found = handler(request)
            finally:
                self._places.release()
        else:
            raise Refused("503 Service Unavailable", "too many requests at once; try again")
        if isinstance(found, tuple):
            return found
        no_store = [("Cache-Control", "no-store")]
        return "200 OK", "application/json", json.dumps(found).encode(), no_store

    def _check_origin(self, environ: dict[str, Any]) -> None:
        """Refuse a host that is not this machine, and requests that another site's page sends."""
        host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if name.lower() not in self.hosts and not _is_address(name.strip("[]")):
            raise Refused("403 Forbidden", "this host name is not served here: see TINYMNIST_HOSTS")
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and origin.partition("://")[2] != host:
            raise Refused("403 Forbidden", "requests from pages of other sites are not answered")

    # Models ---------------------------------------------------------------------------------------

    def _reader(self, request: Request, name: Any = None) -> Reader:
        return self.visitors.reader(
            str(name or request.query.get("model") or self.default), request.token
        )

    def models(self, request: Request) -> Any:
        """What can be chosen."""
        from tinymnist.data.mnist import find_mnist

        own = self.visitors.page(request.token).models if request.token else {}
        try:
            has_mnist = bool(find_mnist())
        except InputError:
            has_mnist = False
        return {
            "version": __version__,
            "default": self.default,
            "shared": self.visitors.names(),
            "own": list(own),
            "architectures": list(ARCHITECTURES),
            "optimizers": list(OPTIMIZERS),
            "digits": ["shipped", *(["mnist"] if has_mnist else [])],
            "samples": sorted(file.name for file in SAMPLES.iterdir()),
        }

    def open_model(self, request: Request) -> Any:
        """A model file of any framework, opened in a process of its own."""
        page = self.visitors.page(request.token)
        name = Path(request.query.get("name", "model").replace("\\", "/")).name[-60:]
        safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in name).lstrip(".") or "model"
        data = base64.b64encode(request.body()).decode("ascii")
        job = Job({"kind": "open", "name": safe, "data": data})
        found = job.result("model", LONGEST_JOB)
        reader = page.add_model(safe, unpack_bytes(found["data"], "model"))
        return {**describe(reader), "notes": found["notes"]}

    def model(self, request: Request) -> Any:
        """The layers of a model."""
        return describe(self._reader(request))

    def weights(self, request: Request) -> Any:
        """The arrays of one layer."""
        return weights_of(self._reader(request), request.query.get("layer", ""))

    def download(self, request: Request) -> Answer:
        """A model as a weights file, or as one Python file."""
        reader = self._reader(request)
        kind = choice(request.query, "format", ("npz", "py"), "npz")
        stem = Path(reader.model.name).stem
        headers = [("Content-Disposition", f'attachment; filename="{stem}.{kind}"')]
        return "200 OK", "application/octet-stream", _file_of(reader.model, kind), headers

    # Pictures -------------------------------------------------------------------------------------

    def predict(self, request: Request) -> Any:
        """The digit on one picture."""
        return views.answer(self._reader(request).predict(_picture(request)))

    def read(self, request: Request) -> Any:
        """All digits on one picture."""
        return views.read_page(_picture(request), self._reader(request))

    def explain(self, request: Request) -> Any:
        """Every stage between a picture and the network."""
        skip = [name for name in request.query.get("skip", "slant").split(",") if name]
        tutorials = self.visitors.reader(views.TUTORIAL_MODEL, None)
        return views.explain_picture(_picture(request), self._reader(request), tutorials, skip)

    def onefile(self, request: Request) -> Answer:
        """The views of one picture in one HTML file."""
        title = request.query.get("name", "picture")[:80]
        page = one_file(_picture(request), self._reader(request), title).encode()
        headers = [("Content-Disposition", 'attachment; filename="picture.html"')]
        return "200 OK", "text/html; charset=utf-8", page, headers

    def layers(self, request: Request) -> Any:
        """Every layer's output for one picture in MNIST's form."""
        body = request.json()
        reader, edits, effects = self._changed(request, body)
        maps = bool(body.get("maps", True))
        return views.run_layers(_image(body), reader, edits, effects, maps=maps)

    def attribution(self, request: Request) -> Any:
        """What each pixel did for one class."""
        body = request.json()
        reader, edits, _ = self._changed(request, body)
        target = int(number(body, "class", 0, 1e6, 0))
        side = int(number(body, "side", 1, 13, 5))
        return views.attribution(_image(body), reader, edits, target, side)

    def accuracy(self, request: Request) -> Any:
        """A changed model on the 200 shipped digits."""
        reader, edits, effects = self._changed(request, request.json())
        return views.accuracy(reader, edits, effects)

    def _changed(self, request: Request, body: dict[str, Any]) -> tuple[Reader, Edits, Any]:
        edits = Edits.parse(body.get("edits", []), body.get("off", []))
        effects = check_effects(body.get("effects", {}))
        return self._reader(request, body.get("model")), edits, effects

    # Jobs -----------------------------------------------------------------------------------------

    def compare(self, request: Request) -> Any:
        """Two models side by side; ``edits`` change the second."""
        body = request.json()
        edits = Edits.parse(body.get("edits", []), [])
        readers = [self._reader(request, body.get(side)) for side in ("a", "b")]
        models = readers[0].model, edited(readers[1].model, edits)
        a, b = (base64.b64encode(_file_of(model, "npz")).decode("ascii") for model in models)
        names = [reader.model.name for reader in readers]
        job = Job({"kind": "compare", "a": a, "b": b, "names": names})
        found = job.result("comparison", LONGEST_JOB)
        return {"record": found["record"], "lines": found["lines"]}

    def training(self, request: Request) -> Any:
        """Start to train a network from scratch."""
        body = request.json()
        settings = {
            "kind": "train",
            "architecture": choice(body, "architecture", ARCHITECTURES, "lenet5"),
            "optimizer": choice(body, "optimizer", OPTIMIZERS, "adam"),
            "digits": choice(body, "digits", ("shipped", "mnist"), "shipped"),
            "learning_rate": number(body, "learning_rate", 1e-7, 100, 0.001),
            "batch_size": int(number(body, "batch_size", 1, 1000, 32)),
            "epochs": int(number(body, "epochs", 1, 50, 3)),
            "seed": int(number(body, "seed", 0, 1e9, 0)),
            "augment": body.get("augment") is True,
            "paused": body.get("paused") is True,
        }
        self.visitors.page(request.token).start(settings)
        return {"started": "train"}

    def finetune(self, request: Request) -> Any:
        """Start to teach a model signs: ``{"signs": {"A": [pictures in base64]}}``."""
        body = request.json()
        signs = body.get("signs")
        if not isinstance(signs, dict) or not 1 <= len(signs) <= MAX_SIGNS:
            raise InputError(f"signs must name 1 to {MAX_SIGNS} classes with their pictures")
        drawn = {}
        for name, pictures in signs.items():
            if (
                not 1 <= len(name) <= 20
                or not isinstance(pictures, list)
                or not (1 <= len(pictures) <= MAX_PICTURES)
            ):
                raise InputError(
                    f"a sign has a name of 1 to 20 letters and 1 to {MAX_PICTURES} pictures; "
                    f"received {name!r:.40}"
                )
            decoded = [unpack_bytes(picture, "a picture") for picture in pictures]
            drawn[name] = pack(np.stack([prepare_image(picture) for picture in decoded]))
        keep = body.get("keep_digits", True) is True
        if not keep and len(drawn) < 2:
            raise InputError("without the digits, a network needs at least two signs")
        reader = self._reader(request, body.get("model"))
        model = base64.b64encode(_file_of(reader.model, "npz")).decode("ascii")
        settings = {"kind": "finetune", "model": model, "signs": drawn, "keep_digits": keep}
        self.visitors.page(request.token).start(settings)
        return {"started": "finetune"}

    def job(self, request: Request) -> Any:
        """What the page's job has sent since an event; a model that it made is kept."""
        page = self.visitors.page(request.token)
        since = int(number({"since": _whole(request.query.get("since"))}, "since", 0, 1e9, 0))
        if page.job is None:
            raise Refused("404 Not Found", "this page has no job")
        job = page.job
        found, following = job.since(since, wait=10.0)
        for event in found:
            if "data" in event:
                event["name"] = {"train": "trained", "finetune": "my-signs"}[job.kind]
                page.add_model(event["name"], unpack_bytes(event.pop("data"), "model"))
        return {"events": found, "next": following, "over": job.over}

    def command(self, request: Request) -> Any:
        """Pause, resume, step, change the learning rate of, or stop the page's job."""
        body = request.json()
        page = self.visitors.page(request.token)
        action = choice(body, "action", ("pause", "resume", "step", "rate", "stop", "kill"), "")
        if action == "kill":
            page.end_job()
        elif page.job is not None:
            page.job.send({"action": action, "rate": number(body, "rate", 1e-7, 100, 0.001)})
        return {"done": action}

    def end(self, request: Request) -> Any:
        """The page was closed; its token comes in the query, as a beacon has no headers."""
        self.visitors.forget(request.query.get("page"))
        return {"done": "end"}


def _whole(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 12 else 0


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _error(status: str, message: str) -> Answer:
    body = json.dumps({"error": message}).encode()
    return status, "application/json", body, [("Cache-Control", "no-store")]


def _static(path: str) -> Answer:
    """A file of the page, or a sample picture; names alone decide, no path is followed."""
    files = {f"/{file.name}": file for file in STATIC.iterdir() if file.is_file()}
    files |= {f"/samples/{file.name}": file for file in SAMPLES.iterdir()}
    file = files.get("/index.html" if path == "/" else path)
    if file is None:
        raise Refused("404 Not Found", "there is nothing at this address")
    kind = "text/javascript" if file.suffix == ".js" else mimetypes.guess_type(file.name)[0]
    text = "" if (kind or "").startswith("image") else "; charset=utf-8"
    headers = [("Cache-Control", "no-cache")]
    return "200 OK", f"{kind or 'application/octet-stream'}{text}", file.read_bytes(), headers


def _picture(request: Request) -> bytes:
    data = request.body()
    if not data:
        raise InputError("the body must be a picture file")
    return data


def _image(body: dict[str, Any]) -> Array:
    """The 28x28 picture of a request."""
    image = unpack(body.get("image"), "image")
    if image.shape != (28, 28):
        raise InputError(f"image must be of shape (28, 28); received {image.shape}")
    return np.clip(image, 0, 1)


def _file_of(model: Sequential, kind: str) -> bytes:
    """A model as a file's bytes."""
    with tempfile.TemporaryDirectory(prefix="tinymnist-") as folder:
        path = Path(folder) / f"model.{kind}"
        if kind == "npz":
            model.save(path)
        else:
            export(model, path)
        return path.read_bytes()


app = Application()
"""The application with the default model, for any WSGI server."""
