"""Undo: by message, the last N, since a time; only what nobody has touched."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.errors import MailboxUnreachable
from daemon.store.tables import Action
from tests.sorting.world import Killed, World


def test_undo_by_message_moves_back_and_records_it(any_world: World) -> None:
    """The mail lies in the inbox again, unchanged, and the decision says undone."""
    any_world.deliver("Rechnungen 1", "Reisen 2")
    before = any_world.mails()
    any_world.cycle()
    first = any_world.decisions()[0].message_id
    [outcome] = any_world.undo(messages=(first,))
    assert (outcome.message_id, outcome.folder, outcome.undone) == (first, "Rechnungen", True)
    assert any_world.where("Rechnungen 1") == ["INBOX"]
    assert any_world.where("Reisen 2") == ["Reisen"]
    assert [d.action for d in any_world.decisions()] == [Action.UNDONE, Action.MOVED]
    assert any_world.mails() == before
    any_world.believes()


def test_an_undone_mail_is_never_sorted_again_and_teaches_nothing(any_world: World) -> None:
    """Not by the next pass, not after the inbox was renumbered."""
    any_world.deliver("Rechnungen 1")
    any_world.cycle()
    any_world.undo(last=1)
    assert any_world.cycle().seen == 0
    any_world.renumber("INBOX")
    any_world.cycle()
    assert any_world.cycle().seen == 0
    assert any_world.where("Rechnungen 1") == ["INBOX"]
    assert any_world.examples() == []
    assert any_world.corrections() == []


def test_filing_an_undone_mail_elsewhere_teaches(world: World) -> None:
    """That is a person's own word."""
    world.deliver("Rechnungen 1")
    world.cycle()
    world.undo(last=1)
    world.move("Rechnungen 1", "Reisen")
    world.notice()
    assert world.examples() == [("Reisen", "moved")]


def test_undoing_the_last_twice_goes_further_back(world: World) -> None:
    """What is undone already does not count among the last."""
    for subject in ("Rechnungen 1", "Rechnungen 2", "Rechnungen 3"):
        world.deliver(subject)
        world.cycle()
    assert [o.undone for o in world.undo(last=1)] == [True]
    assert [o.undone for o in world.undo(last=1)] == [True]
    assert world.where("Rechnungen 3") == ["INBOX"]
    assert world.where("Rechnungen 2") == ["INBOX"]
    assert world.where("Rechnungen 1") == ["Rechnungen"]


def test_undo_since_a_time_takes_only_later_moves(world: World) -> None:
    """Earlier moves stay."""
    world.deliver("Rechnungen 1")
    world.cycle()
    world.tick(hours=2)
    moment = world.now
    world.deliver("Reisen 2", "Rechnungen 3")
    world.cycle()
    outcomes = world.undo(since=moment - timedelta(minutes=1))
    assert [o.undone for o in outcomes] == [True, True]
    assert world.where("Rechnungen 1") == ["Rechnungen"]
    assert world.server.uids("Reisen") == []


def test_what_a_person_has_touched_is_left_alone(any_world: World) -> None:
    """Moved on or deleted since: the undo says so and does nothing."""
    any_world.deliver("Rechnungen 1", "Rechnungen 2")
    any_world.cycle()
    any_world.move("Rechnungen 1", "Reisen")
    any_world.server.delete("Rechnungen", [any_world.uid("Rechnungen 2", "Rechnungen")])
    outcomes = any_world.undo(last=2)
    assert [o.undone for o in outcomes] == [False, False]
    assert {o.reason for o in outcomes} == {"it was moved or deleted since"}
    assert any_world.where("Rechnungen 1") == ["Reisen"]


def test_an_undo_reports_a_mail_that_vanishes_under_its_hands(world: World) -> None:
    """Deleted between the look and the move: nothing is claimed."""
    world.deliver("Rechnungen 1")
    world.cycle()
    world.server.fail("move", when="before")
    with pytest.raises(MailboxUnreachable):
        world.undo(last=1)
    assert world.message(1).kept
    world.settle()
    assert world.where("Rechnungen 1") == ["Rechnungen"]
    assert [o.undone for o in world.undo(last=1)] == [True]


def test_an_undo_killed_after_its_move_is_recorded_later(any_world: World) -> None:
    """The mail is back in the inbox and stays there."""
    any_world.deliver("Rechnungen 1")
    any_world.cycle()
    connect = any_world.server.connect
    dying = any_world.dying("move", "after")
    calls = iter([connect(), connect(), dying])
    any_world.server.connect = lambda: next(calls)  # type: ignore[method-assign, assignment, return-value]
    with pytest.raises(Killed):
        any_world.undo(last=1)
    any_world.server.connect = connect  # type: ignore[method-assign]
    assert any_world.cycle().seen == 0
    assert any_world.where("Rechnungen 1") == ["INBOX"]
    assert [d.action for d in any_world.decisions()] == [Action.UNDONE]
    assert any_world.corrections() == []
    any_world.believes()


def test_undo_without_anything_to_undo_does_nothing(world: World) -> None:
    """No moves, no commands."""
    assert world.undo(last=5) == []
    assert "move" not in world.server.calls
