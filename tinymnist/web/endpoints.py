"""What each address of the application answers with."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinymnist import __version__
from tinymnist.data.mnist import find_mnist
from tinymnist.errors import InputError
from tinymnist.imaging.digit.recipes import prepare_image
from tinymnist.interop import export
from tinymnist.nn.architectures import ARCHITECTURES
from tinymnist.nn.optimizers import OPTIMIZERS
from tinymnist.nn.sequential import Sequential
from tinymnist.nn.weights import shipped
from tinymnist.reader import DEFAULT_MODEL, Reader
from tinymnist.web import views
from tinymnist.web.describing import describe, weights_of
from tinymnist.web.editing import Edits, edited
from tinymnist.web.effects import check_effects
from tinymnist.web.jobs import Job
from tinymnist.web.onefile import one_file
from tinymnist.web.packing import pack, unpack_bytes
from tinymnist.web.requests import Refused, Request, choice, image_of, number, picture_of
from tinymnist.web.visitors import Visitors

LONGEST_JOB = 60.0
"""Seconds that opening or comparing models may take."""
SAMPLES = Path(__file__).parents[1] / "samples"
MAX_SIGNS, MAX_PICTURES = 10, 20
"""Classes of one fine-tuning, and pictures of each."""

Answer = tuple[str, str, bytes, list[tuple[str, str]]]
"""Status, content type, body, further headers."""
WAITING = ("/api/job", "/api/compare", "/api/models", "/api/end")
"""Addresses that wait for a worker process, or for nothing at all."""


class Endpoints:
    """The functions behind the addresses, and what they share: the models and the pages.

    Attributes:
        default: the name of the model that answers if none is named.
        routes: method and path to the function that answers, with JSON or an :data:`Answer`.
    """

    def __init__(self, model: str | os.PathLike[str] | None = None) -> None:
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

    # Models ---------------------------------------------------------------------------------------

    def _reader(self, request: Request, name: Any = None) -> Reader:
        return self.visitors.reader(
            str(name or request.query.get("model") or self.default), request.token
        )

    def models(self, request: Request) -> Any:
        """What can be chosen."""
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
        return "200 OK", "application/octet-stream", file_of(reader.model, kind), headers

    # Pictures -------------------------------------------------------------------------------------

    def predict(self, request: Request) -> Any:
        """The digit on one picture."""
        return views.answer(self._reader(request).predict(picture_of(request)))

    def read(self, request: Request) -> Any:
        """All digits on one picture."""
        return views.read_page(picture_of(request), self._reader(request))

    def explain(self, request: Request) -> Any:
        """Every stage between a picture and the network."""
        skip = [name for name in request.query.get("skip", "slant").split(",") if name]
        tutorials = self.visitors.reader(views.TUTORIAL_MODEL, None)
        return views.explain_picture(picture_of(request), self._reader(request), tutorials, skip)

    def onefile(self, request: Request) -> Answer:
        """The views of one picture in one HTML file."""
        title = request.query.get("name", "picture")[:80]
        page = one_file(picture_of(request), self._reader(request), title).encode()
        headers = [("Content-Disposition", 'attachment; filename="picture.html"')]
        return "200 OK", "text/html; charset=utf-8", page, headers

    def layers(self, request: Request) -> Any:
        """Every layer's output for one picture in MNIST's form."""
        body = request.json()
        reader, edits, effects = self._changed(request, body)
        maps = bool(body.get("maps", True))
        return views.run_layers(image_of(body), reader, edits, effects, maps=maps)

    def attribution(self, request: Request) -> Any:
        """What each pixel did for one class."""
        body = request.json()
        reader, edits, _ = self._changed(request, body)
        target = int(number(body, "class", 0, 1e6, 0))
        side = int(number(body, "side", 1, 13, 5))
        return views.attribution(image_of(body), reader, edits, target, side)

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
        a, b = (base64.b64encode(file_of(model, "npz")).decode("ascii") for model in models)
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
        model = base64.b64encode(file_of(reader.model, "npz")).decode("ascii")
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


def file_of(model: Sequential, kind: str) -> bytes:
    """A model as a file's bytes."""
    with tempfile.TemporaryDirectory(prefix="tinymnist-") as folder:
        path = Path(folder) / f"model.{kind}"
        if kind == "npz":
            model.save(path)
        else:
            export(model, path)
        return path.read_bytes()
