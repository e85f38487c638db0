"""See to it that PostgreSQL is there: the tests start their own, in a directory of their own.

As root on Debian or Ubuntu it is installed. Everywhere else the tests with it are left out, as
inboxd does without it, and this says so.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from debian import install

PACKAGE = "postgresql"


def main() -> int:
    """Find PostgreSQL, else install it, else explain. No failure: the tests can do without."""
    if not find_postgres() and shutil.which("apt-get") and os.geteuid() == 0:
        install("PostgreSQL", PACKAGE, "postgresql.service")
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


if __name__ == "__main__":
    sys.exit(main())
