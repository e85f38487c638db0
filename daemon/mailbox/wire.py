"""The IMAP commands that the adapter needs, one method each, with imapclient's traps handled."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daemon.errors import CommandRefused, FolderMissing, MailboxUnreachable, ProtocolViolated
from daemon.mailbox.bounds import ReplyLimits
from daemon.mailbox.identity import FetchRow
from daemon.mailbox.responses import (
    appended_uid,
    copied_uids,
    folder_errors,
    is_change,
    refused_status,
    target_errors,
    trouble,
)
from daemon.mailbox.transport import Transport, decode_name, encode_name, parsed, text_of

_DELETED = b"\\Deleted"
_STOP_CHECK_SECONDS = 0.5
_MAX_NUMBER = 2**32 - 1
"""UIDs, UIDVALIDITY and counts are 32-bit numbers (RFC 3501, section 9)."""
_MAX_MODSEQ = 2**63 - 1
"""RFC 7162, section 7. The database holds no larger number either."""

PIPELINE = 100
"""Commands on the way at once: some 10 kB, which no buffer between client and server fills."""


@dataclass(frozen=True, slots=True)
class ListLine:
    """One LIST response; `name` is None when it cannot be decoded and sent back unchanged."""

    flags: frozenset[str]
    delimiter: str
    name: str | None


@dataclass(frozen=True, slots=True)
class Selection:
    """The answer to SELECT or EXAMINE; `uid_next` is None on servers that leave it out."""

    folder: str
    writable: bool
    uid_validity: int
    uid_next: int | None
    messages: int
    deletable: bool
    """PERMANENTFLAGS holds \\Deleted (or was not sent, which means the same)."""


@dataclass(frozen=True, slots=True)
class ContentLimits:
    """How many bytes of header and of body are asked for of each message in a FETCH."""

    header: int
    body: int

    def for_messages(self, count: int) -> ReplyLimits:
        """What the whole answer may cost: no literal is larger than what was asked for."""
        return ReplyLimits().with_content(
            count, self.header + self.body, max(self.header, self.body)
        )


class Wire(Transport):
    """A connection with the commands of RFC 3501 and of the extensions in use."""

    def __init__(self, client: Any, timeout: float) -> None:
        super().__init__(client, timeout)
        self.selection: Selection | None = None
        """The folder that is open on the server, None when none is."""

    def server_id(self) -> dict[str, str]:
        """ID NIL (RFC 2971): what the server tells of itself, by lower-case field name."""
        with self._command("ID"):
            answer = self._client.id_()
            fields = answer[0] if answer and isinstance(answer[0], tuple) else ()
            pairs = zip(fields[::2], fields[1::2], strict=False)
            return {
                text_of(name).lower(): text_of(value)
                for name, value in pairs
                if isinstance(name, bytes) and isinstance(value, bytes)
            }

    # Folders -------------------------------------------------------------------------------

    def list_folders(self, *, special_use: bool) -> list[ListLine]:
        """LIST "" "*", with RETURN (SPECIAL-USE) (RFC 6154) where the server knows that."""
        pattern = '"*" RETURN (SPECIAL-USE)' if special_use else '"*"'
        with self._command("LIST"):
            status, data = self._imap.list('""', pattern)
            self._check("LIST", status, data)
            items = parsed(data)
            triples = zip(items[::3], items[1::3], items[2::3], strict=True)
            return [_list_line(flags, delimiter, name) for flags, delimiter, name in triples]

    def namespaces(self) -> tuple[list[str], list[str]]:
        """Prefixes of the personal namespaces and of all others (RFC 2342)."""
        with self._command("NAMESPACE"):
            status, data = self._imap.namespace()
            self._check("NAMESPACE", status, data)
            kinds = [[text_of(space[0]) for space in kind or ()] for kind in parsed(data)]
            return kinds[0], [prefix for kind in kinds[1:] for prefix in kind]

    def select(self, folder: str, *, writable: bool) -> Selection:
        """SELECT or EXAMINE. Raises `FolderMissing`."""
        self.selection = None  # a refused SELECT leaves no folder open
        with folder_errors(), self._command("SELECT"):
            answer = self._client.select_folder(encode_name(folder), readonly=not writable)
            flags = answer.get(b"PERMANENTFLAGS")
            uid_next = answer.get(b"UIDNEXT")
            self.selection = Selection(
                folder=folder,
                writable=writable,
                uid_validity=_number(answer[b"UIDVALIDITY"]),
                uid_next=None if uid_next is None else _number(uid_next),
                messages=_number(answer[b"EXISTS"]),
                deletable=flags is None or _DELETED in flags,
            )
        return self.selection

    def status(self, folder: str, items: Sequence[str]) -> dict[str, int]:
        """STATUS, item to number; items that the server leaves out are missing.

        Raises `FolderMissing`.
        """
        with folder_errors(), self._command("STATUS"):
            answer = self._client.folder_status(encode_name(folder), items)
            return _status_numbers(answer)

    def statuses(
        self, folders: Sequence[str], items: Sequence[str]
    ) -> dict[str, dict[str, int] | CommandRefused | FolderMissing]:
        """`status` of each folder or its error, many commands on the way at once.

        Every server must take commands faster than it answers them (RFC 3501, 5.5), whereas
        LIST-STATUS (RFC 5819) is offered by some and does not tell why a folder is left out.
        """
        found: dict[str, dict[str, int] | CommandRefused | FolderMissing] = {}
        for start in range(0, len(folders), PIPELINE):
            found.update(self._statuses(folders[start : start + PIPELINE], items))
        return found

    def _statuses(
        self, folders: Sequence[str], items: Sequence[str]
    ) -> dict[str, dict[str, int] | CommandRefused | FolderMissing]:
        wanted = f"({' '.join(items)})"
        with self._command("STATUS"):
            names = [self._client._normalise_folder(encode_name(folder)) for folder in folders]  # noqa: SLF001
            tags = [self._imap._command("STATUS", name, wanted) for name in names]  # noqa: SLF001
            results = [self._status_result(tag) for tag in tags]
            numbers = _status_lines(self._imap.untagged_responses.pop("STATUS", []))
        return {
            folder: numbers.get(folder.upper() if folder.upper() == "INBOX" else folder, {})
            if status == "OK"
            else refused_status(text_of(data[0]))
            for folder, (status, data) in zip(folders, results, strict=True)
        }

    def _status_result(self, tag: bytes) -> tuple[str, list[Any]]:
        """The tagged answer to one STATUS; those to the others never come when the server will
        answer nothing any more."""
        status, data = self._imap._get_tagged_response(tag)  # noqa: SLF001
        if status != "OK" and trouble(text_of(data[0])):
            self._check("STATUS", status, data)
        return status, data

    def create(self, folder: str) -> None:
        """CREATE."""
        with self._command("CREATE"):
            self._client.create_folder(encode_name(folder))

    def subscribe(self, folder: str) -> None:
        """SUBSCRIBE."""
        with self._command("SUBSCRIBE"):
            self._client.subscribe_folder(encode_name(folder))

    def append(self, folder: str, content: bytes) -> int | None:
        """APPEND; the UID of APPENDUID (RFC 4315, 3), None when there is none.

        Raises `FolderMissing` when the folder does not exist.
        """
        with target_errors(), self._command("APPEND"):
            answer = self._client.append(encode_name(folder), content)
            return appended_uid(answer)

    # Messages ------------------------------------------------------------------------------

    def noop(self) -> None:
        """NOOP: the session gets to see what has come and gone since the last command."""
        with self._command("NOOP"):
            self._check("NOOP", *self._imap.noop())

    def search(self, *criteria: str) -> list[int]:
        """UID SEARCH; the UIDs in ascending order."""
        with self._command("SEARCH"):
            return sorted(_number(uid, first=1) for uid in self._client.search(list(criteria)))

    def fetch(
        self, uids: Sequence[int], items: Sequence[str], content: ContentLimits
    ) -> dict[int, FetchRow]:
        """UID FETCH; UIDs that do not exist are missing in the answer.

        Raises `ProtocolViolated` when the server sends more than `content` allows.
        """
        try:
            return self._fetch(uids, items, content)
        except CommandRefused as error:
            if error.code != "EXPUNGEISSUED":
                raise
        # Some of them were expunged by another session (RFC 5530): let go of them, ask again.
        self.noop()
        return self._fetch(uids, items, content)

    def _fetch(
        self, uids: Sequence[int], items: Sequence[str], content: ContentLimits
    ) -> dict[int, FetchRow]:
        with self._command("FETCH", content.for_messages(len(uids))):
            rows: dict[int, FetchRow] = self._client.fetch(uids, items)
            return rows

    def knows_fetch_item(self, item: str) -> bool:
        """Whether the server understands an item that no capability announces.

        Asks for it on the last message of the selected folder. A server that does not know it
        answers BAD, or OK without it; in an empty folder an OK has to do.
        """
        try:
            with self._command("FETCH"):
                status, data = self._imap.uid("FETCH", "*", f"({item})")
                self._check("FETCH", status, data)
        except CommandRefused:
            return False
        answers = [answer for answer in data if isinstance(answer, bytes)]
        return not answers or any(item.encode("ascii") in answer.upper() for answer in answers)

    def move(self, uids: Sequence[int], target: str) -> dict[int, int]:
        """UID MOVE (RFC 6851); the COPYUID mapping, empty when there is none.

        Raises `FolderMissing` when the target does not exist.
        """
        with target_errors(), self._command("MOVE"):
            self._client.move(uids, encode_name(target))
            return self._copied(uids)

    def copy(self, uids: Sequence[int], target: str) -> dict[int, int]:
        """UID COPY; mapping and errors as with `move`."""
        with target_errors(), self._command("COPY"):
            self._client.copy(uids, encode_name(target))
            return self._copied(uids)

    def flag_deleted(self, uids: Sequence[int]) -> None:
        """UID STORE +FLAGS.SILENT (\\Deleted)."""
        with self._command("STORE"):
            self._client.add_flags(uids, [_DELETED], silent=True)

    def remove_label(self, uids: Sequence[int], label: str) -> None:
        """UID STORE -X-GM-LABELS (Gmail): a system label such as \\Inbox, or a folder's name."""
        quoted = encode_name(label).decode("ascii").replace("\\", "\\\\").replace('"', '\\"')
        with self._command("STORE"):
            numbers = ",".join(map(str, uids))
            answer = self._imap.uid("STORE", numbers, "-X-GM-LABELS", f'("{quoted}")')
            self._check("STORE", *answer)

    def uid_expunge(self, uids: Sequence[int]) -> None:
        """UID EXPUNGE (RFC 4315): only these UIDs, whatever else is flagged \\Deleted."""
        with self._command("EXPUNGE"):
            # imapclient's expunge(uids) does not look whether the server has UIDPLUS.
            self._client.uid_expunge(uids)

    def _copied(self, asked: Sequence[int]) -> dict[int, int]:
        # imapclient's move and copy return None on Dovecot: COPYUID comes in an untagged OK
        # (RFC 6851, 4.3) or in the tagged one, imaplib files both under the code's name.
        answers = self._imap.untagged_responses.pop("COPYUID", [])
        mapping: dict[int, int] = {}
        for answer in answers:
            mapping.update(copied_uids(answer, set(asked)))
        return mapping

    # IDLE ----------------------------------------------------------------------------------

    def idle(self, seconds: float, stopped: Callable[[], bool]) -> bool:
        """One IDLE of at most `seconds`; True when the server reported a change.

        Not imapclient's `idle_check`: after the end of the connection it returns [] at once
        and for ever, it loses a line that arrives in two packets, and it overlooks lines that
        arrived together with the continuation. Here anything that arrives ends the IDLE, and
        the answer to DONE tells the change, the idle chatter ("* OK Still here") and the dead
        connection apart.
        """
        with self._command("IDLE"):
            tag = self._imap._command("IDLE")  # noqa: SLF001
            lines = self._lines_until_continuation(tag)
            if not lines:
                self._poll(time.monotonic() + seconds, stopped)
            self._imap.reader().expect(ReplyLimits())  # the waiting does not count
            self._imap.send(b"DONE\r\n")
            while not self._imap.tagged_commands[tag]:
                lines.append(self._imap._get_response() or b"")  # noqa: SLF001
            status, data = self._imap.tagged_commands.pop(tag)
            self._check("IDLE", status, data)
            return any(map(is_change, lines))

    def _lines_until_continuation(self, tag: bytes) -> list[bytes]:
        lines: list[bytes] = []
        while (line := self._imap._get_response()) is not None:  # noqa: SLF001
            if self._imap.tagged_commands[tag]:
                status, data = self._imap.tagged_commands.pop(tag)
                self._check("IDLE", status, data)
                raise MailboxUnreachable("IDLE ended before it began.")
            lines.append(line)
        return lines

    def _poll(self, deadline: float, stopped: Callable[[], bool]) -> None:
        """Return when something can be read, the deadline passes or `stopped()`."""
        poller = select.poll()
        poller.register(self._client.socket(), select.POLLIN)
        while not stopped() and (left := deadline - time.monotonic()) > 0:
            if self._buffered() or poller.poll(1000 * min(left, _STOP_CHECK_SECONDS)):
                return

    def _buffered(self) -> bool:
        """Whether a line was read along with the last one: poll() would not tell."""
        # TLS decrypts a whole record at a time.
        pending = getattr(self._client.socket(), "pending", int)()
        return self._imap.reader().has_buffered() or pending > 0


def _number(value: object, last: int = _MAX_NUMBER, first: int = 0) -> int:
    """A number that the server sent. Raises `ProtocolViolated` outside of its bounds."""
    if not isinstance(value, int) or not first <= value <= last:
        raise ProtocolViolated("The mail server sent a number that cannot be.")
    return value


def _status_numbers(answer: Mapping[object, object]) -> dict[str, int]:
    numbers = {text_of(name).upper(): value for name, value in answer.items()}
    return {
        name: _number(value, _MAX_MODSEQ if name == "HIGHESTMODSEQ" else _MAX_NUMBER)
        for name, value in numbers.items()
    }


def _status_lines(data: Sequence[object]) -> dict[str, dict[str, int]]:
    """STATUS responses by folder; INBOX in any case is INBOX (RFC 3501, 5.1)."""
    items = parsed(data)
    found = {}
    for raw, pairs in zip(items[::2], items[1::2], strict=True):
        name = decode_name(raw)
        if name is not None:
            numbers = dict(zip(pairs[::2], pairs[1::2], strict=True))
            found["INBOX" if name.upper() == "INBOX" else name] = _status_numbers(numbers)
    return found


def _list_line(flags: Sequence[bytes], delimiter: object, raw: object) -> ListLine:
    return ListLine(
        flags=frozenset(text_of(flag).lower() for flag in flags),
        delimiter=text_of(delimiter),
        name=decode_name(raw),
    )
