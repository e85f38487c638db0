"""pymap, an IMAP server in pure Python, as an empty throw-away account in its own process.

    with PymapServer() as server:
        server.port, server.user, server.password

What it has and Dovecot has not: OBJECTID instead of X-GUID, no CONDSTORE, no NAMESPACE, no
SPECIAL-USE, no TLS here; it checks passwords against one account, which starts with INBOX
alone and lives in memory (appends of several megabytes are fine).
"""

from __future__ import annotations

import sys

from tests.support.server_process import ServerProcess

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


class PymapServer(ServerProcess):
    """One running pymap; use it as a context manager."""

    name = "pymap"

    def __init__(self) -> None:
        super().__init__({"alice": "secret"})

    def write_files(self) -> None:
        """It needs none."""

    def command(self) -> list[str]:
        """Not the console script: its first line names a Python that need not be this one."""
        command = [sys.executable, "-c", _START]
        command += ["--host", self.host, "--port", str(self.port), "--no-tls"]
        command += ["--no-service", "managesieve", "--no-service", "admin"]
        # Without --demo-data the "demo user" is an ordinary account with nothing in it.
        command += ["dict", "--demo-user", self.user, "--demo-password", self.password]
        return command
