"""A service on loopback that is called by webhooks, and does what a test wants.

with Receiver() as receiver:
    receiver.url("/topic")             # where to call it
    receiver.answer(500)               # what the next call gets
    receiver.calls                     # what came so far
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.certificates import Certificate
from tests.support.running import Running


@dataclass(frozen=True)
class Call:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """Its body as an object."""
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


class Receiver(Running):
    """Answers 200 unless told otherwise."""

    def __init__(self, certificate: Certificate | None = None) -> None:
        self.calls: list[Call] = []
        self._answers: list[tuple[int, dict[str, str], bytes]] = []
        self._scheme = "http" if certificate is None else "https"
        self.drips = threading.Event()
        """While it is set, an answer has no end."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                call = Call(self.path, dict(self.headers), self.rfile.read(length))
                receiver.calls.append(call)
                status, headers, body = (
                    receiver._answers.pop(0) if receiver._answers else (200, {}, b"{}")
                )
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
                waited = threading.Event()
                while receiver.drips.is_set():
                    try:
                        self.wfile.write(b".")
                        self.wfile.flush()
                    except OSError:  # it has hung up
                        receiver.drips.clear()
                    waited.wait(0.05)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context: ssl.SSLContext = certificate.server_context()
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def url(self, path: str = "/topic") -> str:
        """Where it is called."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}{path}"

    def url_file(self, directory: Path, path: str = "/topic") -> Path:
        """The same in a file that only its owner can read."""
        file = directory / "webhook-url"
        file.write_text(self.url(path) + "\n")
        file.chmod(0o600)
        return file

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """What the next call gets; several wait for their turn."""
        self._answers.append((status, headers, body))

    def _running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.drips.clear()
            self._server.shutdown()
            self._server.server_close()
            thread.join()
