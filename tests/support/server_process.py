"""A real mail server as processes of its own, in a directory of its own, without a trace left."""

from __future__ import annotations

import abc
import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.support.running import Running, free_port

_START_SECONDS = 15.0


class ServerProcess(Running):
    """An IMAP server on loopback; subclasses say how to configure and to start it.

    Its directory is open to other users: as root, most servers give up root's rights at once.
    It is not pytest's: those are closed, and their long names exceed the 108 bytes of a Unix
    socket's path.
    """

    name = ""
    host = "127.0.0.1"

    def __init__(self, users: Mapping[str, str]) -> None:
        self.users = dict(users)
        self.user, self.password = next(iter(self.users.items()))
        self.port = free_port()
        self.root = Path()
        self._process: subprocess.Popen[bytes] | None = None

    @abc.abstractmethod
    def write_files(self) -> None:
        """Configuration and accounts, below `root`."""

    @abc.abstractmethod
    def command(self) -> list[str]:
        """What starts the server and stays in the foreground."""

    def environment(self) -> dict[str, str]:
        """The variables that it gets."""
        return dict(os.environ)

    def _running(self) -> Iterator[None]:
        prefix = f"inboxd-{self.name}-"
        with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as root:
            self.root = Path(root)
            self.root.chmod(0o755)
            self.write_files()
            try:
                self.start()
                yield
            finally:
                self.stop()

    def start(self) -> None:
        """Start the server and wait until it greets; its mail survives `stop`."""
        with (self.root / "output").open("wb") as output:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=self.root,
                env=self.environment(),
            )
        _wait_for_greeting(self.port, self._process, self._logs)

    def stop(self) -> None:
        """Kill the whole family at once.

        A SIGTERM to the master alone leaves sessions in IDLE alive without it, and the next
        test would talk to them.
        """
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _logs(self) -> str:
        return (self.root / "output").read_text(errors="replace")[-2000:]


def _wait_for_greeting(
    port: int, process: subprocess.Popen[bytes], logs: Callable[[], str]
) -> None:
    """Return when an IMAP server greets on `port`; RuntimeError with `logs()` when it fails."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the test server ended at once:\n{logs()}")
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), timeout=2) as client,
        ):
            if client.recv(200).startswith(b"* OK"):
                return
        time.sleep(0.01)
    raise RuntimeError(f"the test server does not greet:\n{logs()}")
