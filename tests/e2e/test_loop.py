"""The main job, end to end: inbox → BERT → folders → corrections → a better model."""

from __future__ import annotations

from tests.e2e.mails import FOLDERS, MAILS_PER_FOLDER
from tests.e2e.story import (
    FILED,
    NEXT_RENTAL,
    PUT_BACK,
    RENTALS,
    SORTED,
    STRANGERS,
    Story,
)
from tests.e2e.world import folders_of
from tests.support.inventory import all_messages


def test_learning_reports_what_it_learnt(told: Story) -> None:
    """Every mail of every folder, read once, and a model that is in use."""
    [result] = told.world.learned

    assert result["account"] == "private"
    # Cyrus makes a folder of the parent "Lists" too, in which nothing lies.
    new_examples = {told.world.plain(f): n for f, n in result["new_examples"].items() if n}
    assert new_examples == dict.fromkeys(FOLDERS, MAILS_PER_FOLDER)
    assert result["encoded"] == MAILS_PER_FOLDER * len(FOLDERS)
    assert result["refit"]["promoted"] is True
    assert result["refit"]["examples"] == MAILS_PER_FOLDER * len(FOLDERS)


def test_learning_evaluates_on_mail_that_is_newer_than_what_it_learnt_from(told: Story) -> None:
    """Five folders that have nothing in common are told apart."""
    [result] = told.world.learned
    evaluation = result["refit"]["evaluation"]

    assert evaluation["mails"] == 8
    assert evaluation["accuracy"]["value"] == 1.0


def test_every_folder_earned_its_autonomy(told: Story) -> None:
    """The premise of the other tests here: mail is moved, not only suggested."""
    [result] = told.world.learned
    thresholds = result["refit"]["report"]["thresholds"]

    assert len(thresholds) == len(FOLDERS)
    assert all(each["threshold"] is not None for each in thresholds.values())


def test_new_mail_goes_where_its_kind_lies(told: Story) -> None:
    """Ten mails of five kinds, and no other place holds a copy."""
    places = {f: [folders_of(told.first.after, m) for m in SORTED[f]] for f in FOLDERS}

    assert places == {folder: [[folder], [folder]] for folder in FOLDERS}


def test_mail_that_belongs_nowhere_stays_in_the_inbox(told: Story) -> None:
    """Unsure means hands off."""
    for stranger in STRANGERS:
        assert folders_of(told.first.after, stranger) == ["INBOX"]


def test_the_report_of_a_pass_counts_what_happened(told: Story) -> None:
    """15 mails came: twelve were moved (two of them rentals, taken for invoices)."""
    report = told.first.report

    assert report["observation"]["delivered"] == 15
    assert report["sorted"] == {"seen": 15, "moved": 12, "failed": 0, "by_action": {"left": 3}}


def test_sorting_loses_changes_and_reads_nothing(told: Story) -> None:
    """Every message is there once, with the same bytes, flags and date as before the pass."""
    assert all_messages(told.first.after) == told.delivered[0]
    assert all_messages(told.corrected.after) == told.delivered[1]
    assert all_messages(told.last.after) == told.delivered[1]


def test_sorted_mail_is_not_marked_read(told: Story) -> None:
    """No flag at all was set by looking into it."""
    arrived = [m for folder in FOLDERS for m in told.first.after[folder][MAILS_PER_FOLDER:]]

    assert len(arrived) == 12
    assert {message.flags for message in arrived} == {frozenset()}


def test_every_move_of_the_person_is_noticed(told: Story) -> None:
    """Relabelled twice, put back once, filed once, whichever client did it."""
    noticed = told.corrected.report["observation"]["noticed"]
    plain = told.world.plain
    moves = sorted(
        (n["kind"], plain(n["from_folder"]), plain(n["to_folder"]), n["overrules"]) for n in noticed
    )

    assert moves == [
        ("filed", "INBOX", "Familie", False),
        ("put_back", "Familie", "INBOX", True),
        ("relabelled", "Rechnungen", "Travel", True),
        ("relabelled", "Rechnungen", "Travel", True),
    ]


def test_corrections_lead_to_a_new_model_at_once(told: Story) -> None:
    """Four more examples, compared with the model in use, and promoted with a reason."""
    refit = told.corrected.report["refit"]
    [learnt] = told.world.learned

    assert refit["promoted"] is True
    assert refit["reason"]
    assert refit["examples"] == learnt["refit"]["examples"] + 4
    assert refit["version"] != learnt["refit"]["version"]


def test_the_next_mail_of_that_kind_goes_where_the_person_moved_the_others(told: Story) -> None:
    """In the same pass that noticed the corrections."""
    assert [folders_of(told.first.after, mail) for mail in RENTALS] == [["Rechnungen"]] * 2
    assert folders_of(told.corrected.after, NEXT_RENTAL) == ["Travel"]


def test_what_the_person_moved_stays_there(told: Story) -> None:
    """Nothing is sorted a second time."""
    for after in (told.corrected.after, told.again.after, told.last.after):
        assert [folders_of(after, mail) for mail in RENTALS] == [["Travel"]] * 2
        assert folders_of(after, FILED) == ["Familie"]


def test_mail_that_was_put_back_is_never_moved_again(told: Story) -> None:
    """However often inboxd runs."""
    for after in (told.corrected.after, told.again.after, told.last.after):
        assert folders_of(after, PUT_BACK) == ["INBOX"]


def test_a_pass_without_news_does_nothing(told: Story) -> None:
    """No mail is judged again, no model trained."""
    for report in (told.again.report, told.last.report):
        assert report["sorted"]["seen"] == 0
        assert report["observation"]["noticed"] == []
        assert report["refit"] is None
    assert told.again.after == told.corrected.after


def test_undo_moves_the_last_mail_back_to_the_inbox(told: Story) -> None:
    """The last one that was moved is the rental that went right."""
    [outcome] = told.undone

    assert outcome["undone"] is True
    assert told.world.plain(outcome["folder"]) == "Travel"
    assert folders_of(told.after_undo, NEXT_RENTAL) == ["INBOX"]


def test_what_was_undone_stays_in_the_inbox(told: Story) -> None:
    """It is no correction either: undoing teaches nothing."""
    assert folders_of(told.last.after, NEXT_RENTAL) == ["INBOX"]
    assert told.last.after == told.after_undo
