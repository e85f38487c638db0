"""`inboxd run` as systemd would start it, on a real server, with a socket of the test's own."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import Home
from tests.support.dovecot import Dovecot
from tests.support.notify_socket import NotifySocket
from tests.support.running import free_port

pytestmark = pytest.mark.dovecot

WATCHDOG_SECONDS = 2.0


def add_account(home: Home, name: str, port: int, password: str) -> str:
    """A second account, as TOML."""
    file = home.root / f"{name}.password"
    file.write_text(password)
    file.chmod(0o600)
    return f"""
[accounts.{name}]
host = "127.0.0.1"
port = {port}
tls = "none"
username = "alice"
password_file = "{file}"
poll_seconds = 1
"""


@pytest.fixture
def server() -> Iterator[Dovecot]:
    """A Dovecot with one account."""
    with Dovecot(users={"alice": "s3cret"}) as running:
        yield running


@pytest.fixture
def supervisor() -> Iterator[NotifySocket]:
    """systemd's end of the socket."""
    with NotifySocket() as found:
        yield found


def wait_for_end(process: subprocess.Popen[str]) -> str:
    """Its log; the daemon has been told to end."""
    log, _ = process.communicate(timeout=30)
    assert process.returncode == 0, log
    return log


def test_a_supervisor_is_told_everything_in_order(
    tmp_path: Path, server: Dovecot, supervisor: NotifySocket
) -> None:
    """Ready at once, then how three accounts are, of which one is refused and one unreachable;
    signs of life all the while; a reload; the end."""
    home = Home(tmp_path)
    more = add_account(home, "office", server.port, "wrong")
    home.configure(
        server.port, "alice", "s3cret", extra=more + add_account(home, "club", free_port(), "x")
    )
    process = home.start("run", **supervisor.environment(WATCHDOG_SECONDS))
    try:
        supervisor.wait_for("READY=1")
        assert supervisor.lines[0] == "READY=1"
        supervisor.wait_for("STATUS=3 accounts, last cycle")
        while not supervisor.statuses()[-1].endswith("failing: office club"):
            supervisor.wait_for("STATUS=")
        supervisor.wait_for("WATCHDOG=1", times=2)
        home.ok("reload")
        supervisor.wait_for("READY=1")
        process.send_signal(signal.SIGTERM)
        supervisor.wait_for("STOPPING=1")
        log = wait_for_end(process)
    finally:
        process.kill()
    assert supervisor.lines.index("RELOADING=1") > supervisor.lines.index("WATCHDOG=1")
    assert "STATUS=stopping" in supervisor.lines[-1]
    assert "silent" not in " ".join(supervisor.statuses())
    assert "notify.failed" not in log


def test_signs_of_life_go_on_while_the_server_is_away(
    tmp_path: Path, server: Dovecot, supervisor: NotifySocket
) -> None:
    """The daemon waits for it and is well; being killed and started again would not help."""
    home = Home(tmp_path)
    home.configure(server.port, "alice", "s3cret")
    process = home.start("run", **supervisor.environment(WATCHDOG_SECONDS))
    try:
        supervisor.wait_for("STATUS=1 account, last cycle")
        server.stop()
        while not supervisor.statuses()[-1].endswith("failing: private"):
            supervisor.wait_for("STATUS=")
        supervisor.wait_for("WATCHDOG=1", times=3)
        server.start()
        while "failing" in supervisor.statuses()[-1]:
            supervisor.wait_for("STATUS=")
        process.send_signal(signal.SIGTERM)
        wait_for_end(process)
    finally:
        process.kill()


def test_a_start_that_fails_is_never_said_to_be_ready(
    tmp_path: Path, server: Dovecot, supervisor: NotifySocket
) -> None:
    """Exit code 2, after which the unit is not started again and again."""
    home = Home(tmp_path)
    home.configure(server.port, "alice", "s3cret", extra="no_such_option = 1")
    done = home.run("run", **supervisor.environment(WATCHDOG_SECONDS))
    assert done.returncode == 2
    assert supervisor.read_all() == []


def test_a_process_that_the_watchdog_ends_tells_where_each_thread_was(
    tmp_path: Path, server: Dovecot, supervisor: NotifySocket
) -> None:
    """systemd sends SIGABRT; the log then has files and functions, and nothing of any mail."""
    home = Home(tmp_path)
    home.configure(server.port, "alice", "s3cret")
    process = home.start("run", **supervisor.environment(WATCHDOG_SECONDS))
    try:
        supervisor.wait_for("STATUS=1 account, last cycle")
        process.send_signal(signal.SIGABRT)
        log, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == -signal.SIGABRT
    assert "worker.py" in log
    assert "in _live" in log
    assert "s3cret" not in log
