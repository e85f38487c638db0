"""Examples as people see and correct them, and as files."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import MailboxUnreachable, NotFound
from daemon.use_cases.application import Application
from daemon.use_cases.cycle import run_cycle_once
from daemon.use_cases.example_files import Fault, export_examples, import_examples
from daemon.use_cases.examples import (
    CheckedExample,
    ListedExample,
    check_examples,
    exclude,
    list_examples,
    relabel,
    restore,
)
from daemon.use_cases.learn import learn, train
from daemon.use_cases.status import status
from tests.support.fake_mailbox import FakeServer
from tests.use_cases.apps import ACCOUNT, closing, filled_server, make_app, topical

KEYS = {"text", "label", "source", "date"}


def listed(app: Application) -> dict[int, ListedExample]:
    """All examples by message number."""
    return {each.message: each for each in list_examples(app, ACCOUNT)}


def some_message(app: Application, folder: str) -> int:
    """The number of a mail in this folder."""
    return list_examples(app, ACCOUNT, folder=folder)[0].message


def usable(app: Application) -> int:
    """How many examples count."""
    return status(app).accounts[0].examples


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, *records: Mapping[str, object]) -> Path:
    """A file with these records."""
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    return path


def doubted(app: Application, message: int) -> CheckedExample:
    """The verdict on one example."""
    return next(e for e in check_examples(app, ACCOUNT).examples if e.message == message)


def test_check_judges_every_example_without_the_server(
    app: Application, server: FakeServer
) -> None:
    """From cached features; folders have their names."""
    server.calls.clear()
    report = check_examples(app, ACCOUNT)

    assert server.calls == []
    assert (report.judged, report.not_judged) == (36, 0)
    assert [folder.label for folder in report.folders] == ["Rechnungen", "Reisen", "Verein"]
    assert sum(f.good + f.suspect + f.bad for f in report.folders) == 36


def test_check_finds_a_mail_that_lies_in_the_wrong_folder(tmp_path: Path, encoder: Path) -> None:
    """By its number, with the folder where it belongs."""
    server = filled_server()
    server.append("Verein", topical("Reisen", 55))
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: server})) as app:
        learn(app, ACCOUNT)
        [wrong] = [e for e in check_examples(app, ACCOUNT).examples if e.better == "Reisen"]

        assert wrong.folder == "Verein"
        assert wrong.grade == "bad"
        assert "Reisen" in wrong.reasons[0].sentence


def test_check_names_the_folders_of_a_contradiction(tmp_path: Path, encoder: Path) -> None:
    """The same mail copied into two folders."""
    server = filled_server()
    server.append("Verein", topical("Reisen", 3))
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: server})) as app:
        learn(app, ACCOUNT)
        twins = [
            each
            for each in check_examples(app, ACCOUNT).examples
            if "contradiction" in [reason.flaw for reason in each.reasons]
        ]

        assert {each.folder for each in twins} == {"Reisen", "Verein"}
        assert [each.folder for each in twins if each.grade == "bad"] == ["Verein"]


def test_check_before_learning_says_that_there_is_nothing(
    tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """No error and no encoder."""
    with closing(make_app(tmp_path / "state", tmp_path / "nowhere", {ACCOUNT: server})) as app:
        report = check_examples(app, ACCOUNT)

        assert (report.judged, report.grade) == (0, "bad")
        assert list_examples(app, ACCOUNT) == []


def test_examples_without_features_are_counted_as_not_judged(
    app: Application, server: FakeServer
) -> None:
    """A move that was noticed, but whose mail was not read yet."""
    uid = server.append("INBOX", topical("Reisen", 70))
    message = some_message(app, "Reisen")
    relabel(app, ACCOUNT, str(message), "Verein")
    relabel(app, ACCOUNT, "reisen-70@example.org", "Reisen")
    report = check_examples(app, ACCOUNT)

    assert server.uids("INBOX") == [uid]
    assert (report.judged, report.not_judged) == (36, 1)


def test_an_excluded_example_stays_excluded_when_learning_again(app: Application) -> None:
    """The mail still lies in the folder, and is not taken for a new example."""
    message = some_message(app, "Reisen")
    [changed] = exclude(app, ACCOUNT, [str(message)])

    assert (changed.message, changed.folder, changed.outcome) == (message, "Reisen", "excluded")
    assert set(learn(app, ACCOUNT).new_examples.values()) == {0}
    assert usable(app) == 35
    assert [e.message for e in list_examples(app, ACCOUNT, excluded=True)] == [message]
    assert not listed(app)[message].counts


def test_the_next_model_does_without_excluded_examples(app: Application) -> None:
    """And the daemon notices by itself that it has to learn again."""
    assert run_cycle_once(app, ACCOUNT).refit is None
    exclude(app, ACCOUNT, [str(some_message(app, "Reisen"))])
    report = run_cycle_once(app, ACCOUNT)

    assert report.refit is not None
    assert report.refit.examples == 35


def test_a_later_move_makes_an_excluded_example_count_again(
    app: Application, server: FakeServer
) -> None:
    """The newest word wins."""
    message = some_message(app, "Reisen")
    exclude(app, ACCOUNT, [str(message)])
    uid = server.uids("Reisen")[-1]
    before = {e.message for e in list_examples(app, ACCOUNT, folder="Verein")}
    server.move("Reisen", server.uids("Reisen"), "Verein")
    run_cycle_once(app, ACCOUNT)
    example = listed(app)[message]

    assert uid not in server.uids("Reisen")
    assert message not in before
    assert (example.folder, example.source, example.counts) == ("Verein", "moved", True)


def test_restore_lets_an_example_count_again(app: Application) -> None:
    """Doing either twice is told, and no error."""
    message = str(some_message(app, "Reisen"))
    outcomes = [
        change(app, ACCOUNT, [message])[0].outcome
        for change in (exclude, exclude, restore, restore)
    ]

    assert outcomes == ["excluded", "was excluded already", "counts again", "was not excluded"]
    assert usable(app) == 36


def test_an_unknown_message_changes_nothing_at_all(app: Application) -> None:
    """All or nothing, also for those named before it."""
    message = some_message(app, "Reisen")
    with pytest.raises(NotFound):
        exclude(app, ACCOUNT, [str(message), "99999"])

    assert usable(app) == 36


def test_mail_that_nobody_filed_is_no_example(app: Application, server: FakeServer) -> None:
    """It cannot be excluded, but it can be labelled."""
    server.append("INBOX", topical("Reisen", 70))
    with pytest.raises(NotFound, match="no example"):
        exclude(app, ACCOUNT, ["reisen-70@example.org"])
    changed = relabel(app, ACCOUNT, "reisen-70@example.org", "Reisen")

    assert listed(app)[changed.message].source == "relabelled"
    assert len(server.uids("INBOX")) == 1


def test_relabelling_outranks_folder_and_exclusion_and_moves_nothing(
    app: Application, server: FakeServer
) -> None:
    """Learning again does not fall back to where the mail lies."""
    message = some_message(app, "Reisen")
    before = server.inventory()
    exclude(app, ACCOUNT, [str(message)])
    relabel(app, ACCOUNT, str(message), "Verein")
    learn(app, ACCOUNT)

    assert server.inventory() == before
    assert (listed(app)[message].folder, listed(app)[message].counts) == ("Verein", True)
    assert doubted(app, message).grade == "suspect"


def test_a_move_made_before_relabelling_does_not_outrank_it(
    app: Application, server: FakeServer
) -> None:
    """It is noticed first, although no pass came between."""
    message = some_message(app, "Reisen")
    server.move("Reisen", server.uids("Reisen"), "Verein")
    relabel(app, ACCOUNT, str(message), "Rechnungen")
    run_cycle_once(app, ACCOUNT)

    assert listed(app)[message].folder == "Rechnungen"


def test_relabelling_to_the_inbox_means_leave_it(app: Application, server: FakeServer) -> None:
    """Like a put-back: the mail is never sorted."""
    server.append("INBOX", topical("Reisen", 70))
    relabel(app, ACCOUNT, "reisen-70@example.org", "INBOX")
    run_cycle_once(app, ACCOUNT)

    assert len(server.uids("INBOX")) == 1
    assert [e.folder for e in listed(app).values()].count("INBOX") == 1


@pytest.mark.parametrize("folder", ["Nirgendwo", "Trash"])
def test_only_label_folders_can_be_labels(app: Application, folder: str) -> None:
    """The next step names them."""
    with pytest.raises(NotFound) as caught:
        relabel(app, ACCOUNT, str(some_message(app, "Reisen")), folder)

    assert "Rechnungen, Reisen, Verein" in caught.value.next_step


def test_without_the_server_nothing_is_changed(app: Application, server: FakeServer) -> None:
    """What people moved meanwhile could not be known."""
    server.fail("connect")
    with pytest.raises(MailboxUnreachable):
        exclude(app, ACCOUNT, [str(some_message(app, "Reisen"))])

    assert usable(app) == 36


def test_export_writes_every_example_with_its_text(
    app: Application, server: FakeServer, tmp_path: Path
) -> None:
    """The four keys; readable for the owner only; the mailbox is only read."""
    before = server.inventory()
    path = tmp_path / "mail.jsonl"
    result = export_examples(app, ACCOUNT, path, masked=False)
    records = read(path)

    assert (result.written, result.missing) == (36, 0)
    assert {frozenset(record) for record in records} == {frozenset(KEYS)}
    assert {record["label"] for record in records} == {"Rechnungen", "Reisen", "Verein"}
    assert all("Flug" in r["text"] for r in records if r["label"] == "Reisen")
    assert {record["source"] for record in records} == {"folder"}
    assert {record["date"][:10] for record in records} == {"2026-03-01"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert server.inventory() == before


def test_export_leaves_out_what_is_excluded_or_gone(
    app: Application, server: FakeServer, tmp_path: Path
) -> None:
    """Deleted mail cannot be fetched again, and is counted."""
    exclude(app, ACCOUNT, [str(some_message(app, "Reisen"))])
    server.delete("Verein", server.uids("Verein")[:2])
    result = export_examples(app, ACCOUNT, tmp_path / "mail.jsonl", masked=False)

    assert (result.written, result.missing) == (33, 2)


def test_a_failing_export_leaves_the_old_file(
    app: Application, server: FakeServer, tmp_path: Path
) -> None:
    """The new one takes its place at the end, or not at all."""
    path = tmp_path / "mail.jsonl"
    path.write_text("old")
    server.fail("fetch")
    with pytest.raises(MailboxUnreachable):
        export_examples(app, ACCOUNT, path, masked=False)

    assert path.read_text() == "old"
    assert list(tmp_path.glob("*.part")) == []


def test_an_export_to_nowhere_is_refused(app: Application, tmp_path: Path) -> None:
    """With a next step."""
    with pytest.raises(NotFound, match="cannot be written"):
        export_examples(app, ACCOUNT, tmp_path / "nowhere" / "x.jsonl", masked=False)


def test_a_masked_export_has_no_names_and_numbers(
    tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """Of sender and recipient, greeting and closing; the topic stays."""
    server.append(
        "Reisen",
        b"From: Erika Mustermann <erika@reise.example>\r\nTo: Karl Wurst <k@example.org>\r\n"
        b"Subject: Flug von Mustermann\r\nDate: Mon, 2 Mar 2026 10:00:00 +0100\r\n"
        b"Message-ID: <masked@example.org>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        b"Hallo Herr Wurst,\r\nIhr Flug mit Buchungsnummer AB12CD ist gebucht, Tel. 040 1234567, "
        b"erika@reise.example, IBAN DE89 3704 0044 0532 0130 00.\r\nViele Gr\xc3\xbc\xc3\x9fe\r\n"
        b"Erika Mustermann\r\n",
    )
    path = tmp_path / "mail.jsonl"
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: server})) as app:
        learn(app, ACCOUNT)
        export_examples(app, ACCOUNT, path, masked=True)
    [text] = [record["text"] for record in read(path) if "Buchungsnummer" in record["text"]]

    for secret in ("Erika", "Mustermann", "Wurst", "AB12CD", "1234567", "@", "DE89", "0130"):
        assert secret not in text
    for sign in ("Flug", "[NAME]", "[PHONE]", "[EMAIL]", "[IBAN]", "[NUMBER]"):
        assert sign in text


def test_imported_examples_teach_and_touch_no_mailbox(
    tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """Exported from one account, learned by another that has the folders but no mail."""
    path = tmp_path / "mail.jsonl"
    with closing(make_app(tmp_path / "first", encoder, {ACCOUNT: server})) as app:
        learn(app, ACCOUNT)
        export_examples(app, ACCOUNT, path, masked=False)
    empty = filled_server(0)
    before = empty.inventory()
    with closing(make_app(tmp_path / "second", encoder, {ACCOUNT: empty})) as app:
        result = import_examples(app, ACCOUNT, path)
        refit = train(app, ACCOUNT)

        assert dict(result.new) == {"Rechnungen": 12, "Reisen": 12, "Verein": 12}
        assert (result.known, result.unknown_labels, result.faults) == (0, {}, ())
        assert refit.promoted
        assert refit.examples == 36
        assert {e.source for e in list_examples(app, ACCOUNT)} == {"imported"}
        assert check_examples(app, ACCOUNT).judged == 36
        assert empty.inventory() == before
        empty.append("INBOX", topical("Reisen", 77))
        run_cycle_once(app, ACCOUNT)
        assert export_examples(app, ACCOUNT, path, masked=False).missing == 36


def test_importing_again_changes_nothing(app: Application, tmp_path: Path) -> None:
    """Not even what a person said about an imported example meanwhile."""
    path = write(tmp_path / "a.jsonl", {"text": "Flug nach Rom", "label": "Reisen"})
    assert dict(import_examples(app, ACCOUNT, path).new) == {"Reisen": 1}
    [message] = [e.message for e in listed(app).values() if e.source == "imported"]
    exclude(app, ACCOUNT, [str(message)])
    again = import_examples(app, ACCOUNT, path)

    assert (dict(again.new), again.known) == ({}, 1)
    assert not listed(app)[message].counts


def test_an_import_brings_features_back_that_went_with_the_encoder(
    app: Application, tmp_path: Path
) -> None:
    """The text is not kept, so only the file can."""
    path = write(tmp_path / "a.jsonl", {"text": "Flug nach Rom", "label": "Reisen"})
    import_examples(app, ACCOUNT, path)
    with app.store.write() as work:
        account = work.accounts.get(ACCOUNT)
        assert account is not None
        work.features.drop_other(account, "another encoder")
        work.commit()
    before = check_examples(app, ACCOUNT)
    again = import_examples(app, ACCOUNT, path)

    assert (before.judged, before.not_judged) == (0, 37)
    assert again.known == 1
    assert check_examples(app, ACCOUNT).judged == 1


def test_unknown_labels_and_broken_lines_are_reported_and_skipped(
    app: Application, tmp_path: Path
) -> None:
    """By name and by line; the rest is imported."""
    path = write(
        tmp_path / "a.jsonl",
        {"text": "Flug nach Rom", "label": "Reisen", "date": "2026-01-02"},
        {"text": "x", "label": "Nirgendwo"},
        {"text": "y", "label": "Nirgendwo"},
        {"text": "z", "label": "Trash"},
        {"text": "", "label": "Reisen"},
        {"text": "Flug", "label": "Reisen", "date": "gestern"},
        {"text": "Flug"},
    )
    with path.open("a", encoding="utf-8") as file:
        file.write("\n[1]\nno json\n")
    result = import_examples(app, ACCOUNT, path)

    assert dict(result.new) == {"Reisen": 1}
    assert result.unknown_labels == {"Nirgendwo": 2, "Trash": 1}
    assert result.faults == (
        Fault(5, "There is no text."),
        Fault(6, "The date is no ISO 8601 time."),
        Fault(7, "There is no label."),
        Fault(9, "There is no text."),
        Fault(10, "This is no JSON."),
    )
    [imported] = [e for e in listed(app).values() if e.source == "imported"]
    assert imported.sent_at.isoformat() == "2026-01-02T00:00:00+00:00"


def test_an_imported_text_labelled_with_the_inbox_means_leave_it(
    app: Application, tmp_path: Path
) -> None:
    """As exported put-backs are labelled."""
    path = write(tmp_path / "a.jsonl", {"text": "Bitte antworten", "label": "INBOX"})
    import_examples(app, ACCOUNT, path)

    assert [e.folder for e in listed(app).values() if e.source == "imported"] == ["INBOX"]


def test_a_missing_file_is_not_found(app: Application, tmp_path: Path) -> None:
    """Before anybody connects."""
    with pytest.raises(NotFound):
        import_examples(app, ACCOUNT, tmp_path / "nothing.jsonl")
