"""A user's first day: the wheel installed, three accounts served, a backup carried elsewhere.

    python -m bench service [--minutes 10]

Builds the wheel and installs it, with all that it needs, into an environment of its own; has it
learn, writes its unit and verifies it; runs it under a supervisor's socket with three accounts:
a Dovecot with a password, a Dovecot with OAuth 2, and a pymap that refuses the password. Shows
status, metrics and the report for bugs; restores a backup elsewhere, which goes on sorting.
Measured are the start, what it takes while nothing happens, and its memory. Fails when a step
does. Needs Dovecot and the packages of the tests; pip needs its index.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.mails import FOLDERS, archive, next_mails
from tests.e2e.world import wait_until
from tests.support.command import Home
from tests.support.dovecot import Dovecot
from tests.support.identity_provider import CLIENT_ID, IdentityProvider, sign_in
from tests.support.inventory import all_messages, digest, read_inventory
from tests.support.mail_user import MailUser
from tests.support.notify_socket import NotifySocket
from tests.support.pymap_server import PymapServer
from tests.support.running import free_port

_CHECKOUT = Path(__file__).resolve().parents[1]
_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
_STARTS = 3
_SORTED_INTO = "Travel"


@dataclass(frozen=True)
class _Servers:
    """Two that work and one whose password is wrong."""

    anja: Dovecot
    bernd: Dovecot
    clara: PymapServer
    provider: IdentityProvider

    def person(self, user: str) -> MailUser:
        """A mail program of hers or his."""
        server = self.anja if user == "anja" else self.bernd
        return MailUser(server.host, server.port, user, "secret")

    def where(self, user: str, content: bytes) -> list[str]:
        """The folders in which a mail lies."""
        return [
            folder
            for folder, messages in self._inventory(user).items()
            if any(message.digest == digest(content) for message in messages)
        ]

    def count(self, user: str) -> int:
        """How many mails the account holds."""
        return all_messages(self._inventory(user)).total()

    def _inventory(self, user: str) -> Any:
        server = self.anja if user == "anja" else self.bernd
        return read_inventory(server.host, server.port, user, "secret")


class _Daemon:
    """inboxd as a service: its messages to the supervisor, its log, its use of the machine."""

    def __init__(self, home: Home, supervisor: NotifySocket) -> None:
        begun = time.perf_counter()
        self.process = home.start("run", **supervisor.environment(watchdog_seconds=60))
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()
        supervisor.wait_for("READY=1")
        self.seconds_to_ready = time.perf_counter() - begun

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)

    def cpu_seconds(self) -> float:
        """Of the process and its threads, from proc(5)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def megabytes(self) -> float:
        """Resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) / 1024

    def stop(self) -> None:
        """As a supervisor would; expects a good end."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        if code != 0:
            raise SystemExit(f"the daemon ended with {code}\n{''.join(self.lines)}")

    def kill(self) -> None:
        """Whatever state it is in."""
        self.process.kill()
        self.process.wait()


def main() -> None:
    """Live through the day; print what a user sees, and figures at the end."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="how long to look on idle")
    minutes = parser.parse_args().minutes
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="inboxd-day-")))
        figures: dict[str, str] = {}
        program = _install(place, figures)
        servers = stack.enter_context(_servers())
        home = _home(place / "home", servers, program)
        _learn(home, servers, figures)
        _unit(home)
        supervisor = stack.enter_context(NotifySocket())
        daemon = _start(home, supervisor, figures)
        stack.callback(daemon.kill)
        _sorts(servers, ("anja", "bernd"), first=0)
        _shows(home, supervisor)
        _idle(daemon, minutes, figures)
        archive_file = place / "backup.tar.gz"
        _say("inboxd backup", home.ok("backup", str(archive_file)))
        daemon.stop()
        _elsewhere(place, servers, program, archive_file)
        print("\n| figure | value |\n|---|---|")
        for name, value in figures.items():
            print(f"| {name} | {value} |")


def _install(place: Path, figures: dict[str, str]) -> Path:
    """The wheel in an environment of its own; returns its `inboxd`."""
    tool = [sys.executable, str(_CHECKOUT / "tools" / "build_wheel.py"), str(place / "dist")]
    subprocess.run(tool, check=True, capture_output=True)
    [wheel] = (place / "dist").glob("*.whl")
    begun = time.perf_counter()
    venv.create(place / "venv", with_pip=True)
    python = str(place / "venv" / "bin" / "python")
    subprocess.run([python, str(_CHECKOUT / "tools" / "install_torch.py"), "cpu"], check=True)
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--quiet",
         "--constraint",
         str(_CHECKOUT / "constraints.txt"), f"inboxd[oauth] @ {wheel.as_uri()}"],
        check=True,
    )  # fmt: skip
    figures["wheel"] = f"{wheel.stat().st_size / 1e6:.2f} MB"
    figures["installing it with all that it needs"] = _seconds(begun)
    program = place / "venv" / "bin" / "inboxd"
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    _say(f"{wheel.name} installed", version.stdout)
    return program


@contextlib.contextmanager
def _servers() -> Iterator[_Servers]:
    with contextlib.ExitStack() as stack:
        provider = stack.enter_context(IdentityProvider("bernd", grace=True))
        servers = _Servers(
            stack.enter_context(Dovecot(users={"anja": "secret"})),
            stack.enter_context(
                Dovecot(users={"bernd": "secret"}, introspection=provider.introspection)
            ),
            stack.enter_context(PymapServer()),
            provider,
        )
        for user in ("anja", "bernd"):
            person = servers.person(user)
            for folder in FOLDERS:
                person.create(folder)
            for folder, date, content in archive():
                person.append(folder, content, internal_date=date)
        yield servers


def _home(root: Path, servers: _Servers, program: Path) -> Home:
    """A configuration for the three accounts."""
    root.mkdir()
    home = Home(root, command=program)
    for name, text in (("anja", "secret"), ("clara", "wrong"), ("key", _KEY)):
        (root / name).write_text(f"{text}\n")
        (root / name).chmod(0o600)
    home.write_config(
        f"""
[state]
dir = "{home.state_dir}"

[model]
target_precision = 0.8

[metrics]
listen = "127.0.0.1:{free_port()}"

[accounts.anja]
host = "127.0.0.1"
port = {servers.anja.port}
tls = "none"
username = "anja"
password_file = "{root / "anja"}"
mode = "sort"

[accounts.bernd]
host = "127.0.0.1"
port = {servers.bernd.port}
tls = "none"
username = "bernd"
sign_in = "oidc"
mode = "sort"

[accounts.bernd.oauth]
client_id = "{CLIENT_ID}"
issuer = "{servers.provider.issuer}"
key_file = "{root / "key"}"

[accounts.clara]
host = "127.0.0.1"
port = {servers.clara.port}
tls = "none"
username = "{servers.clara.user}"
password_file = "{root / "clara"}"
mode = "sort"
"""
    )
    return home


def _learn(home: Home, servers: _Servers, figures: dict[str, str]) -> None:
    """Sign in, look at all accounts, learn those that can be reached."""
    _say("inboxd login bernd", sign_in(home, "bernd"))
    checked = home.run("check")
    _say("inboxd check (one account is broken)", checked.stdout + checked.stderr)
    begun = time.perf_counter()
    for user in ("anja", "bernd"):
        _say(f"inboxd learn --account {user}", home.ok("learn", "--account", user))
    mails = sum(servers.count(user) for user in ("anja", "bernd"))
    figures[f"first learning of {mails} mails, encoder converted first"] = _seconds(begun)


def _unit(home: Home) -> None:
    """Write the user's unit; systemd's own tool judges it where there is one."""
    _say("inboxd service install --user", home.ok("service", "install", "--user"))
    [unit] = (home.root / "config" / "systemd" / "user").glob("inboxd.service")
    if analyze := shutil.which("systemd-analyze"):
        verdict = subprocess.run(
            [analyze, "verify", "--user", str(unit)], check=True, capture_output=True, text=True,
            env=home.environment({"XDG_RUNTIME_DIR": str(home.root)}),
        )  # fmt: skip
        if verdict.stderr.strip():
            raise SystemExit(verdict.stderr)
        _say("systemd-analyze verify", "nothing to complain about")


def _start(home: Home, supervisor: NotifySocket, figures: dict[str, str]) -> _Daemon:
    """Several times, for the median; the last one stays."""
    took = []
    for number in range(_STARTS):
        daemon = _Daemon(home, supervisor)
        took.append(daemon.seconds_to_ready)
        if number == 0:
            figures["resident memory at READY"] = f"{daemon.megabytes():.0f} MB"
        if number < _STARTS - 1:
            daemon.stop()
    figures[f"start to READY, median of {_STARTS}"] = f"{statistics.median(took):.1f} s"
    return daemon


def _sorts(servers: _Servers, users: Sequence[str], *, first: int) -> None:
    """A mail comes to each account, and goes where it belongs."""
    for user in users:
        before = servers.count(user)
        [mail] = next_mails(_SORTED_INTO, 1, skip=first)
        servers.person(user).append("INBOX", mail)
        wait_until(lambda user=user, mail=mail: servers.where(user, mail) == [_SORTED_INTO])  # type: ignore[misc]
        if servers.count(user) != before + 1:
            raise SystemExit(f"{user} holds another number of mails")
        print(f"a mail to {user} was sorted into {_SORTED_INTO}", flush=True)


def _shows(home: Home, supervisor: NotifySocket) -> None:
    """What a user looks at."""
    supervisor.read_all()
    _say("what the supervisor was told", "\n".join(dict.fromkeys(supervisor.lines[-6:])))
    _say("inboxd status", home.ok("status"))
    health = home.run("health")
    _say(f"inboxd health (exit code {health.returncode})", health.stdout + health.stderr)
    listen = re.search(r'listen = "(\S+)"', home.config.read_text())
    assert listen is not None
    with urllib.request.urlopen(f"http://{listen[1]}/metrics", timeout=10) as answer:
        samples = [line for line in answer.read().decode().splitlines() if line[0] != "#"]
    _say(f"/metrics, {len(samples)} samples, the first", "\n".join(samples[:12]))
    report = home.ok("doctor")
    leaks = [word for word in ("secret", "wrong", _KEY, str(home.root)) if word in report]
    if leaks:
        raise SystemExit(f"the report for bugs names {leaks}\n{report}")
    _say("inboxd doctor, the beginning", "\n".join(report.splitlines()[:30]))


def _idle(daemon: _Daemon, minutes: float, figures: dict[str, str]) -> None:
    """Nothing happens; what does it cost?"""
    before = daemon.cpu_seconds()
    time.sleep(minutes * 60)
    spent = daemon.cpu_seconds() - before
    share = spent / (minutes * 60)
    figures[f"processor time in {minutes:g} idle minutes"] = (
        f"{spent:.1f} s ({share:.2%} of a core)"
    )
    figures["resident memory afterwards, models loaded"] = f"{daemon.megabytes():.0f} MB"


def _elsewhere(place: Path, servers: _Servers, program: Path, archive_file: Path) -> None:
    """Another home, as on another machine; no token or password is in the backup."""
    home = _home(place / "elsewhere", servers, program)
    _say("inboxd restore", home.ok("restore", str(archive_file)))
    _say("inboxd login bernd", sign_in(home, "bernd"))
    with NotifySocket() as supervisor:
        daemon = _Daemon(home, supervisor)
        try:
            wait_until(lambda: _healthy(home) >= {"anja", "bernd"})
            _sorts(servers, ("anja", "bernd"), first=1)
            daemon.stop()
        finally:
            daemon.kill()


def _healthy(home: Home) -> set[str]:
    """The accounts that have done a good pass since the daemon's start."""
    asked = home.run("health", "--json")
    found: set[str] = {
        each["name"] for each in json.loads(asked.stdout)["accounts"] if each["state"] == "ok"
    }
    return found


def _say(title: str, text: str) -> None:
    print(f"\n== {title}\n{text.rstrip()}", flush=True)


def _seconds(begun: float) -> str:
    return f"{time.perf_counter() - begun:.0f} s"


if __name__ == "__main__":
    main()
