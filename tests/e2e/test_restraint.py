"""What inboxd does not do: nothing in a dry run, no move in the modes that only look."""

from __future__ import annotations

from tests.e2e.mails import next_mails, stranger
from tests.e2e.world import World

MAILS = [*next_mails("Rechnungen", 2), stranger()]


def test_a_dry_run_changes_nothing(world: World) -> None:
    """Not one message, not one byte of the database; but it says what would happen."""
    world.deliver(MAILS)
    world.home.ok("status")
    mail, database = world.inventory(), world.home.database.read_bytes()

    [dry] = world.home.json("run", "--dry-run")

    decided = [(d["action"], d["folder"]) for d in dry["decisions"]]
    assert decided.count(("observed", "Rechnungen")) == 2
    assert len(decided) == 3
    assert world.inventory() == mail
    assert world.home.database.read_bytes() == database
    assert world.home.json("history") == []


def test_in_mode_suggest_mail_stays_and_the_suggestion_is_listed(world: World) -> None:
    """The person decides; afterwards inboxd does not suggest the same again."""
    world.deliver(MAILS)
    before = world.inventory()
    suggesting = {"INBOXD_ACCOUNTS__PRIVATE__MODE": "suggest"}

    [first] = world.home.json("run", "--once", **suggesting)
    suggestions = world.home.json("history", "--action", "suggested", **suggesting)

    assert first["sorted"]["by_action"] == {"suggested": 2, "left": 1}
    assert [s["folder"] for s in suggestions] == ["Rechnungen", "Rechnungen"]
    assert world.inventory() == before


def test_undo_goes_further_back_each_time(world: World) -> None:
    """What was undone already does not count as the last move again."""
    world.deliver(MAILS[:2])
    world.home.ok("run", "--once")

    first = world.home.json("undo", "--last", "1")
    second = world.home.json("undo", "--last", "1")

    assert [outcome["undone"] for outcome in (*first, *second)] == [True, True]
    assert [world.folders_of(mail) for mail in MAILS[:2]] == [["INBOX"], ["INBOX"]]


def test_undo_leaves_alone_what_the_person_has_touched(world: World) -> None:
    """She moved one of the two on: only the other one goes back."""
    world.deliver(MAILS[:2])
    world.home.ok("run", "--once")
    world.move(MAILS[0], "Rechnungen", "Travel")

    outcomes = world.home.json("undo", "--since", "1h")

    assert sorted(outcome["undone"] for outcome in outcomes) == [False, True]
    assert world.folders_of(MAILS[0]) == ["Travel"]
    assert world.folders_of(MAILS[1]) == ["INBOX"]
