"""The demo's mail server: pymap in a process of its own, on loopback, gone when the demo is."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from types import TracebackType
from typing import IO, Self

from daemon.demo.server_process import HOST
from daemon.errors import MailboxUnreachable

_START_SECONDS = 60.0
_ATTEMPTS = 3
"""Between asking for a free port and using it, somebody else may take it."""
_PAUSE = 0.02
_REINSTALL = "Install inboxd again with all its packages: make install"


class MailServer:
    """One running server with one empty account; use it as a context manager.

    Raises `MailboxUnreachable` when it cannot be started.
    """

    host = HOST
    user = "alex@brandt.example"

    def __init__(self) -> None:
        self.password = secrets.token_urlsafe(16)
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def process_id(self) -> int | None:
        """Process id, also that of its process group; None when it does not run."""
        return self._process.pid if self._process is not None else None

    def __enter__(self) -> Self:
        if importlib.util.find_spec("pymap") is None:
            raise MailboxUnreachable(
                "The demo's mail server, the package pymap, is not installed.",
                next_step=_REINSTALL,
            )
        with tempfile.TemporaryFile("w+") as log:
            for _ in range(_ATTEMPTS):
                self.port = _free_port()
                self._start(log)
                if self._greets():
                    return self
                self.stop()
            log.seek(0)
            reason = (log.read().strip().splitlines() or ["no message"])[-1]
        raise MailboxUnreachable(
            f"The demo's mail server does not start on {self.host}: {reason}",
            next_step=f"Allow connections to {self.host}, or: {_REINSTALL.lower()}",
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Kill the whole process group; nothing of value is in there."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None

    def _start(self, log: IO[str]) -> None:
        # A session of its own: Ctrl-C in the terminal must not reach the server before the
        # daemon has logged out of it.
        self._process = subprocess.Popen(  # noqa: S603 - our own module and a number
            [sys.executable, "-m", f"{__package__}.server_process", str(self.port)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended at once: _greets sees that
            self._process.stdin.write(f"{self.user}\n{self.password}\n")
            self._process.stdin.flush()

    def _greets(self) -> bool:
        """Wait for the greeting; False when the process ends or takes too long."""
        assert self._process is not None
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with (
                contextlib.suppress(OSError),
                socket.create_connection((self.host, self.port), timeout=2) as client,
            ):
                if client.recv(200).startswith(b"* OK"):
                    # Another program may have answered on a port that ours could not get.
                    return self._process.poll() is None
            time.sleep(_PAUSE)
        return False


def _free_port() -> int:
    """A TCP port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
