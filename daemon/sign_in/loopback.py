"""The page on this machine to which the provider sends the browser back (RFC 8252, 7.3)."""

from __future__ import annotations

import http.server
import time
import urllib.parse
from types import TracebackType
from typing import Self

from daemon.errors import StateError
from daemon.sign_in.provider import GrantRefused

_DONE = b"inboxd has your answer. You may close this page."
_REQUEST_SECONDS = 10.0


class Loopback:
    """Listens on 127.0.0.1 while it is open; nobody from another machine can reach it."""

    def __init__(self, port: int) -> None:
        """`port` 0 is any free one. Raises `StateError` when it is taken."""
        try:
            self._server = _Server(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise StateError(
                f"Port {port} of this machine cannot be used: {error.strerror}.",
                next_step="Name a free one with --port.",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.server_close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    def answer(self, seconds: float) -> str:
        """The query of the address that the browser was sent to.

        Other requests (a favicon, a port scan) are passed over. Raises `GrantRefused` when
        nobody has come after `seconds`.
        """
        deadline = time.monotonic() + seconds
        while self._server.query is None:
            self._server.timeout = deadline - time.monotonic()
            if self._server.timeout <= 0:
                raise GrantRefused("nobody has signed in within the time")
            self._server.handle_request()
        return self._server.query


class _Server(http.server.HTTPServer):
    query: str | None = None


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    timeout = _REQUEST_SECONDS

    def do_GET(self) -> None:
        """Take the answer, or say that there is nothing here."""
        address = urllib.parse.urlsplit(self.path)
        names = urllib.parse.parse_qs(address.query)
        is_answer = (
            address.path == "/" and "state" in names and ("code" in names or "error" in names)
        )
        if is_answer:
            self.server.query = address.query
        self.send_response(200 if is_answer else 404)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(_DONE if is_answer else b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Nothing: the address holds the code."""
