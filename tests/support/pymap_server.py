"""pymap, an IMAP server in pure Python, as an empty throw-away account in its own process.

    with PymapServer() as server:
        server.port, server.user, server.password

What it has and Dovecot has not: OBJECTID instead of X-GUID, no CONDSTORE, no NAMESPACE, no
SPECIAL-USE, no TLS here; it checks passwords against one account, which starts with INBOX
alone and lives in memory (appends of several megabytes are fine).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.dovecot import free_port, wait_for_greeting

_STOP_SECONDS = 5.0

# Nobody holds pymap's connection tasks: from Python 3.13 on the garbage collector takes some
# of them away in mid-session ("Task was destroyed but it is pending").
#
# And 500,000 rounds of hashing take a quarter of a second per login: fewer will do here.
_START = """
import gc
from pysasl.hashing import BuiltinHash
from pymap.main import main
gc.disable()
BuiltinHash.__init__.__kwdefaults__["rounds"] = 1000
main()
"""


class PymapServer:
    """One running pymap; use it as a context manager."""

    host = "127.0.0.1"
    user = "alice"
    password = "secret"

    def __init__(self) -> None:
        self.port = free_port()
        self.users = {self.user: self.password}
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the server

    def __enter__(self) -> Self:
        # Not the console script: its first line names a Python that need not be this one.
        command = [sys.executable, "-c", _START]
        command += ["--host", self.host, "--port", str(self.port), "--no-tls"]
        command += ["--no-service", "managesieve", "--no-service", "admin"]
        # Without --demo-data the "demo user" is an ordinary account with nothing in it.
        command += ["dict", "--demo-user", self.user, "--demo-password", self.password]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            cwd=Path(tempfile.gettempdir()),
        )
        try:
            wait_for_greeting(self.port, self._process, self._logged)
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
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(_STOP_SECONDS)
        self._log.close()

    def _logged(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-2000:]
