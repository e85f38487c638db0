"""A server in threads of this process: listens, and serves whoever connects."""

from __future__ import annotations

import abc
import contextlib
import socket
import threading
from collections.abc import Iterator

from tests.support.running import Running

_END_SECONDS = 5.0


class Listener(Running):
    """Listens on `port` (loopback, a free one) from the beginning, accepts within the `with`."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        self._listener = socket.create_server((self.host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: set[socket.socket] = set()
        """What is shut at the end, whoever reads from it then."""

    @abc.abstractmethod
    def _serve(self, connection: socket.socket) -> None:
        """Serve it; as long as this takes, nobody else is accepted."""

    def _running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._hang_up()
            thread.join(_END_SECONDS)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                self._serve(self._listener.accept()[0])

    def _hang_up(self) -> None:
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
