"""The daemon's life, on servers in memory: start, wake, learn, survive, stop."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.config.settings import AccountSettings
from daemon.errors import CommandRefused, InboxdError, LoginRefused, StateError
from daemon.mailbox.connection import ConnectionSettings
from daemon.mailbox.imap import ImapMailbox
from daemon.mailbox.port import Mailbox
from daemon.service import Service
from daemon.use_cases import cycle
from daemon.use_cases.application import Application
from daemon.use_cases.learn import learn
from daemon.use_cases.pause import set_paused
from daemon.use_cases.status import status
from daemon.worker import AccountWorker, BackOff, Task, Tasks
from tests.support.fake_mailbox import FakeMailbox, FakeServer
from tests.support.scripted_server import Flood, ScriptedServer
from tests.use_cases.apps import (
    ACCOUNT,
    closing,
    filled_server,
    make_app,
    model_rows,
    topical,
)

PATIENCE = 20.0
"""Seconds after which a test gives up waiting; nothing is measured by it."""


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@contextmanager
def running(app: Application) -> Iterator[Service]:
    """The daemon's threads, stopped afterwards."""
    service = Service(app)
    service.start()
    try:
        yield service
    finally:
        assert service.shut_down()


def account_settings(**more: object) -> dict[str, object]:
    """Polls that never come by themselves within a test, unless asked for."""
    return {"poll_seconds": 3600, **more}


@pytest.fixture
def app(tmp_path: Path, encoder: Path, server: FakeServer) -> Iterator[Application]:
    """The program; it has learned, re-fits a second after the last correction, and idles."""
    with closing(
        make_app(
            tmp_path / "state",
            encoder,
            {ACCOUNT: server},
            account=account_settings(),
            training={"debounce_seconds": 1},
        )
    ) as found:
        learn(found, ACCOUNT)
        yield found


def last_cycle_is_known(app: Application, name: str = ACCOUNT) -> bool:
    states = {state.name: state for state in status(app).accounts}
    return states[name].last_cycle is not None


def test_new_mail_is_sorted_as_soon_as_it_arrives(app: Application, server: FakeServer) -> None:
    """IDLE wakes the worker; no poll is due for an hour."""
    with running(app):
        eventually(lambda: last_cycle_is_known(app), "the first pass")
        for number in range(60, 63):
            server.append("INBOX", topical("Reisen", number))
            wanted = 12 + number - 59
            eventually(lambda wanted=wanted: len(server.uids("Reisen")) == wanted, "sorted")  # type: ignore[misc]


def test_polling_finds_mail_without_idle(tmp_path: Path, encoder: Path, server: FakeServer) -> None:
    """A server without IDLE: the watcher gives up, the polls go on."""
    server.announced = server.announced.difference({"IDLE"})
    with closing(
        make_app(
            tmp_path / "state",
            encoder,
            {ACCOUNT: server},
            account=account_settings(poll_seconds=1),
        )
    ) as app:
        learn(app, ACCOUNT)
        with running(app):
            server.append("INBOX", topical("Reisen", 60))
            eventually(lambda: len(server.uids("Reisen")) == 13, "sorted by a poll")


def test_several_corrections_lead_to_one_model(
    tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """Each is noticed by a pass of its own; the head is re-fitted once, after the last."""
    with closing(
        make_app(
            tmp_path / "state",
            encoder,
            {ACCOUNT: server},
            account=account_settings(poll_seconds=1, idle=False),
            training={"debounce_seconds": 3},
        )
    ) as app:
        learn(app, ACCOUNT)
        with running(app):
            eventually(lambda: last_cycle_is_known(app), "the first pass")
            for count in range(1, 4):
                server.move("Reisen", server.uids("Reisen")[:1], "Verein")
                eventually(
                    lambda count=count: status(app).accounts[0].corrections == count,  # type: ignore[misc]
                    "noticed",
                )
            assert len(model_rows(app)) == 1
            eventually(lambda: len(model_rows(app)) == 2, "the re-fit")
        assert model_rows(app)[1].examples == 36
        assert len(model_rows(app)) == 2


def test_a_lesson_of_an_earlier_process_is_learned_after_the_start(
    app: Application, server: FakeServer
) -> None:
    """Stopped between the correction and its re-fit: the next start catches up."""
    with running(app):
        eventually(lambda: last_cycle_is_known(app), "the first pass")
        server.move("Reisen", server.uids("Reisen")[:1], "Verein")
        server.append("INBOX", topical("Reisen", 60))
        eventually(lambda: status(app).accounts[0].corrections == 1, "noticed")
    models = len(model_rows(app))
    if models == 1:
        with running(app):
            eventually(lambda: len(model_rows(app)) == 2, "the re-fit")
    assert len(model_rows(app)) == 2


def test_one_failing_account_does_not_stop_the_other(tmp_path: Path, encoder: Path) -> None:
    """The one server refuses everything; the other's mail is sorted all the same."""
    good, bad = filled_server(), filled_server()

    def connect(name: str, _account: AccountSettings) -> Mailbox:
        if name == "bad":
            raise LoginRefused("no entry")
        return good.connect()

    with closing(
        make_app(
            tmp_path / "state",
            encoder,
            {"good": good, "bad": bad},
            connect=connect,
            account=account_settings(),
        )
    ) as app:
        learn(app, "good")
        with running(app):
            good.append("INBOX", topical("Reisen", 60))
            eventually(lambda: len(good.uids("Reisen")) == 13, "sorted")
            eventually(
                lambda: {s.name: s.state for s in status(app).accounts}["bad"] == "failing",
                "the error is shown",
            )


def test_a_bug_in_one_account_does_not_stop_the_other(
    tmp_path: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a pass raises, the thread goes on and says so."""
    good, bad = filled_server(), filled_server()

    def connect(name: str, _account: AccountSettings) -> Mailbox:
        if name == "bad":
            raise ZeroDivisionError
        return good.connect()

    with (
        closing(
            make_app(
                tmp_path / "state",
                encoder,
                {"good": good, "bad": bad},
                connect=connect,
                account=account_settings(idle=False),
            )
        ) as app,
        running(app) as service,
    ):
        eventually(
            lambda: {s.name: s.state for s in status(app).accounts}["bad"] == "failing",
            "the error is shown",
        )
        for runner in service._runners.values():
            assert all(thread.is_alive() for thread in runner.threads)


def test_a_bug_in_the_watcher_does_not_end_the_watching(
    app: Application, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever waiting raises, the watcher takes it up again; the worker does not notice."""
    monkeypatch.setattr("daemon.worker.FIRST_BACK_OFF", 0.01)
    wait, failures = FakeMailbox.wait, [ZeroDivisionError(), ValueError(), KeyError()]

    def faulty(self: FakeMailbox, folder: str, seconds: float, stopped: Callable[[], bool]) -> bool:
        if failures:
            raise failures.pop()
        return wait(self, folder, seconds, stopped)

    monkeypatch.setattr(FakeMailbox, "wait", faulty)
    with running(app):
        eventually(lambda: not failures, "all failures met")
        server.append("INBOX", topical("Reisen", 60))
        eventually(lambda: len(server.uids("Reisen")) == 13, "sorted, a day before the next poll")
        assert status(app).accounts[0].state != "failing"


class Impatient(threading.Event):
    """A stop that notes the pauses instead of making them, and comes with the fifth."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Return at once."""
        self.pauses.append(timeout or 0.0)
        if len(self.pauses) == 5:
            self.set()
        return self.is_set()


def test_a_hostile_server_is_asked_less_and_less(tmp_path: Path, encoder: Path) -> None:
    """An answer without end each time: the connection is closed, the pauses grow, and
    `status` names the kind of trouble, not the server's words."""
    flood = {"LIST": Flood('* LIST () "/" "secret', "x"), "STATUS": Flood("* secret ", "x")}
    with ScriptedServer(flood) as hostile:
        settings = ConnectionSettings(hostile.host, hostile.port, "none", "max", "x", 5.0)
        connect = ImapMailbox.connect
        with closing(
            make_app(
                tmp_path / "state",
                encoder,
                {ACCOUNT: FakeServer()},
                connect=lambda _name, _account: connect(settings),
            )
        ) as app:
            stop = Impatient()
            AccountWorker(app, ACCOUNT, stop, lambda _name: None).run()
            [account] = status(app).accounts
    assert stop.pauses == [2.0, 4.0, 8.0, 16.0, 32.0]
    assert hostile.commands().count("CAPABILITY") >= 5
    assert account.state == "failing"
    assert "secret" not in str(account)


def test_a_broken_connection_is_made_anew(app: Application, server: FakeServer) -> None:
    """The pass fails, the worker connects again, and the mail is sorted."""
    with running(app):
        eventually(lambda: last_cycle_is_known(app), "the first pass")
        server.fail("fetch")
        server.append("INBOX", topical("Reisen", 60))
        eventually(lambda: len(server.uids("Reisen")) == 13, "sorted after all")
    assert server.pending_faults() == 0


def test_what_was_to_be_learned_survives_a_broken_connection(
    app: Application, server: FakeServer
) -> None:
    """The pass that was to learn fails; the next one learns."""
    with running(app) as service:
        eventually(lambda: last_cycle_is_known(app), "the first pass")
        server.move("Reisen", server.uids("Reisen")[:1], "Verein")
        server.fail("folders")
        service._runners[ACCOUNT].worker.tasks.add(Task.LEARN)
        eventually(lambda: len(model_rows(app)) == 2, "the re-fit")


def test_pause_closes_the_connections_and_resume_opens_them(
    tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """While paused nothing is asked of the server; afterwards everything is noticed."""
    with closing(
        make_app(
            tmp_path / "state",
            encoder,
            {ACCOUNT: server},
            account=account_settings(poll_seconds=1),
        )
    ) as app:
        learn(app, ACCOUNT)
        with running(app):
            eventually(lambda: last_cycle_is_known(app), "the first pass")
            set_paused(app, [ACCOUNT], paused=True)
            eventually(lambda: is_quiet(server), "silence")
            server.append("INBOX", topical("Reisen", 60))
            assert is_quiet(server)
            assert server.uids("INBOX") != []
            set_paused(app, [ACCOUNT], paused=False)
            eventually(lambda: len(server.uids("Reisen")) == 13, "sorted")


def is_quiet(server: FakeServer) -> bool:
    """No command in a time in which a poll would have come."""
    before = len(server.calls)
    time.sleep(2.5)
    return len(server.calls) == before


def test_the_night_changes_no_model_without_a_lesson(app: Application, server: FakeServer) -> None:
    """A model that was gone back to is still in use in the morning."""
    with running(app) as service:
        eventually(lambda: last_cycle_is_known(app), "the first pass")
        before = status(app).accounts[0].last_cycle
        service._runners[ACCOUNT].worker.tasks.add(Task.NIGHTLY)
        eventually(lambda: status(app).accounts[0].last_cycle != before, "the night's pass")
    assert len(model_rows(app)) == 1


def test_stopping_finishes_the_step_and_leaves_no_plan(
    app: Application, server: FakeServer
) -> None:
    """Many mails wait; the stop comes in the middle, and every move is recorded."""
    for number in range(60, 260):
        server.append("INBOX", topical("Reisen", number))
    service = Service(app)
    service.start()
    eventually(lambda: len(server.uids("Reisen")) > 12, "the first round")
    assert service.shut_down()
    with app.store.read() as work:
        account = work.accounts.get(ACCOUNT)
        assert account is not None
        assert work.moves.planned(account) == []
    assert len(server.uids("Reisen")) + len(server.uids("INBOX")) == 212


def test_a_worker_survives_a_database_that_cannot_be_written(
    app: Application, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: even the failure cannot be recorded; when it has passed, work goes on."""
    refused = threading.Event()
    record = cycle.record_failure

    def refuse(app: Application, name: str, error: InboxdError) -> None:
        if not refused.is_set():
            refused.set()
            raise StateError("The disk is full.")
        record(app, name, error)

    monkeypatch.setattr("daemon.worker.record_failure", refuse)
    server.fail("folders", error=CommandRefused("not now"))
    with running(app):
        assert refused.wait(PATIENCE)
        server.append("INBOX", topical("Reisen", 60))
        eventually(lambda: len(server.uids("Reisen")) == 13, "sorted")


# Parts -----------------------------------------------------------------------------------------


def test_asking_twice_is_asking_once() -> None:
    """Tasks are a set, and closing wakes whoever waits."""
    tasks = Tasks()
    tasks.add(Task.POLL)
    tasks.add(Task.POLL)
    tasks.add(Task.LEARN)
    assert tasks.take() == {Task.POLL, Task.LEARN}
    taken: list[set[Task]] = []
    thread = threading.Thread(target=lambda: taken.append(tasks.take()))
    thread.start()
    tasks.close()
    thread.join(PATIENCE)
    assert taken == [set()]


def test_pauses_between_attempts_grow_and_end_with_the_stop() -> None:
    """Doubled each time, reset by success; a stop does not wait."""
    stop = threading.Event()
    stop.set()
    back_off = BackOff(stop)
    assert [back_off.wait() for _ in range(9)] == [2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert back_off.wait(at_least=1000.0) == 1000
    back_off.reset()
    assert back_off.wait() == 2


# The process -----------------------------------------------------------------------------------

DAEMON = """
import os
import sys
from pathlib import Path
from daemon.errors import InboxdError
from daemon.logs import configure_logging
from daemon.service import run_daemon
from tests.support.fake_mailbox import FakeMailbox, FakeServer
from tests.support.scripted_server import Flood, ScriptedServer
from tests.use_cases.apps import make_app
configure_logging("warning", "json")
state, encoder = Path(sys.argv[1]), Path(sys.argv[2])
server = FakeServer()
app = make_app(state, encoder, {"private": server}, account={"poll_seconds": 1})
connect = server.connect
def announce():
    os.write(1, b"connected\\n")
    return connect()
server.connect = announce
try:
    sys.exit(run_daemon(app, lambda app: app))
except InboxdError as error:  # as the command line does; an error that nobody catches says nothing
    sys.exit(f"{type(error).__name__}: {error}")
"""


@contextmanager
def daemon_process(state: Path, encoder: Path) -> Iterator[subprocess.Popen[str]]:
    """`run_daemon` in a process of its own, killed afterwards; says "connected" when it is."""
    with subprocess.Popen(
        [sys.executable, "-c", DAEMON, str(state), str(encoder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until_connected(process: subprocess.Popen[str]) -> None:
    """The daemon's worker has reached the server."""
    assert process.stdout is not None
    assert process.stdout.readline() == "connected\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_daemon_within_five_seconds(
    tmp_path: Path, encoder: Path, number: signal.Signals
) -> None:
    """Exit code 0, and the instance lock is free again."""
    with daemon_process(tmp_path / "state", encoder) as process:
        wait_until_connected(process)
        process.send_signal(number)
        assert process.wait(5) == 0
    with daemon_process(tmp_path / "state", encoder) as again:
        wait_until_connected(again)


def test_a_second_daemon_on_the_same_state_is_refused(tmp_path: Path, encoder: Path) -> None:
    """It names the first and ends."""
    with daemon_process(tmp_path / "state", encoder) as first:
        wait_until_connected(first)
        with daemon_process(tmp_path / "state", encoder) as second:
            _, errors = second.communicate(timeout=PATIENCE)
            assert second.returncode != 0
        assert "AlreadyRunning" in errors
        assert str(first.pid) in errors
