"""A throw-away Courier IMAP 5: loopback only, own directory; needs root.

    with Courier(users={"alice": "secret"}) as server:
        server.port, server.user, server.password

What it lacks: MOVE, CONDSTORE, a server id, UIDNEXT in SELECT. Its namespace is "INBOX.".

Its configuration and its socket have places compiled in, so it lives in a mount namespace of
its own in which these places lie below its directory.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shlex
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.unpacked_servers import UnpackedServer

_CONFIGURATION = Path("/etc/courier")
_NOBODY = 65534
_START_SECONDS = 15.0


class Courier(UnpackedServer):
    """One running Courier; use it as a context manager."""

    name = "courier"

    def __init__(self, *, users: Mapping[str, str] | None = None) -> None:
        super().__init__(users or {"alice": "secret", "bob": "secret"})

    def command(self) -> list[str]:
        """Authentication daemon and listener, with their own /etc/courier and /run/courier."""
        return ["unshare", "--mount", "/bin/sh", str(self.root / "start.sh")]

    def start(self) -> None:
        """The listener greets before the authentication daemon answers: wait for both."""
        super().start()
        socket = self.root / "run" / "authdaemon" / "socket"
        deadline = time.monotonic() + _START_SECONDS
        while not socket.exists():
            if time.monotonic() > deadline:
                raise RuntimeError(f"Courier's authdaemond does not start:\n{self._logs()}")
            time.sleep(0.01)

    def write_files(self) -> None:
        """A copy of /etc/courier with accounts of its own."""
        super().write_files()
        configuration = self.root / "etc"
        shutil.copytree(_CONFIGURATION, configuration)
        shutil.copy(self.root / "package" / "etc" / "courier" / "imapd", configuration / "imapd")
        (self.root / "run" / "authdaemon").mkdir(parents=True)
        for directory in (self.root / "run", self.root / "run" / "authdaemon"):
            shutil.chown(directory, "courier", "courier")
        (configuration / "authdaemonrc").write_text(
            'authmodulelist="authuserdb"\nauthmodulelistorig="authuserdb"\ndaemons=3\n'
            'authdaemonvar=/run/courier/authdaemon\nDEBUG_LOGIN=0\nDEFAULTOPTIONS=""\n'
            'LOGGEROPTS=""\n'
        )
        accounts = configuration / "userdb"
        accounts.write_text("".join(map(self._account, self.users)))
        accounts.chmod(0o600)
        (self.root / "start.sh").write_text(self._start_script())

    def _account(self, user: str) -> str:
        home = self.root / "home" / user
        for name in ("cur", "new", "tmp"):
            (home / "Maildir" / name).mkdir(parents=True)
        for path in (home, *home.rglob("*")):
            os.chown(path, _NOBODY, _NOBODY)
        hashed = base64.b64encode(hashlib.sha256(self.users[user].encode()).digest()).decode()
        password = f"systempw={{SHA256}}{hashed}|imappw={{SHA256}}{hashed}"
        owner = f"uid={_NOBODY}|gid={_NOBODY}"
        return f"{user}\thome={home}|mail={home}/Maildir|{owner}|{password}\n"

    def _start_script(self) -> str:
        package = shlex.quote(str(self.root / "package" / "usr"))
        here = shlex.quote(str(self.root))
        return f"""\
set -e
mkdir -p /run/courier
mount --bind {here}/etc /etc/courier
mount --bind {here}/run /run/courier
makeuserdb
/usr/lib/courier/courier-authlib/authdaemond &
set -a
. /etc/courier/imapd
IMAP_ENHANCEDIDLE=1
# It does not delete old mail in Trash.
IMAP_EMPTYTRASH=
prefix=/usr; exec_prefix=/usr; sbindir=/usr/sbin; bindir=/usr/bin
exec /usr/sbin/couriertcpd -address={self.host} -maxprocs=100 -maxperip=100 \\
    -nodnslookup -noidentlookup {self.port} \\
    {package}/lib/courier/courier/imaplogin {package}/bin/imapd Maildir
"""
