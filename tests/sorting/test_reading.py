"""A message that ends the process, or that the server cannot deliver, does so at most twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from classifier.mail import Mail
from daemon.errors import MailboxUnreachable, ProtocolViolated
from daemon.sorting.deciding import UNREADABLE
from daemon.sorting.reading import MAX_ATTEMPTS, hopeless
from daemon.store.tables import Action
from tests.sorting.world import Killed, World
from tests.support.inventory import all_messages
from tests.support.judges import SubjectJudge


def poisoned(monkeypatch: pytest.MonkeyPatch, subject: str, death: BaseException) -> list[int]:
    """Whoever makes features of this mail dies; returns the sizes of all batches."""
    sizes: list[int] = []
    features = SubjectJudge.features

    def fatal(self: SubjectJudge, mails: Sequence[Mail]) -> list[bytes]:
        sizes.append(len(mails))
        if any(mail.subject == subject for mail in mails):
            raise death
        return features(self, mails)

    monkeypatch.setattr(SubjectJudge, "features", fatal)
    return sizes


@pytest.mark.parametrize("death", [Killed(), MemoryError(), RecursionError()])
def test_a_deadly_mail_is_left_unread_after_two_attempts(
    world: World, monkeypatch: pytest.MonkeyPatch, death: BaseException
) -> None:
    """The second attempt reads it alone, so that its neighbours are sorted; the third pass
    does not touch it, and says so."""
    world.deliver("Rechnungen 1", "Gift 2", "Rechnungen 3")
    world.notice()
    before = world.server.inventory()
    sizes = poisoned(monkeypatch, "Gift 2", death)
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(type(death)):
            world.sort()
    found = world.sort()
    assert found.by_action.get(Action.UNREADABLE) == 1
    assert world.sort().seen == 0
    assert world.where("Gift 2") == ["INBOX"]
    assert world.where("Rechnungen 1") == world.where("Rechnungen 3") == ["Rechnungen"]
    assert sizes == [3, 1, 1, 1]
    assert world.mails() == all_messages(before)
    [unreadable] = [d for d in world.decisions() if d.action is Action.UNREADABLE]
    assert (unreadable.folder, unreadable.probability) == (None, None)
    assert unreadable.reason == UNREADABLE


def test_a_lost_connection_is_nobodys_fault(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it breaks while mail is read, the mail stays readable."""
    world.deliver("Rechnungen 1")
    world.notice()
    for _ in range(MAX_ATTEMPTS + 1):
        mailbox = world.server.connect()
        monkeypatch.setattr(mailbox, "fetch", failing(MailboxUnreachable("gone")))
        with pytest.raises(MailboxUnreachable):
            world.sort(mailbox)
    assert world.sort().moved == 1


def test_a_message_that_the_server_cannot_deliver_is_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer against the protocol counts: else one message would stop all sorting for ever."""
    world.deliver("Rechnungen 1")
    world.notice()
    for _ in range(MAX_ATTEMPTS):
        mailbox = world.server.connect()
        monkeypatch.setattr(mailbox, "fetch", failing(ProtocolViolated("too much")))
        with pytest.raises(ProtocolViolated):
            world.sort(mailbox)
    assert world.sort().by_action == {Action.UNREADABLE: 1}


def failing(error: Exception) -> Any:
    """A method that fails."""

    def call(*_arguments: object) -> None:
        raise error

    return call


def test_nothing_is_left_over_when_all_was_read(world: World) -> None:
    """The record of attempts is empty between passes."""
    world.deliver(*(f"Hallo {number}" for number in range(5)))
    world.cycle()
    with world.store.read() as work:
        assert work.attempts.counts(range(100)) == {}
    assert hopeless(world.store, range(100)) == set()
