"""A new configuration while the daemon runs: taken as a whole, or refused as a whole."""

from __future__ import annotations

import json
import os
import pty
import signal
import stat
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daemon.config.settings import AccountSettings, Mode, Settings
from daemon.errors import ConfigError, ConfigFault, NotFound, StateError
from daemon.locks import instance_lock
from daemon.mailbox.port import Mailbox
from daemon.service import Service
from daemon.use_cases.application import Application
from daemon.use_cases.learn import learn
from daemon.use_cases.reload import NOTE, Changes, Reload, compare, last_reload, note_reload
from daemon.use_cases.reload import reload as ask
from daemon.use_cases.status import status
from daemon.worker import Task
from tests.service.test_service import DAEMON, PATIENCE, eventually, wait_until_connected
from tests.service.test_service import daemon_process as started
from tests.support.fake_mailbox import FakeServer
from tests.use_cases.apps import closing, filled_server, make_app, topical

POLLS = {"poll_seconds": 3600, "idle": False}
"""Looked at once when it starts, and not again within a test."""


class World:
    """Servers by account name, and the connections that were made to them."""

    def __init__(self) -> None:
        self.servers: dict[str, FakeServer] = {}
        self.connections: list[str] = []

    def connect(self, name: str, _account: AccountSettings) -> Mailbox:
        """As the program does it."""
        self.connections.append(name)
        return self.servers[name].connect()


@pytest.fixture
def world() -> World:
    """Three accounts' servers; the configuration decides which of them are used."""
    found = World()
    found.servers = {name: filled_server() for name in ("first", "second", "third")}
    return found


@pytest.fixture
def app(tmp_path: Path, encoder: Path, world: World) -> Iterator[Application]:
    """The program with the accounts "first" and "second", both of which have learned."""
    servers = {name: world.servers[name] for name in ("first", "second")}
    with closing(
        make_app(tmp_path / "state", encoder, servers, connect=world.connect, account=POLLS)
    ) as found:
        for name in servers:
            learn(found, name)
        world.connections.clear()
        yield found


@contextmanager
def running(app: Application) -> Iterator[Service]:
    """The daemon's threads after everybody's first pass, stopped afterwards."""
    service = Service(app)
    service.start()
    try:
        eventually(lambda: has_passed(app, *app.settings.accounts), "the first pass of everybody")
        yield service
    finally:
        assert service.shut_down()


def has_passed(app: Application, *names: str) -> bool:
    """Whether these accounts have had a pass."""
    states = {state.name: state for state in status(app).accounts}
    return all(states[name].last_cycle is not None for name in names)


def reread(**accounts: Mapping[str, Any]) -> Callable[[Application], Application]:
    """A configuration with these accounts; {} is the one of `app`, else what is other in it."""

    def read(app: Application) -> Application:
        base = next(iter(app.settings.accounts.values()))
        settings = app.settings.model_copy(
            update={"accounts": {n: base.model_copy(update=dict(o)) for n, o in accounts.items()}}
        )
        return replace(app, settings=settings)

    return read


def test_an_added_account_is_sorted_and_the_others_are_not_disturbed(
    app: Application, world: World
) -> None:
    """The new one connects, learns nothing of the others; theirs keep their connections."""
    with running(app) as service:
        before = len(world.connections)
        outcome = service.reload(reread(first={}, second={}, third={}))
        assert outcome.changes == Changes(added=("third",), unchanged=("first", "second"))
        eventually(lambda: has_passed(service._app, "third"), "the first pass of the new one")
        assert world.connections[before:] == ["third"]
        assert last_reload(app.state_dir) == outcome


def test_a_removed_account_is_left_alone(app: Application, world: World) -> None:
    """Its connection is closed, no time of its is left in the schedule; the other goes on."""
    with running(app) as service:
        leaving = service._runners["second"]
        outcome = service.reload(reread(first={}))
        assert outcome.changes == Changes(removed=("second",), unchanged=("first",))
        eventually(lambda: not any(t.is_alive() for t in leaving.threads), "its threads' end")
        jobs = [job.id for job in service._schedule._scheduler.get_jobs()]
        assert sorted(jobs) == ["nightly:first", "notices", "poll:first"]
        service._schedule.learn_soon("second")  # a lesson of its last pass
        assert len(service._schedule._scheduler.get_jobs()) == 3


def test_a_changed_account_begins_anew_by_its_new_settings(app: Application, world: World) -> None:
    """It only watched; now it sorts. The one beside it is not touched."""
    with running(reread(first={"mode": Mode.OBSERVE}, second={})(app)) as service:
        before = len(world.connections)
        outcome = service.reload(lambda _app: app)
        assert outcome.changes == Changes(changed=("first",), unchanged=("second",))
        world.servers["first"].append("INBOX", topical("Reisen", 60))
        service._runners["first"].worker.tasks.add(Task.POLL)
        eventually(lambda: len(world.servers["first"].uids("Reisen")) == 13, "sorted")
        assert world.connections[before:] == ["first"]


def test_a_setting_of_all_accounts_begins_all_anew(app: Application, world: World) -> None:
    """There is one model section for everybody."""
    with running(app) as service:
        before = len(world.connections)

        def more_careful(app: Application) -> Application:
            model = app.settings.model.model_copy(update={"target_precision": 0.99})
            return replace(app, settings=app.settings.model_copy(update={"model": model}))

        assert service.reload(more_careful).changes.changed == ("first", "second")
        eventually(lambda: len(world.connections) == before + 2, "both connect anew")
        assert sorted(world.connections[before:]) == ["first", "second"]


def test_a_log_level_interrupts_nobody(app: Application) -> None:
    """Logging belongs to the process."""
    logging = app.settings.logging.model_copy(update={"level": "debug"})
    new = app.settings.model_copy(update={"logging": logging})
    assert compare(app.settings, new) == Changes(unchanged=("first", "second"))


def test_another_state_directory_needs_a_restart(app: Application, tmp_path: Path) -> None:
    """Refused with the way out, and nothing has changed."""

    def elsewhere(app: Application) -> Application:
        state = app.settings.state.model_copy(update={"dir": tmp_path / "elsewhere"})
        return replace(app, settings=app.settings.model_copy(update={"state": state}))

    with running(app) as service:
        outcome = service.reload(elsewhere)
        assert not outcome.taken
        assert "Restart" in outcome.next_step
        assert service._app is app


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("The configuration has faults.", (ConfigFault("x.y", "is bad", "Mend it."),)),
        ZeroDivisionError("a secret"),
    ],
    ids=["faults", "a bug"],
)
def test_a_broken_configuration_is_refused_and_the_one_before_stays(
    app: Application, world: World, error: Exception
) -> None:
    """Every fault is in the note; sorting goes on in the same threads."""

    def broken(_app: Application) -> Application:
        raise error

    with running(app) as service:
        threads = [t for runner in service._runners.values() for t in runner.threads]
        outcome = service.reload(broken)
        assert not outcome.taken
        assert "secret" not in outcome.error
        if isinstance(error, ConfigError):
            assert "x.y: is bad → Mend it." in outcome.error
        assert all(thread.is_alive() for thread in threads)
        assert last_reload(app.state_dir) == outcome
        assert stat.S_IMODE((app.state_dir / NOTE).stat().st_mode) == 0o600


def test_one_account_is_never_run_twice_at_a_time(app: Application, world: World) -> None:
    """Reloaded three times in a row while a pass hangs: its successors wait for its end."""
    server = world.servers["first"]
    with running(app) as service:
        for seconds in (3601, 3602, 3603):
            service.reload(reread(first={"poll_seconds": seconds}, second={}))
        former = [thread for each in service._retiring for thread in each.threads]
        eventually(lambda: not any(t.is_alive() for t in former), "the end of the former ones")
        server.append("INBOX", topical("Reisen", 60))
        service._runners["first"].worker.tasks.add(Task.POLL)
        eventually(lambda: len(server.uids("Reisen")) == 13, "sorted by the last one")


def test_a_damaged_note_is_no_note(tmp_path: Path) -> None:
    """Half a file, another version's: whoever asks goes on waiting for a whole one."""
    assert last_reload(tmp_path) is None
    for text in ("", "{", "[]", '{"taken": true}', '{"at": 3}'):
        (tmp_path / NOTE).write_text(text)
        assert last_reload(tmp_path) is None
    outcome = Reload(True, datetime(2026, 3, 1, tzinfo=UTC), 7, Changes(added=("a",)))
    note_reload(tmp_path, outcome)
    assert last_reload(tmp_path) == outcome


def test_asking_without_a_daemon_says_so(app: Application) -> None:
    """The next step is to start it."""
    with pytest.raises(NotFound) as caught:
        ask(app)
    assert "inboxd run" in caught.value.next_step


# The process -----------------------------------------------------------------------------------


def test_hang_up_reloads_and_the_daemon_goes_on(tmp_path: Path, encoder: Path) -> None:
    """The use case waits for the note and brings it back."""
    state = tmp_path / "state"
    with started(state, encoder) as process:
        wait_until_connected(process)
        with closing(make_app(state, encoder, {"private": FakeServer()})) as app:
            outcome = ask(app)
        assert outcome.taken
        assert outcome.process == process.pid
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_a_daemon_that_dies_when_told_is_reported(tmp_path: Path, encoder: Path) -> None:
    """Some process that holds the lock and takes the signal as its end."""
    state = tmp_path / "state"
    holder = "import sys,time; from pathlib import Path; from daemon.locks import instance_lock\n"
    holder += "with instance_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    with (
        closing(make_app(state, encoder, {"private": FakeServer()})) as app,
        subprocess.Popen(
            [sys.executable, "-c", holder, str(state)], stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StateError, match="ended when it was told"):
            ask(app)
        process.kill()


def test_a_closed_terminal_ends_a_daemon_that_was_started_in_it(
    tmp_path: Path, encoder: Path
) -> None:
    """The same signal, but nobody is there any more who could have meant a reload."""
    child, master = pty.fork()
    if child == 0:  # pragma: no cover - another program from here on
        os.execv(  # noqa: S606 - no shell is wanted
            sys.executable,
            [sys.executable, "-c", DAEMON, str(tmp_path / "state"), str(encoder)],
        )
    output = b""
    while b"connected" not in output:
        output += os.read(master, 1024)
    termios.tcflush(master, termios.TCIOFLUSH)
    os.close(master)
    _, status_ = os.waitpid(child, 0)
    assert os.WIFEXITED(status_)
    assert os.WEXITSTATUS(status_) == 0
    with instance_lock(tmp_path / "state"):
        pass


def test_settings_compare_by_value() -> None:
    """Read twice from the same file they are the same, whatever the order of the accounts."""
    account = {"host": "imap.example.org", "username": "a"}
    one = Settings(accounts={"a": account, "b": account})
    two = Settings(accounts={"b": account, "a": account})
    assert compare(one, two) == Changes(unchanged=("b", "a"))
    assert json.loads(json.dumps(compare(one, two).unchanged)) == ["b", "a"]


def test_only_accounts_whose_sharing_changed_begin_anew(app: Application) -> None:
    """Whoever shares with one that leaves is concerned, whoever does not is not."""
    team = {"shared_model": "team"}
    base = next(iter(app.settings.accounts.values()))

    def settings(**accounts: Mapping[str, Any]) -> Settings:
        changed = {name: base.model_copy(update=dict(each)) for name, each in accounts.items()}
        return app.settings.model_copy(update={"accounts": changed})

    shared = settings(first=team, second=team, third={})
    assert compare(shared, settings(first=team, second={}, third={})) == Changes(
        changed=("first", "second"), unchanged=("third",)
    )
    assert compare(shared, settings(first=team, third={})) == Changes(
        removed=("second",), changed=("first",), unchanged=("third",)
    )
    assert compare(shared, shared) == Changes(unchanged=("first", "second", "third"))


def test_an_account_that_is_left_alone_forgets_the_other_ones_mail(
    tmp_path: Path, encoder: Path, world: World
) -> None:
    """While the daemon runs: it begins anew, and trains without being asked."""
    servers = {name: world.servers[name] for name in ("first", "second")}
    account = {**POLLS, "shared_model": "team"}
    with closing(
        make_app(
            tmp_path / "state",
            encoder,
            servers,
            connect=world.connect,
            account=account,
            training={"debounce_seconds": 0},
        )
    ) as app:
        learn(app, "first")
        both = learn(app, "second").refit.version
        with running(app) as service:
            done = service.reload(reread(first={}, second={"shared_model": None}))
            assert done.changes.changed == ("first", "second")
            models = service.app.models("first")
            assert both is not None
            former = models.registry.path(both)
            eventually(lambda: not former.exists(), "the end of the model of both")
            eventually(lambda: models.current() is not None, "a model without the other account")
            assert models.current() != both
