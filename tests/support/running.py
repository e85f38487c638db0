"""What the servers of the tests have in common: they run while a `with` lasts."""

from __future__ import annotations

import abc
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Self


class Running(abc.ABC):
    """A context manager that is written in one piece, by `_running`."""

    _while: AbstractContextManager[None]

    @abc.abstractmethod
    def _running(self) -> Iterator[None]:
        """Starts it, yields once, and ends it whatever has happened."""

    def __enter__(self) -> Self:
        self._while = contextmanager(self._running)()
        self._while.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._while.__exit__(kind, error, trace)


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
