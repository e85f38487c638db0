"""Forgetting an account or a sender, and the retention of decisions: gone is gone, and nothing
that depends on it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.errors import AlreadyRunning, MailboxUnreachable, NotFound
from daemon.locks import deep_lock, instance_lock
from daemon.use_cases.application import Application
from daemon.use_cases.cycle import is_learning_due, run_cycle_once
from daemon.use_cases.forget import FORGOTTEN, forget_account, forget_sender
from daemon.use_cases.history import history
from daemon.use_cases.housekeeping import OUTDATED, keep_house
from daemon.use_cases.learn import learn
from daemon.use_cases.status import status
from daemon.use_cases.undo import undo_moves
from tests.support.fake_mailbox import FakeServer
from tests.use_cases.apps import ACCOUNT, Clock, closing, filled_server, make_app, topical

OTHER = "zaunkoenig"
SENDER = "buchung@reise.example"
"""Of all the mail in Reisen."""


@pytest.fixture
def app(tmp_path: Path, encoder: Path, server: FakeServer) -> Iterator[Application]:
    """Two accounts; the first has learned and sorted one mail from `SENDER`."""
    servers = {ACCOUNT: server, OTHER: filled_server(4, folders=("Rohrdommel-Akten", "Pirolpost"))}
    with closing(make_app(tmp_path / "state", encoder, servers)) as found:
        learn(found, ACCOUNT)
        server.append("INBOX", topical("Reisen", 50))
        run_cycle_once(found, ACCOUNT)
        yield found


def raw(app: Application) -> bytes:
    """The database as it lies on the disk, with -wal and -shm."""
    return b"".join(path.read_bytes() for path in sorted(app.state_dir.glob("inboxd.sqlite3*")))


def features_of_reisen(app: Application) -> list[bytes]:
    """A piece out of the cached features of every mail in the folder Reisen."""
    pieces = []
    with app.store.read() as work:
        account = work.accounts.get(ACCOUNT)
        assert account is not None
        [folder] = [f for f in work.folders.of(account) if f.name == "Reisen"]
        ids = {placement.message_id for placement in work.placements.present_in(folder)}
        for message_id, data in work.features.every(account):
            if message_id in ids:
                pieces.append(data[100:140])
    return pieces


def counts(app: Application) -> dict[str, int]:
    """Usable examples by folder."""
    return {folder.folder: folder.examples for folder in status(app).accounts[0].folders}


def test_nothing_of_a_forgotten_account_is_left(app: Application) -> None:
    """Neither in the raw database nor in a file's name; the other account goes on."""
    learn(app, OTHER)
    (app.state_dir / "tuning").mkdir()
    (app.state_dir / "tuning" / f"{OTHER}.sqlite3").touch()
    (app.state_dir / "sign-in").mkdir()
    (app.state_dir / "sign-in" / f"{OTHER}.tokens").touch()
    (app.state_dir / f"sign-in.{OTHER}.lock").touch()
    assert b"Rohrdommel" in raw(app)
    shown = forget_account(app, OTHER, dry_run=True)
    assert (shown.messages, shown.examples, shown.configured) == (8, 8, True)
    assert b"Rohrdommel" in raw(app)
    assert shown.directories[0].is_dir()
    with instance_lock(app.state_dir), pytest.raises(AlreadyRunning):
        forget_account(app, OTHER)
    done = forget_account(app, OTHER)
    assert done.compacted
    assert [
        word for word in (b"Rohrdommel", b"Pirolpost", OTHER.encode()) if word in raw(app)
    ] == []
    assert [path for path in app.state_dir.rglob("*") if OTHER in path.name] == []
    assert counts(app) == {"Rechnungen": 12, "Reisen": 12, "Verein": 12}
    assert app.engine.account(ACCOUNT).judge() is not None
    with pytest.raises(NotFound):
        forget_account(app, OTHER)


def test_what_a_killed_forgetting_left_goes_with_the_next(app: Application) -> None:
    """Without a row, but with models; and no name leads out of the state directory."""
    learn(app, OTHER)
    with app.store.write() as work:
        account = work.accounts.get(OTHER)
        assert account is not None
        work.accounts.delete(account)
        work.commit()
    forget_account(app, OTHER)
    assert not (app.state_dir / "models" / OTHER).exists()
    for name in ("../state", ".", "models/..", ""):
        with pytest.raises(NotFound):
            forget_account(app, name)


def test_what_was_learned_from_a_sender_is_gone(app: Application, server: FakeServer) -> None:
    """Features, examples, what was decided, and every model that learned from it."""
    old = app.engine.account(ACCOUNT).registry.versions()
    pieces = features_of_reisen(app)
    assert len(pieces) == 13
    assert all(piece in raw(app) for piece in pieces)
    [shown] = forget_sender(app, SENDER.upper(), ACCOUNT, dry_run=True)
    assert (shown.messages, shown.examples, shown.decisions, shown.models) == (13, 12, 1, 1)
    assert all(piece in raw(app) for piece in pieces)
    [done] = forget_sender(app, SENDER)
    assert (done.messages, done.compacted) == (13, True)
    assert [piece for piece in pieces if piece in raw(app)] == []
    assert done.model is not None
    kept = [info.version for info in app.engine.account(ACCOUNT).registry.versions()]
    assert kept == [done.model]
    assert done.model not in [info.version for info in old]
    assert counts(app) == {"Rechnungen": 12, "Reisen": 0, "Verein": 12}
    [entry] = history(app, None, limit=5)
    assert (entry.folder, entry.model, entry.ranked) == (None, None, ())
    assert (entry.action, entry.reason) == ("moved", FORGOTTEN)
    with pytest.raises(NotFound):
        forget_sender(app, SENDER)


def test_what_was_forgotten_is_not_learned_again_by_itself(
    app: Application, server: FakeServer
) -> None:
    """Neither from the folders nor by sorting the mail again; only a person's move teaches it."""
    undo_moves(app, ACCOUNT, last=1)
    forget_sender(app, SENDER, ACCOUNT)
    assert set(learn(app, ACCOUNT).new_examples.values()) == {0}
    report = run_cycle_once(app, ACCOUNT)
    assert report.sorted is not None
    assert report.sorted.seen == 0
    assert len(server.uids("INBOX")) == 1
    assert counts(app)["Reisen"] == 0
    server.move("INBOX", server.uids("INBOX"), "Verein")
    assert run_cycle_once(app, ACCOUNT).lessons == 1
    assert counts(app)["Verein"] == 13


def test_a_sender_is_forgotten_though_the_server_is_down(
    app: Application, server: FakeServer
) -> None:
    """No model is better than one that remembers; the next learning makes one."""
    server.fail("folders", error=MailboxUnreachable("down"))
    [done] = forget_sender(app, SENDER, ACCOUNT)
    assert done.model is None
    assert "inboxd train" in done.reason
    assert app.engine.account(ACCOUNT).current() is None
    assert is_learning_due(app, ACCOUNT)
    run_cycle_once(app, ACCOUNT)
    assert app.engine.account(ACCOUNT).current() is not None


def test_nothing_is_forgotten_below_a_deep_fine_tune(app: Application) -> None:
    """It would bring back what it is just learning from."""
    with deep_lock(app.state_dir, ACCOUNT), pytest.raises(AlreadyRunning):
        forget_sender(app, SENDER, ACCOUNT)
    assert counts(app)["Reisen"] == 12


def test_details_of_old_decisions_go_and_nothing_depends_on_them(
    app: Application, server: FakeServer
) -> None:
    """Mail that was left is not sorted again, undo still works, counts stay right."""
    server.append("INBOX", b"Subject: ???\r\n\r\n???\r\n")
    run_cycle_once(app, ACCOUNT)
    before = status(app).accounts[0]
    clock = app.clock
    assert isinstance(clock, Clock)
    clock.now += timedelta(days=729)
    keep_house(app, ACCOUNT)
    assert OUTDATED not in [entry.reason for entry in history(app, ACCOUNT, limit=9)]
    clock.now += timedelta(days=2)
    keep_house(app, ACCOUNT)
    keep_house(app, ACCOUNT)
    entries = history(app, ACCOUNT, limit=9)
    assert len(entries) == 2
    for entry in entries:
        found = (entry.reason, entry.folder, entry.probability, entry.model, entry.ranked)
        assert found == (OUTDATED, None, None, None, ())
    after = status(app).accounts[0]
    assert (after.sorted, after.left) == (before.sorted, before.left)
    report = run_cycle_once(app, ACCOUNT)
    assert report.sorted is not None
    assert report.sorted.seen == 0
    assert [each.undone for each in undo_moves(app, ACCOUNT, last=5)] == [True]
    assert undo_moves(app, ACCOUNT, last=5) == []


def test_with_zero_days_everything_is_kept(
    tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """For ever."""
    state = {"dir": tmp_path / "kept", "keep_decisions_days": 0}
    with closing(make_app(tmp_path / "kept", encoder, {ACCOUNT: server}, state=state)) as app:
        learn(app, ACCOUNT)
        server.append("INBOX", topical("Reisen", 50))
        run_cycle_once(app, ACCOUNT)
        clock = app.clock
        assert isinstance(clock, Clock)
        clock.now += timedelta(days=40_000)
        keep_house(app, ACCOUNT)
        assert [entry.folder for entry in history(app, ACCOUNT, limit=9)] == ["Reisen"]
