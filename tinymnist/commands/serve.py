"""``tinymnist serve``: the glass box, a page on which every number can be seen and changed."""

from __future__ import annotations

import argparse
from functools import partial

from tinymnist.commands import Declared, add_options, number, warn

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
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="the address to listen on; default: 127.0.0.1")
    add("--port", type=_PORT, default=8000, help="0 for any free one; default: 8000")
    add_options(parser, "--model")
    add("--open", action="store_true", help="open the page in a browser")
    return EXAMPLES, _run


def _run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from tinymnist.web.application import Application
    from tinymnist.web.server import Server

    server = Server(arguments.host, arguments.port, Application(arguments.model, [arguments.host]))
    name = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    address = f"http://{name}:{server.server_port}/"
    if arguments.host not in _LOOPBACK:
        warn(f"{arguments.host} is reachable by other machines; there is no password")
    print(f"tinymnist is at {address} (Ctrl-C ends it)", flush=True)
    if arguments.open:
        import webbrowser

        webbrowser.open(address)
    server.run()
    return 0
