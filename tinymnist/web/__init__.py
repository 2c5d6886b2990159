"""The glass box: a page, and endpoints for machines, on which every number can be seen and changed.

``tinymnist serve`` runs it with Python's own server. ``tinymnist.web:app`` is the same as a WSGI
callable for any other, in one process, as each page's own models live in its memory::

    waitress-serve --threads=8 tinymnist.web:app
    gunicorn --workers=1 --threads=8 tinymnist.web:app

``TINYMNIST_HOSTS=name,name`` lists the names under which it may be reached, beside addresses.

To read it: ``packing`` (arrays in JSON), ``digits`` (what ships with the page), ``editing`` and
``effects`` (what a visitor changes), ``describing`` and ``views`` (what is shown, as pure
functions), ``worker`` and ``jobs`` (training in a bounded process), ``visitors`` (each page's own
models), ``onefile`` (one picture in one HTML file), ``requests``, ``endpoints`` and
``application`` (HTTP), ``server``. ``tinymnist review`` is another page on the same server:
``doubtful`` (records and their pictures), ``labels`` (what is written) and ``review``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinymnist.lazy import lazy_names

if TYPE_CHECKING:
    from tinymnist.web.application import Application, app

__all__ = ["Application", "app"]
# A worker process needs little of this.
__getattr__, __dir__ = lazy_names(__name__, {"application": "Application app"})
