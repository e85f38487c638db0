"""A throw-away Dovecot 2.3 for tests: loopback only, own directory, no trace left behind.

    with Dovecot(hidden=("MOVE",)) as server:
        server.port, server.tls_port, server.user, server.password

Runs as root (mail then belongs to nobody) or as any user (everything belongs to that user).
A missing Dovecot is an error and not a skip: a suite that silently leaves out the real server
proves nothing.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from tests.support.running import free_port
from tests.support.server_process import ServerProcess

_BINARY = Path("/usr/sbin/dovecot")
_INSTALL_HINT = (
    "Dovecot is not installed, and the mailbox tests need it.\n"
    "Debian, Ubuntu: apt-get install -y --no-install-recommends dovecot-imapd dovecot-lmtpd\n"
    "Without a server: pytest -m 'not dovecot'"
)
_NOBODY = 65534

_MAIL_LOCATIONS = {
    "maildir": "maildir:~/Maildir:LAYOUT=fs",
    "maildir++": "maildir:~/Maildir",
    "mdbox": "mdbox:~/mdbox",
}
_SPECIAL_FOLDERS = {
    "Archive": r"\Archive",
    "Drafts": r"\Drafts",
    "Junk": r"\Junk",
    "Sent": r"\Sent",
    "Trash": r"\Trash",
}
_ALL_CAPABILITIES = (
    "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ SORT SORT=DISPLAY "
    "THREAD=REFERENCES THREAD=REFS THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE "
    "UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH "
    "ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE SNIPPET=FUZZY "
    "PREVIEW=FUZZY PREVIEW STATUS=SIZE SAVEDATE SPECIAL-USE"
)
_HELPERS = (
    "anvil auth auth-worker config dict dict-async director dns-client doveadm imap-hibernate "
    "imap-urlauth imap-urlauth-login imap-urlauth-worker indexer indexer-worker ipc lmtp log "
    "old-stats replicator aggregator"
)


class Dovecot(ServerProcess):
    """One running Dovecot; use it as a context manager.

    `hidden` names capabilities that the server does not announce (it still understands the
    commands, as a real server behind a filtering proxy would). `quota` is a storage limit
    such as "200K", `acl` turns on access rights, `special_use` announces Trash, Sent and so on.
    `introspection` is the address (RFC 7662) at which it asks about the access tokens that
    users show; with it OAUTHBEARER and XOAUTH2 are offered, or what `mechanisms` says.
    """

    name = "dovecot"

    def __init__(
        self,
        *,
        users: Mapping[str, str] | None = None,
        separator: str = "/",
        prefix: str = "",
        mailbox_format: Literal["maildir", "maildir++", "mdbox"] = "maildir",
        special_use: bool = True,
        hidden: Sequence[str] = (),
        acl: bool = False,
        quota: str = "",
        max_connections: int = 100,
        introspection: str = "",
        mechanisms: str = "",
    ) -> None:
        super().__init__(users or {"alice": "secret", "bob": "secret"})
        self.tls_port = free_port()
        self._separator = separator
        self._prefix = prefix
        self._format = mailbox_format
        self._special_use = special_use
        self._hidden = frozenset(hidden)
        self._acl = acl
        self._quota = quota
        self._max_connections = max_connections
        self._introspection = introspection
        bearer = " xoauth2 oauthbearer" if introspection else ""
        self._mechanisms = mechanisms or f"plain login{bearer}"

    @property
    def ca_file(self) -> Path:
        """The self-signed certificate, valid for localhost and 127.0.0.1."""
        return self.root / "cert.pem"

    def command(self) -> list[str]:
        """The master process; RuntimeError when it is not installed."""
        if not _BINARY.exists():
            raise RuntimeError(_INSTALL_HINT)
        return [str(_BINARY), "-F", "-c", str(self.root / "dovecot.conf")]

    def session_processes(self, user: str = "") -> list[int]:
        """Process ids of the logged-in IMAP sessions (of `user`)."""
        sessions = []
        for child in self._children():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                title = Path(f"/proc/{child}/cmdline").read_bytes().decode(errors="replace")
                if "/imap [" in title and user in title:
                    sessions.append(child)
        return sessions

    def doveadm(self, *arguments: str) -> str:
        """Run doveadm against this server, as its administrator would."""
        command = ["doveadm", "-c", str(self.root / "dovecot.conf"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout

    def _children(self) -> list[int]:
        if self._process is None:
            return []
        task = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        try:
            return [int(child) for child in task.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            return []

    def _logs(self) -> str:
        log = self.root / "log" / "dovecot.log"
        return super()._logs() + (log.read_text()[-2000:] if log.exists() else "")

    def write_files(self) -> None:
        """Accounts, certificate and configuration."""
        for name in ("run", "state", "home", "log"):
            (self.root / name).mkdir()
        uid, gid = (os.geteuid(), os.getegid()) if os.geteuid() else (_NOBODY, _NOBODY)
        lines = []
        for user, password in self.users.items():
            home = self.root / "home" / user
            home.mkdir()
            os.chown(home, uid, gid)
            lines.append(f"{user}:{{PLAIN}}{password}:{uid}:{gid}::{home}::\n")
        # All at once: Dovecot looks at most once a second whether this file has grown.
        (self.root / "users").write_text("".join(lines))
        _write_certificate(self.root)
        (self.root / "dovecot.conf").write_text(self._configuration())
        (self.root / "oauth2.conf").write_text(
            f"introspection_url = {self._introspection}\nintrospection_mode = post\n"
            "username_attribute = username\nactive_attribute = active\nactive_value = true\n"
        )

    def _configuration(self) -> str:
        return "".join((self._base(), self._mail(), self._plugins(), self._services()))

    def _base(self) -> str:
        if os.geteuid() == 0:
            internal, login, group = "dovecot", "dovenull", "dovecot"
        else:
            internal = login = pwd.getpwuid(os.geteuid()).pw_name
            group = grp.getgrgid(os.getegid()).gr_name
        passwords = f"driver = passwd-file\n  args = username_format=%u {self.root}/users"
        tokens = (
            "passdb {\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n"
            f"  args = {self.root}/oauth2.conf\n}}\n"
            if self._introspection
            else ""
        )
        return f"""\
base_dir = {self.root}/run
state_dir = {self.root}/state
log_path = {self.root}/log/dovecot.log
instance_name = {self.root.name}
protocols = imap
listen = {self.host}
default_internal_user = {internal}
default_internal_group = {group}
default_login_user = {login}
first_valid_uid = 1
first_valid_gid = 1
shutdown_clients = yes
verbose_proctitle = yes
ssl = yes
ssl_cert = <{self.root}/cert.pem
ssl_key = <{self.root}/key.pem
disable_plaintext_auth = no
auth_mechanisms = {self._mechanisms}
# A refused login answers at once and does not slow down the next ones.
auth_failure_delay = 0
{tokens}passdb {{
  {passwords}
}}
userdb {{
  {passwords}
}}
"""

    def _mail(self) -> str:
        special = "".join(
            f"  mailbox {name} {{\n    special_use = {use}\n    auto = subscribe\n  }}\n"
            for name, use in _SPECIAL_FOLDERS.items()
        )
        return f"""\
mail_location = {_MAIL_LOCATIONS[self._format]}
mail_fsync = never
mail_max_userip_connections = {self._max_connections}
namespace inbox {{
  inbox = yes
  separator = {self._separator}
  prefix = {self._prefix}
{special if self._special_use else ""}}}
"""

    def _plugins(self) -> str:
        general, imap, settings = [], [], []
        if self._acl:
            general.append("acl")
            imap.append("imap_acl")
            settings.append("acl = vfile")
        if self._quota:
            general.append("quota")
            imap.append("imap_quota")
            settings += ["quota = count:User quota", f"quota_rule = *:storage={self._quota}"]
            settings += ["quota_vsizes = yes", "quota_grace = 0"]
        shown = [name for name in _ALL_CAPABILITIES.split() if name not in self._hidden]
        capability = f"  imap_capability = {' '.join(shown)}\n" if self._hidden else ""
        return (
            f"mail_plugins = {' '.join(general)}\n"
            f"protocol imap {{\n  mail_plugins = $mail_plugins {' '.join(imap)}\n{capability}}}\n"
            f"plugin {{\n{''.join(f'  {line}' + chr(10) for line in settings)}}}\n"
        )

    def _services(self) -> str:
        # Only root can change root directories; an ordinary user runs everything unconfined.
        chroot = "" if os.geteuid() == 0 else "  chroot =\n"
        helpers = ""
        if os.geteuid():
            me = pwd.getpwuid(os.geteuid()).pw_name
            helpers = "".join(
                f"service {name} {{\n  user = {me}\n{chroot}}}\n" for name in _HELPERS.split()
            )
        return f"""\
service imap-login {{
{chroot}  inet_listener imap {{
    address = {self.host}
    port = {self.port}
  }}
  inet_listener imaps {{
    address = {self.host}
    port = {self.tls_port}
    ssl = yes
  }}
}}
service anvil {{
{chroot}  # Otherwise one refused login slows down all later ones from this address.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
{chroot}  unix_listener stats-writer {{
    mode = 0666
  }}
}}
{helpers}"""


def _write_certificate(root: Path) -> None:
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 "
        "-keyout key.pem -out cert.pem"
    )
    subprocess.run(command.split(), cwd=root, check=True, capture_output=True)
