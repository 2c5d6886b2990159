"""One picture's views in one HTML file that opens from disk: ``tinymnist explain --out x.html``.

It holds the page's own style sheet and modules, and the numbers that the server would have sent.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

from tinymnist.errors import InputError
from tinymnist.imaging.digit.normalize import STAGES
from tinymnist.reader import Reader
from tinymnist.reporting.text import percent
from tinymnist.web import views
from tinymnist.web.describing import describe, weights_of
from tinymnist.web.editing import Edits
from tinymnist.web.packing import unpack

STATIC = Path(__file__).with_name("static")
"""Style sheet, modules and pages."""
MAX_BYTES = 3_000_000
_SMALL = 128
"""Pixels of the longer side of a stage's picture, where a stage is left out."""
_IMPORT = re.compile(r'^import (?:\* as (\w+)|(\{[^}]*\})) from "\./([\w-]+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function|const) ([\w$]+))", re.MULTILINE)


def one_file(source: Any, reader: Reader, title: str) -> str:
    """The HTML of a picture.

    Args:
        source: a picture, as for :meth:`tinymnist.Reader.predict`.
        reader: the model that reads it.
        title: what the picture is called.

    Raises:
        InputError: when it is not a picture, no digit is found, or the numbers of the model do not
            fit into :data:`MAX_BYTES`.
    """
    data = _numbers(source, reader)
    style = (STATIC / "style.css").read_text(encoding="utf-8")
    script = bundle("file")
    text = json.dumps(data).replace("<", "\\u003c")
    answer = data["explained"]["answer"]
    parts = {
        "style hash": hash_of(style),
        "script hash": hash_of(script),
        "title": escape(title),
        "digit": escape(str(answer["digit"])),
        "confidence": percent(answer["confidence"]),
        "model": escape(reader.model.name),
        "style": style,
        "script": script,
        "data": text,
    }
    template = (STATIC / "file.html").read_text(encoding="utf-8")
    page = re.sub(r"\{([a-z ]+)\}", lambda match: parts[match[1]], template)
    if len(page.encode()) > MAX_BYTES:
        raise InputError(f"the numbers of {reader.model.name} take more than {MAX_BYTES:,} bytes")
    return page


def _numbers(source: Any, reader: Reader) -> dict[str, Any]:
    """What the server would have sent; large kernels are left out while it is too much."""
    tutorials = Reader(views.TUTORIAL_MODEL)
    explained = views.explain_picture(source, reader, tutorials, ["slant"])
    image = unpack(explained["image"])
    without = {}
    for name in STAGES:
        skip = [] if name == "slant" else [name, "slant"]
        with suppress(InputError):
            without[name] = views.explain_picture(source, reader, tutorials, skip, side=_SMALL)
            del without[name]["tutorial"]
    target = list(reader.class_names).index(str(explained["answer"]["digit"]))
    data: dict[str, Any] = {
        "model": describe(reader),
        "explained": explained,
        "without": without,
        "run": views.run_layers(image, reader, Edits(), {}),
        "attribution": views.attribution(image, reader, Edits(), target, 5),
        "weights": {},
    }
    room = MAX_BYTES - len(json.dumps(data)) - 150_000  # for style sheet and script
    for layer in sorted(reader.model.layers, key=lambda layer: layer.count_parameters):
        if layer.weights and (room := room - 6 * layer.count_parameters) > 0:
            data["weights"][layer.name] = weights_of(reader, layer.name)
    return data


def bundle(entry: str) -> str:
    """A module with all that it imports, as one script: each module becomes a function's scope."""
    done: dict[str, str] = {}

    def add(name: str) -> None:
        if name in done:
            return
        text = (STATIC / f"{name}.js").read_text(encoding="utf-8")
        for _, _, other in _IMPORT.findall(text):
            add(other)
        body = _IMPORT.sub(lambda m: f"const {m[1] or _renamed(m[2])} = from_{m[3]};\n", text)
        names = ", ".join(found for _, found in _EXPORT.findall(body))
        body = _EXPORT.sub(r"\1", body)
        done[name] = f"const from_{name} = (() => {{\n{body}return {{ {names} }};\n}})();\n"

    add(entry)
    return "\n" + "".join(done.values()).replace("</script", "<\\/script")


def _renamed(names: str) -> str:
    """The names of an import, as those of a destructuring."""
    return names.replace(" as ", ": ")


def hash_of(text: str) -> str:
    """What a Content-Security-Policy calls a style sheet or script that it allows."""
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")
