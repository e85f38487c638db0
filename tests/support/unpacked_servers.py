"""Programs of the mail servers that cannot be installed beside Dovecot.

Debian's Cyrus and Courier conflict with Dovecot over `imap-server`. `tools/ensure_servers.py`
installs what they share with nobody, and unpacks their IMAP programs into .cache/servers.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.dovecot import free_port, wait_for_greeting

UNPACKED = Path(__file__).resolve().parents[2] / ".cache" / "servers"
"""One directory per server, as its package would lie in /."""


class UnpackedServer:
    """A server in a directory of its own, gone after the `with`; subclasses say how to start it.

    The directory is open to other users: these servers give up root's rights at once.
    """

    name = ""
    host = "127.0.0.1"

    def __init__(self, users: dict[str, str]) -> None:
        self.users = users
        self.user, self.password = next(iter(users.items()))
        self.port = free_port()
        self.root = Path()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.root = Path(tempfile.mkdtemp(prefix=f"inboxd-{self.name}-"))
        self.root.chmod(0o755)
        try:
            self._copy_program()
            self.write_files()
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def _copy_program(self) -> None:
        """The checkout may lie where only its owner can read."""
        program = UNPACKED / self.name
        if not program.is_dir():
            raise RuntimeError(f"{self.name} is not there; as root: make test-servers")
        shutil.copytree(program, self.root / "package", symlinks=True)

    def write_files(self) -> None:
        """Configuration and accounts, below `root`."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """What starts the server and stays in the foreground."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the server and wait until it greets; its mail survives `stop`."""
        with (self.root / "output").open("wb") as output:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                # Both sync every message to the disk, and have no setting against it.
                env={**os.environ, "LD_PRELOAD": "libeatmydata.so"},
            )
        wait_for_greeting(self.port, self._process, self._logs)

    def stop(self) -> None:
        """Kill the whole family at once."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _logs(self) -> str:
        return (self.root / "output").read_text(errors="replace")[-2000:]
