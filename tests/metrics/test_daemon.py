"""A running daemon, asked over its port as Prometheus and a health check would ask it."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.metrics.scrape import ask, scrape
from tests.support.command import Home
from tests.support.dovecot import Dovecot
from tests.support.running import free_port

PATIENCE = 60.0
"""Seconds after which a test gives up waiting; nothing is measured by it."""

BROKEN = """
[accounts.broken]
host = "127.0.0.1"
port = {port}
tls = "none"
username = "bob"
password_file = "{password}"
poll_seconds = 1

[metrics]
listen = "127.0.0.1:{metrics}"
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    """A Dovecot with one account, in which there is one label folder."""
    with Dovecot(users={"alice": "s3cret-pässword"}) as running:
        running.doveadm("mailbox", "create", "-u", "alice", "Rechnungen")
        yield running


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until it is so; a connection that is refused is not so yet."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(ConnectionError):
            if condition():
                return
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@contextmanager
def running(home: Home) -> Iterator[subprocess.Popen[str]]:
    """`inboxd run`, ended afterwards."""
    with home.start("--log-level", "error", "run") as process:
        try:
            yield process
        finally:
            process.terminate()


def pretend_it_started_yesterday(home: Home) -> None:
    """The daemon, and the account's row: there is no other way to be a day late within a test."""
    yesterday = time.time() - 86_400
    os.utime(home.state_dir / "inboxd.lock", (yesterday, yesterday))
    with contextlib.closing(sqlite3.connect(home.database)) as database, database:
        database.execute("UPDATE accounts SET created_at = '2026-01-01 00:00:00.000000'")


@pytest.mark.dovecot
def test_a_broken_account_is_named_and_the_others_are_well(tmp_path: Path, server: Dovecot) -> None:
    """503 for the one whose server is down; the other's passes go on, and are measured."""
    home, port = Home(tmp_path), free_port()
    home.configure(
        server.port,
        server.user,
        server.password,
        extra=BROKEN.format(port=free_port(), password=home.password_file, metrics=port),
    )
    with running(home):
        eventually(
            lambda: ask(port, "/healthz").text.count('"state": "ok"') == 1, "the good one's pass"
        )
        eventually(lambda: ("inboxd_failures_total", ("broken", "MailboxUnreachable")) in
                   scrape(port), "the bad one's failure")  # fmt: skip
        early = ask(port, "/healthz")
        pretend_it_started_yesterday(home)
        late = ask(port, "/healthz")
        figures = scrape(port)
        from_outside = home.run("health", "--json")

    assert early.status == 200
    states = {each["name"]: each["state"] for each in json.loads(early.text)["accounts"]}
    assert states == {"private": "ok", "broken": "failing"}
    assert late.status == 503
    told = {each["name"]: each for each in json.loads(late.text)["accounts"]}
    assert (told["private"]["state"], told["private"]["overdue"]) == ("ok", False)
    assert (told["broken"]["state"], told["broken"]["overdue"]) == ("overdue", True)
    assert told["broken"]["error"] == "MailboxUnreachable"
    assert figures["inboxd_account_overdue", ("private",)] == 0
    assert figures["inboxd_account_overdue", ("broken",)] == 1
    assert figures["inboxd_last_cycle_timestamp_seconds", ("broken",)] == 0
    assert figures["inboxd_last_cycle_timestamp_seconds", ("private",)] > time.time() - 3600
    assert figures["inboxd_cycle_duration_seconds_count", ("private",)] >= 1
    assert figures["inboxd_folder_mails", ("private", "Rechnungen")] == 0
    assert figures["inboxd_account_paused", ("private",)] == 0
    assert from_outside.returncode == 1
    assert '"broken"' in from_outside.stdout
    assert server.user not in late.text


def test_a_port_in_use_ends_the_start_with_the_mend(tmp_path: Path) -> None:
    """Exit code 2, before anything is asked of a mail server."""
    home, port = Home(tmp_path), free_port()
    home.configure(free_port(), "alice", "s3cret", extra=f"""
[metrics]
listen = "127.0.0.1:{port}"
""")  # fmt: skip
    with running(home):
        eventually(lambda: ask(port, "/").status == 200, "the port")
        second = Home(tmp_path / "second")
        second.root.mkdir()
        second.configure(free_port(), "alice", "s3cret", extra=f"""
[metrics]
listen = "127.0.0.1:{port}"
""")  # fmt: skip
        done = second.run("run")

    assert done.returncode == 2
    assert "metrics.listen" in done.stderr
    assert f"127.0.0.1:{port}" in done.stderr


def test_nothing_listens_by_default(tmp_path: Path) -> None:
    """Whoever wants it asks for it: the log says when there is a port."""
    home = Home(tmp_path)
    home.configure(free_port(), "alice", "s3cret")
    with home.start("--log-level", "info", "run") as process:
        assert process.stdout is not None
        lines = []
        awaited = {"service.started", "worker.failed"}
        for line in process.stdout:
            lines.append(line)
            awaited -= {event for event in awaited if event in line}
            if not awaited:
                break
        process.terminate()

    assert not awaited
    assert not any("metrics.started" in line for line in lines)


@pytest.mark.dovecot
def test_what_is_told_follows_a_reload(tmp_path: Path, server: Dovecot) -> None:
    """An account that was added is told of; another port needs a restart, and says so."""
    home, port = Home(tmp_path), free_port()
    home.configure(server.port, server.user, server.password, extra=f"""
[metrics]
listen = "127.0.0.1:{port}"
""")  # fmt: skip
    text = home.config.read_text(encoding="utf-8")
    with running(home):
        eventually(lambda: '"ok"' in ask(port, "/healthz").text, "the first pass")
        home.write_config(text + f"""
[accounts.second]
host = "127.0.0.1"
port = {free_port()}
tls = "none"
username = "bob"
""")  # fmt: skip
        home.ok("reload")
        accounts = [each["name"] for each in json.loads(ask(port, "/healthz").text)["accounts"]]
        figures = scrape(port)
        home.write_config(text.replace(str(port), str(free_port())))
        refused = home.run("reload")
        still = ask(port, "/healthz").status

    assert accounts == ["private", "second"]
    assert figures["inboxd_account_overdue", ("second",)] == 0
    assert refused.returncode == 2
    assert "[metrics] listen" in refused.stderr
    assert still == 200
