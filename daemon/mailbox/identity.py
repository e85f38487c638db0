"""What makes a message recognisable, and how one FETCH response becomes it.

Pure functions: the imapclient adapter and the in-memory fake of the tests both use them, so
a fingerprint means the same everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

from daemon.errors import ProtocolViolated
from daemon.mail.headers import Headers, message_id, references
from daemon.mailbox.port import MessageIdentity, RawMessage

FINGERPRINT_BODY_BYTES = 2_048
"""So much of the body counts on servers without a server id."""

IDENTITY_FIELDS = ("message-id", "date", "from", "subject", "in-reply-to", "references")
_FINGERPRINT_FIELDS = ("message-id", "date", "from", "subject")
_MAX_SERVER_ID = 255
GMAIL_ID = "X-GM-MSGID"
GMAIL_LABELS = "X-GM-LABELS"
_MAX_GMAIL_ID = 2**64 - 1
"""An unsigned 64-bit number, in decimal."""
_MAX_SIZE = 2**63 - 1
"""RFC822.SIZE is below 2^32 or, with RFC 9051, 2^63; the database holds no larger number."""
_NO_DATE = datetime.fromtimestamp(0, UTC)

FetchRow = Mapping[bytes, object]
"""One FETCH response as imapclient gives it: upper-case item name to value."""


def identify(
    uid: int,
    header: bytes,
    *,
    server_id: str | None,
    body_start: bytes,
    internal_date: datetime,
    size: int,
    exact_size: bool = True,
    labelled: bool = False,
) -> MessageIdentity:
    """The identity of a message; `header` needs to hold only `IDENTITY_FIELDS`.

    The fingerprint does without the size when that is not exact.
    """
    headers = Headers(header)
    digest = hashlib.sha256()
    values = [headers.raw(name) for name in _FINGERPRINT_FIELDS]
    values.append(str(size).encode("ascii") if exact_size else b"")
    if server_id is None:
        values.append(body_start[:FINGERPRINT_BODY_BYTES])
    for value in values:
        # The length goes first: no value can pass for the end of the one before it.
        digest.update(len(value).to_bytes(8, "big") + value)
    return MessageIdentity(
        uid=uid,
        server_id=server_id,
        fingerprint=digest.hexdigest(),
        message_id=message_id(headers.raw("message-id")),
        references=references(headers),
        internal_date=internal_date,
        size=size,
        labelled=labelled,
    )


def identity_from(
    uid: int, row: FetchRow, server_id_item: str | None, *, exact_size: bool = True
) -> MessageIdentity | None:
    """The identity in a FETCH response, None when the message is gone.

    A message that another session expunged is still answered for: Dovecot's maildir sends
    NIL, Courier a mail of its own (`_is_stand_in`), and an unsolicited FLAGS response has
    none of what was asked. Raises `ProtocolViolated` for a Gmail that gives no message id.
    """
    header, size = section(row, b"BODY[HEADER"), row.get(b"RFC822.SIZE")
    if header is None or not isinstance(size, int) or _is_stand_in(header):
        return None
    return identify(
        uid,
        header,
        server_id=_server_id(row, server_id_item),
        body_start=section(row, b"BODY[TEXT") or b"",
        internal_date=_internal_date(row.get(b"INTERNALDATE")),
        size=min(size, _MAX_SIZE),
        exact_size=exact_size,
        labelled=_is_labelled(row),
    )


def raw_message_from(
    uid: int,
    row: FetchRow,
    server_id_item: str | None,
    max_bytes: int,
    max_header: int,
    *,
    exact_size: bool = True,
) -> RawMessage | None:
    """The message in a FETCH response, None when it is gone.

    The response may hold more of header and body than `max_header` and `max_bytes`: that is
    how a cut is noticed, since RFC822.SIZE is only an estimate on some servers.
    """
    identity = identity_from(uid, row, server_id_item, exact_size=exact_size)
    if identity is None:
        return None
    header, body = section(row, b"BODY[HEADER") or b"", section(row, b"BODY[TEXT") or b""
    truncated = len(body) > max_bytes
    if len(header) > max_header:
        # The end of the header block is missing: the body must not run into a header line.
        header, truncated = header[:max_header] + b"\r\n\r\n", True
    return RawMessage(identity, header + body[:max_bytes], truncated)


def section(row: FetchRow, prefix: bytes) -> bytes | None:
    """The body section whose name starts with `prefix`, None when it is missing or NIL.

    By prefix, because servers echo the list of header fields in their own spelling and order.
    """
    for name, value in row.items():
        if name.startswith(prefix):
            if isinstance(value, int):  # an unquoted number, as the parser hands it over
                return str(value).encode("ascii")
            return value if isinstance(value, bytes) else None
    return None


def _server_id(row: FetchRow, item: str | None) -> str | None:
    value = row.get(item.encode("ascii")) if item is not None else None
    if item == GMAIL_ID:
        return _gmail_id(value)
    if isinstance(value, tuple) and value:  # EMAILID comes in parentheses (RFC 8474)
        value = value[0]
    if isinstance(value, bytes):
        # RFC 8474 allows 255 characters; what is longer is no id, and would fill the database.
        return value.decode("ascii", "replace") or None if len(value) <= _MAX_SERVER_ID else None
    return str(value) if isinstance(value, int) else None


def _gmail_id(value: object) -> str:
    """Which mail is which, and so what may be taken out of the inbox, rests on this number: one
    that cannot be is no reason to go by something else."""
    if not isinstance(value, int) or not 0 < value <= _MAX_GMAIL_ID:
        raise ProtocolViolated("The mail server announces Gmail's message ids, and tells none.")
    return str(value)


def _is_labelled(row: FetchRow) -> bool:
    """Whether X-GM-LABELS holds a label that a person made: the system's begin with a backslash,
    and the one of the folder that is open is not among them."""
    labels = row.get(GMAIL_LABELS.encode("ascii"))
    if not isinstance(labels, tuple):
        return False
    return any(not (isinstance(each, bytes) and each.startswith(b"\\")) for each in labels)


def _internal_date(value: object) -> datetime:
    """INTERNALDATE in UTC; a server that sends an unreadable one gets the epoch."""
    if not isinstance(value, datetime):
        return _NO_DATE
    try:
        return value.astimezone(UTC)
    except OverflowError:
        return _NO_DATE


def _is_stand_in(header: bytes) -> bool:
    """Courier's mail "message unavailable", served for a message that is gone."""
    headers = Headers(header)
    return (
        headers.raw("subject") == b"message unavailable"
        and headers.raw("from") == b"System Administrator <root@localhost>"
        and "message-id" not in headers
        and "date" not in headers
    )
