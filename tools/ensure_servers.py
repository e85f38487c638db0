"""See to it that Cyrus and Courier are there, for `make test-servers`.

Debian's packages of Cyrus, Courier and Dovecot exclude each other (`imap-server`). So what they
share with nobody is installed, and the IMAP programs themselves are only unpacked, into
.cache/servers. As root on Debian or Ubuntu that is done here; elsewhere this says what is
missing and exits with status 1. Run again it does nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SERVERS = Path(__file__).resolve().parents[1] / ".cache" / "servers"
INSTALLED = [
    "cyrus-common",
    "sasl2-bin",
    "libsasl2-modules",
    "courier-base",
    "libgamin0",
    "gamin",
    "msmtp-mta",  # a small mailer, which these depend on
    "libeatmydata1",  # makes fsync do nothing
]
UNPACKED = {"cyrus": "cyrus-imapd", "courier": "courier-imap"}
PROGRAMS = {"cyrus": "usr/lib/cyrus/bin/imapd", "courier": "usr/bin/imapd"}
SERVICES = ("cyrus-imapd.service", "courier-authdaemon.service")
EXPLANATION = """\
make test-servers runs the tests on Cyrus and Courier too. Both need root, the package manager
of Debian or Ubuntu, and the right to make a mount namespace (in a container: --privileged):
{}
make test does without them.
"""


def main() -> int:
    """Install and unpack what is missing, else explain."""
    obstacle = find_obstacle()
    if obstacle:
        print(EXPLANATION.format(obstacle), file=sys.stderr, end="")
        return 1
    if not missing_packages() and not missing_servers():
        return 0
    print("Installing Cyrus and Courier for the tests ...", flush=True)
    apt("update")
    if missing_packages():
        apt("install", "--yes", "--no-install-recommends", *INSTALLED)
        stop_services()
    for name in missing_servers():
        unpack(name)
    return 0


def find_obstacle() -> str:
    """Why it cannot be done on this machine; empty when it can."""
    if os.geteuid() != 0:
        return "you are not root."
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return "there is no apt-get."
    allowed = subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True)
    if allowed.returncode:
        return "unshare --mount is not permitted."
    return ""


def missing_packages() -> list[str]:
    """Which of `INSTALLED` are not."""
    query = ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n"]
    shown = subprocess.run([*query, *INSTALLED], check=False, capture_output=True, text=True)
    there = {line.split()[0] for line in shown.stdout.splitlines() if line.endswith(" installed")}
    return [name for name in INSTALLED if name not in there]


def missing_servers() -> list[str]:
    """Which of `UNPACKED` are not."""
    return [name for name in UNPACKED if not (SERVERS / name / PROGRAMS[name]).exists()]


def unpack(name: str) -> None:
    """Download one package and unpack it to the side, then rename: half of it is nothing."""
    part = SERVERS / f"{name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    apt("download", UNPACKED[name], directory=part)
    [package] = part.glob("*.deb")
    subprocess.run(["dpkg", "--extract", package, part / "files"], check=True)
    shutil.rmtree(SERVERS / name, ignore_errors=True)
    (part / "files").rename(SERVERS / name)
    shutil.rmtree(part)


def apt(*arguments: str, directory: Path | None = None) -> None:
    """apt-get, which stops everything when it fails."""
    options = ["--quiet", "--quiet", "--option", "DPkg::Lock::Timeout=120"]
    # As root even into directories that only root can open, without apt's warning about that.
    options += ["--option", "APT::Sandbox::User=root"]
    subprocess.run(
        ["apt-get", *options, *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        cwd=directory,
        check=True,
    )


def stop_services() -> None:
    """The packages start mail servers for everyone; the tests start their own."""
    if Path("/run/systemd/system").is_dir():
        subprocess.run(
            ["systemctl", "disable", "--now", *SERVICES], check=False, stderr=subprocess.DEVNULL
        )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error.cmd[0]} failed; make test-servers needs what it was to bring.")
