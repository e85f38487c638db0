"""An independent look at everything an account holds: imaplib only, nothing of ours.

Tests compare the inventory before and after: promise 1 is that no mail is lost, changed,
duplicated or marked read.
"""

from __future__ import annotations

import hashlib
import imaplib
import itertools
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from imapclient.imap_utf7 import decode as decode_utf7

_LIST_LINE = re.compile(rb'\((?P<flags>[^)]*)\) (?:"[^"]*"|NIL) (?P<name>.+)')
_UID = re.compile(rb"\bUID (\d+)")
_UID_NEXT = re.compile(rb"\bUIDNEXT (\d+)")
_DATE = re.compile(rb'INTERNALDATE "([^"]+)"')


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message as it lies on the server; `digest` is the SHA-256 of all its bytes."""

    digest: str
    flags: frozenset[str]
    internal_date: datetime


Inventory = Mapping[str, tuple[StoredMessage, ...]]
"""Folder to its messages in UID order."""


@dataclass(frozen=True, slots=True)
class StoredFolder:
    """One folder: its numbers, and its messages by UID."""

    uid_validity: int
    uid_next: int
    messages: Mapping[int, StoredMessage]


def read_inventory(
    host: str, port: int, user: str, password: str
) -> dict[str, tuple[StoredMessage, ...]]:
    """Every selectable folder of the account; leaves no trace (EXAMINE, BODY.PEEK)."""
    return {
        name: tuple(folder.messages.values())
        for name, folder in read_folders(host, port, user, password).items()
    }


def read_folders(host: str, port: int, user: str, password: str) -> dict[str, StoredFolder]:
    """As `read_inventory`, with the numbers by which a server tells messages apart."""
    connection = imaplib.IMAP4(host, port)
    try:
        connection.login(user, password)
        return {decode_utf7(name): _folder(connection, name) for name in _folder_names(connection)}
    finally:
        connection.logout()


def all_messages(inventory: Inventory) -> Counter[StoredMessage]:
    """The messages of all folders: equal before and after anything that only moves mail."""
    return Counter(message for messages in inventory.values() for message in messages)


def contents(inventory: Inventory, folder: str) -> list[str]:
    """The digests of one folder in UID order."""
    return [message.digest for message in inventory[folder]]


def digest(content: bytes) -> str:
    """The digest by which the inventory names a content."""
    return hashlib.sha256(content).hexdigest()


def _folder_names(connection: imaplib.IMAP4) -> list[bytes]:
    names = []
    for line in _ok(connection.list()):
        if isinstance(line, tuple):  # the name came as a literal
            match, name = _LIST_LINE.match(line[0]), line[1]
        else:
            match = _LIST_LINE.match(line)
            name = match["name"] if match else b""
        if match and b"\\noselect" not in match["flags"].lower():
            names.append(re.sub(rb"\\(.)", rb"\1", name[1:-1]) if name[:1] == b'"' else name)
    return names


def _folder(connection: imaplib.IMAP4, folder: bytes) -> StoredFolder:
    escaped = folder.decode("ascii").replace("\\", "\\\\").replace('"', '\\"')
    _ok(connection.select(f'"{escaped}"', readonly=True))
    [uid_validity] = connection.response("UIDVALIDITY")[1]
    answer = _ok(connection.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])"))
    messages = {}
    for start, end in itertools.pairwise(answer):
        if isinstance(start, tuple):
            # Attributes may stand before the literal or after it.
            attributes = start[0] + b" " + end
            uid = _UID.search(attributes)
            assert uid is not None
            messages[int(uid[1])] = _message(attributes, start[1])
    [status] = _ok(connection.status(f'"{escaped}"', "(UIDNEXT)"))
    uid_next = _UID_NEXT.search(status)
    assert uid_next is not None
    return StoredFolder(int(uid_validity), int(uid_next[1]), dict(sorted(messages.items())))


def _message(attributes: bytes, content: bytes) -> StoredMessage:
    date = _DATE.search(attributes)
    assert date is not None
    when = datetime.strptime(date[1].decode("ascii").strip(), "%d-%b-%Y %H:%M:%S %z")
    flags = (flag.decode("ascii") for flag in imaplib.ParseFlags(attributes))
    return StoredMessage(
        digest=digest(content),
        # \Recent belongs to the session that looks and not to the message.
        flags=frozenset(flag for flag in flags if flag != "\\Recent"),
        internal_date=when.astimezone(UTC),
    )


def _ok(answer: tuple[str, list[Any]]) -> list[Any]:
    status, data = answer
    if status != "OK":
        raise RuntimeError(f"the test server refused a command: {data!r}")
    return [item for item in data if item is not None]
