"""imapclient with its traps handled: typed errors, no stale answers, a silent log.

The only module that imports imapclient. Everything here speaks of one command each; what the
commands are good for stands in `imap.py`. Wherever the private `_imap` is used, imapclient
has no public way (measured with 4.1).
"""

from __future__ import annotations

import contextlib
import imaplib
import logging
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from imapclient import DELETED, IMAPClient
from imapclient.exceptions import ProtocolError
from imapclient.imap_utf7 import decode as decode_utf7
from imapclient.imap_utf7 import encode as encode_utf7
from imapclient.response_parser import parse_response

from daemon.errors import CommandRefused, LoginRefused, MailboxUnreachable
from daemon.mailbox.identity import FetchRow
from daemon.mailbox.responses import (
    copied_uids,
    folder_errors,
    is_change,
    is_refusal,
    response_code,
    target_errors,
)

_RETRY_LOGIN_CODES = frozenset({"UNAVAILABLE", "LIMIT", "INUSE", "SERVERBUG"})
_GARBAGE = (ProtocolError, ValueError, TypeError, KeyError, IndexError, RecursionError)
_STOP_CHECK_SECONDS = 0.5
_LOGOUT_SECONDS = 5.0


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


class Wire:
    """One connection. After `MailboxUnreachable` it is closed and stays so."""

    def __init__(self, client: Any, timeout: float) -> None:
        self._client = client
        # Every method below that touches it says which trap makes that necessary.
        self._imap: Any = client._imap  # noqa: SLF001
        self._timeout = timeout
        self._dead = False
        self.selection: Selection | None = None
        """The folder that is open on the server, None when none is."""
        # Folder names are en- and decoded here: imapclient fails a whole LIST for one bad name.
        client.folder_encode = False
        client.normalise_times = False
        # imapclient sets imaplib's debug level to 5, which formats every literal for a log
        # that must not exist: it would hold the password and all mail.
        self._imap.debug = 0
        # Without it Cyrus and Courier need 45 ms a command (Nagle with delayed ACK).
        client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def dial(cls, host: str, port: int, timeout: float, context: ssl.SSLContext | None) -> Wire:
        """Connect and read the greeting; TLS from the first byte when there is a `context`."""
        _silence_imapclient()
        try:
            client = IMAPClient(
                host, port, ssl=context is not None, ssl_context=context, timeout=timeout
            )
        except ssl.SSLCertVerificationError as error:
            raise MailboxUnreachable(
                f"The certificate of {host} cannot be verified.",
                next_step="Check the host name, or set ca_file to the server's own certificate.",
            ) from error
        except (OSError, imaplib.IMAP4.error, *_GARBAGE) as error:
            raise MailboxUnreachable(f"No IMAP server answers on {host}:{port}.") from error
        return cls(client, timeout)

    # Connection state ----------------------------------------------------------------------

    @property
    def preauthenticated(self) -> bool:
        """The server greeted with PREAUTH (RFC 3501, 7.1.4)."""
        return bool(self._imap.state == "AUTH")

    def capability_names(self) -> frozenset[str]:
        """What the server announces now, upper case; before and after login it differs."""
        with self._command("CAPABILITY"):
            names = self._client.capabilities()
            return frozenset(name.decode("ascii", "replace").upper() for name in names)

    def starttls(self, context: ssl.SSLContext) -> None:
        """STARTTLS (RFC 3501, 6.2.1). What was read before it is thrown away."""
        with self._command("STARTTLS"):
            self._client.starttls(context)
        self._imap.untagged_responses.clear()

    def login(self, username: str, password: str) -> None:
        """AUTHENTICATE PLAIN where announced, LOGIN otherwise. Raises `LoginRefused`.

        PLAIN first: it carries any characters, whereas imaplib's LOGIN sends the user name
        unquoted and cannot send non-ASCII at all.
        """
        names = self.capability_names()
        plain = "AUTH=PLAIN" in names
        _check_credentials(username, password, plain=plain)
        if not plain and "LOGINDISABLED" in names:
            raise LoginRefused("The server accepts no password on this kind of connection.")
        try:
            with self._command("LOGIN"):
                if plain:
                    answer = f"\0{username}\0{password}".encode()
                    self._imap.authenticate("PLAIN", lambda _challenge: answer)
                else:
                    self._imap.login(_quoted(username), password)
        except CommandRefused as error:
            if error.code in _RETRY_LOGIN_CODES:
                self._die()
                raise MailboxUnreachable(
                    f"The server cannot log anybody in at the moment ({error.code})."
                ) from error
            raise LoginRefused("The server refused user name or password.") from error

    def close(self) -> None:
        """LOGOUT if the connection still lives; never raises."""
        if not self._dead:
            with contextlib.suppress(MailboxUnreachable, CommandRefused), self._command("LOGOUT"):
                self._client.socket().settimeout(min(self._timeout, _LOGOUT_SECONDS))
                self._imap.logout()
        self._die()

    # Folders -------------------------------------------------------------------------------

    def list_folders(self, *, special_use: bool) -> list[ListLine]:
        """LIST "" "*", with RETURN (SPECIAL-USE) (RFC 6154) where the server knows that."""
        pattern = '"*" RETURN (SPECIAL-USE)' if special_use else '"*"'
        with self._command("LIST"):
            status, data = self._imap.list('""', pattern)
            self._check("LIST", status, data)
            items = parse_response([item for item in data if item not in {None, b""}])
            triples = zip(items[::3], items[1::3], items[2::3], strict=True)
            return [_list_line(flags, delimiter, name) for flags, delimiter, name in triples]

    def namespaces(self) -> tuple[list[str], list[str]]:
        """Prefixes of the personal namespaces and of all others (RFC 2342)."""
        with self._command("NAMESPACE"):
            status, data = self._imap.namespace()
            self._check("NAMESPACE", status, data)
            kinds = [[_text(space[0]) for space in kind or ()] for kind in parse_response(data)]
            return kinds[0], [prefix for kind in kinds[1:] for prefix in kind]

    def select(self, folder: str, *, writable: bool) -> Selection:
        """SELECT or EXAMINE. Raises `FolderMissing`."""
        self.selection = None  # a refused SELECT leaves no folder open
        with folder_errors(), self._command("SELECT"):
            answer = self._client.select_folder(encode_utf7(folder), readonly=not writable)
            flags = answer.get(b"PERMANENTFLAGS")
            uid_next = answer.get(b"UIDNEXT")
            self.selection = Selection(
                folder=folder,
                writable=writable,
                uid_validity=int(answer[b"UIDVALIDITY"]),
                uid_next=None if uid_next is None else int(uid_next),
                messages=int(answer[b"EXISTS"]),
                deletable=flags is None or DELETED in flags,
            )
        return self.selection

    def status(self, folder: str, items: Sequence[str]) -> dict[str, int]:
        """STATUS, item to number; items that the server leaves out are missing.

        Raises `FolderMissing`.
        """
        with folder_errors(), self._command("STATUS"):
            answer = self._client.folder_status(encode_utf7(folder), items)
            return {_text(name).upper(): int(value) for name, value in answer.items()}

    def create(self, folder: str) -> None:
        """CREATE."""
        with self._command("CREATE"):
            self._client.create_folder(encode_utf7(folder))

    def subscribe(self, folder: str) -> None:
        """SUBSCRIBE."""
        with self._command("SUBSCRIBE"):
            self._client.subscribe_folder(encode_utf7(folder))

    # Messages ------------------------------------------------------------------------------

    def noop(self) -> None:
        """NOOP: the session gets to see what has come and gone since the last command."""
        with self._command("NOOP"):
            self._check("NOOP", *self._imap.noop())

    def search(self, *criteria: str) -> list[int]:
        """UID SEARCH; the UIDs in ascending order."""
        with self._command("SEARCH"):
            return sorted(self._client.search(list(criteria)))

    def fetch(self, uids: Sequence[int], items: Sequence[str]) -> dict[int, FetchRow]:
        """UID FETCH; UIDs that do not exist are missing in the answer."""
        try:
            return self._fetch(uids, items)
        except CommandRefused as error:
            if error.code != "EXPUNGEISSUED":
                raise
        # Some of them were expunged by another session (RFC 5530): let go of them, ask again.
        self.noop()
        return self._fetch(uids, items)

    def _fetch(self, uids: Sequence[int], items: Sequence[str]) -> dict[int, FetchRow]:
        with self._command("FETCH"):
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
            self._client.move(uids, encode_utf7(target))
            return self._copied(uids)

    def copy(self, uids: Sequence[int], target: str) -> dict[int, int]:
        """UID COPY; mapping and errors as with `move`."""
        with target_errors(), self._command("COPY"):
            self._client.copy(uids, encode_utf7(target))
            return self._copied(uids)

    def flag_deleted(self, uids: Sequence[int]) -> None:
        """UID STORE +FLAGS.SILENT (\\Deleted)."""
        with self._command("STORE"):
            self._client.add_flags(uids, [DELETED], silent=True)

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
                raise ProtocolError("IDLE ended before it began")
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
        connection = self._client.socket()
        connection.setblocking(False)
        try:
            return bool(self._imap.file.peek(1))
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            connection.settimeout(self._timeout)

    # Errors --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _command(self, name: str) -> Iterator[None]:
        """One command: nothing stale before it, only errors of ours after it."""
        if self._dead:
            raise MailboxUnreachable("The connection to the mail server is closed.")
        self._forget_answers()
        try:
            yield
        except imaplib.IMAP4.readonly as error:
            # A subclass of "abort", but the connection is as sound as ever.
            raise CommandRefused("The folder is read-only.", code="READ-ONLY") from error
        except (imaplib.IMAP4.abort, OSError) as error:
            self._die()
            raise MailboxUnreachable(
                f"The connection to the mail server broke during {name}."
            ) from error
        except imaplib.IMAP4.error as error:
            # A refused login comes with nothing but the server's text.
            refused = name == "LOGIN" or is_refusal(str(error))
            if isinstance(error, ProtocolError) or not refused:
                self._die()
                raise MailboxUnreachable(f"The answer to {name} cannot be read.") from error
            code = response_code(str(error))
            raise CommandRefused(
                f"The server refused {name}" + (f" ({code})." if code else "."), code=code
            ) from error
        except _GARBAGE as error:
            # imapclient's parser stumbles over garbage in any of these ways.
            self._die()
            raise MailboxUnreachable(f"The answer to {name} cannot be read.") from error

    def _forget_answers(self) -> None:
        """Untagged answers pile up in imaplib, and an old COPYUID passes for the new one."""
        answers = self._imap.untagged_responses
        bye = answers.get("BYE")
        answers.clear()
        if bye:
            answers["BYE"] = bye

    def _check(self, name: str, status: str, data: Sequence[object]) -> None:
        if status != "OK":
            raise imaplib.IMAP4.error(f"{name} failed: {_text(data[0])}")

    def _die(self) -> None:
        self._dead = True
        with contextlib.suppress(OSError):
            self._imap.shutdown()


def _list_line(flags: Sequence[bytes], delimiter: object, raw: object) -> ListLine:
    return ListLine(
        flags=frozenset(_text(flag).lower() for flag in flags),
        delimiter=_text(delimiter),
        name=_folder_name(raw),
    )


def _folder_name(raw: object) -> str | None:
    # The parser turns an unquoted 2024 into a number and an unquoted NIL into None.
    encoded = raw if isinstance(raw, bytes) else b"NIL" if raw is None else str(raw).encode()
    try:
        name: str = decode_utf7(encoded)
        # A name that would be sent back differently (raw UTF-8, sloppy UTF-7) names nothing.
        return name if encode_utf7(name) == encoded else None
    except UnicodeError:
        return None


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    return "" if value is None else str(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _check_credentials(username: str, password: str, *, plain: bool) -> None:
    if any(char in text for char in "\0\r\n" for text in (username, password)):
        raise LoginRefused("User name or password holds a line break or NUL.")
    if not plain and not (username.isascii() and password.isascii()):
        raise LoginRefused("This server takes only ASCII characters in user name and password.")


def _silence_imapclient() -> None:
    # Whatever level the root logger has: these two would write addresses, passwords and mail.
    for name in ("imapclient.imapclient", "imapclient.imaplib"):
        logging.getLogger(name).disabled = True
