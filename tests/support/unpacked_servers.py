"""Programs of the mail servers that cannot be installed beside Dovecot.

Debian's Cyrus and Courier conflict with Dovecot over `imap-server`. `tools/ensure_servers.py`
installs what they share with nobody, and unpacks their IMAP programs into .cache/servers.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.server_process import ServerProcess

UNPACKED = Path(__file__).resolve().parents[2] / ".cache" / "servers"
"""One directory per server, as its package would lie in /."""


class UnpackedServer(ServerProcess):
    """A server whose program lies in its directory, below `package`."""

    def write_files(self) -> None:
        """A copy of the program: the checkout may lie where only its owner can read."""
        program = UNPACKED / self.name
        if not program.is_dir():
            raise RuntimeError(f"{self.name} is not there; as root: make test-servers")
        shutil.copytree(program, self.root / "package", symlinks=True)

    def environment(self) -> dict[str, str]:
        """They sync every message to the disk, and have no setting against it."""
        return {**super().environment(), "LD_PRELOAD": "libeatmydata.so"}
