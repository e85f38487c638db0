"""Sorting new mail: once, in the mode that was asked for, and stoppable."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config.settings import Mode
from daemon.errors import MailboxUnreachable
from daemon.sorting import sort as sort_module
from daemon.sorting.threads import LEFT_IN_INBOX
from daemon.store.tables import Action
from tests.sorting.world import World, mail
from tests.support.fake_mailbox import FakeServer


def test_each_mail_is_judged_once(any_world: World) -> None:
    """Whatever was decided, the next pass does not look at it again."""
    any_world.deliver("Rechnungen 1", "Rechnungen? 2", "Hallo 3")
    found = any_world.cycle()
    assert (found.seen, found.moved, found.by_action) == (3, 1, {Action.LEFT: 2})
    assert any_world.cycle().seen == 0
    assert len(any_world.decisions()) == 3


@pytest.mark.parametrize(
    ("mode", "action"), [(Mode.OBSERVE, Action.OBSERVED), (Mode.SUGGEST, Action.SUGGESTED)]
)
def test_only_mode_sort_moves(world: World, mode: Mode, action: Action) -> None:
    """The other modes record what would be done, and send no command that changes anything."""
    world.mode = mode
    world.deliver("Rechnungen 1", "Hallo 2")
    before = world.server.inventory()
    assert world.cycle().by_action == {action: 1, Action.LEFT: 1}
    assert world.server.inventory() == before
    assert world.moves() == []
    decision = world.decisions()[0]
    assert decision.folder is not None
    assert decision.folder.name == "Rechnungen"


def test_a_suggestion_is_not_carried_out_when_the_mode_changes(world: World) -> None:
    """A mail is decided on once; a later mode is for later mail."""
    world.mode = Mode.SUGGEST
    world.deliver("Rechnungen 1")
    world.cycle()
    world.mode = Mode.SORT
    assert world.cycle().seen == 0
    assert world.where("Rechnungen 1") == ["INBOX"]


def test_a_decision_says_why(world: World) -> None:
    """Probabilities of the top folders, threshold, model and reason."""
    world.deliver("Rechnungen 1")
    world.cycle()
    [decision] = world.decisions()
    assert [list(pair) for pair in decision.ranked] == [["Rechnungen", 0.98], ["INBOX", 0.02]]
    assert (decision.probability, decision.threshold) == (0.98, 0.9)
    assert (decision.model_version, decision.reason) == ("subject-1", "98 % sure.")
    assert decision.decided_at == world.now


def test_sorting_stops_between_two_rounds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request to stop waits for the round's moves, and leaves no plan behind."""
    monkeypatch.setattr(sort_module, "BATCH", 2)
    world.deliver(*(f"Rechnungen {n}" for n in range(6)))
    world.notice()
    answers = iter([False, False, True])
    found = world.sort(stopped=lambda: next(answers))
    assert (found.seen, found.moved) == (4, 4)
    assert {move.state.value for move in world.moves()} == {"moved"}
    assert world.cycle().moved == 2


def test_a_broken_connection_between_rounds_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first round moved stays moved; the rest is done by the next pass."""
    monkeypatch.setattr(sort_module, "BATCH", 2)
    world.deliver(*(f"Rechnungen {n}" for n in range(6)))
    before = world.mails()
    world.notice()
    world.server.fail("fetch", when="after")
    with pytest.raises(MailboxUnreachable):
        world.sort()
    assert world.cycle().moved == 6
    assert world.mails() == before


def test_a_mail_that_vanishes_before_it_is_read_is_left_out(world: World) -> None:
    """Deleted between the observation and the fetch."""
    world.deliver("Rechnungen 1", "Rechnungen 2")
    world.notice()
    world.server.delete("INBOX", [1])
    found = world.sort()
    assert (found.seen, found.moved) == (1, 1)


def test_a_retired_folder_is_no_target(world: World) -> None:
    """The model still knows a folder that a person has removed."""
    world.deliver("Rechnungen 1")
    world.notice()
    gone = world.folder_ids()
    world.server.remove("Rechnungen")
    world.notice()
    world.folder_ids = lambda: gone  # type: ignore[method-assign]
    found = world.sort()
    assert found.by_action == {Action.LEFT: 1}
    assert "no longer" in world.decisions()[0].reason


def test_a_folder_removed_during_the_pass_is_no_target(world: World) -> None:
    """It vanishes between the observation and the plan."""
    world.deliver("Rechnungen 1", "Reisen 2")
    world.notice()
    world.server.remove("Rechnungen")
    found = world.sort()
    assert (found.moved, found.by_action) == (1, {Action.LEFT: 1})
    assert world.where("Rechnungen 1") == ["INBOX"]


def test_the_verdict_may_follow_the_thread(any_world: World) -> None:
    """The judge is told where the nearest ancestor lies, also two mails further up."""
    any_world.server.append("Reisen", mail("Planung", message_id="<p@example.org>"))
    any_world.notice()
    any_world.server.append("INBOX", mail("Re: Planung", in_reply_to="<p@example.org>"))
    found = any_world.cycle()
    assert any_world.judge.parents == [any_world.folder_ids()["Reisen"]]
    assert found.moved == 1
    assert any_world.where("Re: Planung") == ["Reisen"]


def test_an_ancestor_that_was_kept_says_leave_it(any_world: World) -> None:
    """A thread that a person put back into the inbox stays there."""
    any_world.server.append("INBOX", mail("Reisen 1", message_id="<p@example.org>"))
    any_world.cycle()
    any_world.move("Reisen 1", "INBOX")
    any_world.cycle()
    any_world.server.append("INBOX", mail("Re: Reisen 1", in_reply_to="<p@example.org>"))
    any_world.cycle()
    assert any_world.judge.parents == [LEFT_IN_INBOX]


def test_an_ancestor_that_merely_waits_in_the_inbox_says_nothing(any_world: World) -> None:
    """Nobody has decided on it."""
    any_world.server.append("INBOX", mail("Hallo 1", message_id="<p@example.org>"))
    any_world.cycle()
    any_world.server.append("INBOX", mail("Re: Hallo 1", in_reply_to="<p@example.org>"))
    any_world.cycle()
    assert any_world.judge.parents == [None]


def test_features_are_made_once_per_mail(world: World) -> None:
    """After a crash the cached features serve; the mail is not even fetched."""
    world.deliver("Rechnungen 1")
    world.notice()
    world.server.fail("move", when="before")
    with pytest.raises(MailboxUnreachable):
        world.sort()
    world.settle()
    world.server.calls.clear()
    assert world.sort().moved == 1
    assert world.judge.seen == []
    assert "fetch" not in world.server.calls


def test_reading_marks_nothing(world: World) -> None:
    """Unread mail stays unread, whatever is decided."""
    world.deliver("Rechnungen 1", "Hallo 2")
    before = world.mails()
    world.cycle()
    assert world.mails() == before


def test_a_second_delivery_of_known_content_stays(tmp_path: Path) -> None:
    """Where the server makes ids of the content, a twin of sorted mail is left in the inbox."""
    world = World(tmp_path, FakeServer(server_ids="content"))
    world.notice()
    world.deliver("Rechnungen 1")
    world.cycle()
    world.deliver("Rechnungen 1")
    before = world.mails()
    assert world.cycle().seen == 0
    assert world.mails() == before
    world.believes()
    world.store.close()
