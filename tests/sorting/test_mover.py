"""Moving without loss: every state of the mover's docstring, and every crash in between."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from daemon.errors import CommandRefused, MailboxUnreachable
from daemon.sorting.mover import MAX_ATTEMPTS
from daemon.store.tables import Action, ArrivedBy, MoveState
from tests.sorting.world import Killed, World
from tests.support.fake_mailbox import FakeServer, When

MAIL = "Rechnungen 1"


def test_a_move_is_planned_made_and_recorded(any_world: World) -> None:
    """The plain case: the mail lies in the target, the row says where."""
    any_world.deliver(MAIL, "Hallo 1")
    before = any_world.mails()
    found = any_world.cycle()
    assert (found.moved, found.failed) == (1, 0)
    assert any_world.where(MAIL) == ["Rechnungen"]
    assert any_world.mails() == before
    [move] = any_world.moves()
    assert move.state is MoveState.MOVED
    assert move.target_uid == any_world.uid(MAIL, "Rechnungen")
    assert [p.arrived_by for p in any_world.placements("Rechnungen")] == [ArrivedBy.INBOXD]
    assert any_world.notice().noticed == []
    any_world.believes()


def test_the_plan_is_on_disk_before_the_server_hears_of_it(world: World) -> None:
    """Killed before the command: the plan is there, and the mail is still in the inbox."""
    world.deliver(MAIL)
    world.notice()
    with pytest.raises(Killed):
        world.sort(world.dying("move", "before"))
    assert world.states() == [MoveState.PLANNED]
    assert world.where(MAIL) == ["INBOX"]


def test_killed_between_plan_and_move_the_mail_is_judged_anew(any_world: World) -> None:
    """The decision is taken back, and the next pass moves the mail, once."""
    any_world.deliver(MAIL)
    before = any_world.mails()
    any_world.notice()
    with pytest.raises(Killed):
        any_world.sort(any_world.dying("move", "before"))
    any_world.settle()
    assert any_world.states() == [MoveState.CANCELLED]
    assert any_world.decisions() == []
    assert any_world.cycle().moved == 1
    assert any_world.mails() == before
    assert [d.action for d in any_world.decisions()] == [Action.MOVED]
    any_world.believes()


def test_killed_between_move_and_record_the_move_is_found(any_world: World) -> None:
    """The server has moved, the database does not know: the next start looks."""
    any_world.deliver(MAIL)
    before = any_world.mails()
    any_world.notice()
    with pytest.raises(Killed):
        any_world.sort(any_world.dying("move", "after"))
    assert any_world.cycle().seen == 0
    assert any_world.states() == [MoveState.MOVED]
    assert [d.action for d in any_world.decisions()] == [Action.MOVED]
    assert any_world.corrections() == []
    assert any_world.examples() == []
    assert any_world.mails() == before
    any_world.believes()


def test_killed_while_looking_nothing_is_lost(any_world: World) -> None:
    """The look after the move can be repeated as often as needed."""
    any_world.deliver(MAIL)
    any_world.notice()
    with pytest.raises(Killed):
        any_world.sort(any_world.dying("snapshot", "after"))
    assert any_world.settle().moved != []
    assert any_world.settle().moved == []
    assert any_world.states() == [MoveState.MOVED]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_reply_says_nothing(any_world: World, when: When) -> None:
    """The connection broke before or after the command ran: only looking helps."""
    any_world.deliver(MAIL)
    before = any_world.mails()
    any_world.notice()
    any_world.server.fail("move", when=when)
    with pytest.raises(MailboxUnreachable):
        any_world.sort()
    any_world.cycle()
    assert any_world.where(MAIL) == ["Rechnungen"]
    assert any_world.mails() == before
    assert any_world.states()[-1] is MoveState.MOVED
    assert any_world.corrections() == []
    any_world.believes()


def test_a_refusal_is_believed_only_after_a_look(any_world: World) -> None:
    """The server says NO although it has moved the mail."""
    any_world.deliver(MAIL)
    any_world.server.fail("move", when="after", error=CommandRefused("NO", code="SERVERBUG"))
    assert any_world.cycle().moved == 1
    assert any_world.states() == [MoveState.MOVED]
    any_world.believes()


def test_a_refused_move_stays_in_the_inbox_with_its_reason(any_world: World) -> None:
    """Over quota, no rights: the mail is left, and is not asked about for ever."""
    any_world.deliver(MAIL)
    any_world.server.fail("move", error=CommandRefused("The server refused MOVE (OVERQUOTA)."))
    found = any_world.cycle()
    assert (found.moved, found.failed) == (0, 1)
    assert any_world.states() == [MoveState.FAILED]
    [decision] = any_world.decisions()
    assert decision.action is Action.LEFT
    assert "OVERQUOTA" in decision.reason
    assert any_world.cycle().seen == 0


def test_a_server_that_moves_nothing_is_asked_three_times(world: World) -> None:
    """OK without effect: three attempts, then the mail is left in the inbox."""
    world.deliver(MAIL)
    world.notice()
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(Killed):
            world.sort(world.dying("move", "before"))
        world.settle()
    assert world.states() == [MoveState.CANCELLED] * (MAX_ATTEMPTS - 1) + [MoveState.FAILED]
    assert world.cycle().seen == 0
    assert world.where(MAIL) == ["INBOX"]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_server_killed_in_mid_move_leaves_no_double(any_world: World, count: int) -> None:
    """Some mails lie in both folders: the moves are finished, nothing is doubled or lost."""
    any_world.deliver(*(f"Rechnungen {n}" for n in range(count)))
    before = any_world.mails()
    any_world.notice()
    any_world.server.fail("move", when="midway")
    with pytest.raises(MailboxUnreachable):
        any_world.sort()
    any_world.cycle()
    assert any_world.mails() == before
    assert all(any_world.where(f"Rechnungen {n}") == ["Rechnungen"] for n in range(count))
    assert any_world.corrections() == []
    any_world.believes()


def test_a_double_that_may_not_be_removed_does_not_block_the_account(any_world: World) -> None:
    """The server refuses the expunge: the move counts, the rest in the inbox is left alone."""
    any_world.deliver(MAIL)
    any_world.notice()
    any_world.server.fail("move", when="midway")
    with pytest.raises(MailboxUnreachable):
        any_world.sort()
    any_world.server.fail("expunge", error=CommandRefused("no rights", code="NOPERM"))
    any_world.settle()
    assert any_world.states() == [MoveState.MOVED]
    assert any_world.cycle().seen == 0
    assert any_world.where(MAIL) == ["INBOX", "Rechnungen"]


def test_a_person_who_was_quicker_is_believed(any_world: World) -> None:
    """Moved elsewhere between plan and MOVE: their move is the lesson, ours never happened."""
    any_world.deliver(MAIL)
    any_world.notice()
    with pytest.raises(Killed):
        any_world.sort(any_world.dying("move", "before"))
    any_world.move(MAIL, "Reisen")
    any_world.cycle()
    assert any_world.states() == [MoveState.ELSEWHERE]
    assert any_world.where(MAIL) == ["Reisen"]
    assert any_world.corrections() == [("filed", "INBOX", "Reisen")]
    assert any_world.examples() == [("Reisen", "moved")]
    any_world.believes()


def test_a_mail_deleted_before_its_move_is_gone_and_nothing_else(any_world: World) -> None:
    """Expunged between plan and MOVE."""
    any_world.deliver(MAIL)
    any_world.notice()
    with pytest.raises(Killed):
        any_world.sort(any_world.dying("move", "before"))
    any_world.server.delete("INBOX", [1])
    any_world.cycle()
    assert any_world.states() == [MoveState.ELSEWHERE]
    assert any_world.corrections() == []


@pytest.mark.parametrize("pass_between", [True, False])
def test_a_move_carried_out_late_is_not_taken_for_a_persons(
    any_world: World, pass_between: bool
) -> None:
    """A client's time-out cancels no command: it may run when inboxd has given it up."""
    any_world.deliver(MAIL)
    any_world.notice()
    any_world.server.fail("move", when="before")
    with pytest.raises(MailboxUnreachable):
        any_world.sort()
    any_world.settle()
    if pass_between:
        any_world.notice()
    any_world.server.move("INBOX", [1], "Rechnungen")
    any_world.cycle()
    any_world.cycle()
    assert any_world.where(MAIL) == ["Rechnungen"]
    assert any_world.corrections() == []
    assert any_world.examples() == []
    assert any_world.states() == [MoveState.MOVED]
    with any_world.store.read() as work:
        folder = work.folders.get(any_world.folder_ids()["Rechnungen"])
        assert work.placements.newest_unlabelled(folder, 10) == []


def test_a_late_move_under_a_second_plan_is_not_taken_for_a_persons(any_world: World) -> None:
    """It runs just before the second attempt, which then finds nothing to move."""
    any_world.deliver(MAIL)
    any_world.notice()
    any_world.server.fail("move", when="before")
    with pytest.raises(MailboxUnreachable):
        any_world.sort()
    any_world.settle()
    any_world.notice()
    any_world.server.move("INBOX", [1], "Rechnungen")
    any_world.sort()
    any_world.cycle()
    assert any_world.corrections() == []
    assert [d.action for d in any_world.decisions()] == [Action.MOVED]
    any_world.believes()


def test_a_target_replaced_in_mid_move_is_not_taken_for_a_persons_move(any_world: World) -> None:
    """Its UIDVALIDITY is another when inboxd looks: still our own move, no lesson."""
    any_world.deliver(MAIL)
    any_world.notice()
    with pytest.raises(Killed):
        any_world.sort(any_world.dying("move", "after"))
    any_world.renumber("Rechnungen")
    any_world.cycle()
    assert any_world.corrections() == []
    assert any_world.examples() == []
    any_world.believes()


def test_a_target_renamed_in_mid_move_is_not_taken_for_a_persons_move(any_world: World) -> None:
    """The person renames the folder just after the process was killed."""
    any_world.deliver(MAIL)
    any_world.notice()
    any_world.deliver("Hallo 1", "Hallo 2", folder="Rechnungen")
    any_world.notice()
    with pytest.raises(Killed):
        any_world.sort(any_world.dying("move", "after"))
    any_world.server.rename("Rechnungen", "Belege")
    any_world.cycle()
    assert any_world.where(MAIL) == ["Belege"]
    assert any_world.corrections() == []


def test_a_target_that_is_gone_leaves_the_mail_where_it_is(any_world: World) -> None:
    """The folder was removed between plan and MOVE: nothing is lost, nothing is created."""
    any_world.deliver(MAIL)
    any_world.notice()
    with pytest.raises(Killed):
        any_world.sort(any_world.dying("move", "before"))
    any_world.server.remove("Rechnungen")
    any_world.cycle()
    assert any_world.where(MAIL) == ["INBOX"]
    assert not any_world.server.exists("Rechnungen")


def test_an_inbox_renumbered_before_the_move_moves_nothing_wrong(any_world: World) -> None:
    """The planned UID belongs to another mail now: it must not be moved."""
    any_world.deliver("Hallo 1", MAIL)
    any_world.notice()
    with pytest.raises(Killed):
        any_world.sort(any_world.dying("move", "before"))
    any_world.server.delete("INBOX", [1])
    any_world.renumber("INBOX")
    any_world.deliver("Hallo 2")
    any_world.cycle()
    any_world.cycle()
    assert any_world.where("Hallo 2") == ["INBOX"]
    assert len(any_world.where(MAIL)) == 1
    any_world.believes()


# Without MOVE --------------------------------------------------------------------------------


@pytest.fixture(params=["guid", "none"])
def copying(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A server with UIDPLUS and without MOVE, as Courier."""
    ids: Literal["guid"] | None = "guid" if request.param == "guid" else None
    world = World(tmp_path, FakeServer(hidden=("MOVE",), server_ids=ids))
    world.notice()
    return world


def test_without_move_the_mail_is_copied_and_exactly_it_expunged(copying: World) -> None:
    r"""Other mail flagged `\Deleted` by the person is left alone."""
    copying.deliver("Hallo 1", MAIL)
    copying.server.flag("INBOX", [1], "\\Deleted")
    before = copying.mails()
    assert copying.cycle().moved == 1
    assert copying.where(MAIL) == ["Rechnungen"]
    assert copying.mails() == before
    copying.believes()


@pytest.mark.parametrize("when", ["before", "midway", "after"])
def test_a_lost_reply_to_copy_loses_and_doubles_nothing(copying: World, when: When) -> None:
    """Copied or not, or half of it: the next look decides."""
    copying.deliver(MAIL, "Rechnungen 2", "Rechnungen 3")
    before = copying.mails()
    copying.notice()
    copying.server.fail("copy", when=when)
    with pytest.raises(MailboxUnreachable):
        copying.sort()
    copying.cycle()
    assert copying.mails() == before
    assert copying.server.uids("INBOX") == []
    copying.believes()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_reply_to_expunge_loses_and_doubles_nothing(copying: World, when: When) -> None:
    """The copy is there, the expunge missing or done."""
    copying.deliver(MAIL)
    before = copying.mails()
    copying.notice()
    copying.server.fail("expunge", when=when)
    with pytest.raises(MailboxUnreachable):
        copying.sort()
    copying.cycle()
    assert copying.mails() == before
    assert copying.where(MAIL) == ["Rechnungen"]
    assert copying.corrections() == []
    copying.believes()


@pytest.mark.parametrize(("method", "when"), [("copy", "after"), ("expunge", "before")])
def test_killed_between_copy_and_expunge_the_move_is_finished(
    copying: World, method: str, when: str
) -> None:
    """The verified copy stays, the original goes, at the next start."""
    copying.deliver(MAIL)
    before = copying.mails()
    copying.notice()
    with pytest.raises(Killed):
        copying.sort(copying.dying(method, when))
    assert copying.where(MAIL) == ["INBOX", "Rechnungen"]
    copying.cycle()
    assert copying.mails() == before
    assert copying.where(MAIL) == ["Rechnungen"]


def test_a_refused_copy_expunges_nothing(copying: World) -> None:
    """Over quota: COPY says NO, the original stays."""
    copying.deliver(MAIL)
    copying.server.fail("copy", error=CommandRefused("OVERQUOTA", code="OVERQUOTA"))
    copying.cycle()
    assert copying.where(MAIL) == ["INBOX"]
    assert "expunge" not in copying.server.calls


def test_without_move_and_uidplus_nothing_is_sent(tmp_path: Path) -> None:
    """An unscoped EXPUNGE could destroy other mail: the mail is suggested, not moved."""
    world = World(tmp_path, FakeServer(hidden=("MOVE", "UIDPLUS")))
    world.notice()
    world.deliver(MAIL)
    found = world.cycle()
    assert found.by_action == {Action.SUGGESTED: 1}
    assert world.where(MAIL) == ["INBOX"]
    assert not {"move", "copy", "expunge"}.intersection(world.server.calls)
    assert "UID EXPUNGE" in world.decisions()[0].reason


def test_an_undo_on_a_server_that_lost_uidplus_copies_nothing(world: World) -> None:
    """Capabilities may go between two connections; then nothing is sent at all."""
    world.deliver(MAIL)
    world.cycle()
    world.server.announced = world.server.announced.difference({"MOVE", "UIDPLUS"})
    [outcome] = world.undo(last=1)
    assert not outcome.undone
    assert world.where(MAIL) == ["Rechnungen"]


# Twins ---------------------------------------------------------------------------------------


def test_twins_are_both_moved_and_both_kept(any_world: World) -> None:
    """Two byte-identical mails: none is lost in a move or in the look after it."""
    any_world.deliver(MAIL, MAIL)
    before = any_world.mails()
    any_world.cycle()
    any_world.cycle()
    assert any_world.mails() == before
    any_world.believes()


def test_a_twin_that_arrived_is_not_taken_for_the_one_still_on_its_way(tmp_path: Path) -> None:
    """Two undone twins from two folders: the second has to be moved, not expunged."""
    world = World(tmp_path, FakeServer(server_ids=None))
    world.notice()
    world.deliver(MAIL)
    world.cycle()
    world.server.rename("Rechnungen", "Belege")
    world.notice()
    world.server.create("Rechnungen")
    world.deliver("Hallo 1", MAIL)
    world.notice()
    with world.store.write() as work:
        for message in work.messages.by_fingerprints(
            world.account(work), [world.message(1).fingerprint]
        )[world.message(1).fingerprint]:
            message.kept = False
        work.commit()
    world.cycle()
    assert world.where(MAIL) == ["Belege", "Rechnungen"]
    before = world.mails()
    world.server.fail("move", when="after", error=CommandRefused("as if"))
    world.server.fail("move", when="before", error=CommandRefused("no"))
    world.undo(last=2)
    world.settle()
    assert world.mails() == before
    world.notice()
    world.believes()
