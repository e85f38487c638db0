"""The mailbox port over IMAP4rev1 (RFC 3501) and its extensions.

What `Wire` does for one command, this does for one promise of the port: which folder must be
open and how, under which UIDVALIDITY, in which chunks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Self

import structlog

from daemon.errors import (
    CapabilityMissing,
    CommandRefused,
    FolderChanged,
    FolderMissing,
    MailboxError,
)
from daemon.mailbox.capabilities import is_exchange, read_capabilities
from daemon.mailbox.connection import ConnectionSettings, log_in
from daemon.mailbox.folders import read_folders, without_mail
from daemon.mailbox.identity import (
    FINGERPRINT_BODY_BYTES,
    GMAIL_LABELS,
    IDENTITY_FIELDS,
    identity_from,
    raw_message_from,
)
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
from daemon.mailbox.wire import ContentLimits, Selection, Wire

_log = structlog.get_logger(__name__)

UID_CHUNK = 500
"""UIDs in one command: servers refuse lines of some 60 kB, RFC 7162 advises 8 kB."""

FETCH_CHUNK = 50
"""Messages in one FETCH with bodies: twice the rate of single ones, little memory."""

MAX_HEADER_BYTES = 262_144
"""A longer header block is cut: it is an attack, not a header."""

MAX_IDENTITY_BYTES = 65_536
"""The same for the few fields by which a message is recognised."""

FETCH_BYTES = 16 * 1024 * 1024
"""So much may lie in memory of one FETCH with bodies (one message at least)."""

_SEARCH_WINDOW = 90_000
"""UIDs in one SEARCH response: imaplib gives up on lines over 1,000,000 bytes."""

_MAX_SEARCHES = 500
"""For one folder: beyond 45 million UIDs the windows grow, since there are many gaps."""

_IDLE_RENEWAL_SECONDS = 540.0
"""RFC 2177 asks for less than 29 minutes; routers forget a silent connection after ten."""


class ImapMailbox:
    """`daemon.mailbox.port.Mailbox` over one IMAP connection."""

    def __init__(self, wire: Wire, capabilities: Capabilities) -> None:
        self._wire = wire
        self._capabilities = capabilities
        self._reported: dict[str, tuple[int, int, int]] = {}

    @classmethod
    def connect(cls, settings: ConnectionSettings) -> Self:
        """Connect, encrypt, log in, read the capabilities. Errors as in `log_in`."""
        wire = log_in(settings)
        try:
            return cls(wire, read_capabilities(wire))
        except BaseException:
            wire.close()
            raise

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities after login."""
        return self._capabilities

    def software(self) -> str:
        """Name, vendor and version, as far as they are told. Tells the server nothing."""
        if "ID" not in self._capabilities.names:
            return ""
        try:
            told = self._wire.server_id()
        except CommandRefused:
            return ""
        return " ".join(told[item] for item in ("name", "vendor", "version") if item in told)

    # Folders -------------------------------------------------------------------------------

    def folders(self) -> list[FolderInfo]:
        """All folders of the personal namespace, subscribed or not, sorted by name."""
        names = self._capabilities.names
        personal, foreign = self._wire.namespaces() if "NAMESPACE" in names else ([], [])
        # RFC 6154 lets a server tell special uses only when asked; the syntax is RFC 5258.
        on_request = names.issuperset({"SPECIAL-USE", "LIST-EXTENDED"})
        lines = self._wire.list_folders(special_use=on_request)
        found = read_folders(lines, personal, foreign)
        return without_mail(found) if is_exchange(names) else found

    def status(self, folder: str) -> FolderStatus:
        """STATUS (RFC 3501, 6.3.10). Raises `FolderMissing`."""
        [found] = self.statuses([folder]).values()
        if not isinstance(found, FolderStatus):
            raise found
        return found

    def statuses(self, folders: Iterable[str]) -> dict[str, FolderStatus | MailboxError]:
        """STATUS of each folder, or the error with which the server refused it; pipelined."""
        wanted = list(dict.fromkeys(folders))
        if any(self._open_selection(folder) is not None for folder in wanted):
            # STATUS of the selected folder tells what the session has seen so far (Dovecot).
            self._wire.noop()
        items = ["MESSAGES", "UIDNEXT", "UIDVALIDITY"]
        if self._capabilities.condstore:
            items.append("HIGHESTMODSEQ")
        answers = self._wire.statuses(wanted, items)
        return {folder: self._status(folder, answers[folder]) for folder in wanted}

    def _status(
        self, folder: str, answer: Mapping[str, int] | MailboxError
    ) -> FolderStatus | MailboxError:
        if isinstance(answer, MailboxError):
            return answer
        if not answer.keys() >= {"UIDVALIDITY", "UIDNEXT", "MESSAGES"}:
            return CommandRefused("The server left out what STATUS asked for.")
        status = FolderStatus(
            uid_validity=answer["UIDVALIDITY"],
            uid_next=answer["UIDNEXT"],
            messages=answer["MESSAGES"],
            highest_modseq=answer.get("HIGHESTMODSEQ"),
        )
        self._report(folder, status.uid_validity, status.uid_next, status.messages)
        return status

    def create(self, folder: str) -> None:
        """CREATE and SUBSCRIBE; an existing folder is fine."""
        try:
            self._wire.create(folder)
        except CommandRefused:
            if not self._exists(folder):
                raise
        try:
            self._wire.subscribe(folder)
        except CommandRefused as error:
            # The folder is there; some clients do not show it until it is subscribed to.
            _log.warning("folder_not_subscribed", code=error.code)

    def _exists(self, folder: str) -> bool:
        # Asked for, since not all servers explain a refused CREATE with ALREADYEXISTS.
        try:
            self._wire.status(folder, ["UIDVALIDITY"])
        except (CommandRefused, FolderMissing):
            return False
        return True

    def append(self, folder: str, content: bytes) -> int | None:
        """APPEND (RFC 3501, 6.3.11), without flags; the UID where the server tells it."""
        opened = self._wire.selection
        if opened is not None and opened.folder == folder and not opened.writable:
            # Courier takes no message for a folder that the session has opened to read only.
            self._wire.select(folder, writable=True)
        return self._wire.append(folder, content)

    # Reading -------------------------------------------------------------------------------

    def snapshot(self, folder: str) -> FolderSnapshot:
        """EXAMINE and UID SEARCH UNDELETED. Raises `FolderMissing`."""
        # Always anew: an open folder does not tell its UIDNEXT again.
        selection = self._wire.select(folder, writable=False)
        uid_next = self._uid_next(selection)
        uids = self._undeleted(selection, uid_next)
        self._report(folder, selection.uid_validity, uid_next, selection.messages)
        # What arrived between the two commands is in `uids` already.
        arrived = uids[-1] + 1 if uids else 0
        return FolderSnapshot(selection.uid_validity, max(uid_next, arrived), tuple(uids))

    def identify(self, folder: str, uid_validity: int, uids: Uids) -> list[MessageIdentity]:
        """Identities of those `uids` that still exist, in ascending UID order."""
        wanted = _ascending(uids)
        if not wanted:
            return []
        self._open(folder, uid_validity)
        item = self._capabilities.server_id
        items = ["INTERNALDATE", "RFC822.SIZE"]
        fields = " ".join(IDENTITY_FIELDS).upper()
        items.append(f"BODY.PEEK[HEADER.FIELDS ({fields})]<0.{MAX_IDENTITY_BYTES}>")
        items.append(item or f"BODY.PEEK[TEXT]<0.{FINGERPRINT_BODY_BYTES}>")
        items += self._label_items()
        content = ContentLimits(MAX_IDENTITY_BYTES, FINGERPRINT_BODY_BYTES)
        found: list[MessageIdentity] = []
        for chunk in _chunks(wanted, UID_CHUNK):
            rows = self._wire.fetch(chunk, items, content)
            identities = (
                identity_from(uid, rows[uid], item, exact_size=self._capabilities.exact_sizes)
                for uid in chunk
                if uid in rows
            )
            found.extend(identity for identity in identities if identity is not None)
        return found

    def fetch(
        self, folder: str, uid_validity: int, uids: Uids, max_bytes: int
    ) -> Iterator[RawMessage]:
        """Header and first `max_bytes` of the body of those `uids` that still exist.

        Checks folder and UIDVALIDITY at once; the messages come as they are asked for, and
        other calls may be made in between.
        """
        wanted = _ascending(uids)
        if not wanted:
            return iter(())
        self._open(folder, uid_validity)
        return self._fetch(folder, uid_validity, wanted, max_bytes)

    def _fetch(
        self, folder: str, uid_validity: int, wanted: Sequence[int], max_bytes: int
    ) -> Iterator[RawMessage]:
        item = self._capabilities.server_id
        # One byte more than wanted of header and body: if it comes, something was cut off.
        body = max(max_bytes, FINGERPRINT_BODY_BYTES) + 1
        items = ["INTERNALDATE", "RFC822.SIZE", f"BODY.PEEK[HEADER]<0.{MAX_HEADER_BYTES + 1}>"]
        items += [f"BODY.PEEK[TEXT]<0.{body}>", *([item] if item else [])]
        items += self._label_items()
        exact = self._capabilities.exact_sizes
        content = ContentLimits(MAX_HEADER_BYTES + 1, body)
        at_once = max(1, min(FETCH_CHUNK, FETCH_BYTES // (content.header + content.body)))
        for chunk in _chunks(wanted, at_once):
            self._open(folder, uid_validity)
            rows = self._wire.fetch(chunk, items, content)
            for uid in chunk:
                row = rows.pop(uid, {})
                message = raw_message_from(
                    uid, row, item, max_bytes, MAX_HEADER_BYTES, exact_size=exact
                )
                if message is not None:
                    yield message

    def _label_items(self) -> list[str]:
        return [GMAIL_LABELS] if self._capabilities.labels else []

    def _uid_next(self, selection: Selection) -> int:
        if selection.uid_next is not None:
            return selection.uid_next
        # Courier tells UIDNEXT only in STATUS.
        return self._wire.status(selection.folder, ["UIDNEXT"]).get("UIDNEXT", 1)

    def _undeleted(self, selection: Selection, uid_next: int) -> list[int]:
        if selection.messages <= _SEARCH_WINDOW:
            return self._wire.search("UNDELETED")
        # Never "low:*": beyond UIDNEXT that is the last message, whatever its UID.
        found: list[int] = []
        # A server may have used up millions of UIDs, or say so.
        window = max(_SEARCH_WINDOW, uid_next // _MAX_SEARCHES)
        for low in range(1, uid_next, window):
            found += self._wire.search("UID", f"{low}:{low + window - 1}", "UNDELETED")
        return found

    # Changing ------------------------------------------------------------------------------

    def move(self, folder: str, uid_validity: int, uids: Uids, target: str) -> Mapping[int, int]:
        """UID MOVE (RFC 6851), or COPY and `expunge` where there is none.

        Returns the COPYUID mapping, empty when the server gave none: that means unknown, not
        unmoved. Raises `CapabilityMissing` before anything is sent.
        """
        if not self._capabilities.can_move_safely:
            raise CapabilityMissing("The server has neither MOVE nor UIDPLUS; nothing was moved.")
        wanted = _ascending(uids)
        if not wanted:
            return {}
        # Dovecot would move even in a folder opened with EXAMINE; others refuse.
        selection = self._open(folder, uid_validity, writable=True)
        mapping: dict[int, int] = {}
        for chunk in _chunks(wanted, UID_CHUNK):
            if self._capabilities.move:
                mapping.update(self._wire.move(chunk, target))
            else:
                mapping.update(self._copy_and_expunge(selection, chunk, target))
        return mapping

    def copy(self, folder: str, uid_validity: int, uids: Uids, target: str) -> Mapping[int, int]:
        """UID COPY; returns the COPYUID mapping as `move` does."""
        wanted = _ascending(uids)
        if not wanted:
            return {}
        self._open(folder, uid_validity)
        mapping: dict[int, int] = {}
        for chunk in _chunks(wanted, UID_CHUNK):
            mapping.update(self._wire.copy(chunk, target))
        return mapping

    def expunge(self, folder: str, uid_validity: int, uids: Uids) -> None:
        """Flag exactly `uids` `\\Deleted` and UID EXPUNGE exactly them (RFC 4315); on Gmail take
        the folder's label off exactly these.

        Raises `CapabilityMissing` without UIDPLUS and labels, before anything is sent."""
        if not self._capabilities.uidplus and not self._capabilities.labels:
            raise CapabilityMissing("The server has no UIDPLUS; nothing was deleted.")
        wanted = _ascending(uids)
        if not wanted:
            return
        if self._capabilities.labels:
            self._take_label_off(folder, uid_validity, wanted)
            return
        selection = self._open(folder, uid_validity, writable=True)
        for chunk in _chunks(wanted, UID_CHUNK):
            self._flag_and_expunge(selection, chunk)

    def _copy_and_expunge(
        self, selection: Selection, uids: Sequence[int], target: str
    ) -> dict[int, int]:
        if not self._capabilities.labels:
            _require_deletable(selection)
        mapping = self._wire.copy(uids, target)
        if mapping:
            # Only what the server says it has copied may go.
            self.expunge(selection.folder, selection.uid_validity, mapping)
        elif self._wire.search("UID", ",".join(map(str, uids))):
            raise CommandRefused("The server did not confirm the copy; nothing was removed.")
        return mapping

    def _flag_and_expunge(self, selection: Selection, uids: Sequence[int]) -> None:
        _require_deletable(selection)
        self._wire.flag_deleted(uids)
        self._wire.uid_expunge(uids)

    def _take_label_off(self, folder: str, uid_validity: int, uids: Sequence[int]) -> None:
        """Out of a folder of Gmail without \\Deleted: what that does is up to a setting of the
        account's, which may be to delete the mail for good, from every folder.

        Done in All Mail, where the label is one like any other; where that is not shown over
        IMAP, in the folder itself. Raises `CommandRefused` when the mail stays there all the same.
        """
        found = {info.name: info.special_use for info in self.folders()}
        everything = next((name for name, use in found.items() if use is SpecialUse.ALL), None)
        label = "\\Inbox" if _key(folder) == "INBOX" else folder
        if found.get(folder) is not None:
            raise CommandRefused("This folder of Gmail's is no label.", code="CANNOT")
        for chunk in _chunks(uids, FETCH_CHUNK):
            self._open(folder, uid_validity, writable=everything is None)
            there = self._wire.search("UID", ",".join(map(str, chunk)))
            if everything is not None:
                ids = [
                    identity.server_id for identity in self.identify(folder, uid_validity, there)
                ]
                self._wire.select(everything, writable=True)
                there = [uid for each in ids for uid in self._wire.search("X-GM-MSGID", str(each))]
            if there:
                self._wire.remove_label(there, label)
        self._open(folder, uid_validity)
        if self._wire.search("UID", ",".join(map(str, uids))):
            raise CommandRefused("The server did not take the label off.")

    # Waiting and closing -------------------------------------------------------------------

    def wait(self, folder: str, seconds: float, stopped: Callable[[], bool]) -> bool:
        """IDLE (RFC 2177) on `folder` until something changes (True), `seconds` pass or
        `stopped()` turns true (False).

        A change since the last `status` or `snapshot` of the folder counts: nothing that
        happens between them and this call is slept through.
        """
        if not self._capabilities.idle:
            raise CapabilityMissing("The server has no IDLE.")
        deadline = time.monotonic() + seconds
        selection = self._wire.select(folder, writable=False)
        now = (selection.uid_validity, self._uid_next(selection), selection.messages)
        if not _is_same(self._reported.get(_key(folder), now), now):
            return True
        while not stopped() and (left := deadline - time.monotonic()) > 0:
            if self._wire.idle(min(left, _IDLE_RENEWAL_SECONDS), stopped):
                return True
        return False

    def close(self) -> None:
        """LOGOUT, best effort; never raises."""
        self._wire.close()

    # The selected folder -------------------------------------------------------------------

    def _open(self, folder: str, uid_validity: int, *, writable: bool = False) -> Selection:
        """The folder, selected and up to date; `FolderChanged` when UIDVALIDITY is another."""
        selection = self._open_selection(folder)
        if selection is None or (writable and not selection.writable):
            selection = self._wire.select(folder, writable=writable)
        elif selection.uid_validity != uid_validity or not self._capabilities.condstore:
            # The caller may be right, and this session look at a folder of the same name that
            # was deleted since. And Courier and pymap, which go by the folder's name, continue
            # in its namesake under the old UIDVALIDITY, against RFC 3501, 2.3.1.1: UIDs would
            # mean other mails. Servers that count changes (RFC 7162) know their folder.
            selection = self._wire.select(folder, writable=writable)
        else:
            # A session sees new messages only after a command has told it of them; without
            # this they would pass for messages that no longer exist.
            self._wire.noop()
        if selection.uid_validity != uid_validity:
            raise FolderChanged("UIDVALIDITY has changed: the folder was made anew.")
        return selection

    def _open_selection(self, folder: str) -> Selection | None:
        selection = self._wire.selection
        return selection if selection and _key(selection.folder) == _key(folder) else None

    def _report(self, folder: str, uid_validity: int, uid_next: int, messages: int) -> None:
        self._reported[_key(folder)] = (uid_validity, uid_next, messages)


def _require_deletable(selection: Selection) -> None:
    """Before anything is copied or flagged: Dovecot's STORE says OK without doing anything."""
    if not selection.deletable:
        raise CommandRefused("No message may be deleted from this folder.", code="NOPERM")


def _ascending(uids: Uids) -> list[int]:
    return sorted(set(uids))


def _chunks(uids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (uids[start : start + size] for start in range(0, len(uids), size))


def _is_same(before: tuple[int, int, int], now: tuple[int, int, int]) -> bool:
    """Whether nothing happened: UIDVALIDITY, UIDNEXT and the number of messages are as before.

    Courier takes the time of day for the UIDVALIDITY of a folder that never held any mail.
    """
    return before == now or (now[2] == 0 and before[1:] == now[1:])


def _key(folder: str) -> str:
    """Folder names are equal when they are the same string; only INBOX has no case."""
    return "INBOX" if folder.upper() == "INBOX" else folder
