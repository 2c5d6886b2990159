"""``tinymnist serve``: the glass box, a page on which every number can be seen and changed."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from tinymnist.commands import Declared, add_options, number, warn
from tinymnist.reporting.text import say

if TYPE_CHECKING:
    from tinymnist.web.application import Routes

EXAMPLES = """\
examples:
  tinymnist serve --open                   open the page in your browser
  tinymnist serve --model my.npz           with your own model
  tinymnist serve --host 0.0.0.0           for other machines too, if you trust the network
  TINYMNIST_HOSTS=pi.local tinymnist serve --host 0.0.0.0   under a name, not only an address
  waitress-serve --threads=8 tinymnist.web:app   the same application in another server

exit codes: 0 ended by Ctrl-C, 2 the model cannot be opened or the port is taken
"""
_PORT = partial(number, int, "a whole number in 0..65535", lambda value: 0 <= value < 65536)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def add_serve(parser: argparse.ArgumentParser) -> Declared:
    """Declare the command's arguments."""
    add_options(parser, "--model")
    add_address(parser)
    return EXAMPLES, _run


def add_address(parser: argparse.ArgumentParser) -> None:
    """Declare where a page is served, and whether a browser opens it."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="the address to listen on; default: 127.0.0.1")
    add("--port", type=_PORT, default=8000, help="0 for any free one; default: 8000")
    add("--open", action="store_true", help="open the page in a browser")


def _run(arguments: argparse.Namespace) -> int:
    """Serve the glass box."""
    return run_server(arguments)


def run_server(arguments: argparse.Namespace, routes: Routes | None = None) -> int:
    """Serve until Ctrl-C: other ``routes`` than the glass box's, if they are given."""
    from tinymnist.web.application import Application
    from tinymnist.web.server import Server

    model = arguments.model if routes is None else None
    application = Application(model, [arguments.host], routes)
    server = Server(arguments.host, arguments.port, application)
    name = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    address = f"http://{name}:{server.server_port}/"
    if arguments.host not in _LOOPBACK:
        warn(f"{arguments.host} is reachable by other machines; there is no password")
    say(f"tinymnist is at {address} (Ctrl-C ends it)")
    if arguments.open:
        import webbrowser

        webbrowser.open(address)
    server.run()
    return 0
