"""See to it that Dovecot is there: the tests start their own, on a free port of this machine.

As root on Debian or Ubuntu it is installed. Everywhere else this says what to install and exits
with status 1.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys

from debian import install

PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", "/opt/local/sbin")
PACKAGE = "dovecot-imapd"
COMMANDS = {
    "debian": f"sudo apt-get update && sudo apt-get install --no-install-recommends {PACKAGE}",
    "fedora": "sudo dnf install dovecot",
    "suse": "sudo zypper install dovecot",
    "arch": "sudo pacman -S dovecot",
    "alpine": "sudo apk add dovecot",
    "darwin": "brew install dovecot",
}


def main() -> int:
    """Find Dovecot, else install it, else explain."""
    if find_dovecot():
        return 0
    family = system_family()
    if family == "debian" and os.geteuid() == 0:
        install("Dovecot", PACKAGE, "dovecot.socket", "dovecot.service")
    if find_dovecot():
        return 0
    command = COMMANDS.get(family, "the package dovecot of your system")
    print(
        "The tests need Dovecot, an IMAP server, and it is not installed.\n"
        f"Install it with:  {command}\n"
        "Nothing has to be configured; the service itself need not run.",
        file=sys.stderr,
    )
    return 1


def find_dovecot() -> str | None:
    """The server's program, which often is in a directory that only root has in PATH."""
    return shutil.which("dovecot", path=os.pathsep.join([os.environ.get("PATH", ""), *PLACES]))


def system_family() -> str:
    """A key of `COMMANDS`, or the empty string."""
    if platform.system() == "Darwin":
        return "darwin"
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return ""
    names = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    names = ["debian" if name == "ubuntu" else name.removeprefix("open") for name in names]
    return next((name for name in names if name in COMMANDS), "")


if __name__ == "__main__":
    sys.exit(main())
