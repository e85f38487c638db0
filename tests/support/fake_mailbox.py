"""An IMAP server in memory, and the mailbox port on top of it.

    server = FakeServer()
    uid = server.append("INBOX", b"Subject: Hallo\\r\\n\\r\\n...")   # what senders and people do
    mailbox = server.connect()                                      # what inboxd sees
    server.fail("move", when="after")                               # what networks do

Folders, UIDs, UIDVALIDITY, flags and server ids behave as on Dovecot; the contract suite runs
the same tests against this fake and against real servers.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from daemon.errors import (
    CapabilityMissing,
    CommandRefused,
    FolderChanged,
    FolderMissing,
    MailboxError,
    MailboxUnreachable,
)
from daemon.mail.headers import split_message
from daemon.mailbox.identity import FINGERPRINT_BODY_BYTES, identify
from daemon.mailbox.port import (
    Capabilities,
    FolderInfo,
    FolderSnapshot,
    FolderStatus,
    MessageIdentity,
    RawMessage,
    SpecialUse,
    Uids,
)
from tests.support.inventory import Inventory, StoredMessage

SPECIAL_FOLDERS = {
    "Archive": SpecialUse.ARCHIVE,
    "Drafts": SpecialUse.DRAFTS,
    "Junk": SpecialUse.JUNK,
    "Sent": SpecialUse.SENT,
    "Trash": SpecialUse.TRASH,
}
_ANNOUNCED = frozenset({"IMAP4REV1", "MOVE", "UIDPLUS", "IDLE", "CONDSTORE", "NAMESPACE"})
_DELIMITER = "/"
_STOP_CHECK_SECONDS = 0.05

When = Literal["before", "midway", "after", "late"]


@dataclass(frozen=True)
class FakeMessage:
    """One stored message."""

    content: bytes
    flags: frozenset[str]
    internal_date: datetime
    server_id: str


@dataclass
class FakeFolder:
    """One folder; `change` counts everything that ever happened in it (its MODSEQ)."""

    uid_validity: int
    uid_next: int = 1
    change: int = 1
    messages: dict[int, FakeMessage] = field(default_factory=dict)

    def add(self, message: FakeMessage) -> int:
        """Store a message under the next UID."""
        uid, self.uid_next = self.uid_next, self.uid_next + 1
        self.messages[uid] = message
        self.change += 1
        return uid


@dataclass(frozen=True)
class Fault:
    """One scripted failure of one port method.

    "before": the command never arrives. "after": it is carried out and its answer is lost.
    "midway": of a move or copy the first half is carried out, and what was moved is still in
    the old folder too, as after the death of a Dovecot process. "late": the client has given up
    before the server begins; a move, copy or expunge waits for `FakeServer.run_late`.
    """

    method: str
    when: When
    error: MailboxError


class FakeServer:
    """The server, and everything that people, senders and networks do to it.

    `hidden` takes capabilities away. `server_ids` chooses what a message id depends on:
    "guid" as on Dovecot (kept by move and copy, new on upload), "content" as on Cyrus, None
    for servers without one. `copyuid=False` is a server that never tells new UIDs.
    """

    def __init__(
        self,
        *,
        hidden: Sequence[str] = (),
        server_ids: Literal["guid", "content"] | None = "guid",
        copyuid: bool = True,
        special_folders: Mapping[str, SpecialUse] | None = None,
    ) -> None:
        self.announced = _ANNOUNCED.difference(hidden)
        self.server_ids = server_ids
        self.copyuid = copyuid
        self.special_folders = dict(SPECIAL_FOLDERS if special_folders is None else special_folders)
        self.changed = threading.Condition(threading.RLock())
        self.calls: list[str] = []
        """Port methods that reached the server, in order."""
        self._faults: list[Fault] = []
        self._uid_validities = itertools.count(1_700_000_001)
        self._guids = itertools.count(1)
        self.start = datetime.now(UTC).replace(microsecond=0)
        """What the first message is dated; set it where time is not the clock's."""
        self._minutes = itertools.count()
        self._late: list[Callable[[], object]] = []
        self._folders: dict[str, FakeFolder] = {}
        for name in ("INBOX", *self.special_folders):
            self.create(name)

    def connect(self) -> FakeMailbox:
        """A new logged-in connection, unless a fault of "connect" is scripted."""
        fault = self.take_fault("connect")
        if fault is not None:
            raise fault.error
        return FakeMailbox(self)

    # What people and senders do --------------------------------------------------------------

    def append(
        self,
        folder: str,
        content: bytes,
        flags: Iterable[str] = (),
        internal_date: datetime | None = None,
    ) -> int:
        """A message arrives (or is uploaded): now, and one minute after the last one, unless
        another date is given."""
        with self.changed:
            date = internal_date or self.start + timedelta(minutes=next(self._minutes))
            message = FakeMessage(content, frozenset(flags), date, self._server_id(content))
            uid = self.folder(folder).add(message)
            self.changed.notify_all()
            return uid

    def move(self, folder: str, uids: Iterable[int], target: str) -> dict[int, int]:
        """Move messages, e.g. with the mouse in a mail program; old to new UID."""
        with self.changed:
            mapping = self.copy(folder, uids, target)
            self._remove(folder, mapping)
            return mapping

    def copy(self, folder: str, uids: Iterable[int], target: str) -> dict[int, int]:
        """Copy messages; old to new UID."""
        with self.changed:
            source, destination = self.folder(folder), self.folder(target)
            present = [uid for uid in uids if uid in source.messages]
            mapping = {uid: destination.add(source.messages[uid]) for uid in present}
            self.changed.notify_all()
            return mapping

    def delete(self, folder: str, uids: Iterable[int]) -> None:
        """Delete for good: flag and expunge."""
        with self.changed:
            self._remove(folder, uids)

    def flag(self, folder: str, uids: Iterable[int], *flags: str) -> None:
        """Add flags, e.g. "\\\\Seen"."""
        with self.changed:
            source = self.folder(folder)
            for uid in uids:
                message = source.messages[uid]
                source.messages[uid] = replace(message, flags=message.flags.union(flags))
                source.change += 1
            self.changed.notify_all()

    def create(self, folder: str) -> None:
        """Make a folder."""
        with self.changed:
            self._folders[folder] = FakeFolder(next(self._uid_validities))
            self.changed.notify_all()

    def remove(self, folder: str) -> None:
        """Delete a folder with all that is in it; made anew it gets another UIDVALIDITY."""
        with self.changed:
            del self._folders[folder]
            self.changed.notify_all()

    def rename(self, folder: str, new_name: str) -> None:
        """Rename a folder; UIDs and UIDVALIDITY stay, as on most servers."""
        with self.changed:
            self._folders[new_name] = self._folders.pop(folder)
            self.changed.notify_all()

    def close(self) -> None:
        """For symmetry with a real user's connection."""

    # What networks do ------------------------------------------------------------------------

    def fail(
        self, method: str, *, when: When = "before", error: MailboxError | None = None
    ) -> None:
        """Let the next call of `method` fail; several faults of a method fail in turn."""
        failure = error or MailboxUnreachable("The connection broke, as the test wanted.")
        self._faults.append(Fault(method, when, failure))

    def pending_faults(self) -> int:
        """Faults that no call has met yet; a test that scripts them should end with none."""
        return len(self._faults)

    def run_late(self) -> int:
        """Carry out what came too late for its client; returns how many commands."""
        waiting, self._late = self._late, []
        for command in waiting:
            # The folder may be another one by now: then the server has no use for the command.
            with contextlib.suppress(MailboxError):
                command()
        return len(waiting)

    def forgive(self) -> None:
        """Forget all faults that have not struck yet."""
        self._faults.clear()

    # For tests to look at ---------------------------------------------------------------------

    def inventory(self) -> Inventory:
        """Everything that is stored, as `read_inventory` tells it of a real server."""
        with self.changed:
            return {
                name: tuple(
                    StoredMessage(
                        hashlib.sha256(message.content).hexdigest(),
                        message.flags,
                        message.internal_date,
                    )
                    for message in folder.messages.values()
                )
                for name, folder in self._folders.items()
            }

    def uids(self, folder: str) -> list[int]:
        """The UIDs in a folder, those flagged \\Deleted included."""
        with self.changed:
            return list(self.folder(folder).messages)

    # For FakeMailbox --------------------------------------------------------------------------

    def folder(self, name: str) -> FakeFolder:
        """A folder by name; raises `FolderMissing`."""
        found = self._folders.get("INBOX" if name.upper() == "INBOX" else name)
        if found is None:
            raise FolderMissing("The folder does not exist or cannot be opened.")
        return found

    def folder_names(self) -> list[str]:
        """All folders, and the parents that exist only as part of a name."""
        parents = {
            _DELIMITER.join(name.split(_DELIMITER)[:depth])
            for name in self._folders
            for depth in range(1, name.count(_DELIMITER) + 1)
        }
        return sorted(parents.union(self._folders))

    def exists(self, folder: str) -> bool:
        """Whether the folder can be selected."""
        return folder in self._folders

    def hold_back(self, command: Callable[[], object]) -> None:
        """A command that reaches the server late."""
        self._late.append(command)

    def take_fault(self, method: str) -> Fault | None:
        """The next scripted fault of `method`, which is then used up."""
        for fault in self._faults:
            if fault.method == method:
                self._faults.remove(fault)
                return fault
        return None

    def _remove(self, folder: str, uids: Iterable[int]) -> None:
        source = self.folder(folder)
        for uid in list(uids):
            if source.messages.pop(uid, None) is not None:
                source.change += 1
        self.changed.notify_all()

    def _server_id(self, content: bytes) -> str:
        if self.server_ids == "content":
            return hashlib.sha256(content).hexdigest()[:24]
        return f"guid{next(self._guids):06d}"


class FakeMailbox:
    """`daemon.mailbox.port.Mailbox` on a `FakeServer`."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self._dead = False
        self._reported: dict[str, tuple[int, int, int]] = {}

    @property
    def capabilities(self) -> Capabilities:
        """What the server announces."""
        names = self._server.announced
        return Capabilities(
            names=names,
            move="MOVE" in names,
            uidplus="UIDPLUS" in names,
            idle="IDLE" in names,
            condstore="CONDSTORE" in names,
            server_id=None if self._server.server_ids is None else "X-GUID",
        )

    def software(self) -> str:
        """What this is."""
        return "FakeServer"

    def folders(self) -> list[FolderInfo]:
        """All folders, sorted by name."""
        with self._call("folders"):
            return [
                FolderInfo(
                    name=name,
                    delimiter=_DELIMITER,
                    special_use=self._server.special_folders.get(name),
                    selectable=self._server.exists(name),
                )
                for name in self._server.folder_names()
            ]

    def status(self, folder: str) -> FolderStatus:
        """Numbers of one folder."""
        with self._call("status"):
            found = self._server.folder(folder)
            self._reported[folder] = _state(found)
            modseq = found.change if self.capabilities.condstore else None
            return FolderStatus(found.uid_validity, found.uid_next, len(found.messages), modseq)

    def statuses(self, folders: Iterable[str]) -> dict[str, FolderStatus | MailboxError]:
        """Numbers of each folder, or its error."""
        found: dict[str, FolderStatus | MailboxError] = {}
        for folder in folders:
            try:
                found[folder] = self.status(folder)
            except (CommandRefused, FolderMissing) as error:
                found[folder] = error
        return found

    def snapshot(self, folder: str) -> FolderSnapshot:
        """UIDs of one folder."""
        with self._call("snapshot"):
            found = self._server.folder(folder)
            self._reported[folder] = _state(found)
            uids = (uid for uid, kept in found.messages.items() if "\\Deleted" not in kept.flags)
            return FolderSnapshot(found.uid_validity, found.uid_next, tuple(uids))

    def identify(self, folder: str, uid_validity: int, uids: Uids) -> list[MessageIdentity]:
        """Identities of the messages that exist."""
        wanted = sorted(set(uids))
        if not wanted:
            return []
        with self._call("identify"):
            found = self._open(folder, uid_validity)
            present = [uid for uid in wanted if uid in found.messages]
            return [self._identity(uid, found.messages[uid]) for uid in present]

    def fetch(
        self, folder: str, uid_validity: int, uids: Uids, max_bytes: int
    ) -> Iterator[RawMessage]:
        """The messages that exist, one after the other as they are asked for."""
        wanted = sorted(set(uids))
        if not wanted:
            return iter(())
        with self._call("fetch"):
            self._open(folder, uid_validity)
        return self._fetch(folder, uid_validity, wanted, max_bytes)

    def move(self, folder: str, uid_validity: int, uids: Uids, target: str) -> Mapping[int, int]:
        """Move, with MOVE or with UIDPLUS."""
        if not self.capabilities.can_move_safely:
            raise CapabilityMissing("The server has neither MOVE nor UIDPLUS; nothing was moved.")
        wanted = sorted(set(uids))
        if not wanted:
            return {}
        again = FakeMailbox(self._server)
        with self._call("move", lambda: again.move(folder, uid_validity, wanted, target)) as fault:
            self._open(folder, uid_validity)
            self._server.folder(target)
            if fault is not None and fault.when == "midway":
                self._server.copy(folder, wanted[: (len(wanted) + 1) // 2], target)
                return {}
            mapping = self._server.move(folder, wanted, target)
            return mapping if self._server.copyuid else {}

    def copy(self, folder: str, uid_validity: int, uids: Uids, target: str) -> Mapping[int, int]:
        """Copy."""
        wanted = sorted(set(uids))
        if not wanted:
            return {}
        again = FakeMailbox(self._server)
        with self._call("copy", lambda: again.copy(folder, uid_validity, wanted, target)) as fault:
            self._open(folder, uid_validity)
            self._server.folder(target)
            half = fault is not None and fault.when == "midway"
            mapping = self._server.copy(
                folder, wanted[: (len(wanted) + 1) // 2] if half else wanted, target
            )
            return mapping if self._server.copyuid else {}

    def expunge(self, folder: str, uid_validity: int, uids: Uids) -> None:
        """Delete exactly these."""
        if not self.capabilities.uidplus:
            raise CapabilityMissing("The server has no UIDPLUS; nothing was deleted.")
        wanted = sorted(set(uids))
        if not wanted:
            return
        again = FakeMailbox(self._server)
        with self._call("expunge", lambda: again.expunge(folder, uid_validity, wanted)):
            self._open(folder, uid_validity)
            self._server.delete(folder, wanted)

    def create(self, folder: str) -> None:
        """Make a folder that may exist already."""
        with self._call("create"):
            if not folder or "" in folder.split(_DELIMITER):
                raise CommandRefused("The server refused CREATE (CANNOT).", code="CANNOT")
            if folder.upper() != "INBOX" and not self._server.exists(folder):
                self._server.create(folder)

    def append(self, folder: str, content: bytes) -> int | None:
        """Put a message there, dated now."""
        again = FakeMailbox(self._server)
        with self._call("append", lambda: again.append(folder, content)):
            uid = self._server.append(folder, content)
            return uid if self.capabilities.uidplus else None

    def wait(self, folder: str, seconds: float, stopped: Callable[[], bool]) -> bool:
        """Wait for a change since the last `status` or `snapshot`."""
        if not self.capabilities.idle:
            raise CapabilityMissing("The server has no IDLE.")
        deadline = time.monotonic() + seconds
        with self._call("wait"):
            start = self._server.folder(folder)
            if self._reported.get(folder, _state(start)) != _state(start):
                return True
            seen = start.change
            while not stopped() and (left := deadline - time.monotonic()) > 0:
                self._server.changed.wait(min(left, _STOP_CHECK_SECONDS))
                if self._server.folder(folder).change != seen:
                    return True
            return False

    def close(self) -> None:
        """End the connection; never raises."""
        self._dead = True

    @contextlib.contextmanager
    def _call(
        self, method: str, again: Callable[[], object] | None = None
    ) -> Iterator[Fault | None]:
        """One command: alone on the server, with the fault that a test scripted for it.

        `again` carries it out later, over another connection."""
        if self._dead:
            raise MailboxUnreachable("The connection to the mail server is closed.")
        with self._server.changed:
            fault = self._server.take_fault(method)
            if fault is None or fault.when not in {"before", "late"}:
                self._server.calls.append(method)
                yield fault
            if fault is not None:
                if fault.when == "late" and again is not None:
                    self._server.hold_back(again)
                self._dead = isinstance(fault.error, MailboxUnreachable)
                raise fault.error

    def _open(self, folder: str, uid_validity: int) -> FakeFolder:
        found = self._server.folder(folder)
        if found.uid_validity != uid_validity:
            raise FolderChanged("UIDVALIDITY has changed: the folder was made anew.")
        return found

    def _fetch(
        self, folder: str, uid_validity: int, wanted: Sequence[int], max_bytes: int
    ) -> Iterator[RawMessage]:
        for uid in wanted:
            with self._server.changed:
                message = self._open(folder, uid_validity).messages.get(uid)
            if message is not None:
                block, body = _parted(message.content)
                yield RawMessage(
                    identity=self._identity(uid, message),
                    content=block + body[:max_bytes],
                    truncated=len(body) > max_bytes,
                )

    def _identity(self, uid: int, message: FakeMessage) -> MessageIdentity:
        block, body = _parted(message.content)
        return identify(
            uid,
            block,
            server_id=None if self._server.server_ids is None else message.server_id,
            body_start=body[:FINGERPRINT_BODY_BYTES],
            internal_date=message.internal_date,
            size=len(message.content),
        )


def _parted(content: bytes) -> tuple[bytes, bytes]:
    """BODY[HEADER], empty line included, and BODY[TEXT]."""
    _, body = split_message(content)
    return content[: len(content) - len(body)], body


def _state(folder: FakeFolder) -> tuple[int, int, int]:
    return folder.uid_validity, folder.uid_next, len(folder.messages)
