"""Packages of Debian and Ubuntu, for the tools that see to it that a server is there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def install(name: str, package: str, *services: str) -> None:
    """apt-get; a failure shows in its own words, and whoever calls this looks whether it is there.

    `services` are those that the package starts for everyone; the tests start their own.
    """
    print(f"Installing {name} from the system's packages ...", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "--quiet", "--quiet", "--option", "DPkg::Lock::Timeout=120"]
    for step in (["update"], ["install", "--yes", "--no-install-recommends", package]):
        subprocess.run([*apt, *step], env=environment, check=False)
    if Path("/run/systemd/system").is_dir():
        subprocess.run(
            ["systemctl", "disable", "--now", *services], check=False, stderr=subprocess.DEVNULL
        )
