"""Header blocks, read so that hostile or broken mail can neither crash nor stall the reader.

Python's `email` package reads good headers well, but raises on what real mailboxes hold:
`getaddresses` recurses once per opening parenthesis, RFC 2231 parameters that are both plain
and continued end in a TypeError, and with `policy.default` looking at `From: "` or at
`Message-ID: <[>` is an IndexError. Here every function is total: any bytes in, a value out,
in time linear in the (capped) input.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from classifier.mail import Address
from daemon.mail.charsets import decode_text

MAX_VALUE_BYTES = 16_384
"""Of one header only so much is looked at; RFC 5322 readers need 998 bytes a line."""

MAX_REFERENCES = 20
_MAX_ADDRESSES = 100
_MAX_FIELDS = 1_000

_FIELD = re.compile(rb"([!-9;-~]{1,100})[ \t]*:")
# Some senders forget the empty line before the first delimiter of a multipart.
_END_OF_HEADER = re.compile(rb"\r?\n(?:\r?\n|(?=--[^:\r\n]{1,72}\r?\n))")
_FOLD = re.compile(r"[\s\x00-\x1f\x7f]+")
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,64})\?([bBqQ])\?([^?\s]{0,4096})\?=")
_MESSAGE_ID = re.compile(r"<([^<>\s]{1,998})>")


class Headers:
    """The fields of one header block by lower-case name; values are raw, unfolded bytes."""

    def __init__(self, block: bytes) -> None:
        self._fields: dict[str, list[bytes]] = {}
        for name, value in _fields(block):
            self._fields.setdefault(name, []).append(value)

    def raw(self, name: str) -> bytes:
        """The first field of that name as it was sent, b"" when there is none."""
        return self._fields.get(name, [b""])[0]

    def raw_all(self, name: str) -> list[bytes]:
        """All fields of that name in the order of the message."""
        return self._fields.get(name, [])

    def text(self, name: str) -> str:
        """The first field, its encoded words decoded (RFC 2047), white space collapsed."""
        return decode_words(self.raw(name))

    def __contains__(self, name: str) -> bool:
        return name in self._fields


def split_message(content: bytes) -> tuple[bytes, bytes]:
    """Header block and body, parted at the first empty line; no body gives b""."""
    if content.startswith((b"\r\n", b"\n")):
        return b"", content.lstrip(b"\r\n")
    match = _END_OF_HEADER.search(content)
    if match is None:
        return content, b""
    return content[: match.start()], content[match.end() :]


def _fields(block: bytes) -> Iterator[tuple[str, bytes]]:
    name, lines, size, count = "", [], 0, 0
    for line in block.splitlines():
        if line[:1] in {b" ", b"\t"}:
            if size < MAX_VALUE_BYTES:
                lines.append(line)
                size += len(line)
            continue
        if name:
            yield name, _unfolded(lines)
        name, lines, size = "", [], 0
        # A line without a colon (an mbox "From " line, a broken fold) ends the field before
        # it and is no field itself.
        match = _FIELD.match(line)
        if match is not None and count < _MAX_FIELDS:
            count += 1
            name, lines, size = match[1].decode("ascii").lower(), [line[match.end() :]], len(line)
    if name:
        yield name, _unfolded(lines)


def _unfolded(lines: list[bytes]) -> bytes:
    return b" ".join(part.strip() for part in lines).strip()[:MAX_VALUE_BYTES]


def decode_words(raw: bytes) -> str:
    """Header bytes as text: RFC 2047 words decoded, raw 8-bit tolerated, one line.

    Words next to each other with the same charset are joined before decoding, because
    senders cut multi-byte characters in two.
    """
    text = decode_text(raw, "utf-8")
    pieces: list[str] = []
    pending, pending_charset, position = b"", "", 0
    for match in _ENCODED_WORD.finditer(text):
        gap = text[position : match.start()]
        charset = match[1].partition("*")[0].lower()  # RFC 2231 adds a language after "*"
        if pending and (gap.strip() or charset != pending_charset):
            pieces.append(decode_text(pending, pending_charset))
            pending = b""
        # White space between two encoded words is not part of the text (section 6.2).
        if gap.strip() or position == 0:
            pieces.append(gap)
        pending += _word_bytes(match[2], match[3])
        pending_charset, position = charset, match.end()
    if pending:
        pieces.append(decode_text(pending, pending_charset))
    pieces.append(text[position:])
    return one_line("".join(pieces))


def _word_bytes(encoding: str, encoded: str) -> bytes:
    data = encoded.encode("utf-8", "replace")
    if encoding in "bB":
        return lenient_base64(data)
    return binascii.a2b_qp(data, header=True)


def lenient_base64(data: bytes) -> bytes:
    """Base64 as far as it goes: foreign characters skipped, a cut tail left out."""
    symbols = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    whole = len(symbols) - len(symbols) % 4
    tail = symbols[whole:]
    if len(tail) > 1:
        return binascii.a2b_base64(symbols[:whole] + tail + b"=" * (4 - len(tail)))
    return binascii.a2b_base64(symbols[:whole])


def one_line(text: str) -> str:
    """White space and control characters collapsed into single blanks."""
    return _FOLD.sub(" ", text).strip()


def message_id(raw: bytes) -> str:
    """A Message-ID without its angle brackets, "" when there is none."""
    text = one_line(decode_text(raw, "utf-8"))
    match = _MESSAGE_ID.search(text)
    return match[1] if match else text[:998]


def references(headers: Headers) -> tuple[str, ...]:
    """Message-IDs of In-Reply-To and References, nearest ancestor first (RFC 5322, 3.6.4)."""
    parent = _MESSAGE_ID.findall(decode_text(headers.raw("in-reply-to"), "utf-8"))
    ancestors = _MESSAGE_ID.findall(decode_text(headers.raw("references"), "utf-8"))
    nearest_first = dict.fromkeys([*parent, *reversed(ancestors)])
    return tuple(nearest_first)[:MAX_REFERENCES]


def date(raw: bytes) -> datetime | None:
    """A Date header as an aware datetime; an unknown zone ("-0000") is taken as UTC."""
    try:
        parsed = parsedate_to_datetime(decode_text(raw[:200], "ascii"))
        aware = parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
        aware.astimezone(UTC)  # year 1 and year 9999 overflow here instead of at the caller's
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return aware


def addresses(raws: Iterable[bytes]) -> tuple[Address, ...]:
    """The mailboxes of some From, To or Cc fields; group names are left out."""
    found: list[Address] = []
    for raw in raws:
        for item in _split_list(decode_text(raw, "utf-8")):
            if len(found) == _MAX_ADDRESSES:
                return tuple(found)
            address = _address(item)
            if address is not None:
                found.append(address)
    return tuple(found)


def _split_list(text: str) -> Iterator[str]:
    """Cut at commas and semicolons outside quotes and angle brackets; drop comments."""
    item: list[str] = []
    quoted = escaped = angle = False
    depth = 0
    for char in text:
        if escaped:
            escaped = False
        elif char == "\\" and (quoted or depth):
            escaped = True
            continue
        elif char == '"' and not depth:
            quoted = not quoted
        elif quoted:
            pass
        elif char == "(":
            depth += 1
        elif char == ")" and depth:
            depth -= 1
            continue
        elif not depth and char in "<>":
            angle = char == "<"
        elif not depth and not angle and char in ",;":
            yield "".join(item)
            item = []
            continue
        if not depth:
            item.append(char)
    yield "".join(item)


def _address(item: str) -> Address | None:
    name, opening, rest = item.rpartition("<")
    if not opening:
        name, rest = "", item
    address = one_line(rest.partition(">")[0])
    if not opening and ":" in address:  # "undisclosed-recipients:" or "Team: a@example.org"
        address = address.rpartition(":")[2].strip()
    name = decode_words(name.encode("utf-8", "replace")).strip(" \"'")
    if "@" not in address:
        # A sender without an address ("From: Postmaster") is still a name worth knowing.
        name, address = name or one_line(address).strip(" \"'"), ""
    if not name and not address:
        return None
    return Address(name=name[:200], address=address[:320].lower())
