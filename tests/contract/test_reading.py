"""Promises about folders and reading, checked on every server."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from daemon.errors import FolderChanged, FolderMissing, MailboxUnreachable
from daemon.mailbox.port import MessageIdentity
from tests.contract.conftest import Backend
from tests.contract.mails import mail
from tests.support.inventory import all_messages


def test_an_empty_inbox_has_an_empty_snapshot(backend: Backend) -> None:
    """No UIDs, and a first UID to come."""
    snapshot = backend.connect().snapshot("INBOX")
    assert snapshot.uids == ()
    assert snapshot.uid_next >= 1


def test_a_snapshot_lists_uids_in_ascending_order(backend: Backend) -> None:
    """What was delivered is there, oldest first, below UIDNEXT."""
    uids = [backend.user.append("INBOX", mail(number)) for number in range(4)]
    snapshot = backend.connect().snapshot("INBOX")
    assert list(snapshot.uids) == sorted(uids)
    assert snapshot.uid_next > max(uids)


def test_a_snapshot_leaves_out_messages_flagged_deleted(backend: Backend) -> None:
    """For people such a message is gone, whether expunged or not."""
    kept, deleted = (backend.user.append("INBOX", mail(number)) for number in range(2))
    backend.user.flag("INBOX", [deleted], "\\Deleted")
    assert backend.connect().snapshot("INBOX").uids == (kept,)


def test_a_second_snapshot_of_an_open_folder_is_fresh(backend: Backend) -> None:
    """UIDs and UIDNEXT follow what another client does meanwhile."""
    first = backend.user.append("INBOX", mail(1))
    mailbox = backend.connect()
    before = mailbox.snapshot("INBOX")
    second = backend.user.append("INBOX", mail(2))
    backend.user.delete("INBOX", [first])
    after = mailbox.snapshot("INBOX")
    assert after.uids == (second,)
    assert second >= before.uid_next
    assert after.uid_next > second


def test_a_late_message_has_a_uid_from_uidnext_on(backend: Backend) -> None:
    """What a snapshot did not see can be asked for from its UIDNEXT on."""
    backend.user.append("INBOX", mail(1))
    snapshot = backend.connect().snapshot("INBOX")
    assert backend.user.append("INBOX", mail(2)) >= snapshot.uid_next


def test_reading_changes_nothing(backend: Backend) -> None:
    """No message becomes \\Seen, loses a flag, moves or multiplies by being read."""
    for number in range(3):
        backend.user.append("INBOX", mail(number), ["\\Flagged"] if number else [])
    before = backend.inventory()
    mailbox = backend.connect()
    mailbox.folders()
    mailbox.status("INBOX")
    snapshot = mailbox.snapshot("INBOX")
    mailbox.identify("INBOX", snapshot.uid_validity, snapshot.uids)
    list(mailbox.fetch("INBOX", snapshot.uid_validity, snapshot.uids, 10_000))
    if mailbox.capabilities.idle:
        mailbox.wait("INBOX", 0.1, lambda: False)
    mailbox.close()
    assert backend.inventory() == before


def test_missing_uids_are_left_out(backend: Backend) -> None:
    """UIDs that never existed or do not exist any more give no result and no error."""
    uids = [backend.user.append("INBOX", mail(number)) for number in range(3)]
    backend.user.delete("INBOX", [uids[1]])
    mailbox = backend.connect()
    validity = mailbox.snapshot("INBOX").uid_validity
    asked = [*uids, max(uids) + 1000]
    kept = [uids[0], uids[2]]
    assert [found.uid for found in mailbox.identify("INBOX", validity, asked)] == kept
    fetched = mailbox.fetch("INBOX", validity, asked, 100)
    assert [found.identity.uid for found in fetched] == kept


def test_a_message_that_vanishes_while_the_folder_is_open_is_left_out(backend: Backend) -> None:
    """Another client expunges between snapshot and fetch."""
    uids = [backend.user.append("INBOX", mail(number)) for number in range(3)]
    mailbox = backend.connect()
    snapshot = mailbox.snapshot("INBOX")
    backend.user.delete("INBOX", uids[:2])
    fetched = mailbox.fetch("INBOX", snapshot.uid_validity, snapshot.uids, 100)
    assert [found.identity.uid for found in fetched] == uids[2:]


def test_a_message_that_arrives_while_the_folder_is_open_is_found(backend: Backend) -> None:
    """It must not pass for missing because the session has not been told of it yet."""
    mailbox = backend.connect()
    validity = mailbox.snapshot("INBOX").uid_validity
    uid = backend.user.append("INBOX", mail(1))
    assert [found.uid for found in mailbox.identify("INBOX", validity, [uid])] == [uid]


def test_no_uids_give_no_results(backend: Backend) -> None:
    """Empty in, empty out, whatever the UIDVALIDITY."""
    mailbox = backend.connect()
    assert mailbox.identify("INBOX", 1, []) == []
    assert list(mailbox.fetch("INBOX", 1, [], 100)) == []
    assert mailbox.copy("INBOX", 1, [], "INBOX") == {}


def test_an_identity_tells_thread_date_and_size(backend: Backend) -> None:
    """Message-ID, ancestors (nearest first), INTERNALDATE and size are those of the message."""
    fields = (
        "In-Reply-To: <parent@example.org>\r\n"
        "References: <root@example.org>\r\n <middle@example.org> <parent@example.org>\r\n"
    )
    content = mail(7, fields=fields)
    arrived = datetime(2026, 1, 5, 7, 30, tzinfo=UTC)
    uid = backend.user.append("INBOX", content, (), arrived)
    identity = _identity(backend, "INBOX", uid)
    assert identity.message_id == "mail-7@example.org"
    ancestors = ("parent@example.org", "middle@example.org", "root@example.org")
    assert identity.references == ancestors
    assert identity.internal_date == arrived
    assert identity.internal_date.tzinfo is not None
    assert identity.size == len(content)


def test_a_fingerprint_survives_copying_and_uploading(backend: Backend) -> None:
    """Wherever and however a message comes back, its fingerprint is the same."""
    target = backend.folder("Ziel")
    content = mail(1, named=False)
    uid = backend.user.append("INBOX", content)
    backend.user.copy("INBOX", [uid], target)
    uploaded = backend.user.append(target, content)
    mailbox = backend.connect()
    copied = mailbox.snapshot(target).uids[0]
    original = _identity(backend, "INBOX", uid)
    assert _identity(backend, target, copied).fingerprint == original.fingerprint
    assert _identity(backend, target, uploaded).fingerprint == original.fingerprint


def test_different_messages_have_different_fingerprints(backend: Backend) -> None:
    """Also when they differ only in their size, as mails of one form do."""
    first = backend.user.append("INBOX", mail(1, body="Rechnung 10\r\n"))
    second = backend.user.append("INBOX", mail(1, body="Rechnung 100\r\n"))
    assert _identity(backend, "INBOX", first) != _identity(backend, "INBOX", second)
    fingerprints = {_identity(backend, "INBOX", uid).fingerprint for uid in (first, second)}
    assert len(fingerprints) == 2


def test_a_server_id_survives_a_move(backend: Backend) -> None:
    """Where there is a server id it stays with the message."""
    target = backend.folder("Ziel")
    uid = backend.user.append("INBOX", mail(1))
    before = _identity(backend, "INBOX", uid)
    backend.user.move("INBOX", [uid], target)
    after = _identity(backend, target, backend.connect().snapshot(target).uids[0])
    assert after.server_id == before.server_id
    assert (before.server_id is None) == (backend.connect().capabilities.server_id is None)


def test_fetch_and_identify_agree_on_the_identity(backend: Backend) -> None:
    """The identity is that of the whole message, however little of it is fetched."""
    uid = backend.user.append("INBOX", mail(1, body="Zeile\r\n" * 1000))
    mailbox = backend.connect()
    validity = mailbox.snapshot("INBOX").uid_validity
    identified = mailbox.identify("INBOX", validity, [uid])
    fetched = [found.identity for found in mailbox.fetch("INBOX", validity, [uid], 5)]
    assert fetched == identified


@pytest.mark.parametrize(
    ("max_bytes", "truncated"), [(0, True), (9, True), (10, False), (11, False), (99_999, False)]
)
def test_fetch_cuts_the_body_and_says_so(backend: Backend, max_bytes: int, truncated: bool) -> None:
    """The whole header and at most `max_bytes` of the body; exactly fitting is not cut."""
    body = "12345678\r\n"
    content = mail(1, body=body)
    uid = backend.user.append("INBOX", content)
    mailbox = backend.connect()
    validity = mailbox.snapshot("INBOX").uid_validity
    [found] = mailbox.fetch("INBOX", validity, [uid], max_bytes)
    header = content[: -len(body)]
    assert found.content == header + body.encode()[:max_bytes]
    assert found.truncated is truncated


def test_a_message_without_a_body_can_be_fetched(backend: Backend) -> None:
    """A header block alone is a message too."""
    content = mail(1, body="")
    uid = backend.user.append("INBOX", content)
    mailbox = backend.connect()
    validity = mailbox.snapshot("INBOX").uid_validity
    [found] = mailbox.fetch("INBOX", validity, [uid], 100)
    assert found.content == content
    assert not found.truncated


def test_bytes_that_are_no_text_come_through(backend: Backend) -> None:
    """Raw 8-bit bodies and a body that looks like protocol reach the parser unchanged."""
    body = b")\r\n* 1 FETCH (UID 1)\r\n\xe4\xf6\xfc {5}\r\n"
    content = mail(1, body="") + body
    uid = backend.user.append("INBOX", content)
    mailbox = backend.connect()
    validity = mailbox.snapshot("INBOX").uid_validity
    [found] = mailbox.fetch("INBOX", validity, [uid], 1000)
    assert found.content == content


def test_many_messages_come_complete_and_in_order(backend: Backend) -> None:
    """More than one command holds: 520 identities, 120 messages."""
    uids = [backend.user.append("INBOX", mail(number)) for number in range(520)]
    mailbox = backend.connect()
    validity = mailbox.snapshot("INBOX").uid_validity
    assert [found.uid for found in mailbox.identify("INBOX", validity, reversed(uids))] == uids
    fetched = mailbox.fetch("INBOX", validity, uids[:120], 50)
    assert [found.identity.uid for found in fetched] == uids[:120]


def test_other_calls_may_come_between_two_fetched_messages(backend: Backend) -> None:
    """Looking into another folder does not derail an iteration under way."""
    uids = [backend.user.append("INBOX", mail(number)) for number in range(60)]
    other = backend.folder("Anderswo")
    mailbox = backend.connect()
    validity = mailbox.snapshot("INBOX").uid_validity
    seen = []
    for found in mailbox.fetch("INBOX", validity, uids, 50):
        seen.append(found.identity.uid)
        mailbox.snapshot(other)
    assert seen == uids


def test_uids_of_another_uidvalidity_are_refused(backend: Backend) -> None:
    """Every method that takes UIDs raises FolderChanged, and nothing happens."""
    uid = backend.user.append("INBOX", mail(1))
    target = backend.folder("Ziel")
    before = all_messages(backend.inventory())
    mailbox = backend.connect()
    wrong = mailbox.snapshot("INBOX").uid_validity + 1
    with pytest.raises(FolderChanged):
        mailbox.identify("INBOX", wrong, [uid])
    with pytest.raises(FolderChanged):
        mailbox.fetch("INBOX", wrong, [uid], 100)
    with pytest.raises(FolderChanged):
        mailbox.copy("INBOX", wrong, [uid], target)
    if mailbox.capabilities.can_move_safely:
        with pytest.raises(FolderChanged):
            mailbox.move("INBOX", wrong, [uid], target)
    if mailbox.capabilities.uidplus:
        with pytest.raises(FolderChanged):
            mailbox.expunge("INBOX", wrong, [uid])
    assert all_messages(backend.inventory()) == before


def test_a_folder_made_anew_is_not_taken_for_the_old_one(backend: Backend) -> None:
    """Deleted and created again it has another UIDVALIDITY, or the server hangs up."""
    folder = backend.folder("Ziel")
    uid = backend.user.append(folder, mail(1))
    mailbox = backend.connect()
    validity = mailbox.snapshot(folder).uid_validity
    backend.user.remove(folder)
    backend.user.create(folder)
    backend.user.append(folder, mail(2))
    with pytest.raises((FolderChanged, MailboxUnreachable)):
        mailbox.identify(folder, validity, [uid])
    with pytest.raises(FolderChanged):
        backend.connect().identify(folder, validity, [uid])


def test_a_missing_folder_is_reported(backend: Backend) -> None:
    """FolderMissing from every method that opens a folder."""
    mailbox = backend.connect()
    missing = backend.path("Gibt es nicht")
    with pytest.raises(FolderMissing):
        mailbox.status(missing)
    with pytest.raises(FolderMissing):
        mailbox.snapshot(missing)
    with pytest.raises(FolderMissing):
        mailbox.identify(missing, 1, [1])
    mailbox.snapshot("INBOX")


def test_equal_statuses_mean_that_nothing_came_or_went(backend: Backend) -> None:
    """Arrivals and departures change the status, also of the folder that is open."""
    first = backend.user.append("INBOX", mail(1))
    mailbox = backend.connect()
    snapshot = mailbox.snapshot("INBOX")
    statuses = [mailbox.status("INBOX")]
    assert mailbox.status("INBOX") == statuses[0]
    assert statuses[0].uid_validity == snapshot.uid_validity
    backend.user.append("INBOX", mail(2))
    statuses.append(mailbox.status("INBOX"))
    backend.user.delete("INBOX", [first])
    statuses.append(mailbox.status("INBOX"))
    assert len(set(statuses)) == 3
    assert [status.messages for status in statuses] == [1, 2, 1]


def test_the_status_counts_changes_where_the_server_does(backend: Backend) -> None:
    """HIGHESTMODSEQ grows with a flag under CONDSTORE and is None without."""
    uid = backend.user.append("INBOX", mail(1))
    mailbox = backend.connect()
    before = mailbox.status("INBOX").highest_modseq
    backend.user.flag("INBOX", [uid], "\\Flagged")
    after = mailbox.status("INBOX").highest_modseq
    if mailbox.capabilities.condstore:
        assert before is not None
        assert after is not None
        assert after > before
    else:
        assert (before, after) == (None, None)


def test_inbox_has_no_case(backend: Backend) -> None:
    """RFC 3501, 5.1: "inbox" is INBOX, and only INBOX is."""
    uid = backend.user.append("INBOX", mail(1))
    mailbox = backend.connect()
    assert mailbox.snapshot("inbox").uids == (uid,)


def test_a_closed_mailbox_stays_closed(backend: Backend) -> None:
    """Closing twice is fine; using it is an error and not a silent reconnect."""
    mailbox = backend.connect()
    mailbox.close()
    mailbox.close()
    with pytest.raises(MailboxUnreachable):
        mailbox.status("INBOX")


def _identity(backend: Backend, folder: str, uid: int) -> MessageIdentity:
    mailbox = backend.connect()
    validity = mailbox.snapshot(folder).uid_validity
    [identity] = mailbox.identify(folder, validity, [uid])
    return identity
