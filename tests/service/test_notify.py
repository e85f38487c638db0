"""What the supervisor is told, and when it is told nothing any more."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config.settings import AccountSettings
from daemon.errors import LoginRefused, MailboxUnreachable
from daemon.mailbox.port import Mailbox
from daemon.notify import Notifier, Supervisor, status_line
from daemon.pulse import ALLOWANCE, LONGEST_STEP, Pulse, Vital
from daemon.use_cases.application import Application
from daemon.use_cases.pause import set_paused
from daemon.worker import LONGEST_BACK_OFF, AccountWorker
from tests.support.fake_mailbox import FakeServer
from tests.support.notify_socket import NotifySocket
from tests.use_cases.apps import ACCOUNT, closing, make_app

PATIENCE = 20.0
"""Seconds after which a test gives up waiting; nothing is measured by it."""


class Clock:
    """Monotonic seconds that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def supervisor() -> Iterator[NotifySocket]:
    """systemd's end of the socket."""
    with NotifySocket() as found:
        yield found


@pytest.fixture
def clock() -> Clock:
    """Stands still unless turned."""
    return Clock()


def vital(account: str = "private", *, alive: bool = True, failing: bool = False) -> Vital:
    """A worker that has done a pass at 988 s, twelve seconds before the clock's beginning."""
    return Vital(account, alive, failing, 988.0)


def notifier_for(
    supervisor: NotifySocket, clock: Clock, vitals: list[Vital], watchdog_seconds: float = 60
) -> Notifier:
    """A notifier that nobody but the test ticks."""
    found = Supervisor.from_environment(supervisor.environment(watchdog_seconds))
    return Notifier(found, lambda: vitals, clock)


def test_signs_of_life_come_twice_as_often_as_they_have_to(
    supervisor: NotifySocket, clock: Clock
) -> None:
    """At half of the watchdog's time, however often it is ticked."""
    notifier = notifier_for(supervisor, clock, [vital()])
    for _ in range(61):
        notifier.tick()
        clock.now += 1
    assert supervisor.read_all().count("WATCHDOG=1") == 3  # after 0, 30 and 60 seconds


def test_one_silent_worker_ends_the_signs_of_life(supervisor: NotifySocket, clock: Clock) -> None:
    """However well the others are; the status names it; they go on when it is heard again."""
    vitals = [vital("private"), vital("office", alive=False)]
    notifier = notifier_for(supervisor, clock, vitals)
    for _ in range(100):
        notifier.tick()
        clock.now += 1
    assert "WATCHDOG=1" not in supervisor.read_all()
    assert supervisor.statuses()[0] == "2 accounts, last cycle 12 s ago, silent: office"
    vitals[1] = vital("office")
    notifier.tick()
    assert "WATCHDOG=1" in supervisor.read_all()


def test_a_failing_account_is_named_and_no_reason_to_be_killed(
    supervisor: NotifySocket, clock: Clock
) -> None:
    """Its mail server may be down for an hour; a restart would not bring it back."""
    notifier = notifier_for(supervisor, clock, [vital(), vital("office", failing=True)])
    notifier.tick()
    assert "WATCHDOG=1" in supervisor.read_all()
    assert supervisor.statuses() == ["2 accounts, last cycle 12 s ago, failing: office"]


def test_a_status_is_told_when_it_changes_and_now_and_then(
    supervisor: NotifySocket, clock: Clock
) -> None:
    """Not every second, although its age changes every second."""
    vitals = [vital()]
    notifier = notifier_for(supervisor, clock, vitals)
    for _ in range(10):
        notifier.tick()
        clock.now += 1
    vitals[0] = vital(failing=True)
    notifier.tick()
    supervisor.read_all()
    assert supervisor.statuses() == [
        "1 account, last cycle 12 s ago",
        "1 account, last cycle 22 s ago, failing: private",
    ]


@pytest.mark.parametrize(
    ("age", "said"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h")]
)
def test_ages_are_said_in_a_fitting_unit(age: int, said: str) -> None:
    """Nobody counts seconds beyond two minutes."""
    now = 988.0 + age
    assert status_line([vital()], now) == f"1 account, last cycle {said} ago"


def test_before_the_first_cycle_there_is_none() -> None:
    """Just started, or the server is away since."""
    assert status_line([Vital("private", True, False, None)], 0.0) == "1 account, no cycle yet"


def test_ready_reload_and_stop_are_told_in_the_protocols_words(
    supervisor: NotifySocket, clock: Clock
) -> None:
    """sd_notify(3); a reload carries the time, without which systemd ignores it."""
    notifier = notifier_for(supervisor, clock, [vital()])
    notifier.ready()
    notifier.reloading()
    notifier.ready_again()
    notifier.stopping()
    supervisor.read_all()
    assert supervisor.messages[0] == ["READY=1", "STATUS=1 account, last cycle 12 s ago"]
    [reload] = [message for message in supervisor.messages if message[0] == "RELOADING=1"]
    assert int(reload[1].removeprefix("MONOTONIC_USEC=")) > 0
    assert supervisor.messages[-1] == ["STOPPING=1", "STATUS=stopping"]


def test_an_abstract_address_is_reached() -> None:
    """systemd's own have a path, those of container managers often have none."""
    with NotifySocket(abstract=True) as supervisor:
        found = Supervisor.from_environment(supervisor.environment())
        assert found is not None
        assert found.watchdog_seconds is None
        assert found.send("READY=1")
        assert supervisor.read_all() == ["READY=1"]


def test_the_variables_are_not_handed_on_to_children() -> None:
    """A process that the daemon starts must not speak in its name."""
    environment = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "4000000", "PATH": "/bin"}
    found = Supervisor.from_environment(environment)
    assert found == Supervisor("/run/x", 4.0)
    assert environment == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({"WATCHDOG_USEC": "2500000"}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": str(os.getpid())}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_read_as_systemd_says(
    variables: dict[str, str], seconds: float | None
) -> None:
    """sd_watchdog_enabled(3): for this process, and more than nothing."""
    found = Supervisor.from_environment({"NOTIFY_SOCKET": "/run/x", **variables})
    assert found is not None
    assert found.watchdog_seconds == seconds


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1234"])
def test_without_an_address_that_is_understood_nobody_is_told(address: str) -> None:
    """Started by hand, or by something newer."""
    assert Supervisor.from_environment({"NOTIFY_SOCKET": address}) is None


def test_without_a_supervisor_nothing_happens(clock: Clock) -> None:
    """`inboxd run` in a terminal: no thread, no socket."""
    notifier = Notifier(None, lambda: [vital()], clock)
    threads = threading.active_count()
    notifier.ready()
    assert threading.active_count() == threads
    notifier.tick()
    notifier.stopping()


def test_a_supervisor_that_is_gone_does_no_harm(tmp_path: Path, clock: Clock) -> None:
    """The log has it; mail is sorted all the same."""
    found = Supervisor(str(tmp_path / "gone"), 1.0)
    assert not found.send("READY=1")
    Notifier(found, lambda: [vital()], clock).tick()


# What the worker lets others know.


class Waiter:
    """A worker in a thread of its own, with a pulse that a test's clock counts."""

    def __init__(self, app: Application, clock: Clock) -> None:
        self.stop = threading.Event()
        self.worker = AccountWorker(app, ACCOUNT, self.stop, lambda _name: None)
        self.worker.pulse = Pulse(ACCOUNT, clock=clock)
        self.thread = threading.Thread(target=self.worker.run, daemon=True)

    def start(self) -> Waiter:
        """Returns itself."""
        self.thread.start()
        return self

    @property
    def vital(self) -> Vital:
        return self.worker.pulse.vital()

    def close(self) -> None:
        self.stop.set()
        self.worker.tasks.close()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


def app_on(directory: Path, encoder: Path, server: FakeServer, connect: object) -> Application:
    """The program with another way to the server."""
    account = {"poll_seconds": 60, "idle": False}
    return make_app(directory, encoder, {ACCOUNT: server}, connect=connect, account=account)  # type: ignore[arg-type]


def test_a_worker_without_work_lives_as_long_as_polls_are_due(
    tmp_path: Path, encoder: Path, server: FakeServer, clock: Clock
) -> None:
    """When the schedule does not ask for the next one, it is silent: then nothing is sorted."""
    asked = threading.Event()
    with closing(app_on(tmp_path, encoder, server, lambda *_: server.connect())) as app:
        found = Waiter(app, clock)
        wait = found.worker.pulse.wait

        def wait_and_tell(seconds: float) -> None:
            wait(seconds)
            if found.vital.last_pass is not None:
                asked.set()

        found.worker.pulse.wait = wait_and_tell  # type: ignore[method-assign]
        found.start()
        try:
            assert asked.wait(PATIENCE)
            clock.now += 60 + ALLOWANCE
            assert found.vital.is_alive
            clock.now += 1
            assert not found.vital.is_alive
        finally:
            found.close()


@pytest.mark.parametrize("error", [MailboxUnreachable("it is away"), LoginRefused("wrong")])
def test_a_worker_in_back_off_lives(
    tmp_path: Path, encoder: Path, server: FakeServer, clock: Clock, error: Exception
) -> None:
    """For as long as it waits; with a server that is away for an hour it does so again and
    again."""
    waiting = threading.Event()

    def connect(_name: str, _account: AccountSettings) -> Mailbox:
        raise error

    with closing(app_on(tmp_path, encoder, server, connect)) as app:
        found = Waiter(app, clock).start()
        wait = found.worker._back_off.wait

        def wait_and_tell(at_least: float = 0.0) -> float:
            waiting.set()
            return wait(at_least)

        found.worker._back_off.wait = wait_and_tell  # type: ignore[method-assign]
        try:
            assert waiting.wait(PATIENCE)
            clock.now += LONGEST_BACK_OFF
            assert found.vital == Vital(ACCOUNT, True, True, None)
        finally:
            found.close()


def test_a_worker_that_hangs_is_silent_in_the_end(
    tmp_path: Path, encoder: Path, server: FakeServer, clock: Clock
) -> None:
    """In a call that never returns."""
    inside, release = threading.Event(), threading.Event()

    def connect(_name: str, _account: AccountSettings) -> Mailbox:
        inside.set()
        assert release.wait(PATIENCE)
        return server.connect()

    with closing(app_on(tmp_path, encoder, server, connect)) as app:
        found = Waiter(app, clock).start()
        try:
            assert inside.wait(PATIENCE)
            clock.now += LONGEST_STEP
            assert found.vital.is_alive
            clock.now += 1
            assert not found.vital.is_alive
        finally:
            release.set()
            found.close()


def test_a_worker_whose_thread_ended_is_dead_at_once(
    tmp_path: Path, encoder: Path, server: FakeServer, clock: Clock
) -> None:
    """By something that it does not catch."""

    def connect(_name: str, _account: AccountSettings) -> Mailbox:
        raise KeyboardInterrupt

    with closing(app_on(tmp_path, encoder, server, connect)) as app:
        stop = threading.Event()
        worker = AccountWorker(app, ACCOUNT, stop, lambda _name: None)
        worker.pulse = Pulse(ACCOUNT, clock=clock)
        with pytest.raises(KeyboardInterrupt):
            worker.run()
        assert not worker.pulse.vital().is_alive


def test_a_long_work_lives_as_long_as_it_goes_on(clock: Clock) -> None:
    """A first encoding of hours: each batch is a sign."""
    pulse = Pulse(ACCOUNT, clock=clock)
    with pulse.living():
        for _ in range(10):
            clock.now += LONGEST_STEP
            assert pulse.vital().is_alive
            pulse.step()


def test_a_worker_that_waits_for_another_process_lives(
    tmp_path: Path, encoder: Path, server: FakeServer, clock: Clock
) -> None:
    """`inboxd learn` in a terminal holds the account for an hour."""
    signs = 0
    enough = threading.Event()

    with closing(app_on(tmp_path, encoder, server, lambda *_: server.connect())) as app:
        with app.locked(ACCOUNT):
            found = Waiter(app, clock).start()
            step = found.worker.pulse.step

            def step_and_count() -> None:
                nonlocal signs
                signs += 1
                clock.now += LONGEST_STEP
                step()
                if signs == 10:  # connecting and asking for a task are no more than three
                    enough.set()

            found.worker.pulse.step = step_and_count  # type: ignore[method-assign]
            try:
                assert enough.wait(PATIENCE)
                assert found.vital.is_alive
            finally:
                found.stop.set()
        found.close()


def test_a_paused_worker_lives(
    tmp_path: Path, encoder: Path, server: FakeServer, clock: Clock
) -> None:
    """For days, if the person likes."""
    with closing(app_on(tmp_path, encoder, server, lambda *_: server.connect())) as app:
        set_paused(app, [ACCOUNT], paused=True)
        waits = threading.Event()
        found = Waiter(app, clock).start()
        pulse_wait = found.worker.pulse.wait

        def wait(seconds: float) -> None:
            clock.now += LONGEST_STEP
            pulse_wait(seconds)
            if clock.now > 1000 + 2 * LONGEST_STEP:
                waits.set()

        found.worker.pulse.wait = wait  # type: ignore[method-assign]
        try:
            assert waits.wait(PATIENCE)
            assert found.vital.is_alive
        finally:
            found.close()
