"""HTTP: which address answers with what. The application is a WSGI callable (PEP 3333).

It keeps to JSON for errors too, ``{"error": "..."}``, never shows a path of the machine, and
answers only requests that are meant for it: a ``Host`` that is a name of another site is how such
a site would reach a server on this machine (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import json
import mimetypes
import os
import re
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tinymnist.errors import InputError
from tinymnist.web.endpoints import SAMPLES, WAITING, Answer, Endpoints
from tinymnist.web.jobs import Busy
from tinymnist.web.onefile import STATIC
from tinymnist.web.requests import SLOWEST_BODY, Refused, Request

MAX_AT_ONCE = 2 * max(2, os.cpu_count() or 1)
"""Requests that compute at one time; the others wait, so that memory is bounded."""
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

_SOURCE = re.compile(r"^(picture from bytes|array of shape \([\d, ]*\)): ")
"""How the package names a picture without a name, at the beginning of a message."""

StartResponse = Callable[..., Any]
Routes = Mapping[tuple[str, str], Callable[[Request], Any]]


class Application:
    """The WSGI callable.

    Attributes:
        routes: method and path to what answers.
        hosts: names of this machine under which it may be reached, beside addresses in numbers
            and localhost; taken from the environment variable ``TINYMNIST_HOSTS`` if not given.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        hosts: Iterable[str] = (),
        routes: Routes | None = None,
    ) -> None:
        """Open the model, if it is a file; other ``routes`` than the glass box's need none.

        Raises:
            InputError: when it cannot be opened.
        """
        self.routes: Routes = Endpoints(model).routes if routes is None else routes
        named = os.environ.get("TINYMNIST_HOSTS", "").split(",")
        self.hosts = {"localhost", *filter(None, hosts), *filter(None, named)}
        self._places = threading.BoundedSemaphore(MAX_AT_ONCE)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        """Answer one request (PEP 3333)."""
        try:
            status, kind, body, headers = self._answer(environ)
        except Refused as error:
            status, kind, body, headers = _error(error.status, str(error))
        except Busy as error:
            status, kind, body, headers = _error("503 Service Unavailable", str(error))
        except (InputError, ValueError) as error:
            status, kind, body, headers = _error("400 Bad Request", _SOURCE.sub("", str(error)))
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
        if request.path in WAITING:
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


app = Application()
"""The application with the default model, for any WSGI server."""
