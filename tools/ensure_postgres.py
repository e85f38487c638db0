"""See to it that PostgreSQL is there: the tests start their own, in a directory of their own.

As root on Debian or Ubuntu it is installed. Everywhere else the tests with it are left out, as
inboxd does without it, and this says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGE = "postgresql"


def main() -> int:
    """Find PostgreSQL, else install it, else explain. No failure: the tests can do without."""
    if not find_postgres() and shutil.which("apt-get") and os.geteuid() == 0:
        install()
    if not find_postgres():
        print(
            "PostgreSQL is not installed, so its tests will be left out. On Debian and Ubuntu:\n"
            f"  sudo apt-get update && sudo apt-get install --no-install-recommends {PACKAGE}",
            file=sys.stderr,
        )
    return 0


def find_postgres() -> bool:
    """Whether its server is there; Debian has it beside the PATH, a directory per version."""
    debian = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    return shutil.which("postgres") is not None or any(debian)


def install() -> None:
    """apt-get; a failure shows in its own words."""
    print("Installing PostgreSQL from the system's packages ...", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "--quiet", "--quiet", "--option", "DPkg::Lock::Timeout=120"]
    for step in (["update"], ["install", "--yes", "--no-install-recommends", PACKAGE]):
        subprocess.run([*apt, *step], env=environment, check=False)
    if Path("/run/systemd/system").is_dir():
        # The package starts a server for everyone; the tests start their own.
        subprocess.run(
            ["systemctl", "disable", "--now", "postgresql.service"],
            check=False, stderr=subprocess.DEVNULL,
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
