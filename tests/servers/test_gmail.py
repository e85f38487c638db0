"""Gmail: folders are labels, and what people do with labels is read with care (docs/adr/0048)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.errors import CommandRefused, FolderMissing
from daemon.learning.gather import label_existing_mail
from daemon.mailbox.imap import ImapMailbox
from daemon.mailbox.port import MessageIdentity
from daemon.sorting.folders import FolderPatterns
from daemon.sorting.observe import Observation, observe
from daemon.store import Store
from daemon.store.tables import CorrectionKind, Role
from tests.contract.mails import mail
from tests.support.gmail_server import (
    ALL_MAIL,
    IMPORTANT,
    SPAM,
    STARRED,
    TRASH,
    AfterExpunge,
    GmailAccount,
    GmailServer,
)
from tests.support.mail_servers import KINDS, ServerAccount

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
USER = "anna"


@dataclass
class Gmail:
    """One account, and the inboxd that watches it."""

    server: GmailServer
    store: Store
    now: datetime = START
    connections: list[ImapMailbox] = field(default_factory=list)

    @property
    def mail(self) -> GmailAccount:
        """What lies on the server."""
        return self.server.accounts[USER]

    def connect(self) -> ImapMailbox:
        """A connection of inboxd, closed after the test."""
        account = ServerAccount(KINDS["gmail"], self.server, USER)
        self.connections.append(account.connect())
        return self.connections[-1]

    def look(self, minutes: int = 1) -> Observation:
        """One pass of inboxd over all folders, so much later."""
        self.now += timedelta(minutes=minutes)
        mailbox = self.connect()
        return observe(self.store, mailbox, "private", FolderPatterns(), self.now)

    def to_sort(self) -> int:
        """How many mails inboxd would sort now."""
        with self.store.read() as work:
            account = work.accounts.get("private")
            assert account is not None
            inbox = work.folders.inbox(account)
            assert inbox is not None
            return work.placements.count_to_sort(inbox)

    def examples(self) -> dict[str, int]:
        """How many mails `inboxd learn` takes from each folder."""
        counts = label_existing_mail(self.store, "private", 100, self.now)
        return {folder: count for folder, count in counts.items() if count}


@contextlib.contextmanager
def gmail_server(
    directory: Path,
    *,
    after_expunge: AfterExpunge = "archive",
    hidden_folders: tuple[str, ...] = (),
    hidden: tuple[str, ...] = (),
    strict_labels: bool = True,
) -> Iterator[Gmail]:
    """A Gmail with settings of one's own, and the labels Reisen and Rechnungen."""
    with (
        GmailServer(
            {USER: "secret"},
            after_expunge=after_expunge,
            hidden_folders=hidden_folders,
            hidden=hidden,
            strict_labels=strict_labels,
        ) as server,
        contextlib.closing(Store.open(directory / "state")) as store,
    ):
        gmail = Gmail(server, store)
        for folder in ("Rechnungen", "Reisen"):
            gmail.mail.create(folder)
        yield gmail
        for connection in gmail.connections:
            connection.close()


@pytest.fixture
def gmail(tmp_path: Path) -> Iterator[Gmail]:
    """With the settings that Gmail begins with."""
    with gmail_server(tmp_path) as running:
        yield running


def identity(mailbox: ImapMailbox, folder: str) -> MessageIdentity:
    """The only message of a folder."""
    snapshot = mailbox.snapshot(folder)
    [found] = mailbox.identify(folder, snapshot.uid_validity, snapshot.uids)
    return found


# Who a message is, and where it lies --------------------------------------------------------------


def test_a_message_has_one_id_in_all_folders(gmail: Gmail) -> None:
    """X-GM-MSGID: in the inbox, under a label and in All Mail."""
    message = gmail.mail.deliver(mail(1), "Reisen")
    mailbox = gmail.connect()
    ids = {identity(mailbox, folder).server_id for folder in ("INBOX", "Reisen", ALL_MAIL)}
    assert ids == {str(message.id)}


@pytest.mark.parametrize(
    ("labels", "labelled"),
    [((), False), (("Reisen",), True), (("2026",), True), ((IMPORTANT, STARRED), False)],
    ids=["none", "name", "number", "system"],
)
def test_a_message_tells_whether_a_person_has_labelled_it(
    gmail: Gmail, labels: tuple[str, ...], labelled: bool
) -> None:
    """What Gmail itself gives (important, starred) is no word of a person about a place."""
    gmail.mail.create("2026")
    gmail.mail.deliver(mail(1), *labels)
    assert identity(gmail.connect(), "INBOX").labelled is labelled


def test_views_are_not_watched_and_never_targets(gmail: Gmail) -> None:
    """All Mail, Starred, Important and Drafts are nothing to inboxd; Sent, Spam, Trash neutral."""
    roles = {info.name: FolderPatterns().role(info) for info in gmail.connect().folders()}
    assert roles == {
        "INBOX": Role.INBOX,
        "Rechnungen": Role.LABEL,
        "Reisen": Role.LABEL,
        "[Gmail]": None,
        ALL_MAIL: None,
        "[Gmail]/Drafts": None,
        IMPORTANT: None,
        "[Gmail]/Sent Mail": Role.NEUTRAL,
        SPAM: Role.NEUTRAL,
        STARRED: None,
        TRASH: Role.NEUTRAL,
    }


def test_nothing_of_gmails_is_asked_where_it_is_not_announced(tmp_path: Path) -> None:
    """No X-GM item is sent to a server that has not said it knows them."""
    with gmail_server(tmp_path, hidden=("X-GM-EXT-1",)) as gmail:
        gmail.mail.deliver(mail(1), "Reisen")
        # The one question that tells Dovecot: this server answers BAD.
        found = identity(gmail.connect(), "INBOX")
        assert (found.server_id, found.labelled) == (None, False)
        assert not [command for command in gmail.server.commands if "X-GM" in command]


# Out of a folder ----------------------------------------------------------------------------------


@pytest.mark.parametrize("after_expunge", ["archive", "trash", "delete"])
def test_mail_goes_out_of_a_folder_without_being_flagged_deleted(
    tmp_path: Path, after_expunge: AfterExpunge
) -> None:
    """Whatever the account's settings make of \\Deleted: the label is taken off, the mail stays."""
    with gmail_server(tmp_path, after_expunge=after_expunge) as gmail:
        gmail.mail.deliver(mail(1))
        mailbox = gmail.connect()
        snapshot = mailbox.snapshot("INBOX")
        mailbox.expunge("INBOX", snapshot.uid_validity, snapshot.uids)
        assert gmail.mail.places(mail(1)) == {ALL_MAIL}
        assert mailbox.snapshot("INBOX").uids == ()
        assert not [c for c in gmail.server.commands if "EXPUNGE" in c or "\\Deleted" in c]


def test_a_label_with_any_name_is_taken_off(gmail: Gmail) -> None:
    """Umlauts, quotation marks and backslashes arrive as they are meant."""
    name = 'Büro/Kunden & "Co" \\ neu'
    gmail.mail.create(name)
    gmail.mail.deliver(mail(1), name)
    mailbox = gmail.connect()
    snapshot = mailbox.snapshot(name)
    mailbox.expunge(name, snapshot.uid_validity, snapshot.uids)
    assert gmail.mail.places(mail(1)) == {ALL_MAIL, "INBOX"}


def test_without_all_mail_the_label_is_taken_off_in_the_folder_itself(tmp_path: Path) -> None:
    """All Mail need not be shown over IMAP."""
    with gmail_server(tmp_path, hidden_folders=(ALL_MAIL,), strict_labels=False) as gmail:
        gmail.mail.deliver(mail(1), "Reisen")
        mailbox = gmail.connect()
        snapshot = mailbox.snapshot("INBOX")
        mailbox.expunge("INBOX", snapshot.uid_validity, snapshot.uids)
        assert gmail.mail.places(mail(1)) == {ALL_MAIL, "Reisen"}


def test_a_server_that_only_says_it_took_the_label_off_is_found_out(tmp_path: Path) -> None:
    """OK, and the mail is where it was: an error, and nothing else."""
    with gmail_server(tmp_path, hidden_folders=(ALL_MAIL,)) as gmail:
        gmail.mail.deliver(mail(1), "Reisen")
        mailbox = gmail.connect()
        snapshot = mailbox.snapshot("INBOX")
        with pytest.raises(CommandRefused, match="did not take the label off"):
            mailbox.expunge("INBOX", snapshot.uid_validity, snapshot.uids)
        assert gmail.mail.places(mail(1)) == {ALL_MAIL, "INBOX", "Reisen"}


def test_a_folder_that_is_no_label_gives_nothing_away(gmail: Gmail) -> None:
    """Out of Spam and Trash means deleted for good."""
    gmail.mail.store(mail(1), [SPAM])
    mailbox = gmail.connect()
    snapshot = mailbox.snapshot(SPAM)
    with pytest.raises(CommandRefused):
        mailbox.expunge(SPAM, snapshot.uid_validity, snapshot.uids)
    assert gmail.mail.places(mail(1)) == {SPAM}


def test_without_move_the_label_is_added_and_the_other_taken_off(tmp_path: Path) -> None:
    """No COPY + \\Deleted + EXPUNGE, with the settings that would delete the mail for good."""
    with gmail_server(tmp_path, after_expunge="delete", hidden=("MOVE", "UIDPLUS")) as gmail:
        gmail.mail.deliver(mail(1))
        mailbox = gmail.connect()
        assert mailbox.capabilities.can_move_safely
        snapshot = mailbox.snapshot("INBOX")
        mapping = mailbox.move("INBOX", snapshot.uid_validity, snapshot.uids, "Reisen")
        assert mapping == {snapshot.uids[0]: mailbox.snapshot("Reisen").uids[0]}
        assert gmail.mail.places(mail(1)) == {ALL_MAIL, "Reisen"}
        assert not [c for c in gmail.server.commands if "EXPUNGE" in c or "\\Deleted" in c]
        with pytest.raises(FolderMissing):
            mailbox.move("Reisen", mailbox.snapshot("Reisen").uid_validity, [1], "Fehlt")


# What people do with labels -----------------------------------------------------------------------


def test_mail_that_a_filter_labelled_stays_in_the_inbox(gmail: Gmail) -> None:
    """Its owner has said where it belongs, and not that it should leave the inbox."""
    gmail.look()
    gmail.mail.deliver(mail(1), "Reisen")
    gmail.mail.deliver(mail(2))
    gmail.look()
    assert gmail.to_sort() == 1
    assert gmail.examples() == {}


def test_a_label_that_is_not_shown_over_imap_counts_too(tmp_path: Path) -> None:
    """The filter's word is the same, although there is no such folder."""
    with gmail_server(tmp_path, hidden_folders=("Reisen",)) as gmail:
        gmail.look()
        gmail.mail.deliver(mail(1), "Reisen")
        gmail.look()
        assert gmail.to_sort() == 0


def test_labelled_mail_that_lay_in_the_inbox_before_inboxd_came_stays(gmail: Gmail) -> None:
    """The inventory draws the same conclusion, and takes no example from it."""
    gmail.mail.deliver(mail(1), "Reisen")
    gmail.mail.deliver(mail(2))
    gmail.mail.store(mail(3), ["Reisen"])
    gmail.look()
    assert gmail.to_sort() == 1
    assert gmail.examples() == {"Reisen": 1}


def test_a_label_added_in_the_inbox_keeps_the_mail_there(gmail: Gmail) -> None:
    """It is neither a move nor an example, and the mail is not sorted any more."""
    gmail.look()
    message = gmail.mail.deliver(mail(1))
    gmail.look()
    assert gmail.to_sort() == 1
    gmail.mail.add_label(message, "Reisen")
    assert gmail.look().noticed == []
    assert gmail.to_sort() == 0
    assert gmail.examples() == {}


def test_archived_mail_teaches_nothing(gmail: Gmail) -> None:
    """Out of the inbox, and only in All Mail: nobody has said where it belongs."""
    gmail.look()
    message = gmail.mail.deliver(mail(1))
    gmail.look()
    gmail.mail.archive(message)
    assert gmail.look().noticed == []
    assert (gmail.to_sort(), gmail.examples()) == (0, {})


def test_labelled_and_archived_is_filed(gmail: Gmail) -> None:
    """In one step or in two within a quarter of an hour: that is what a move is here."""
    gmail.look()
    message, other = gmail.mail.deliver(mail(1)), gmail.mail.deliver(mail(2))
    gmail.look()
    gmail.mail.add_label(message, "Reisen")
    gmail.mail.archive(message)
    gmail.mail.add_label(other, "Rechnungen")
    [filed] = gmail.look().noticed
    assert (filed.kind, filed.to_folder) == (CorrectionKind.FILED, "Reisen")
    gmail.mail.archive(other)
    [filed] = gmail.look(minutes=5).noticed
    assert (filed.kind, filed.to_folder) == (CorrectionKind.FILED, "Rechnungen")


def test_mail_labelled_today_and_archived_tomorrow_is_an_example_then(gmail: Gmail) -> None:
    """Like all mail that lies under one label and not in the inbox."""
    gmail.look()
    message = gmail.mail.deliver(mail(1))
    gmail.look()
    gmail.mail.add_label(message, "Reisen")
    gmail.look()
    gmail.mail.archive(message)
    assert gmail.look(minutes=60 * 24).noticed == []
    assert gmail.examples() == {"Reisen": 1}


def test_another_label_in_place_of_the_first_is_a_correction(gmail: Gmail) -> None:
    """In the web: move to."""
    message = gmail.mail.store(mail(1), ["Reisen"])
    gmail.look()
    gmail.mail.add_label(message, "Rechnungen")
    gmail.mail.take_out(message, "Reisen")
    [noticed] = gmail.look().noticed
    assert noticed.kind is CorrectionKind.RELABELLED


def test_mail_with_two_labels_is_no_example(gmail: Gmail) -> None:
    """Which of the two would be the place to move it to, nobody has said."""
    gmail.mail.store(mail(1), ["Reisen", "Rechnungen"])
    gmail.mail.store(mail(2), ["Reisen"])
    gmail.look()
    assert gmail.examples() == {"Reisen": 1}


def test_mail_given_back_its_place_in_the_inbox_stays_there(gmail: Gmail) -> None:
    """In the web: move to inbox, which leaves the label on."""
    message = gmail.mail.store(mail(1), ["Reisen"])
    gmail.look()
    gmail.mail.put(message, "INBOX")
    observation = gmail.look()
    assert (observation.delivered, observation.noticed, gmail.to_sort()) == (0, [], 0)


def test_a_starred_mail_has_not_been_moved(gmail: Gmail) -> None:
    """It shows up in a view, and is sorted like any other."""
    gmail.look()
    message = gmail.mail.deliver(mail(1))
    gmail.look()
    gmail.mail.put(message, STARRED)
    gmail.mail.put(message, IMPORTANT)
    assert gmail.look().noticed == []
    assert gmail.to_sort() == 1


def test_mail_thrown_away_is_set_aside(gmail: Gmail) -> None:
    """Into the trash it loses all labels, and teaches nothing."""
    message = gmail.mail.store(mail(1), ["Reisen"])
    gmail.look()
    gmail.mail.put(message, TRASH)
    [noticed] = gmail.look().noticed
    assert noticed.kind is CorrectionKind.SET_ASIDE
