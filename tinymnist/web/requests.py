"""A request taken apart: its body and its fields, checked before anything is computed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

import numpy as np

from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array
from tinymnist.web.packing import unpack

MAX_BODY = 25_000_000
"""Bytes of a request."""
SLOWEST_BODY = 30.0
"""Seconds that a client may take to send a request."""


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


def picture_of(request: Request) -> bytes:
    """The body, which must be a picture file; whether it is shows when it is decoded."""
    data = request.body()
    if not data:
        raise InputError("the body must be a picture file")
    return data


def image_of(body: dict[str, Any]) -> Array:
    """The 28x28 picture of a request."""
    image = unpack(body.get("image"), "image")
    if image.shape != (28, 28):
        raise InputError(f"image must be of shape (28, 28); received {image.shape}")
    return np.clip(image, 0, 1)
