"""Somebody between inboxd and its server, who hears everything and may meddle.

    with ListeningProxy(server.port, tls=certificate.server_context()) as proxy:   # his own TLS
    with ListeningProxy(server.port, meddle=strip_starttls) as proxy:              # in clear text

What the client said, as far as he could read it, is in `heard`.
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable
from functools import partial

from tests.support.listener import Listener

_CHUNK = 65_536

Meddle = Callable[[bytes, bytes], bytes]
"""Takes what the server said and the client's last line; returns what the client is to hear."""


class ListeningProxy(Listener):
    """Forwards every connection on `port` to the server's plain port."""

    def __init__(
        self,
        server_port: int,
        *,
        tls: ssl.SSLContext | None = None,
        meddle: Meddle = lambda answer, _line: answer,
    ) -> None:
        super().__init__()
        self._server_port = server_port
        self._tls = tls
        self._meddle = meddle
        self.heard = b""
        self._threads: list[threading.Thread] = []

    def _hang_up(self) -> None:
        super()._hang_up()
        for thread in self._threads:
            thread.join(5)

    def knows(self, secret: str) -> bool:
        """Whether he heard a secret, plainly or in the base64 of AUTHENTICATE (RFC 4616)."""
        runs = re.findall(rb"[A-Za-z0-9+/=]{8,}", self.heard)
        decoded = [base64.b64decode(run + b"===", validate=False) for run in runs]
        return any(secret.encode() in text for text in (self.heard, *decoded))

    def _spawn(self, body: Callable[[], None]) -> None:
        thread = threading.Thread(target=body, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self, connection: socket.socket) -> None:
        self._spawn(partial(self._forward, connection))

    def _forward(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(client.close)
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
                stack.callback(client.close)
            server = socket.create_connection(("127.0.0.1", self._server_port))
            stack.callback(server.close)
            last = [b""]
            self._spawn(lambda: self._answer(server, client, last))
            while data := client.recv(_CHUNK):
                self.heard += data
                last[0] = data
                server.sendall(data)

    def _answer(self, server: socket.socket, client: socket.socket, last: list[bytes]) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(_CHUNK):
                client.sendall(self._meddle(data, last[0]))
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


def strip_starttls(answer: bytes, _line: bytes) -> bytes:
    """He takes STARTTLS out of every list, so that the client goes on in clear text."""
    return answer.replace(b" STARTTLS", b"")


def inject_answers(answer: bytes, line: bytes) -> bytes:
    """He adds answers in clear text that the client is to take for the server's own afterwards:
    one before the OK, and one with the tag of the next command after it."""
    tag, _, command = line.partition(b" ")
    if not command.startswith(b"STARTTLS"):
        return answer
    number = re.search(rb"\d+$", tag)
    assert number is not None, "the tags of imaplib end in a number"
    following = tag[: number.start()] + str(int(number[0]) + 1).encode()
    forged = b"* CAPABILITY IMAP4rev1 AUTH=PLAIN XFORGED\r\n"
    return forged + answer + forged + following + b" OK [CAPABILITY IMAP4rev1 XFORGED] done\r\n"
