"""An original goes only for a proven copy; late copies; mail from before the inventory."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import CommandRefused, MailboxUnreachable
from daemon.sorting import renumber
from daemon.sorting.mover import CARRIED_OUT_LATE
from daemon.store.tables import Action, ArrivedBy, MoveState
from tests.sorting.world import Killed, World
from tests.support.fake_mailbox import FakeServer

MAIL = "Rechnungen 1"
COPYING: dict[str, dict[str, Any]] = {
    "ids": {"hidden": ("MOVE",)},
    "no-ids": {"hidden": ("MOVE",), "server_ids": None},
    "no-copyuid": {"hidden": ("MOVE",), "server_ids": None, "copyuid": False},
}


@pytest.fixture(params=COPYING)
def copying(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Servers without MOVE."""
    world = World(tmp_path, FakeServer(**COPYING[request.param]))
    world.notice()
    return world


def give_up_a_copy(world: World) -> None:
    """The command is under way when the connection breaks; inboxd looks, and finds nothing."""
    world.deliver(MAIL)
    world.notice()
    world.server.fail("copy", when="late")
    with pytest.raises(MailboxUnreachable):
        world.sort()
    world.settle()
    assert world.states() == [MoveState.CANCELLED]


def test_a_copy_made_late_is_finished_before_anything_is_decided_anew(copying: World) -> None:
    """It is carried out between two passes: the original goes, one mail is left."""
    give_up_a_copy(copying)
    before = copying.mails()
    assert copying.server.run_late() == 1

    found = copying.cycle()

    assert found.seen == 0
    assert copying.where(MAIL) == ["Rechnungen"]
    assert copying.mails() == before
    assert copying.states() == [MoveState.MOVED]
    assert [p.arrived_by for p in copying.placements("Rechnungen")] == [ArrivedBy.INBOXD]
    assert copying.corrections() == []
    copying.believes()


def test_a_copy_made_late_counts_for_the_second_attempt(copying: World) -> None:
    """It is carried out just before the second COPY, which then is not sent."""
    give_up_a_copy(copying)
    before = copying.mails()
    copying.notice()
    copying.server.run_late()

    copying.sort()

    assert copying.where(MAIL) == ["Rechnungen"]
    assert copying.mails() == before
    assert copying.server.calls.count("copy") == 1
    copying.believes()


def test_a_copy_made_after_the_second_attempt_finds_nothing_to_copy(copying: World) -> None:
    """The original is gone by then."""
    give_up_a_copy(copying)
    before = copying.mails()
    copying.cycle()
    copying.server.run_late()
    copying.cycle()
    assert copying.where(MAIL) == ["Rechnungen"]
    assert copying.mails() == before
    copying.believes()


def test_a_copy_that_was_refused_and_made_all_the_same_is_finished(copying: World) -> None:
    """The server said NO, and carries it out later: one mail is left, where it should have gone."""
    copying.deliver(MAIL)
    before = copying.mails()
    copying.server.fail("copy", when="late", error=CommandRefused("try later"))
    copying.cycle()
    assert copying.states() == [MoveState.FAILED]
    assert copying.server.run_late() == 1

    copying.cycle()

    assert copying.where(MAIL) == ["Rechnungen"]
    assert copying.mails() == before
    assert copying.states() == [MoveState.MOVED]
    [decision] = copying.decisions()
    assert (decision.action, decision.reason) == (Action.MOVED, CARRIED_OUT_LATE)
    assert [move.error for move in copying.moves()] == [None]
    assert copying.corrections() == []
    copying.believes()


def test_a_copy_that_is_seen_before_its_plan_is_settled_is_that_plans(copying: World) -> None:
    """Killed right after COPY; whoever looks first, no second copy is made."""
    copying.deliver(MAIL)
    before = copying.mails()
    copying.notice()
    with pytest.raises(Killed):
        copying.sort(copying.dying("copy", "after"))
    copying.notice()
    copying.settle()
    copying.cycle()
    assert copying.where(MAIL) == ["Rechnungen"]
    assert copying.mails() == before
    copying.believes()


def test_a_refused_copy_is_finished_under_new_numbers_too(copying: World) -> None:
    """The inbox is renumbered before the copy appears."""
    copying.deliver(MAIL)
    before = copying.mails()
    copying.server.fail("copy", when="late", error=CommandRefused("try later"))
    copying.cycle()
    copying.renumber("INBOX")
    copying.cycle()
    copying.server.run_late()
    copying.cycle()
    assert copying.mails() == before
    copying.believes()


def test_a_copy_by_hand_long_after_a_broken_attempt_stays_a_copy(copying: World) -> None:
    """After an hour nothing is late any more: what a person copies is hers, and so is the
    original."""
    give_up_a_copy(copying)
    copying.tick(hours=2)
    copying.server.copy("INBOX", [1], "Rechnungen")
    copying.notice()
    copying.settle()
    assert copying.where(MAIL) == ["INBOX", "Rechnungen"]


def test_a_twin_that_came_another_way_does_not_cost_the_original(tmp_path: Path) -> None:
    """Killed between plan and command while a person moves the equal mail into the same folder:
    on servers without ids it looks like the copy."""
    for number, kind in enumerate(COPYING.values()):
        directory = tmp_path / str(number)
        directory.mkdir()
        world = World(directory, FakeServer(**kind))
        world.notice()
        world.deliver(MAIL, MAIL)
        before = world.mails()
        world.notice()
        with pytest.raises(Killed):
            world.sort(world.dying("copy", "before"))
        twin = world.uid(MAIL, "INBOX")
        world.server.move("INBOX", [twin], "Rechnungen")
        for _ in range(3):
            world.cycle()
        assert world.mails() == before
        world.believes()


def test_an_equal_mail_delivered_into_the_target_does_not_cost_the_original(
    tmp_path: Path,
) -> None:
    """No twin is known, but the server received it at another time."""
    world = World(tmp_path, FakeServer(hidden=("MOVE",), server_ids=None))
    world.notice()
    world.deliver(MAIL)
    world.notice()
    with pytest.raises(Killed):
        world.sort(world.dying("copy", "before"))
    world.deliver(MAIL, folder="Rechnungen")
    before = world.mails()
    for _ in range(3):
        world.cycle()
    assert world.mails() == before


def test_mail_from_before_the_inventory_is_not_new(any_world: World) -> None:
    """Fetched by a person out of an archive whose old mail is not watched: it stays."""
    old = any_world.now - timedelta(days=30)
    server = any_world.server
    content = f"Subject: {MAIL}\r\nMessage-ID: <old@example.org>\r\n\r\nx\r\n".encode()
    uid = server.append("Trash", content, internal_date=old)
    any_world.notice()
    server.move("Trash", [uid], "INBOX")

    found = any_world.cycle()

    assert found.seen == 0
    assert any_world.where(MAIL) == ["INBOX"]


def test_a_date_that_cannot_be_read_says_nothing(any_world: World) -> None:
    """A server that sends no readable INTERNALDATE has its mail sorted all the same."""
    content = f"Subject: {MAIL}\r\nMessage-ID: <odd@example.org>\r\n\r\nx\r\n".encode()
    epoch = any_world.now.fromtimestamp(0, any_world.now.tzinfo)
    any_world.server.append("INBOX", content, internal_date=epoch)
    assert any_world.cycle().moved == 1
    assert [d.action for d in any_world.decisions()] == [Action.MOVED]


def test_new_numbers_are_taken_over_in_short_transactions(
    any_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another UIDVALIDITY: every message keeps its row, its origin and its history; a process
    killed half-way goes on where it stopped."""
    monkeypatch.setattr(renumber, "CHUNK", 2)
    any_world.deliver(*(f"Rechnungen {n}" for n in range(7)))
    any_world.cycle()
    known = {p.message_id: p.arrived_by for p in any_world.placements("Rechnungen")}
    any_world.renumber("Rechnungen")
    chunks = []

    def dying(*args: Any) -> None:
        chunks.append(args)
        if len(chunks) == 2:
            raise Killed
        take_over(*args)

    take_over = renumber._renumber
    monkeypatch.setattr(renumber, "_renumber", dying)
    with pytest.raises(Killed):
        any_world.notice()
    any_world.notice()

    assert {p.message_id: p.arrived_by for p in any_world.placements("Rechnungen")} == known
    assert len(chunks) == 2 + 3
    assert any_world.corrections() == []
    any_world.believes()


RENUMBERED = pytest.mark.parametrize(
    "folders", [("INBOX",), ("Rechnungen",), ("INBOX", "Rechnungen")], ids="+".join
)


@RENUMBERED
def test_a_renumbering_between_copy_and_expunge_leaves_one_mail(
    folders: tuple[str, ...], copying: World
) -> None:
    """The connection breaks before EXPUNGE, then the folders get new UIDVALIDITYs: original and
    copy are found again under their new numbers, and the move is finished."""
    copying.deliver("Hallo", MAIL)
    copying.deliver("Rechnungen 2", folder="Rechnungen")
    copying.notice()
    before = copying.mails()
    copying.server.fail("expunge", when="before")
    with pytest.raises(MailboxUnreachable):
        copying.sort()
    assert copying.where(MAIL) == ["INBOX", "Rechnungen"]
    for folder in folders:
        copying.renumber(folder)

    copying.cycle()

    assert copying.where(MAIL) == ["Rechnungen"]
    assert copying.mails() == before
    assert copying.states() == [MoveState.MOVED]
    assert copying.corrections() == []
    copying.cycle()
    copying.believes()


@RENUMBERED
def test_a_renumbering_before_a_late_copy_leaves_one_mail(
    folders: tuple[str, ...], copying: World
) -> None:
    """A copy that was given up is carried out after the folders got new UIDVALIDITYs."""
    give_up_a_copy(copying)
    before = copying.mails()
    for folder in folders:
        copying.renumber(folder)
    copying.notice()
    copying.server.copy("INBOX", copying.server.uids("INBOX"), "Rechnungen")

    copying.cycle()
    copying.cycle()

    assert copying.where(MAIL) == ["Rechnungen"]
    assert copying.mails() == before
    assert copying.corrections() == []
    copying.believes()


@RENUMBERED
def test_a_renumbering_after_a_move_without_answer_is_no_move_of_a_person(
    folders: tuple[str, ...], any_world: World
) -> None:
    """MOVE was carried out and its answer lost: the mail is found under its new number, and
    nothing is learned."""
    any_world.deliver(MAIL)
    any_world.notice()
    any_world.server.fail("move", when="after")
    with pytest.raises(MailboxUnreachable):
        any_world.sort()
    for folder in folders:
        any_world.renumber(folder)

    any_world.cycle()

    assert any_world.where(MAIL) == ["Rechnungen"]
    assert any_world.states() == [MoveState.MOVED]
    assert any_world.corrections() == []
    any_world.believes()


def test_a_renumbering_between_plan_and_command_only_delays(any_world: World) -> None:
    """The server refuses to act under the old numbers; the next pass sorts under the new ones."""
    any_world.deliver(MAIL)
    any_world.notice()
    with pytest.raises(Killed):
        any_world.sort(any_world.dying("move", "before"))
    any_world.renumber("INBOX")
    any_world.cycle()
    any_world.cycle()
    assert any_world.where(MAIL) == ["Rechnungen"]
    any_world.believes()


def test_numbers_that_change_twice_between_two_looks_are_followed(copying: World) -> None:
    """Killed after the plan was settled under the second numbers, before the next look."""
    copying.deliver("Hallo", MAIL)
    copying.notice()
    before = copying.mails()
    copying.server.fail("expunge", when="before")
    with pytest.raises(MailboxUnreachable):
        copying.sort()
    copying.renumber("INBOX")
    copying.settle()
    copying.renumber("INBOX")
    copying.cycle()
    assert copying.mails() == before
    assert copying.where("Hallo") == ["INBOX"]
    copying.believes()
