"""What the server keeps for a page while it is open: its own models, and its job.

Pages share nothing but the shipped models, which are never changed. A page is known by a token
that it makes up; it is forgotten some minutes after its last request, its job some seconds after.
"""

from __future__ import annotations

import re
import tempfile
import threading
import time
from collections import OrderedDict
from pathlib import Path

from tinymnist.errors import InputError
from tinymnist.nn.sequential import load_model
from tinymnist.nn.weights import shipped
from tinymnist.reader import Reader
from tinymnist.web.jobs import LONGEST, Job

MAX_PAGES, MAX_MODELS = 32, 4
"""How many pages are remembered, and how many models of each; the oldest go first."""
FORGET_PAGE, FORGET_JOB = 1800.0, 60.0
"""Seconds without a request."""


class Visitor:
    """One page."""

    def __init__(self) -> None:
        """A page without models and without a job."""
        self.models: OrderedDict[str, Reader] = OrderedDict()
        self.job: Job | None = None
        self.seen = time.monotonic()

    def add_model(self, name: str, data: bytes) -> Reader:
        """Keep the model of a weights file that a worker has written, and thereby checked.

        Raises:
            InputError: when it does not take MNIST's pictures.
        """
        with tempfile.TemporaryDirectory(prefix="tinymnist-") as folder:
            path = Path(folder) / "model.npz"
            path.write_bytes(data)
            model = load_model(path)
        model.name = name
        reader = Reader(model)
        self.models.pop(name, None)
        self.models[name] = reader
        while len(self.models) > MAX_MODELS:
            self.models.popitem(last=False)
        return reader

    def start(self, settings: dict[str, object]) -> Job:
        """Start a job; the page's last one is ended."""
        self.end_job()
        self.job = Job(settings)
        return self.job

    def end_job(self) -> None:
        """End the page's job, if it has one."""
        if self.job is not None:
            self.job.end()
            self.job = None


class Visitors:
    """All pages, and the models that they share."""

    def __init__(self) -> None:
        """No page yet."""
        self._pages: OrderedDict[str, Visitor] = OrderedDict()
        self._shared: dict[str, Reader] = {}
        self._lock = threading.Lock()
        self._sweeper: threading.Thread | None = None

    def shared_models(self) -> list[str]:
        """The names of the shipped models."""
        return sorted(shipped(), key=lambda name: (name != "mnist-cnn", name))

    def share(self, name: str, reader: Reader) -> None:
        """Offer a further model to every page."""
        self._shared[name] = reader

    def names(self) -> list[str]:
        """The models that every page has."""
        extra = [name for name in self._shared if name not in self.shared_models()]
        return extra + self.shared_models()

    def page(self, token: str | None) -> Visitor:
        """The page of a token.

        Raises:
            InputError: when the token is missing or too short to be a secret.
        """
        if not re.fullmatch(r"[\w-]{16,64}", token or "", re.ASCII):
            raise InputError(
                "this needs a header X-Page: 16 to 64 random letters and digits that stand for you"
            )
        with self._lock:
            page = self._pages.setdefault(token or "", Visitor())
            self._pages.move_to_end(token or "")
            page.seen = time.monotonic()
            while len(self._pages) > MAX_PAGES:
                self._pages.popitem(last=False)[1].end_job()
            if self._sweeper is None:
                self._sweeper = threading.Thread(target=self._sweep, daemon=True)
                self._sweeper.start()
        return page

    def reader(self, name: str, token: str | None) -> Reader:
        """A page's own model, or a shared one.

        Raises:
            InputError: when there is none of this name.
        """
        own = self._pages.get(token or "")
        if own is not None and name in own.models:
            own.seen = time.monotonic()
            return own.models[name]
        if name not in self._shared:
            if name not in self.shared_models():
                raise InputError(
                    f"model must be one of {', '.join(self.names())}, or one that this page has "
                    f"opened; received {name!r:.80}"
                )
            with self._lock:
                if name not in self._shared:
                    self._shared[name] = Reader(name)
        return self._shared[name]

    def forget(self, token: str | None) -> None:
        """The page was closed: its job ends and its models go."""
        with self._lock:
            page = self._pages.pop(token or "", None)
        if page is not None:
            page.end_job()

    def _sweep(self) -> None:
        """Every two seconds: end jobs whose page is silent or that run too long, forget pages."""
        while True:
            time.sleep(2)
            now = time.monotonic()
            with self._lock:
                for token, page in list(self._pages.items()):
                    silent, job = now - page.seen, page.job
                    if job is not None and (silent > FORGET_JOB or now - job.began > LONGEST):
                        job.end()
                    if silent > FORGET_PAGE:
                        del self._pages[token]
