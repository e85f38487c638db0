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
from tests.e2e.world import World, folders_of
from tests.support.inventory import all_messages


def test_learning_reports_what_it_learnt(learned: World) -> None:
    """Every mail of every folder, read once, and a model that is in use."""
    [result] = learned.learned

    assert result["account"] == "private"
    assert result["new_examples"] == dict.fromkeys(FOLDERS, MAILS_PER_FOLDER)
    assert result["encoded"] == MAILS_PER_FOLDER * len(FOLDERS)
    assert result["refit"]["promoted"] is True
    assert result["refit"]["examples"] == MAILS_PER_FOLDER * len(FOLDERS)


def test_learning_evaluates_on_mail_that_is_newer_than_what_it_learnt_from(learned: World) -> None:
    """Five folders that have nothing in common are told apart."""
    [result] = learned.learned
    evaluation = result["refit"]["evaluation"]

    assert evaluation["mails"] == 8
    assert evaluation["accuracy"]["value"] == 1.0


def test_every_folder_earned_its_autonomy(learned: World) -> None:
    """The premise of the other tests here: mail is moved, not only suggested."""
    [result] = learned.learned
    thresholds = result["refit"]["report"]["thresholds"]

    assert len(thresholds) == len(FOLDERS)
    assert all(each["threshold"] is not None for each in thresholds.values())


def test_new_mail_goes_where_its_kind_lies(story: Story) -> None:
    """Ten mails of five kinds, and no other place holds a copy."""
    places = {f: [folders_of(story.first.after, m) for m in SORTED[f]] for f in FOLDERS}

    assert places == {folder: [[folder], [folder]] for folder in FOLDERS}


def test_mail_that_belongs_nowhere_stays_in_the_inbox(story: Story) -> None:
    """Unsure means hands off."""
    for stranger in STRANGERS:
        assert folders_of(story.first.after, stranger) == ["INBOX"]


def test_the_report_of_a_pass_counts_what_happened(story: Story) -> None:
    """15 mails came: twelve were moved (two of them rentals, taken for invoices)."""
    report = story.first.report

    assert report["observation"]["delivered"] == 15
    assert report["sorted"] == {"seen": 15, "moved": 12, "failed": 0, "by_action": {"left": 3}}


def test_sorting_loses_changes_and_reads_nothing(story: Story) -> None:
    """Every message is there once, with the same bytes, flags and date as before the pass."""
    assert all_messages(story.first.after) == story.delivered[0]
    assert all_messages(story.corrected.after) == story.delivered[1]
    assert all_messages(story.last.after) == story.delivered[1]


def test_sorted_mail_is_not_marked_read(story: Story) -> None:
    """No flag at all was set by looking into it."""
    arrived = [m for folder in FOLDERS for m in story.first.after[folder][MAILS_PER_FOLDER:]]

    assert len(arrived) == 12
    assert {message.flags for message in arrived} == {frozenset()}


def test_every_move_of_the_person_is_noticed(story: Story) -> None:
    """Relabelled twice, put back once, filed once, whichever client did it."""
    noticed = story.corrected.report["observation"]["noticed"]
    moves = sorted((n["kind"], n["from_folder"], n["to_folder"], n["overrules"]) for n in noticed)

    assert moves == [
        ("filed", "INBOX", "Familie", False),
        ("put_back", "Familie", "INBOX", True),
        ("relabelled", "Rechnungen", "Travel", True),
        ("relabelled", "Rechnungen", "Travel", True),
    ]


def test_corrections_lead_to_a_new_model_at_once(story: Story) -> None:
    """Four more examples, compared with the model in use, and promoted with a reason."""
    refit = story.corrected.report["refit"]
    [learnt] = story.world.learned

    assert refit["promoted"] is True
    assert refit["reason"]
    assert refit["examples"] == learnt["refit"]["examples"] + 4
    assert refit["version"] != learnt["refit"]["version"]


def test_the_next_mail_of_that_kind_goes_where_the_person_moved_the_others(story: Story) -> None:
    """In the same pass that noticed the corrections."""
    assert [folders_of(story.first.after, mail) for mail in RENTALS] == [["Rechnungen"]] * 2
    assert folders_of(story.corrected.after, NEXT_RENTAL) == ["Travel"]


def test_what_the_person_moved_stays_there(story: Story) -> None:
    """Nothing is sorted a second time."""
    for after in (story.corrected.after, story.again.after, story.last.after):
        assert [folders_of(after, mail) for mail in RENTALS] == [["Travel"]] * 2
        assert folders_of(after, FILED) == ["Familie"]


def test_mail_that_was_put_back_is_never_moved_again(story: Story) -> None:
    """However often inboxd runs."""
    for after in (story.corrected.after, story.again.after, story.last.after):
        assert folders_of(after, PUT_BACK) == ["INBOX"]


def test_a_pass_without_news_does_nothing(story: Story) -> None:
    """No mail is judged again, no model trained."""
    for report in (story.again.report, story.last.report):
        assert report["sorted"]["seen"] == 0
        assert report["observation"]["noticed"] == []
        assert report["refit"] is None
    assert story.again.after == story.corrected.after


def test_undo_moves_the_last_mail_back_to_the_inbox(story: Story) -> None:
    """The last one that was moved is the rental that went right."""
    [outcome] = story.undone

    assert outcome["undone"] is True
    assert outcome["folder"] == "Travel"
    assert folders_of(story.after_undo, NEXT_RENTAL) == ["INBOX"]


def test_what_was_undone_stays_in_the_inbox(story: Story) -> None:
    """It is no correction either: undoing teaches nothing."""
    assert folders_of(story.last.after, NEXT_RENTAL) == ["INBOX"]
    assert story.last.after == story.after_undo
