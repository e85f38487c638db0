"""Learn, sort, correct, re-fit, sort the next one right: the use cases together."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.errors import MailboxUnreachable, ModelError, NotFound
from daemon.use_cases.application import Application
from daemon.use_cases.classify import classify
from daemon.use_cases.cycle import run_cycle_once
from daemon.use_cases.dry_run import dry_run
from daemon.use_cases.history import history, why
from daemon.use_cases.learn import learn, train
from daemon.use_cases.models import list_models, roll_back, show_model
from daemon.use_cases.pause import set_paused
from daemon.use_cases.status import status
from daemon.use_cases.undo import undo_moves
from tests.support.fake_mailbox import FakeServer
from tests.support.inventory import all_messages
from tests.use_cases.apps import ACCOUNT, closing, make_app, model_rows, topical


def test_learning_makes_a_model_of_what_lies_in_the_folders(
    app: Application, server: FakeServer
) -> None:
    """The first model is promoted, and status tells of it without touching the server."""
    server.calls.clear()
    [state] = status(app).accounts
    assert (state.state, state.examples, state.corrections) == ("ready", 36, 0)
    assert state.model is not None
    assert {f.folder for f in state.folders} == {"Rechnungen", "Reisen", "Verein"}
    assert server.calls == []


def test_learning_twice_teaches_nothing_twice(app: Application) -> None:
    """No new example, nothing encoded again."""
    again = learn(app, ACCOUNT)
    assert set(again.new_examples.values()) == {0}
    assert again.encoded == 0


def test_learning_takes_the_newest_mails_and_stays_with_them(
    tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """A limit per folder holds however often one learns."""
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: server})) as app:
        assert set(learn(app, ACCOUNT, newest_per_folder=4).new_examples.values()) == {4}
        assert set(learn(app, ACCOUNT, newest_per_folder=4).new_examples.values()) == {0}
        assert status(app).accounts[0].examples == 12


def test_new_mail_is_sorted_and_explained(app: Application, server: FakeServer) -> None:
    """One pass moves it; `history` and `why` say what happened."""
    server.append("INBOX", topical("Reisen", 77))
    before = all_messages(server.inventory())
    report = run_cycle_once(app, ACCOUNT)
    assert report.sorted is not None
    assert report.sorted.moved == 1
    assert len(server.uids("Reisen")) == 13
    assert all_messages(server.inventory()) == before
    [entry] = history(app, None, limit=10)
    assert (entry.folder, entry.action) == ("Reisen", "moved")
    explanation = why(app, None, "reisen-77@example.org")
    assert explanation.entry == entry
    assert explanation.lies_in == ("Reisen",)
    with pytest.raises(NotFound):
        why(app, None, "nobody@example.org")


def test_a_correction_is_learned_in_the_next_pass(app: Application, server: FakeServer) -> None:
    """The mails that a person files elsewhere change the next verdict."""
    before = len(model_rows(app))
    for number in range(100, 106):
        server.append("INBOX", topical("Reisen", number, subject=f"Kegeln {number}"))
    run_cycle_once(app, ACCOUNT)
    server.move("Reisen", server.uids("Reisen")[-6:], "Verein")
    report = run_cycle_once(app, ACCOUNT)
    assert report.observation is not None
    assert report.observation.lessons == 6
    assert len(model_rows(app)) == before + 1
    assert report.refit is not None
    again = run_cycle_once(app, ACCOUNT)
    assert again.refit is None
    assert status(app).accounts[0].corrections == 6


def test_own_moves_are_never_examples(app: Application, server: FakeServer) -> None:
    """However often one learns: what inboxd moved itself proves nothing."""
    before = status(app).accounts[0].examples
    for number in range(50, 56):
        server.append("INBOX", topical("Reisen", number))
    run_cycle_once(app, ACCOUNT)
    assert len(server.uids("Reisen")) == 18
    assert set(learn(app, ACCOUNT).new_examples.values()) == {0}
    assert status(app).accounts[0].examples == before


def test_undo_finds_mails_by_message_id(app: Application, server: FakeServer) -> None:
    """By Message-ID with and without brackets, by number; unknown ones are refused."""
    server.append("INBOX", topical("Reisen", 60))
    server.append("INBOX", topical("Reisen", 61))
    run_cycle_once(app, ACCOUNT)
    outcomes = undo_moves(
        app, ACCOUNT, messages=("reisen-60@example.org", "<reisen-61@example.org>")
    )
    assert [o.undone for o in outcomes] == [True, True]
    assert len(server.uids("INBOX")) == 2
    report = run_cycle_once(app, ACCOUNT)
    assert report.sorted is not None
    assert report.sorted.seen == 0
    assert status(app).accounts[0].undone == 2
    with pytest.raises(NotFound):
        undo_moves(app, ACCOUNT, messages=("<unknown@example.org>",))


def test_a_dry_run_changes_neither_database_nor_mailbox(
    app: Application, server: FakeServer
) -> None:
    """It says what a pass would do; then a real pass does it."""
    server.append("INBOX", topical("Reisen", 70))
    server.move("Rechnungen", server.uids("Rechnungen")[:1], "Verein")
    server.calls.clear()
    before = (server.inventory(), contents_of(app.state_dir))
    result = dry_run(app, ACCOUNT)
    assert [(d.folder, d.action) for d in result.decisions] == [("Reisen", "observed")]
    assert result.report.observation is not None
    assert result.report.observation.lessons == 1
    assert (server.inventory(), contents_of(app.state_dir)) == before
    assert not {"move", "copy", "expunge", "create"}.intersection(server.calls)
    report = run_cycle_once(app, ACCOUNT)
    assert report.sorted is not None
    assert report.sorted.moved == 1


def contents_of(directory: Path) -> dict[str, bytes]:
    """Every file but SQLite's own bookkeeping (the log's index changes when it is read)."""
    return {
        str(path): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and not path.name.endswith("-shm")
    }


def test_pausing_survives_and_keeps_inboxd_from_connecting(
    app: Application, server: FakeServer
) -> None:
    """No pass, no connection; after resume everything that happened is noticed."""
    assert set_paused(app, [ACCOUNT], paused=True) == [ACCOUNT]
    assert set_paused(app, [ACCOUNT], paused=True) == []
    server.append("INBOX", topical("Reisen", 71))
    server.fail("connect")
    assert run_cycle_once(app, ACCOUNT).paused
    assert status(app).accounts[0].state == "paused"
    assert server.take_fault("connect") is not None
    assert set_paused(app, [ACCOUNT], paused=False) == [ACCOUNT]
    report = run_cycle_once(app, ACCOUNT)
    assert report.sorted is not None
    assert report.sorted.moved == 1


def test_a_failing_pass_is_shown_until_one_succeeds(app: Application, server: FakeServer) -> None:
    """Status names the error; a good pass takes it away."""
    server.fail("folders")
    with pytest.raises(MailboxUnreachable):
        run_cycle_once(app, ACCOUNT)
    [state] = status(app).accounts
    assert state.state == "failing"
    assert state.error
    run_cycle_once(app, ACCOUNT)
    [state] = status(app).accounts
    assert (state.state, state.error) == ("ready", None)
    assert state.last_cycle is not None


def test_without_a_model_people_are_noticed_and_mail_is_left(
    tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """The first pass of a new account says what to do next."""
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: server})) as app:
        assert status(app).accounts[0].state == "new"
        server.append("INBOX", topical("Reisen", 72))
        report = run_cycle_once(app, ACCOUNT)
        assert report.sorted is None
        assert "inboxd learn" in report.note
        [state] = status(app).accounts
        assert (state.state, state.model) == ("untrained", None)
        with pytest.raises(ModelError):
            classify(app, ACCOUNT, [("a.eml", topical("Reisen", 1))])


def test_files_are_classified_without_a_server(app: Application, server: FakeServer) -> None:
    """Probabilities by folder name, best first."""
    server.calls.clear()
    [found] = classify(app, ACCOUNT, [("a.eml", topical("Verein", 99))])
    assert found.ranked[0][0] == "Verein"
    assert found.ranked[0][1] > 0.5
    assert server.calls == []


def test_models_can_be_listed_shown_and_rolled_back(app: Application, server: FakeServer) -> None:
    """Going back is going back: nothing trains the same data again behind one's back."""
    first = list_models(app, ACCOUNT)[0].version
    server.move("Rechnungen", server.uids("Rechnungen")[:2], "Reisen")
    train(app, ACCOUNT)
    models = list_models(app, None)
    assert [m.state for m in models] == ["current", "kept"]
    assert roll_back(app, ACCOUNT) == first
    assert show_model(app, ACCOUNT, None).summary.version == first
    report = run_cycle_once(app, ACCOUNT)
    assert report.refit is None
    assert show_model(app, ACCOUNT, None).summary.version == first
    with pytest.raises(NotFound):
        roll_back(app, ACCOUNT)
    with pytest.raises(NotFound):
        show_model(app, ACCOUNT, "20200101T000000Z")


def test_a_damaged_model_stops_sorting_but_not_noticing(
    app: Application, server: FakeServer
) -> None:
    """No mail is touched, the note says what to do, and the next model mends it."""
    version = list_models(app, ACCOUNT)[0].version
    weights = app.state_dir / "models" / ACCOUNT / version / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10] + b"0123456789")
    app.engine.account(ACCOUNT)._loaded = None
    server.append("INBOX", topical("Reisen", 73))
    report = run_cycle_once(app, ACCOUNT)
    assert report.sorted is None
    for said in (report.note, status(app).accounts[0].notice or ""):
        assert "damaged" in said
        assert "inboxd learn" in said
    server.move("Rechnungen", server.uids("Rechnungen")[:1], "Reisen")
    report = run_cycle_once(app, ACCOUNT)
    assert report.refit is not None
    assert report.refit.promoted
    assert report.sorted is not None
    assert report.sorted.moved == 1


def test_a_damaged_pointer_is_reported_with_its_mend(app: Application) -> None:
    """Not as an unexpected error."""
    pointer = app.state_dir / "models" / ACCOUNT / "current.json"
    pointer.write_text("{", encoding="utf-8")
    report = run_cycle_once(app, ACCOUNT)
    assert "current.json" in report.note
    with pytest.raises(ModelError):
        status(app)
    pointer.unlink()
    assert learn(app, ACCOUNT).refit.promoted


def test_a_renamed_folder_keeps_its_place_in_the_model(
    app: Application, server: FakeServer
) -> None:
    """No new model is needed; mail goes to the folder under its new name."""
    server.rename("Reisen", "Urlaub")
    server.append("INBOX", topical("Reisen", 74))
    before = len(model_rows(app))
    report = run_cycle_once(app, ACCOUNT)
    assert report.sorted is not None
    assert report.sorted.moved == 1
    assert len(server.uids("Urlaub")) == 13
    assert len(model_rows(app)) == before
    [entry] = history(app, None, limit=1)
    assert entry.folder == "Urlaub"


def test_the_database_holds_no_text_and_no_address(
    tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """Canaries in every part of a mail are found in no file of the state directory."""
    canaries = {
        "subject": "Kanarienbetreff",
        "body": "Kanarientext",
        "local": "kanarienabsender",
        "domain": "kanarienhaus",
        "name": "Kanarienname",
        "id": "kanarienkennung",
        "attachment": "kanariendatei",
    }
    content = (
        f"From: {canaries['name']} <{canaries['local']}@{canaries['domain']}.example>\r\n"
        f"To: empfaenger-{canaries['local']}@example.org\r\n"
        f"Subject: {canaries['subject']} Flug Hotel\r\nMessage-ID: <{canaries['id']}@x.example>\r\n"
        f"References: <eltern-{canaries['id']}@x.example>\r\n"
        "Date: Sun, 1 Mar 2026 10:00:00 +0100\r\n"
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
        f"--b\r\nContent-Type: text/plain\r\n\r\n{canaries['body']} Flug Hotel Reise\r\n"
        f"--b\r\nContent-Disposition: attachment; filename={canaries['attachment']}.pdf\r\n\r\n"
        "x\r\n--b--\r\n"
    ).encode()
    server.append("Reisen", content)
    server.append("INBOX", content.replace(b"<kanarienkennung", b"<zweite-kanarienkennung"))
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: server})) as app:
        learn(app, ACCOUNT)
        run_cycle_once(app, ACCOUNT)
        server.move("Reisen", server.uids("Reisen")[-2:-1], "Verein")
        run_cycle_once(app, ACCOUNT)
        undo_moves(app, ACCOUNT, last=5)
        files = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
        assert any(path.name.endswith("-wal") for path in files)
        everything = b"".join(path.read_bytes() for path in files).lower()
    found = [name for name, text in canaries.items() if text.lower().encode() in everything]
    assert found == []
    assert b"max@example.org" not in everything
