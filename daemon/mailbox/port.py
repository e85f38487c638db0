"""The mailbox port: all that inboxd ever asks of a mail server.

Three adapters implement it: `imap.ImapMailbox` (imapclient), the in-memory fake of the tests,
and whatever comes later. One contract suite (`tests/contract/`) runs against all of them.

Two rules hold for every method. Reading never changes a message: BODY.PEEK, EXAMINE, no
`\\Seen`. And UIDs are only meaningful together with the UIDVALIDITY under which they were
read (RFC 3501, section 2.3.1.1), so every method that takes UIDs also takes it and raises
`FolderChanged` when the server has another one.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from daemon.errors import MailboxError


class SpecialUse(enum.StrEnum):
    """Folder attributes of RFC 6154, and the ones that Gmail adds."""

    ALL = "\\All"
    ARCHIVE = "\\Archive"
    DRAFTS = "\\Drafts"
    FLAGGED = "\\Flagged"
    IMPORTANT = "\\Important"
    JUNK = "\\Junk"
    SENT = "\\Sent"
    TRASH = "\\Trash"


@dataclass(frozen=True, slots=True)
class FolderInfo:
    """One line of LIST: `name` is decoded (no modified UTF-7), as the server spells it."""

    name: str
    delimiter: str
    special_use: SpecialUse | None
    selectable: bool
    holds_mail: bool = True
    """False for what a server shows as a folder although no mail belongs there: Exchange's
    calendar, contacts, tasks."""


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """STATUS of one folder; two equal values mean: no message came or went."""

    uid_validity: int
    uid_next: int
    messages: int
    highest_modseq: int | None


@dataclass(frozen=True, slots=True)
class FolderSnapshot:
    """The UIDs now in a folder, ascending, without those flagged `\\Deleted`."""

    uid_validity: int
    uid_next: int
    uids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MessageIdentity:
    """What makes one message recognisable in another folder.

    `server_id` is X-GUID, EMAILID or X-GM-MSGID where the server has one. `fingerprint` is a
    SHA-256 (hex) of Message-ID, Date, From, Subject and size, and, on servers without a
    server id, of the first 2 kB of the body too: it survives download and upload, which a
    server id does not. Where sizes are estimates (`Capabilities.exact_sizes`) the size is left
    out. `message_id` and `references` are for finding threads (References and In-Reply-To,
    nearest ancestor first).
    """

    uid: int
    server_id: str | None
    fingerprint: str
    message_id: str
    references: tuple[str, ...]
    internal_date: datetime
    size: int
    labelled: bool = False
    """On a server with labels: the message carries one of its owner's besides the folder in which
    it was looked at, perhaps one that is not shown as a folder."""


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message as far as it was fetched: whole header, first `max_bytes` of the body.

    `truncated` says that the body goes on. The identity is that of the whole message.
    """

    identity: MessageIdentity
    content: bytes
    truncated: bool


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the server can do, read again after login."""

    names: frozenset[str]
    move: bool
    uidplus: bool
    idle: bool
    condstore: bool
    server_id: str | None
    """The FETCH item of the stable message id: X-GUID, EMAILID, X-GM-MSGID, or None."""
    labels: bool = False
    """Folders are labels (Gmail, X-GM-EXT-1): a message may lie in several at once, in each of
    them once, and goes out of one when its label is taken off."""
    exact_sizes: bool = True
    """RFC822.SIZE is the size of the message, and not an estimate that may be another the next
    time."""

    @property
    def can_move_safely(self) -> bool:
        """MOVE, or COPY and UID EXPUNGE or taking the label off: anything else could expunge
        other mail."""
        return self.move or self.uidplus or self.labels


Uids = Iterable[int]


class Mailbox(Protocol):
    """One logged-in connection. Not thread-safe. Every method may raise `MailboxError`.

    After `MailboxUnreachable` the object is dead: a command that was under way may or may not
    have been carried out, and may even be carried out later. Connect anew and look.
    """

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities after login."""
        ...

    def software(self) -> str:
        """What the server calls itself (RFC 2971): "Dovecot"; "" when it does not say.

        For people alone: what a server can do is told by its capabilities."""
        ...

    def folders(self) -> list[FolderInfo]:
        """All folders of the personal namespace, subscribed or not."""
        ...

    def status(self, folder: str) -> FolderStatus:
        """STATUS (RFC 3501, 6.3.10). Raises `FolderMissing`."""
        ...

    def statuses(self, folders: Iterable[str]) -> Mapping[str, FolderStatus | MailboxError]:
        """`status` of each folder, or the `FolderMissing` or `CommandRefused` that it would
        have raised. A thousand folders cost a few round trips."""
        ...

    def snapshot(self, folder: str) -> FolderSnapshot:
        """EXAMINE and UID SEARCH UNDELETED. Raises `FolderMissing`."""
        ...

    def identify(self, folder: str, uid_validity: int, uids: Uids) -> list[MessageIdentity]:
        """Identities of those `uids` that still exist, in ascending UID order."""
        ...

    def fetch(
        self, folder: str, uid_validity: int, uids: Uids, max_bytes: int
    ) -> Iterator[RawMessage]:
        """Header and first `max_bytes` of the body of those `uids` that still exist.

        Folder and UIDVALIDITY are checked at once; the messages come as they are asked for,
        and other methods may be called in between."""
        ...

    def move(self, folder: str, uid_validity: int, uids: Uids, target: str) -> Mapping[int, int]:
        """UID MOVE (RFC 6851). Returns the COPYUID mapping, empty when the server gave none:
        an empty mapping means unknown, not unmoved. Raises `CapabilityMissing`."""
        ...

    def copy(self, folder: str, uid_validity: int, uids: Uids, target: str) -> Mapping[int, int]:
        """UID COPY; returns the COPYUID mapping as `move` does."""
        ...

    def expunge(self, folder: str, uid_validity: int, uids: Uids) -> None:
        """Flag exactly `uids` `\\Deleted` and UID EXPUNGE exactly them (RFC 4315); on a server
        with labels take the folder's label off exactly these, without any flag.

        Raises `CapabilityMissing` without UIDPLUS and labels, before anything is sent."""
        ...

    def create(self, folder: str) -> None:
        """CREATE and SUBSCRIBE; an existing folder is fine."""
        ...

    def append(self, folder: str, content: bytes) -> int | None:
        """APPEND (RFC 3501, 6.3.11): put a message of our own there, unseen and dated now.

        `content` has CRLF at its line ends. Returns the UID where the server tells it
        (APPENDUID, RFC 4315), else None. Raises `FolderMissing`, and `CommandRefused` with the
        code OVERQUOTA (RFC 9208) or another when the server does not take it; nothing is
        there then."""
        ...

    def wait(self, folder: str, seconds: float, stopped: Callable[[], bool]) -> bool:
        """IDLE (RFC 2177) on `folder` until something changes (True), `seconds` pass or
        `stopped()` turns true (False). Looks at `stopped` at least once a second.

        A change since the last `status` or `snapshot` of the folder counts, also one of our
        own: nothing that happens between them and this call is slept through.
        Raises `CapabilityMissing` without IDLE."""
        ...

    def close(self) -> None:
        """LOGOUT, best effort; never raises."""
        ...
