"""Promises about waiting for changes, checked on every server with IDLE.

`stopped` is asked at least once a second while waiting, so the tests let other people act
from inside it: no threads, no sleeping.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.contract.conftest import Backend
from tests.contract.mails import mail

_LONG = 60.0


class Meanwhile:
    """A `stopped` that lets something happen once, and gives up only after many looks."""

    def __init__(self, *actions: Callable[[], object], looks: int = 100) -> None:
        self._actions = list(actions)
        self._looks = looks

    def __call__(self) -> bool:
        if self._actions:
            self._actions.pop(0)()
        self._looks -= 1
        return self._looks < 0


def test_waiting_ends_when_a_message_arrives(moving_backend: Backend) -> None:
    """Delivery while the connection is idle wakes it, and the message is there."""
    backend = moving_backend
    mailbox = backend.connect()
    mailbox.snapshot("INBOX")
    arrival = Meanwhile(lambda: None, lambda: backend.user.append("INBOX", mail(1)))
    assert mailbox.wait("INBOX", _LONG, arrival)
    assert len(mailbox.snapshot("INBOX").uids) == 1


def test_waiting_ends_when_a_message_leaves(moving_backend: Backend) -> None:
    """Somebody moves a message out of the folder."""
    backend = moving_backend
    target = backend.folder("Ziel")
    uid = backend.user.append("INBOX", mail(1))
    mailbox = backend.connect()
    mailbox.snapshot("INBOX")

    # pymap tells of a departure only when IDLE ends: few looks, then.
    def move() -> object:
        return backend.user.move("INBOX", [uid], target)

    departure = Meanwhile(lambda: None, move, looks=10)
    assert mailbox.wait("INBOX", _LONG, departure)
    assert mailbox.snapshot("INBOX").uids == ()


def test_a_change_before_the_waiting_is_not_slept_through(moving_backend: Backend) -> None:
    """What arrives between snapshot and wait ends the waiting at once."""
    backend = moving_backend
    mailbox = backend.connect()
    mailbox.snapshot("INBOX")
    backend.user.append("INBOX", mail(1))
    assert mailbox.wait("INBOX", _LONG, Meanwhile())


def test_a_change_seen_by_another_command_still_counts(moving_backend: Backend) -> None:
    """The server tells a session only once; another command may have swallowed it."""
    backend = moving_backend
    first = backend.user.append("INBOX", mail(1))
    mailbox = backend.connect()
    validity = mailbox.snapshot("INBOX").uid_validity
    backend.user.append("INBOX", mail(2))
    mailbox.identify("INBOX", validity, [first])
    assert mailbox.wait("INBOX", _LONG, Meanwhile())


def test_waiting_stops_on_request(moving_backend: Backend) -> None:
    """`stopped` ends it long before the time is up; the connection can be used afterwards."""
    backend = moving_backend
    mailbox = backend.connect()
    mailbox.snapshot("INBOX")
    assert not mailbox.wait("INBOX", _LONG, Meanwhile(looks=2))
    uid = backend.user.append("INBOX", mail(1))
    assert mailbox.snapshot("INBOX").uids == (uid,)


def test_waiting_ends_when_the_time_is_up(moving_backend: Backend) -> None:
    """Nothing happened: False, also for no time at all."""
    mailbox = moving_backend.connect()
    mailbox.snapshot("INBOX")
    assert not mailbox.wait("INBOX", 0.2, lambda: False)
    assert not mailbox.wait("INBOX", 0.0, lambda: False)


def test_an_empty_folder_has_no_news_however_late_it_is_asked(moving_backend: Backend) -> None:
    """Courier gives it another UIDVALIDITY with each second."""
    mailbox = moving_backend.connect()
    mailbox.snapshot("INBOX")
    assert not any(mailbox.wait("INBOX", 0.4, lambda: False) for _ in range(3))


def test_a_change_in_another_folder_does_not_end_the_waiting(moving_backend: Backend) -> None:
    """Only the folder that is waited for counts."""
    backend = moving_backend
    other = backend.folder("Anderswo")
    mailbox = backend.connect()
    mailbox.snapshot("INBOX")
    elsewhere = Meanwhile(lambda: None, lambda: backend.user.append(other, mail(1)), looks=6)
    assert not mailbox.wait("INBOX", _LONG, elsewhere)
