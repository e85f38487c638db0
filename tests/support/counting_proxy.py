"""A TCP proxy that counts what a connection costs: packets each way, commands, bytes.

    with CountingProxy(server.port) as proxy:
        ... connect to proxy.port ...
        proxy.commands, proxy.turns, proxy.received

A turn is a round trip as on a slow line: answers are held back until the client has been
silent for a moment, so commands that do not wait for each other share one.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator

from tests.support.running import Running

_READ_BYTES = 1 << 16
_SILENCE_SECONDS = 0.02


class CountingProxy(Running):
    """Between inboxd and a server on this machine; use it as a context manager."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._closing = threading.Event()
        self._held: dict[socket.socket, bytes] = {}
        self.reset()

    def reset(self) -> None:
        """Count from nothing again."""
        self.commands = 0
        self.turns = 0
        self.received = 0

    def _running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._closing.set()
            thread.join()
            self._listener.close()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._closing.is_set():
                ready = selector.select(timeout=_SILENCE_SECONDS)
                for key, _ in ready:
                    if key.fileobj is self._listener:
                        self._accept(selector, stack)
                    else:
                        self._forward(selector, key)
                if not ready:
                    self._let_go()

    def _accept(self, selector: selectors.BaseSelector, stack: contextlib.ExitStack) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(("127.0.0.1", self._server_port))
        for end, other, speaker in ((client, server, "client"), (server, client, "server")):
            stack.enter_context(end)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(end, selectors.EVENT_READ, (other, speaker))

    def _forward(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        end, (other, speaker) = key.fileobj, key.data
        assert isinstance(end, socket.socket)
        data = b""
        with contextlib.suppress(OSError):
            data = end.recv(_READ_BYTES)
        if not data:
            self._let_go()
            for gone in (end, other):
                with contextlib.suppress(KeyError, ValueError):
                    selector.unregister(gone)
                gone.close()
            return
        if speaker == "server":
            self.received += len(data)
            self._held[other] = self._held.get(other, b"") + data
            return
        self.commands += data.count(b"\r\n")
        with contextlib.suppress(OSError):
            other.sendall(data)

    def _let_go(self) -> None:
        """The client waits: give it what was held back."""
        held, self._held = self._held, {}
        for client, data in held.items():
            self.turns += 1
            with contextlib.suppress(OSError):
                client.sendall(data)
