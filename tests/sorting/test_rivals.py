"""Another client moves the same mail in the same moment: one copy stays, whoever made it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import CommandRefused
from daemon.mailbox.port import Mailbox
from daemon.store.tables import Action, ArrivedBy, MoveState
from tests.sorting.world import DyingMailbox, Killed, World
from tests.support.fake_mailbox import FakeServer

MAIL = "Rechnungen 1"


def nothing() -> None:
    """The other client does nothing."""


class CrowdedMailbox:
    """A connection beside which another client acts, just before or after a command (`around`)."""

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        before: Callable[[], object] = nothing,
        after: Callable[[], object] = nothing,
        named: dict[int, int] | None = None,
        labels: bool = False,
        around: tuple[str, ...] = ("move", "copy"),
    ) -> None:
        self._mailbox, self._labels, self._around = mailbox, labels, around
        self._before, self._after, self._named = before, after, named

    def __getattr__(self, name: str) -> Any:
        """The real method, with the other client's acts around a move."""
        found = getattr(self._mailbox, name)
        if name == "capabilities":
            return replace(found, labels=self._labels)
        if name not in self._around:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._before()
            mapping = found(*args, **kwargs)
            self._after()
            return mapping if self._named is None else self._named

        return call


def crowded(world: World, mailbox: Mailbox | None = None, **acts: Any) -> Mailbox:
    """A new connection to a world in which somebody else acts."""
    wrapped: Any = CrowdedMailbox(mailbox or world.server.connect(), **acts)
    found: Mailbox = wrapped
    return found


def copies(world: World) -> None:
    """The other session copies the mail; it has not expunged it yet."""
    world.server.copy("INBOX", [world.uid(MAIL, "INBOX")], "Rechnungen")


def copies_and_flags(world: World) -> None:
    """The same without MOVE: it has flagged the original already."""
    copies(world)
    world.server.flag("INBOX", [world.uid(MAIL, "INBOX")], "\\Deleted")


def copies_again(world: World) -> None:
    """The other session had the mail in hand before it went: its copy comes second."""
    world.server.copy("Rechnungen", [world.uid(MAIL, "Rechnungen")], "Rechnungen")


def uids(world: World) -> list[int]:
    """What lies in the target."""
    return list(world.server.folder("Rechnungen").messages)


def test_whoever_comes_second_takes_its_copy_back(any_world: World) -> None:
    """One mail is left, which counts as moved, and is no lesson."""
    any_world.deliver(MAIL)
    before = any_world.mails()
    any_world.notice()

    any_world.sort(crowded(any_world, before=lambda: copies(any_world)))

    assert any_world.mails() == before
    [move] = any_world.moves()
    assert (move.state, move.target_uid) == (MoveState.MOVED, 1)
    assert [d.action for d in any_world.decisions()] == [Action.MOVED]
    assert [p.arrived_by for p in any_world.placements("Rechnungen")] == [ArrivedBy.INBOXD]
    assert any_world.notice().noticed == []
    any_world.believes()


@pytest.mark.parametrize("hidden", [(), ("MOVE",)])
@pytest.mark.parametrize("server_ids", ["guid", None])
def test_the_other_may_have_copied_before_the_move_was_planned(
    hidden: tuple[str, ...], server_ids: Any, tmp_path: Path
) -> None:
    """It copies, inboxd plans and moves, and only then would the other expunge the original."""
    world = World(tmp_path, FakeServer(hidden=hidden, server_ids=server_ids))
    world.notice()
    world.deliver(MAIL)
    before = world.mails()
    world.notice()

    world.sort(crowded(world, before=lambda: copies(world), around=("status",)))

    assert uids(world) == [1]
    assert world.mails() == before
    assert world.states() == [MoveState.MOVED]
    assert world.examples() == []
    world.believes()


def test_what_is_about_to_go_is_no_reason_to_go(any_world: World) -> None:
    """A person sees the mail twice and deletes the other's copy in this moment: the own one is
    then the last, and stays."""
    any_world.deliver(MAIL)
    before = any_world.mails()
    any_world.notice()
    connection = crowded(any_world, before=lambda: copies(any_world))
    seen = 0

    def delete_after_the_look() -> None:
        nonlocal seen
        seen += 1
        if uids(any_world) == [1, 2]:
            any_world.server.flag("Rechnungen", [1], "\\Deleted")

    any_world.sort(
        crowded(any_world, connection, after=delete_after_the_look, around=("snapshot",))
    )

    assert seen > 0
    assert 2 in uids(any_world)
    any_world.server.delete("Rechnungen", [1])
    assert any_world.mails() == before


def test_whoever_comes_first_leaves_the_other_alone(any_world: World) -> None:
    """The other takes its copy back; here nothing is expunged, and nothing learned."""
    any_world.deliver(MAIL)
    before = any_world.mails()
    any_world.notice()

    any_world.sort(crowded(any_world, after=lambda: copies_again(any_world)))

    assert uids(any_world) == [1, 2]
    assert "expunge" not in any_world.server.calls
    any_world.server.delete("Rechnungen", [2])
    any_world.cycle()
    assert any_world.mails() == before
    assert any_world.corrections() == []
    any_world.believes()


@pytest.mark.parametrize("acts", [copies, copies_and_flags])
@pytest.mark.parametrize("server_ids", ["guid", None])
def test_without_move_a_copy_goes_though_it_is_flagged(
    acts: Callable[[World], None], server_ids: Any, tmp_path: Path
) -> None:
    """COPY keeps flags: made between the other's STORE and EXPUNGE, the own copy carries
    \\Deleted, and no search shows it."""
    world = World(tmp_path, FakeServer(hidden=("MOVE",), server_ids=server_ids))
    world.notice()
    world.deliver(MAIL)
    before = world.mails()
    world.notice()

    world.sort(crowded(world, before=lambda: acts(world)))

    assert uids(world) == [1]
    assert world.mails() == before
    assert world.states() == [MoveState.MOVED]
    world.believes()


def test_without_copyuid_both_stay(tmp_path: Path) -> None:
    """Nobody knows which copy is whose."""
    world = World(tmp_path, FakeServer(copyuid=False))
    world.notice()
    world.deliver(MAIL)
    world.notice()

    world.sort(crowded(world, before=lambda: copies(world)))

    assert uids(world) == [1, 2]
    assert world.states() == [MoveState.MOVED]


def test_where_folders_are_labels_nothing_is_taken_back(world: World) -> None:
    """Gmail keeps a mail once, whatever numbers it tells: taking its label off would hide it."""
    world.deliver(MAIL)
    world.notice()

    world.sort(crowded(world, before=lambda: copies(world), labels=True))

    assert "expunge" not in world.server.calls
    assert world.states() == [MoveState.MOVED]


def test_a_twin_is_no_rival(tmp_path: Path) -> None:
    """Two equal mails, where the server does not tell them apart: a person files one while the
    other is moved, and both stay."""
    world = World(tmp_path, FakeServer(server_ids=None))
    world.notice()
    world.deliver(MAIL)
    original = world.server.folder("INBOX").messages[1]
    world.server.append("INBOX", original.content, internal_date=original.internal_date)
    before = world.mails()
    world.notice()

    world.sort(crowded(world, before=lambda: world.server.move("INBOX", [2], "Rechnungen")))

    assert uids(world) == [1, 2]
    assert world.mails() == before


def test_a_copy_of_another_time_is_no_rival(tmp_path: Path) -> None:
    """The same content, uploaded in this moment by a client that gives it another date."""
    world = World(tmp_path, FakeServer(server_ids=None))
    world.notice()
    world.deliver(MAIL)
    content = world.server.folder("INBOX").messages[1].content
    world.notice()

    world.sort(crowded(world, before=lambda: world.server.append("Rechnungen", content)))

    assert uids(world) == [1, 2]


def test_a_wrong_copyuid_costs_nobody_a_mail(world: World) -> None:
    """A server names another mail there: it is looked at, and stays."""
    world.deliver("Hallo", folder="Rechnungen")
    world.server.folder("Rechnungen").uid_next = 9
    world.deliver("Hallo 2", folder="Rechnungen")
    world.notice()
    world.deliver(MAIL)
    world.notice()
    world.server.folder("Rechnungen").uid_next = 5

    world.sort(crowded(world, before=lambda: copies(world), named={1: 9}))

    assert world.where("Hallo 2") == ["Rechnungen"]
    assert 9 in uids(world)


def test_a_refused_expunge_leaves_both(any_world: World) -> None:
    """A message too many is a nuisance; the move is made all the same."""
    any_world.deliver(MAIL)
    any_world.notice()
    any_world.server.fail("expunge", error=CommandRefused("NO", code="NOPERM"))

    any_world.sort(crowded(any_world, before=lambda: copies(any_world)))

    assert uids(any_world) == [1, 2]
    assert any_world.states() == [MoveState.MOVED]
    any_world.cycle()
    assert any_world.corrections() == []
    assert {p.arrived_by for p in any_world.placements("Rechnungen")} == {ArrivedBy.INBOXD}
    any_world.believes()


def test_a_refused_expunge_of_the_original_is_no_reason_to_leave_both(tmp_path: Path) -> None:
    """Without MOVE: what was copied is known all the same, and the original goes with the second
    try."""
    world = World(tmp_path, FakeServer(hidden=("MOVE",)))
    world.notice()
    world.deliver(MAIL)
    before = world.mails()
    world.notice()
    world.server.fail("expunge", error=CommandRefused("NO", code="INUSE"))

    world.sort(crowded(world, before=lambda: copies(world)))

    assert world.mails() == before
    assert uids(world) == [1]
    assert world.states() == [MoveState.MOVED]


@pytest.mark.parametrize(("when", "left"), [("before", [1, 2]), ("after", [1])])
def test_killed_while_giving_way_nothing_is_lost(
    any_world: World, when: str, left: list[int]
) -> None:
    """The next start finds the mail where it is; killed before the command, both stay."""
    any_world.deliver(MAIL)
    any_world.notice()
    dying: Any = DyingMailbox(any_world.server.connect(), "expunge", when)
    with pytest.raises(Killed):
        any_world.sort(crowded(any_world, dying, before=lambda: copies(any_world)))

    any_world.cycle()

    assert uids(any_world) == left
    assert any_world.states() == [MoveState.MOVED]
    assert any_world.corrections() == []
    any_world.believes()
