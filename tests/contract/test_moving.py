"""Promises about moving, copying and deleting, checked on every server that can."""

from __future__ import annotations

import pytest

from daemon.errors import CapabilityMissing, FolderMissing
from tests.contract.conftest import Backend
from tests.contract.mails import mail
from tests.support.inventory import all_messages, contents, digest


def test_a_move_moves_exactly_the_named_messages(moving_backend: Backend) -> None:
    """Nothing is lost, doubled or changed; flags and dates go along."""
    backend = moving_backend
    target = backend.folder("Ziel")
    flags = [["\\Seen"], [], ["\\Flagged", "\\Answered"], []]
    uids = [backend.user.append("INBOX", mail(n), flags[n]) for n in range(4)]
    before = all_messages(backend.inventory())
    mailbox = backend.connect()
    mailbox.move("INBOX", _validity(backend), [uids[0], uids[2]], target)
    after = backend.inventory()
    assert all_messages(after) == before
    assert contents(after, "INBOX") == [digest(mail(1)), digest(mail(3))]
    assert sorted(contents(after, target)) == sorted([digest(mail(0)), digest(mail(2))])


def test_a_move_tells_the_new_uids(moving_backend: Backend) -> None:
    """Each old UID leads to the UID under which the same message now lies in the target."""
    backend = moving_backend
    target = backend.folder("Ziel")
    backend.user.append(target, mail(99))
    uids = [backend.user.append("INBOX", mail(number)) for number in range(5)]
    moved = [uids[4], uids[0], uids[3]]
    mailbox = backend.connect()
    mapping = mailbox.move("INBOX", _validity(backend), moved, target)
    assert sorted(mapping) == sorted(moved)
    validity = mailbox.snapshot(target).uid_validity
    for old, new in mapping.items():
        [found] = mailbox.identify(target, validity, [new])
        assert found.message_id == f"mail-{uids.index(old)}@example.org"


def test_a_mapping_is_that_of_the_last_move_only(moving_backend: Backend) -> None:
    """The answer to an earlier move does not show up in a later one."""
    backend = moving_backend
    target = backend.folder("Ziel")
    uids = [backend.user.append("INBOX", mail(number)) for number in range(2)]
    mailbox = backend.connect()
    validity = _validity(backend)
    first = mailbox.move("INBOX", validity, [uids[0]], target)
    nothing = mailbox.move("INBOX", validity, [uids[0]], target)
    second = mailbox.move("INBOX", validity, [uids[1]], target)
    assert list(first) == [uids[0]]
    assert nothing == {}
    assert list(second) == [uids[1]]


def test_a_move_leaves_deleted_messages_of_others_alone(moving_backend: Backend) -> None:
    """Somebody flagged a message \\Deleted: it is not ours to expunge."""
    backend = moving_backend
    target = backend.folder("Ziel")
    ours, theirs = (backend.user.append("INBOX", mail(number)) for number in range(2))
    backend.user.flag("INBOX", [theirs], "\\Deleted")
    before = all_messages(backend.inventory())
    backend.connect().move("INBOX", _validity(backend), [ours], target)
    after = backend.inventory()
    assert all_messages(after) == before
    assert contents(after, "INBOX") == [digest(mail(1))]


def test_a_move_of_messages_that_are_gone_moves_the_rest(moving_backend: Backend) -> None:
    """Missing UIDs are no error and are not in the mapping."""
    backend = moving_backend
    target = backend.folder("Ziel")
    uids = [backend.user.append("INBOX", mail(number)) for number in range(3)]
    backend.user.delete("INBOX", [uids[1]])
    mailbox = backend.connect()
    mapping = mailbox.move("INBOX", _validity(backend), [*uids, uids[2] + 1000], target)
    assert sorted(mapping) == [uids[0], uids[2]]
    assert contents(backend.inventory(), "INBOX") == []


def test_many_messages_can_be_moved_at_once(moving_backend: Backend) -> None:
    """520 messages need two commands; the mapping covers both."""
    backend = moving_backend
    target = backend.folder("Ziel")
    uids = [backend.user.append("INBOX", mail(number)) for number in range(520)]
    before = all_messages(backend.inventory())
    mapping = backend.connect().move("INBOX", _validity(backend), uids, target)
    after = backend.inventory()
    assert sorted(mapping) == uids
    assert len(set(mapping.values())) == 520
    assert contents(after, "INBOX") == []
    assert all_messages(after) == before


def test_a_move_into_a_missing_folder_moves_nothing(moving_backend: Backend) -> None:
    """FolderMissing, everything where it was, no flag set."""
    backend = moving_backend
    uid = backend.user.append("INBOX", mail(1))
    before = backend.inventory()
    mailbox = backend.connect()
    with pytest.raises(FolderMissing):
        mailbox.move("INBOX", _validity(backend), [uid], backend.path("Fehlt"))
    assert backend.inventory() == before


def test_a_move_works_in_a_folder_that_was_opened_for_reading(moving_backend: Backend) -> None:
    """The snapshot opens with EXAMINE, the move needs SELECT: the adapter sees to it."""
    backend = moving_backend
    target = backend.folder("Ziel")
    uid = backend.user.append("INBOX", mail(1))
    mailbox = backend.connect()
    snapshot = mailbox.snapshot("INBOX")
    list(mailbox.fetch("INBOX", snapshot.uid_validity, snapshot.uids, 100))
    mailbox.move("INBOX", snapshot.uid_validity, [uid], target)
    assert mailbox.snapshot("INBOX").uids == ()
    assert contents(backend.inventory(), target) == [digest(mail(1))]


def test_moving_nothing_does_nothing(moving_backend: Backend) -> None:
    """No UIDs: no command, no error, whatever the folder."""
    mailbox = moving_backend.connect()
    assert mailbox.move("INBOX", 1, [], "Fehlt") == {}
    if mailbox.capabilities.uidplus:
        mailbox.expunge("INBOX", 1, [])


def test_a_copy_leaves_the_original(backend: Backend) -> None:
    """Both are there, equal in content, flags and date, and the mapping leads to the copy."""
    target = backend.folder("Ziel")
    uids = [backend.user.append("INBOX", mail(number), ["\\Flagged"]) for number in range(3)]
    before = backend.inventory()
    mailbox = backend.connect()
    mapping = mailbox.copy("INBOX", _validity(backend), [uids[0], uids[2]], target)
    after = backend.inventory()
    assert after["INBOX"] == before["INBOX"]
    assert after[target] == (before["INBOX"][0], before["INBOX"][2])
    assert list(mapping) == [uids[0], uids[2]]
    assert list(mapping.values()) == list(mailbox.snapshot(target).uids)


def test_a_copy_into_a_missing_folder_copies_nothing(backend: Backend) -> None:
    """FolderMissing, and the connection goes on."""
    uid = backend.user.append("INBOX", mail(1))
    before = backend.inventory()
    mailbox = backend.connect()
    with pytest.raises(FolderMissing):
        mailbox.copy("INBOX", _validity(backend), [uid], backend.path("Fehlt"))
    assert backend.inventory() == before
    assert mailbox.snapshot("INBOX").uids == (uid,)


def test_expunge_deletes_only_the_named_messages(moving_backend: Backend) -> None:
    """Messages that somebody else flagged \\Deleted stay where they are, flag and all."""
    backend = moving_backend
    uids = [backend.user.append("INBOX", mail(number)) for number in range(4)]
    backend.user.flag("INBOX", [uids[0], uids[1]], "\\Deleted")
    before = backend.inventory()["INBOX"]
    mailbox = backend.connect()
    if not mailbox.capabilities.uidplus and not mailbox.capabilities.labels:
        with pytest.raises(CapabilityMissing):
            mailbox.expunge("INBOX", _validity(backend), [uids[1], uids[2]])
        assert backend.inventory()["INBOX"] == before
        return
    mailbox.expunge("INBOX", _validity(backend), [uids[1], uids[2]])
    assert backend.inventory()["INBOX"] == (before[0], before[3])


def test_without_move_and_uidplus_nothing_is_even_sent(bare_backend: Backend) -> None:
    """CapabilityMissing comes before the server could complain about folder or UIDVALIDITY."""
    backend = bare_backend
    uid = backend.user.append("INBOX", mail(1))
    before = backend.inventory()
    mailbox = backend.connect()
    assert not mailbox.capabilities.can_move_safely
    with pytest.raises(CapabilityMissing):
        mailbox.move("Fehlt", 1, [uid], "Fehlt auch")
    with pytest.raises(CapabilityMissing):
        mailbox.expunge("Fehlt", 1, [uid])
    with pytest.raises(CapabilityMissing):
        mailbox.wait("Fehlt", 1.0, lambda: False)
    assert backend.inventory() == before


def _validity(backend: Backend) -> int:
    return backend.connect().snapshot("INBOX").uid_validity
