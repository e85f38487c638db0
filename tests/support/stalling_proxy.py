"""A TCP proxy that forwards to an IMAP server until a chosen command comes by.

    with StallingProxy(server.port) as proxy:
        proxy.stall(b"UID MOVE", when="before")     # the server never hears of it
        ...                                         # start a client on proxy.port
        proxy.stalled.wait(30)                      # now the client waits for its answer

With when="after" the server carries the command out and answers, and the answer is held back.
A client that is killed while it waits died exactly between two steps of its own.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Literal

from tests.support.listener import Listener

When = Literal["before", "after"]

_CHUNK = 65_536


class StallingProxy(Listener):
    """Listens on `port` and forwards every connection to the server.

    Only command lines without literals are told apart, which is what inboxd sends except for
    folder names beyond ASCII quoting.
    """

    def __init__(self, server_port: int) -> None:
        super().__init__()
        self.stalled = threading.Event()
        self._server_port = server_port
        self._command = b""
        self._when: When = "before"

    def stall(self, command: bytes, *, when: When) -> None:
        """Stall at the next command that begins like this after its tag. Call it before the
        client connects."""
        self._command, self._when = command, when

    def _serve(self, connection: socket.socket) -> None:
        server = socket.create_connection((self.host, self._server_port))
        self._sockets |= {connection, server}
        _Connection(self, connection, server).start()

    def begins_stall(self, line: bytes) -> When | None:
        """Whether `line` is the command to stall at, and on which side of it."""
        _, _, command = line.partition(b" ")
        matches = bool(self._command) and command.upper().startswith(self._command)
        return self._when if matches and not self.stalled.is_set() else None


class _Connection:
    """Two threads: commands line by line to the server, answers back."""

    def __init__(self, proxy: StallingProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._awaited = b""
        """The tag whose answer is held back, as soon as there is one."""

    def start(self) -> None:
        for body in (self._forward_commands, self._forward_answers):
            threading.Thread(target=body, daemon=True).start()

    def _forward_commands(self) -> None:
        with contextlib.suppress(OSError), self._client.makefile("rb") as lines:
            for line in lines:
                when = self._proxy.begins_stall(line)
                if when == "before":
                    self._proxy.stalled.set()
                    break
                if when == "after":
                    self._awaited = line.partition(b" ")[0]
                self._server.sendall(line)
        # Whatever the client still says leads nowhere: drain it until it is gone.
        with contextlib.suppress(OSError):
            while self._client.recv(_CHUNK):
                pass
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)

    def _forward_answers(self) -> None:
        held = b""
        with contextlib.suppress(OSError):
            while data := self._server.recv(_CHUNK):
                if not self._awaited:
                    self._client.sendall(data)
                    continue
                held += data
                if b"\n" + self._awaited + b" " in b"\n" + held:
                    self._proxy.stalled.set()
        if not self._awaited:
            with contextlib.suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)
