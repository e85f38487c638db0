"""A folder that breaks its promise, from the person's moves to her word and the next models."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.errors import NotFound
from daemon.use_cases.application import Application
from daemon.use_cases.cycle import CycleReport, run_cycle_once
from daemon.use_cases.history import history
from daemon.use_cases.learn import learn
from daemon.use_cases.status import FolderState, status
from daemon.use_cases.trust import broken_promises, list_folders, trust
from tests.support.fake_mailbox import FakeServer
from tests.use_cases.apps import ACCOUNT, START, Clock, closing, filled_server, make_app, topical


@pytest.fixture
def server() -> FakeServer:
    """Three label folders with twelve mails each, which came before the time of the tests."""
    found = FakeServer()
    found.start = START - timedelta(days=30)
    filled_server(12, found)
    found.start = START  # what comes now is new
    return found


@pytest.fixture
def app(tmp_path: Path, encoder: Path, server: FakeServer) -> Iterator[Application]:
    """It has learned and sorts; 36 plain mails are enough to promise a precision of 0.85."""
    target = {"target_precision": 0.85}
    state = tmp_path / "state"
    with closing(make_app(state, encoder, {ACCOUNT: server}, model=target)) as found:
        learn(found, ACCOUNT)
        yield found


def arrive(server: FakeServer, folder: str, first: int, count: int) -> None:
    """Mails that plainly belong into a folder."""
    for number in range(first, first + count):
        server.append("INBOX", topical(folder, number))


def overrule(server: FakeServer, source: str, target: str, count: int) -> None:
    """She moves the newest mails of a folder elsewhere."""
    server.move(source, server.uids(source)[-count:], target)


def state_of(app: Application, folder: str) -> FolderState:
    """What `status` says of a folder."""
    return next(each for each in status(app).accounts[0].folders if each.folder == folder)


def break_promise(app: Application, server: FakeServer) -> CycleReport:
    """Twelve mails about travel are sorted, and she puts all of them back."""
    arrive(server, "Reisen", 100, 12)
    report = run_cycle_once(app, ACCOUNT)
    assert report.sorted is not None
    assert report.sorted.moved == 12
    overrule(server, "Reisen", "INBOX", 12)
    return run_cycle_once(app, ACCOUNT)


def test_a_folder_that_breaks_its_promise_says_so_everywhere(
    app: Application, server: FakeServer
) -> None:
    """In the report of the pass, in status, in the list, and to whoever tells people."""
    assert state_of(app, "Reisen").state == "sorting"
    assert break_promise(app, server).reviewed.suspended == ("Reisen",)
    state = state_of(app, "Reisen")
    assert state.state == "suspended"
    assert state.missing == "12 of 12 moves wrong; inboxd folders trust Reisen"
    [told] = broken_promises(app, None)
    assert (told.account, told.folder, told.wrong, told.moves) == (ACCOUNT, "Reisen", 12, 12)
    assert (told.promised, told.precision) == (0.85, 0.0)
    assert broken_promises(app, ACCOUNT, since=told.broken_at + timedelta(seconds=1)) == []
    listed = {each.folder: each for each in list_folders(app, None)}
    assert listed["Reisen"].suspended_at == told.broken_at
    assert (listed["Verein"].moves, listed["Verein"].precision) == (0, None)


def test_its_mail_is_suggested_until_she_trusts_it_again(
    app: Application, server: FakeServer
) -> None:
    """Other folders are sorted into as before."""
    break_promise(app, server)
    for folder in ("Rechnungen", "Verein"):
        arrive(server, folder, 200, 2)
    found = run_cycle_once(app, ACCOUNT).sorted
    assert found is not None
    assert found.moved == 4
    ended = trust(app, ACCOUNT, "Reisen")
    assert (ended.folder, ended.wrong) == ("Reisen", 12)
    assert broken_promises(app, ACCOUNT) == []
    assert state_of(app, "Reisen").state != "suspended"
    assert run_cycle_once(app, ACCOUNT).reviewed.suspended == ()
    with pytest.raises(NotFound) as caught:
        trust(app, ACCOUNT, "Reisen")
    assert "inboxd folders list" in caught.value.next_step


def test_a_suspended_folder_receives_nothing_and_regains_trust_by_being_right(
    app: Application, server: FakeServer
) -> None:
    """A person moves four mails away by mistake of the model, then files travel mail by hand for
    a while: a later model, asked about mail that it had not seen, would have been right."""
    arrive(server, "Reisen", 100, 9)
    run_cycle_once(app, ACCOUNT)
    overrule(server, "Reisen", "Verein", 9)
    assert run_cycle_once(app, ACCOUNT).reviewed.suspended == ("Reisen",)
    trusted: tuple[str, ...] = ()
    for day in range(12):
        assert isinstance(app.clock, Clock)
        app.clock.now += timedelta(days=1)
        before = len(server.uids("Reisen"))
        arrive(server, "Reisen", 300 + 10 * day, 10)
        report = run_cycle_once(app, ACCOUNT)
        trusted += report.reviewed.trusted
        if trusted:
            break
        assert len(server.uids("Reisen")) == before
        last = history(app, ACCOUNT, limit=10)
        assert all("suggestions only" in e.reason for e in last if e.action == "suggested")
        server.move("INBOX", server.uids("INBOX")[-10:], "Reisen")
        trusted += run_cycle_once(app, ACCOUNT).reviewed.trusted
        if trusted:
            break
    assert trusted == ("Reisen",)
    assert broken_promises(app, ACCOUNT) == []
    before = len(server.uids("Reisen"))
    arrive(server, "Reisen", 900, 5)
    run_cycle_once(app, ACCOUNT)
    assert len(server.uids("Reisen")) > before
