"""Python's own server in threads, which refuses to wait for slow clients."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from tinymnist.errors import InputError
from tinymnist.web.application import Application
from tinymnist.web.jobs import end_all

MAX_CONNECTIONS = 128
SILENCE, LONGEST_REQUEST = 15.0, 40.0
"""Seconds without a byte, and seconds until a request has arrived, after which it is cut off."""


class _Handler(WSGIRequestHandler):
    """One connection, one request."""

    timeout = SILENCE
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.watch(self.connection)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is for what matters."""

    def handle(self) -> None:
        with suppress(OSError):  # the client went away, or was too slow
            super().handle()

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        self.server.unwatch(self.connection)


class Server(ThreadingMixIn, WSGIServer):
    """Threads for a bounded number of connections; a watch on those that take too long."""

    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, host: str, port: int, application: Application) -> None:
        """Listen.

        Raises:
            InputError: when that is not possible.
        """
        if ":" in host:
            self.address_family = socket.AF_INET6
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._since: dict[socket.socket, float] = {}
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"cannot listen on {host}:{port}: {reason}") from None
        self.set_app(application)
        threading.Thread(target=self._cut_off, daemon=True).start()

    def server_bind(self) -> None:
        """Bind without asking a name server for this machine's name, which may take seconds."""
        socket.socket.bind(self.socket, self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Wait for a free place, then start a thread."""
        self._places.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, then free the place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a connection that broke is not an error of the server."""

    def watch(self, connection: socket.socket) -> None:
        """Note when a connection began."""
        self._since[connection] = time.monotonic()

    def unwatch(self, connection: socket.socket) -> None:
        """It is over."""
        self._since.pop(connection, None)

    def _cut_off(self) -> None:
        """Stop reading from clients that send byte by byte; an answer can still be sent."""
        while True:
            time.sleep(1)
            late = time.monotonic() - LONGEST_REQUEST
            for connection, began in list(self._since.items()):
                if began < late:
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RD)

    def run(self) -> None:
        """Serve until Ctrl-C; then end every job."""
        try:
            with suppress(KeyboardInterrupt):
                self.serve_forever(poll_interval=0.2)
        finally:
            self.server_close()
            end_all()
