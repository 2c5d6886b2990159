"""Calls the application as a WSGI server does."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

from tinymnist.web.application import Application


class Client:
    """An application, with the status and the headers of its last answer."""

    def __init__(self, app: Application) -> None:
        self.app = app
        self.status = ""
        self.headers: dict[str, str] = {}

    def raw(self, method: str, path: str, body: bytes = b"", **environ: Any) -> bytes:
        path, _, query = path.partition("?")
        given = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "HTTP_HOST": "localhost:8000",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            **environ,
        }

        def start(status: str, headers: list[tuple[str, str]]) -> None:
            self.status, self.headers = status, dict(headers)

        return b"".join(self.app(given, start))

    def get(self, path: str, **environ: Any) -> Any:
        return json.loads(self.raw("GET", path, **environ))

    def post(self, path: str, body: Any = b"", **environ: Any) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return json.loads(self.raw("POST", path, data, **environ))
