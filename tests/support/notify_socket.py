"""The other end of sd_notify(3): a datagram socket such as systemd's, which keeps what it is told.

with NotifySocket() as supervisor:
    home.start("run", **supervisor.environment(watchdog_seconds=2))
    supervisor.wait_for("READY=1")
"""

from __future__ import annotations

import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.running import Running

PATIENCE_SECONDS = 60.0
"""Never reached where all is well."""


class NotifySocket(Running):
    """Bound on a path, or with `abstract` in Linux' namespace without files."""

    def __init__(self, *, abstract: bool = False) -> None:
        # A socket's path has to be short, shorter than pytest's directories.
        self._directory = Path(tempfile.mkdtemp(prefix="inboxd-notify-"))
        path = str(self._directory / "socket")
        self.address = f"@{path}" if abstract else path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{path}" if abstract else path)
        self.messages: list[list[str]] = []

    def _running(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._socket.close()
            shutil.rmtree(self._directory)

    def environment(self, watchdog_seconds: float | None = None) -> dict[str, str]:
        """What systemd sets for its child."""
        variables = {"NOTIFY_SOCKET": self.address}
        if watchdog_seconds is not None:
            variables["WATCHDOG_USEC"] = str(int(watchdog_seconds * 1_000_000))
        return variables

    @property
    def lines(self) -> list[str]:
        """Every assignment so far, in order."""
        return [line for message in self.messages for line in message]

    def statuses(self) -> list[str]:
        """Every status so far."""
        return [line.removeprefix("STATUS=") for line in self.lines if line.startswith("STATUS=")]

    def receive(self, seconds: float = 0.0) -> bool:
        """Take one message, if one comes in time."""
        self._socket.settimeout(seconds or 0.000001)
        try:
            self.messages.append(self._socket.recv(65536).decode().split("\n"))
        except (TimeoutError, BlockingIOError):
            return False
        return True

    def read_all(self) -> list[str]:
        """Take everything that has come; returns `lines`."""
        while self.receive():
            pass
        return self.lines

    def wait_for(self, line: str, *, times: int = 1) -> None:
        """Until an assignment that begins so has come, after now, so many times."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        found = 0
        while found < times:
            left = deadline - time.monotonic()
            assert left > 0, f"{line} did not come: {self.lines}"
            if self.receive(left):
                found += any(each.startswith(line) for each in self.messages[-1])
