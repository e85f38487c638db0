"""An IMAP server that behaves as Gmail does, as far as Google's page "IMAP Extensions" and Gmail's
help ("IMAP settings") say so; for the tests, since nobody can put mail at risk in a real account.

    with GmailServer({"anna": "secret"}) as server:
        account = server.accounts["anna"]
        account.deliver(content, "Reisen")       # a filter of hers adds the label
        assert "UID EXPUNGE" not in server.commands

What Gmail has and nobody else: a message is stored once and shown in each folder whose label it
carries, and in All Mail; X-GM-MSGID is the same everywhere; X-GM-LABELS are read and changed like
flags, without the label of the folder that is open; `\\Deleted` and EXPUNGE do what the account's
settings say; whatever goes into Spam or Trash loses all its labels.

Not in Google's documentation, and decided here in the way that asks more of a client: the label of
the folder that is open cannot be taken off there, only in another folder (`strict_labels`), and
the same mail uploaded twice is two mails.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import re
import select
import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO, Literal

from imapclient.imap_utf7 import decode as decode_utf7
from imapclient.imap_utf7 import encode as encode_utf7

from tests.support.listener import Listener

ALL_MAIL = "[Gmail]/All Mail"
IMPORTANT = "[Gmail]/Important"
STARRED = "[Gmail]/Starred"
SPAM = "[Gmail]/Spam"
TRASH = "[Gmail]/Trash"
VIEWS = (ALL_MAIL, IMPORTANT, STARRED)
"""Folders in which mail shows up that lies elsewhere too."""

_SPECIAL = {
    ALL_MAIL: "\\All",
    "[Gmail]/Drafts": "\\Drafts",
    IMPORTANT: "\\Important",
    "[Gmail]/Sent Mail": "\\Sent",
    SPAM: "\\Junk",
    STARRED: "\\Flagged",
    TRASH: "\\Trash",
}
_SYSTEM_LABELS = {
    "INBOX": "\\Inbox",
    "[Gmail]/Drafts": "\\Draft",
    IMPORTANT: "\\Important",
    "[Gmail]/Sent Mail": "\\Sent",
    STARRED: "\\Starred",
}
CAPABILITIES = (
    "IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 UIDPLUS ENABLE MOVE "
    "CONDSTORE LIST-EXTENDED SPECIAL-USE AUTH=PLAIN"
)
AfterExpunge = Literal["archive", "trash", "delete"]
When = Literal["before", "halfway", "after"]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\x00\d+\x00|[()]|[^\s()]+')
_FETCH_ITEM = re.compile(
    r"BODY(?:\.PEEK)?\[(?P<section>[^\]]*)\](?:<(?P<start>\d+)\.(?P<size>\d+)>)?|[A-Z0-9.-]+"
)
_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")


@dataclass(eq=False)
class GmailMessage:
    """One message; `places` are the folders that show it, with its UID there."""

    id: int
    content: bytes
    internal_date: datetime
    flags: set[str]
    places: dict[str, int] = field(default_factory=dict)
    deleted_in: set[str] = field(default_factory=set)


@dataclass(eq=False)
class GmailFolder:
    """One folder; `change` counts all that ever happened to its messages (HIGHESTMODSEQ)."""

    name: str
    uid_validity: int
    uid_next: int = 1
    change: int = 1
    messages: dict[int, GmailMessage] = field(default_factory=dict)


class GmailAccount:
    """One user's mail, and what her settings say about `\\Deleted`."""

    def __init__(self, *, auto_expunge: bool, after_expunge: AfterExpunge) -> None:
        self.lock = threading.RLock()
        self.auto_expunge = auto_expunge
        self.after_expunge = after_expunge
        self.folders: dict[str, GmailFolder] = {}
        self._uid_validities = itertools.count(600_000_001)
        self._ids = itertools.count(1_278_455_344_230_334_865, 7)
        for name in ("INBOX", *_SPECIAL):
            self.create(name)

    # What people and senders do in the web ---------------------------------------------------

    def deliver(self, content: bytes, *labels: str) -> GmailMessage:
        """New mail in the inbox; a filter adds `labels`."""
        return self.store(content, ("INBOX", *labels))

    def add_label(self, message: GmailMessage, folder: str) -> None:
        """In the web: the mail stays where it is, too."""
        self.put(message, folder)

    def archive(self, message: GmailMessage) -> None:
        """In the web: out of the inbox, and nothing else."""
        self.take_out(message, "INBOX")

    def find(self, content: bytes) -> GmailMessage:
        """The one message with this content."""
        with self.lock:
            every = {
                id(m): m
                for folder in self.folders.values()
                for m in folder.messages.values()
                if m.content == content
            }
        assert len(every) == 1, f"{len(every)} such mails"
        return next(iter(every.values()))

    def places(self, content: bytes) -> set[str]:
        """Where the message shows."""
        return set(self.find(content).places)

    # Folders and labels ----------------------------------------------------------------------

    def create(self, name: str) -> None:
        """A label."""
        with self.lock:
            self.folders[name] = GmailFolder(name, next(self._uid_validities))

    def store(
        self,
        content: bytes,
        folders: Iterable[str],
        flags: Iterable[str] = (),
        internal_date: datetime | None = None,
    ) -> GmailMessage:
        """A message of its own, in these folders and in All Mail."""
        with self.lock:
            date = internal_date or datetime.now(UTC).replace(microsecond=0)
            message = GmailMessage(next(self._ids), content, date, set(flags) - {"\\Deleted"})
            self._show(message, ALL_MAIL)
            for folder in folders:
                self.put(message, folder)
                if "\\Deleted" in flags:
                    message.deleted_in.add(folder)
            if "\\Flagged" in flags:
                self._show(message, STARRED)
            return message

    def put(self, message: GmailMessage, folder: str) -> int:
        """Give it the label of the folder; in Spam and Trash it loses all others."""
        with self.lock:
            if folder in {SPAM, TRASH}:
                for other in [place for place in message.places if place != folder]:
                    self._hide(message, other)
            elif not message.places.keys().isdisjoint({SPAM, TRASH}):
                for other in {SPAM, TRASH} & message.places.keys():
                    self._hide(message, other)
                self._show(message, ALL_MAIL)
            if folder == STARRED:
                message.flags.add("\\Flagged")
            return self._show(message, folder)

    def take_out(self, message: GmailMessage, folder: str) -> None:
        """Take the label of the folder off; All Mail shows it all the same."""
        with self.lock:
            if folder == ALL_MAIL:
                return
            self._hide(message, folder)
            if not message.places:
                message.places.clear()  # out of Spam or Trash: gone for good

    def expunge(self, message: GmailMessage, folder: str) -> None:
        """`\\Deleted` and EXPUNGE, after which the settings say what becomes of the mail when no
        folder but the views shows it any more."""
        with self.lock:
            self.take_out(message, folder)
            if set(message.places) - set(VIEWS) or not message.places:
                return
            if self.after_expunge == "trash":
                self.put(message, TRASH)
            elif self.after_expunge == "delete":
                for place in list(message.places):
                    self._hide(message, place)

    def touch(self, message: GmailMessage) -> None:
        """Its flags or labels are others: every folder that shows it counts a change."""
        for place in message.places:
            self.folders[place].change += 1

    def _show(self, message: GmailMessage, folder: str) -> int:
        found = self.folders[folder]
        if folder not in message.places:
            message.places[folder] = found.uid_next
            found.messages[found.uid_next] = message
            found.uid_next += 1
            self.touch(message)
        return message.places[folder]

    def _hide(self, message: GmailMessage, folder: str) -> None:
        uid = message.places.pop(folder, None)
        message.deleted_in.discard(folder)
        if uid is not None:
            del self.folders[folder].messages[uid]
            self.folders[folder].change += 1
            self.touch(message)


class GmailServer(Listener):
    """Many accounts on a port of this machine; use it as a context manager.

    `hidden`: capabilities that it does not announce. `hidden_folders`: not shown over IMAP, as
    the settings of a label allow.
    """

    def __init__(
        self,
        users: Mapping[str, str],
        *,
        hidden: Sequence[str] = (),
        hidden_folders: Sequence[str] = (),
        auto_expunge: bool = True,
        after_expunge: AfterExpunge = "archive",
        strict_labels: bool = True,
    ) -> None:
        super().__init__()
        self.users = dict(users)
        self.accounts = {
            user: GmailAccount(auto_expunge=auto_expunge, after_expunge=after_expunge)
            for user in users
        }
        self.capabilities = " ".join(c for c in CAPABILITIES.split() if c not in hidden)
        self.hidden_folders = frozenset(hidden_folders)
        self.strict_labels = strict_labels
        self.commands: list[str] = []
        """Name and arguments of every command of every session, without literals."""
        self.refusals: dict[str, str] = {}
        """Command to the tagged answer that it gets from now on, such as "BAD too much"."""
        self._faults: list[tuple[str, When]] = []

    def cut(self, command: str, when: When) -> None:
        """The next such command ends the connection: before or after it is carried out, or when
        the label is added and the old one not yet taken off."""
        self._faults.append((command, when))

    def pending_faults(self) -> int:
        """How many cuts no command has met yet."""
        return len(self._faults)

    def fault_of(self, command: str) -> When | None:
        """The cut of this command, which is then used up."""
        for fault in self._faults:
            if fault[0] == command:
                self._faults.remove(fault)
                return fault[1]
        return None

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets.add(connection)
        threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ConnectionError):
            with connection.makefile("rb") as lines:
                _Session(self, connection, lines).talk()
            connection.shutdown(socket.SHUT_RDWR)
        self._sockets.discard(connection)


class _HungUp(ConnectionError):
    """The server ends the connection."""


class _Refused(Exception):
    """The tagged answer, such as "NO [NONEXISTENT] no such folder"."""


class _Session:
    """One connection."""

    def __init__(self, server: GmailServer, connection: socket.socket, lines: BinaryIO) -> None:
        self._server = server
        self._connection = connection
        self._lines = lines
        self._account: GmailAccount | None = None
        self._folder: GmailFolder | None = None
        self._writable = False
        self._view: list[int] = []
        self._literals: list[bytes] = []
        self._halfway = False
        self._commands: dict[str, Callable[[str], str | None]] = {
            "CAPABILITY": self._capability,
            "LOGIN": self._login,
            "AUTHENTICATE": self._authenticate,
            "ID": lambda _: self._say('* ID ("name" "GImap" "vendor" "Google, Inc.")'),
            "NAMESPACE": lambda _: self._say('* NAMESPACE (("" "/")) NIL NIL'),
            "NOOP": lambda _: None,
            "SUBSCRIBE": lambda _: None,
            "LIST": self._list,
            "STATUS": self._status,
            "SELECT": lambda rest: self._select(rest, writable=True),
            "EXAMINE": lambda rest: self._select(rest, writable=False),
            "CLOSE": self._unselect,
            "UNSELECT": self._unselect,
            "CREATE": self._create,
            "DELETE": self._delete,
            "RENAME": self._rename,
            "APPEND": self._append,
            "IDLE": self._idle,
            "UID SEARCH": self._search,
            "UID FETCH": self._fetch,
            "UID STORE": self._store,
            "UID COPY": lambda rest: self._copy(rest, move=False),
            "UID MOVE": lambda rest: self._copy(rest, move=True),
            "UID EXPUNGE": self._expunge,
            "EXPUNGE": lambda _: self._expunge("1:*"),
        }

    def talk(self) -> None:
        """Until the client or a fault ends it."""
        self._say("* OK Gimap ready for requests")
        while (command := self._read_command()) is not None:
            tag, name, rest = command
            if name == "LOGOUT":
                self._say("* BYE LOGOUT Requested")
                self._say(f"{tag} OK 73 good day (Success)")
                return
            self._say(f"{tag} {self._answer(name, rest)}")

    def _answer(self, name: str, rest: str) -> str:
        self._server.commands.append(f"{name} {rest}".strip())
        if name in self._server.refusals:
            return self._server.refusals[name]
        do = self._commands.get(name)
        if do is None or (self._account is None and name not in _BEFORE_LOGIN):
            return "BAD Unknown command"
        fault = self._server.fault_of(name)
        if fault == "before":
            raise _HungUp
        self._halfway = fault == "halfway"
        try:
            if self._account is None:
                done = do(rest)
            else:
                with self._account.lock if name != "IDLE" else contextlib.nullcontext():
                    done = do(rest)
                    self._tell_changes()
        except _Refused as refusal:
            return str(refusal)
        if fault is not None:
            raise _HungUp
        return done or "OK Success"

    # Lines -------------------------------------------------------------------------------------

    def _say(self, line: str | bytes) -> None:
        data = line if isinstance(line, bytes) else line.encode("utf-8")
        self._connection.sendall(data + b"\r\n")

    def _read_command(self) -> tuple[str, str, str] | None:
        """Tag, name and the rest, in which literals are numbered."""
        self._literals = []
        line = self._lines.readline()
        while match := _LITERAL.search(line):
            self._say("+ go ahead")
            self._literals.append(self._lines.read(int(match[1])))
            line = line[: match.start()] + b"\x00%d\x00" % (len(self._literals) - 1)
            line += self._lines.readline()
        words = line.decode("utf-8", "replace").rstrip("\r\n").split(" ", 2)
        if len(words) < 2:
            return None
        tag, name, rest = words[0], words[1].upper(), words[2] if len(words) > 2 else ""
        if name == "UID":
            second, _, rest = rest.partition(" ")
            name = f"UID {second.upper()}"
        return tag, name, rest

    def _strings(self, rest: str) -> list[str]:
        """Arguments without quotes; parentheses are arguments too."""
        found = []
        for token in _TOKEN.findall(rest):
            if token.startswith("\x00"):
                found.append(self._literals[int(token.strip("\x00"))].decode("utf-8", "replace"))
            elif token.startswith('"'):
                found.append(re.sub(r"\\(.)", r"\1", token[1:-1]))
            else:
                found.append(token)
        return found

    def _name(self, raw: str) -> str:
        name = decode_utf7(raw.encode("utf-8"))
        return "INBOX" if name.upper() == "INBOX" else name

    def _tell_changes(self) -> None:
        """EXPUNGE and EXISTS of the open folder (RFC 3501, 7.4.1)."""
        if self._folder is None:
            return
        assert self._account is not None
        if self._account.folders.get(self._folder.name) is not self._folder:
            self._say("* BYE the folder is gone")
            raise _HungUp
        now = self._folder.messages
        for index in range(len(self._view) - 1, -1, -1):
            if self._view[index] not in now:
                del self._view[index]
                self._say(f"* {index + 1} EXPUNGE")
        new = [uid for uid in now if uid not in set(self._view)]
        if new:
            self._view += new
            self._say(f"* {len(self._view)} EXISTS")

    # Session -----------------------------------------------------------------------------------

    def _capability(self, _rest: str) -> None:
        self._say(f"* CAPABILITY {self._server.capabilities}")

    def _login(self, rest: str) -> str:
        user, password = self._strings(rest)
        return self._enter(user, password)

    def _authenticate(self, rest: str) -> str:
        if rest.upper() != "PLAIN":
            raise _Refused("BAD unknown mechanism")
        self._say("+ ")
        _, user, password = base64.b64decode(self._lines.readline()).decode().split("\0")
        return self._enter(user, password)

    def _enter(self, user: str, password: str) -> str:
        if self._server.users.get(user) != password:
            raise _Refused("NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)")
        self._account = self._server.accounts[user]
        return "OK authenticated (Success)"

    def _idle(self, _rest: str) -> None:
        self._say("+ idling")
        while not select.select([self._connection], [], [], 0.02)[0]:
            assert self._account is not None
            with self._account.lock:
                self._tell_changes()
        self._lines.readline()  # DONE

    # Folders -----------------------------------------------------------------------------------

    @property
    def _mail(self) -> GmailAccount:
        assert self._account is not None
        return self._account

    def _shown(self, name: str) -> GmailFolder:
        folder = self._mail.folders.get(name)
        if folder is None or name in self._server.hidden_folders:
            raise _Refused(f"NO [NONEXISTENT] Unknown Mailbox: {name} (Failure)")
        return folder

    def _list(self, _rest: str) -> None:
        names = set(self._mail.folders) - self._server.hidden_folders
        parents = {
            name.rsplit("/", depth)[0] for name in names for depth in range(1, name.count("/") + 1)
        }
        for name in sorted(names | parents):
            below = any(other.startswith(f"{name}/") for other in names)
            flags = ["\\HasChildren" if below else "\\HasNoChildren"]
            flags += ["\\Noselect"] if name not in names else []
            flags += [_SPECIAL[name]] if name in _SPECIAL else []
            self._say(f'* LIST ({" ".join(flags)}) "/" {_quoted(name)}')

    def _status(self, rest: str) -> None:
        raw, _, *items, _ = self._strings(rest)
        folder = self._shown(self._name(raw))
        numbers = {
            "MESSAGES": len(folder.messages),
            "UIDNEXT": folder.uid_next,
            "UIDVALIDITY": folder.uid_validity,
            "HIGHESTMODSEQ": folder.change,
        }
        told = " ".join(f"{item} {numbers[item]}" for item in items if item in numbers)
        self._say(f"* STATUS {_quoted(folder.name)} ({told})")

    def _select(self, rest: str, *, writable: bool) -> str:
        self._folder = None
        folder = self._shown(self._name(self._strings(rest)[0]))
        self._view = sorted(folder.messages)
        self._say("* FLAGS (\\Answered \\Flagged \\Draft \\Deleted \\Seen)")
        self._say("* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Draft \\Deleted \\Seen \\*)] ok")
        self._say(f"* OK [UIDVALIDITY {folder.uid_validity}] UIDs valid.")
        self._say(f"* {len(self._view)} EXISTS")
        self._say("* 0 RECENT")
        self._say(f"* OK [UIDNEXT {folder.uid_next}] Predicted next UID.")
        self._say(f"* OK [HIGHESTMODSEQ {folder.change}]")
        self._folder, self._writable = folder, writable
        return f"OK [{'READ-WRITE' if writable else 'READ-ONLY'}] selected. (Success)"

    def _unselect(self, _rest: str) -> None:
        self._folder = None

    def _create(self, rest: str) -> None:
        name = self._name(self._strings(rest)[0])
        if not name or name in self._mail.folders:
            raise _Refused("NO [ALREADYEXISTS] Duplicate folder name (Failure)")
        self._mail.create(name)

    def _delete(self, rest: str) -> None:
        folder = self._own(rest)
        for message in list(folder.messages.values()):
            self._mail.take_out(message, folder.name)
        del self._mail.folders[folder.name]

    def _rename(self, rest: str) -> None:
        folder = self._own(rest)
        new_name = self._name(self._strings(rest)[1])
        for message in folder.messages.values():
            message.places[new_name] = message.places.pop(folder.name)
        self._mail.folders[new_name] = self._mail.folders.pop(folder.name)
        folder.name = new_name

    def _own(self, rest: str) -> GmailFolder:
        folder = self._shown(self._name(self._strings(rest)[0]))
        if folder.name == "INBOX" or folder.name in _SPECIAL:
            raise _Refused("NO [CANNOT] Invalid folder (Failure)")
        return folder

    def _append(self, rest: str) -> str:
        tokens = _TOKEN.findall(rest)
        folder = self._shown(self._name(self._strings(tokens[0])[0]))
        flags = [token for token in tokens[1:-1] if token.startswith("\\")]
        dates = [token[1:-1] for token in tokens[1:-1] if token.startswith('"')]
        date = (
            datetime.strptime(dates[0].strip(), "%d-%b-%Y %H:%M:%S %z").astimezone(UTC)
            if dates
            else None
        )
        message = self._mail.store(self._literals[-1], [folder.name], flags, date)
        return f"OK [APPENDUID {folder.uid_validity} {message.places[folder.name]}] (Success)"

    # Messages ----------------------------------------------------------------------------------

    @property
    def _open(self) -> GmailFolder:
        if self._folder is None:
            raise _Refused("BAD Not in selected state")
        return self._folder

    def _numbered(self, uid_set: str) -> list[int]:
        """UIDs of the open folder that are in a set such as 1,5:7,9:*."""
        uids = sorted(self._open.messages)
        last = uids[-1] if uids else 0
        found: set[int] = set()
        for part in uid_set.split(","):
            ends = [last if end == "*" else int(end) for end in part.split(":")]
            low, high = min(ends), max(ends)
            found.update(uid for uid in uids if low <= uid <= high)
        return sorted(found)

    def _search(self, rest: str) -> None:
        found = set(self._open.messages)
        words = iter(self._strings(rest))
        for word in words:
            if word.upper() == "UNDELETED":
                name = self._open.name
                found -= {u for u, m in self._open.messages.items() if name in m.deleted_in}
            elif word.upper() == "UID":
                found &= set(self._numbered(next(words)))
            elif word.upper() == "X-GM-MSGID":
                wanted = int(next(words))
                found &= {u for u, m in self._open.messages.items() if m.id == wanted}
            elif word.upper() != "ALL":
                raise _Refused("BAD Could not parse command")
        self._say(" ".join(["* SEARCH", *map(str, sorted(found))]))

    def _fetch(self, rest: str) -> None:
        uid_set, _, items = rest.partition(" ")
        for uid in self._numbered(uid_set):
            self._tell(uid, items)

    def _tell(self, uid: int, items: str) -> None:
        """One FETCH response."""
        if uid not in self._view:
            self._tell_changes()
        message = self._open.messages[uid]
        parts = [b"UID %d" % uid]
        for match in _FETCH_ITEM.finditer(items.upper()):
            if match[0] == "UID":
                continue
            if match["section"] is None:
                parts.append(f"{match[0]} {self._item(message, match[0])}".encode())
            else:
                data = _section(message.content, match["section"])
                echo = f"BODY[{match['section']}]"
                if match["start"] is not None:
                    start = int(match["start"])
                    data = data[start : start + int(match["size"])]
                    echo += f"<{start}>"
                parts.append(f"{echo} {{{len(data)}}}\r\n".encode() + data)
        number = self._view.index(uid) + 1
        self._say(b"* %d FETCH (" % number + b" ".join(parts) + b")")

    def _item(self, message: GmailMessage, item: str) -> str:
        if item == "FLAGS":
            flags = message.flags | (
                {"\\Deleted"} if self._open.name in message.deleted_in else set()
            )
            return f"({' '.join(sorted(flags))})"
        if item == "INTERNALDATE":
            return f'"{message.internal_date:%d-%b-%Y %H:%M:%S %z}"'
        if item == "RFC822.SIZE":
            return str(len(message.content))
        if item in {"X-GM-MSGID", "X-GM-THRID"}:
            return str(message.id)
        if item == "X-GM-LABELS":
            shown = [place for place in message.places if place != self._open.name]
            return f"({' '.join(_quoted(label) for place in shown if (label := _label(place)))})"
        raise _Refused("BAD Could not parse command")

    def _store(self, rest: str) -> None:
        uid_set, item, *values = self._strings(rest)
        self._require_writable()
        change, name = item[0], item[1:].upper().removesuffix(".SILENT")
        listed = [value for value in values if value not in {"(", ")"}]
        for uid in self._numbered(uid_set):
            message = self._open.messages[uid]
            if name == "X-GM-LABELS":
                self._change_labels(message, change, listed)
            elif name == "FLAGS" and change in "+-":
                self._change_flags(message, change, listed)
            else:
                raise _Refused("BAD Could not parse command")
            if "SILENT" not in item and uid in self._open.messages:
                self._tell(uid, name)

    def _change_labels(self, message: GmailMessage, change: str, labels: Iterable[str]) -> None:
        for label in labels:
            folder = next((f for f, each in _SYSTEM_LABELS.items() if each == label), None)
            folder = folder or self._name(label)
            if change == "+":
                if folder not in self._mail.folders:
                    self._mail.create(folder)
                self._mail.put(message, folder)
            elif folder != self._open.name or not self._server.strict_labels:
                self._mail.take_out(message, folder)

    def _change_flags(self, message: GmailMessage, change: str, flags: Iterable[str]) -> None:
        for flag in flags:
            if flag == "\\Deleted":
                here = message.deleted_in
                (here.add if change == "+" else here.discard)(self._open.name)
            else:
                (message.flags.add if change == "+" else message.flags.discard)(flag)
        if "\\Flagged" in message.flags:
            self._mail.put(message, STARRED)
        self._mail.touch(message)
        if self._mail.auto_expunge and self._open.name in message.deleted_in:
            self._mail.expunge(message, self._open.name)

    def _copy(self, rest: str, *, move: bool) -> str | None:
        uid_set, raw = self._strings(rest)
        if move:
            self._require_writable()
        target = self._mail.folders.get(self._name(raw))
        if target is None:
            raise _Refused("NO [TRYCREATE] No folder (Failure)")
        source, pairs = self._open.name, []
        for uid in self._numbered(uid_set):
            message = self._open.messages[uid]
            pairs.append((uid, self._mail.put(message, target.name)))
            if move and not self._halfway and target.name != source:
                self._mail.take_out(message, source)
        if not pairs:
            return None
        sets = (",".join(str(pair[side]) for pair in pairs) for side in (0, 1))
        code = f"[COPYUID {target.uid_validity} {' '.join(sets)}]"
        if not move:
            return f"OK {code} (Success)"
        self._say(f"* OK {code}")
        return None

    def _expunge(self, rest: str) -> None:
        self._require_writable()
        name = self._open.name
        for uid in self._numbered(rest):
            message = self._open.messages[uid]
            if name in message.deleted_in:
                self._mail.expunge(message, name)

    def _require_writable(self) -> None:
        if not self._writable:
            raise _Refused("NO [READ-ONLY] the folder was opened for reading")


_BEFORE_LOGIN = frozenset({"CAPABILITY", "LOGIN", "AUTHENTICATE", "NOOP", "ID"})


def _label(folder: str) -> str:
    """What X-GM-LABELS calls a folder; "" for those that are no label."""
    return _SYSTEM_LABELS.get(folder, "" if folder in _SPECIAL else folder)


def _quoted(name: str) -> str:
    encoded: str = encode_utf7(name).decode("ascii")
    return '"' + encoded.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _section(content: bytes, section: str) -> bytes:
    """HEADER, HEADER.FIELDS (…), TEXT, or all of it."""
    if not section:
        return content
    end = content.find(b"\r\n\r\n")
    header, text = (content, b"") if end < 0 else (content[: end + 4], content[end + 4 :])
    if section == "TEXT":
        return text
    if section == "HEADER":
        return header
    wanted = {name.encode() for name in re.findall(r"[^\s()]+", section)[1:]}
    fields = re.findall(rb"^[^\s:]+:.*\r\n(?:[ \t].*\r\n)*", header, re.MULTILINE)
    return b"".join(f for f in fields if f.partition(b":")[0].upper() in wanted) + b"\r\n"
