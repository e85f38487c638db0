"""A throw-away Cyrus IMAP 3: loopback only, own directory; needs root and the user cyrus.

    with Cyrus(users={"alice": "secret"}) as server:
        server.port, server.user, server.password

What it has and Dovecot has not: OBJECTID, whose EMAILID follows from the content. An account
holds at most ten identical mails in a folder; the eleventh is refused.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.unpacked_servers import UnpackedServer

_INSTALLED = Path("/usr/lib/cyrus/bin")
_DIRECTORIES = "conf conf/db conf/socket conf/proc conf/lock conf/log conf/msg conf/ptclient spool"
_SPECIAL_FOLDERS = ("Archive", "Drafts", "Junk", "Sent", "Trash")


class Cyrus(UnpackedServer):
    """One running Cyrus; use it as a context manager. `options` are lines of imapd.conf."""

    name = "cyrus"

    def __init__(self, *, users: Mapping[str, str] | None = None, options: str = "") -> None:
        super().__init__(users or {"alice": "secret", "bob": "secret"})
        self._options = options

    def command(self) -> list[str]:
        """The master process, which starts imapd and idled."""
        files = {"-C": "imapd.conf", "-M": "cyrus.conf", "-p": "master.pid", "-L": "master.log"}
        arguments = [part for flag, name in files.items() for part in (flag, self._path(name))]
        return [str(_INSTALLED / "master"), *arguments]

    def write_files(self) -> None:
        """imapd.conf, cyrus.conf, and accounts in a sasldb of its own."""
        super().write_files()
        for name in _DIRECTORIES.split():
            (self.root / name).mkdir()
        (self.root / "imapd.conf").write_text(self._imapd_conf())
        (self.root / "cyrus.conf").write_text(self._cyrus_conf())
        for user, password in self.users.items():
            command = ["saslpasswd2", "-p", "-c", "-f", self._path("sasldb2"), "-u", "localhost"]
            subprocess.run([*command, user], input=password.encode(), check=True)
        for path in (self.root, *self.root.rglob("*")):
            shutil.chown(path, "cyrus", "mail")

    def _path(self, name: str) -> str:
        return str(self.root / name)

    def _imapd_conf(self) -> str:
        special = "\n".join(f"xlist-{name.lower()}: {name}" for name in _SPECIAL_FOLDERS)
        return f"""\
configdirectory: {self.root}/conf
proc_path: {self.root}/conf/proc
mboxname_lockpath: {self.root}/conf/lock
defaultpartition: default
partition-default: {self.root}/spool
servername: localhost
cyrus_user: cyrus
cyrus_group: mail
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {self.root}/sasldb2
sasl_mech_list: PLAIN LOGIN
allowplaintext: yes
unixhierarchysep: yes
altnamespace: yes
idlesocket: {self.root}/conf/socket/idle
lmtpsocket: {self.root}/conf/socket/lmtp
# The first login makes the account.
autocreate_quota: 0
autocreate_inbox_folders: {" | ".join(_SPECIAL_FOLDERS)}
autocreate_subscribe_folders: {" | ".join(_SPECIAL_FOLDERS)}
{special}
conversations: yes
conversations_db: twoskip
# What is deleted is gone, folders too: their names are free at once.
delete_mode: immediate
expunge_mode: immediate
{self._options}
"""

    def _cyrus_conf(self) -> str:
        unpacked = self.root / "package" / "usr" / "lib" / "cyrus" / "bin"
        conf = self.root / "imapd.conf"
        listen = f'listen="{self.host}:{self.port}" proto="tcp4"'
        return f"""\
START {{
  recover cmd="{_INSTALLED}/ctl_cyrusdb -C {conf} -r"
}}
DAEMON {{
  idled cmd="{unpacked}/idled -C {conf}"
}}
SERVICES {{
  imap cmd="{unpacked}/imapd -C {conf} -U 100" {listen} prefork=1 maxchild=100
}}
EVENTS {{
}}
"""
