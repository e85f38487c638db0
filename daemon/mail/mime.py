"""MIME structure (RFC 2045, 2046, 2183, 2231) with hard bounds.

Not `email.parser`: it descends as deep as the mail says (RecursionError at 2000 nested parts)
and tests every line against every open boundary (3.7 s for 600 kB made for it, against 0.2 s
here). Depth and number of parts are limited here, and the cost is at most depth times size.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from daemon.mail.charsets import decode_text
from daemon.mail.headers import Headers, decode_words, lenient_base64, one_line, split_message

MAX_DEPTH = 10
MAX_PARTS = 200
MAX_SECTIONS = 1_000
"""Multiparts count here too: 80,000 empty ones inside each other took four seconds."""
_MAX_PARAMETERS = 40
_MAX_NAME = 255

_PARAMETER = re.compile(r"([^*=\s]{1,60})(?:\*(\d{1,3}))?(\*)?")
_META_CHARSET = re.compile(
    rb"<meta[^>]{0,200}?charset\s{0,5}=\s{0,5}[\"']?([\w.:-]{1,40})", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Part:
    """One leaf of a MIME tree, its body as it was sent (still encoded).

    `filename` is "" when the part has none; `attachment` is what Content-Disposition says.
    `root` marks a message that consists of this one part.
    """

    content_type: str
    charset: str
    encoding: str
    filename: str
    attachment: bool
    root: bool
    body: bytes

    def data(self) -> bytes:
        """The body, transfer encoding undone as far as it goes."""
        if self.encoding == "base64":
            return lenient_base64(self.body)
        if self.encoding == "quoted-printable":
            return binascii.a2b_qp(self.body)
        return self.body

    def text(self) -> str:
        """The decoded text with plain line feeds and without NUL."""
        data, charset = self.data(), self.charset
        if self.content_type == "text/html" and not charset:
            match = _META_CHARSET.search(data[:2_000])
            charset = match[1].decode("ascii", "replace") if match else ""
        text = decode_text(data, charset)
        return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")


def leaves(headers: Headers, body: bytes) -> list[Part]:
    """The leaves of a message in reading order; at most `MAX_PARTS`, `MAX_DEPTH` deep.

    message/rfc822 is a leaf: what was attached is not what the sender says.
    """
    walk = _Walk()
    _collect(headers, body, "text/plain", 0, walk)
    return walk.found


@dataclass(slots=True)
class _Walk:
    """What was found so far, and how much may still be looked at."""

    found: list[Part] = field(default_factory=list)
    sections_left: int = MAX_SECTIONS

    def may_go_on(self) -> bool:
        """Count one more section; False when it is one too many."""
        self.sections_left -= 1
        return self.sections_left >= 0 and len(self.found) < MAX_PARTS


def _collect(headers: Headers, body: bytes, default: str, depth: int, walk: _Walk) -> None:
    content_type, parameters = parameterised(headers.raw("content-type"))
    content_type = content_type.lower() if "/" in content_type else default
    boundary = parameters.get("boundary", "")
    is_divided = content_type.startswith("multipart/") and boundary
    # With a boundary that occurs nowhere a multipart is one text, as without any.
    if is_divided and delimiter(boundary).search(body):
        if depth == MAX_DEPTH:
            return
        inner = "message/rfc822" if content_type == "multipart/digest" else "text/plain"
        for section in _sections(body, boundary):
            if not walk.may_go_on():
                return
            _collect(*_header_and_body(section), inner, depth + 1, walk)
        return
    disposition, details = parameterised(headers.raw("content-disposition"))
    name = details.get("filename") or parameters.get("name", "")
    walk.found.append(
        Part(
            # A multipart that cannot be taken apart is read as text.
            content_type="text/plain" if content_type.startswith("multipart/") else content_type,
            charset=parameters.get("charset", ""),
            encoding=one_line(decode_text(headers.raw("content-transfer-encoding"), "")).lower(),
            filename=one_line(name)[:_MAX_NAME],
            attachment=disposition.lower() == "attachment",
            root=depth == 0,
            body=body,
        )
    )


def _header_and_body(section: bytes) -> tuple[Headers, bytes]:
    block, body = split_message(section)
    return Headers(block), body


def _sections(body: bytes, boundary: str) -> Iterator[bytes]:
    """What lies between the delimiter lines; a cut message has no closing one."""
    marker = b"--" + boundary.encode("utf-8", "replace")
    start: int | None = None
    for match in delimiter(boundary).finditer(body):
        if start is not None:
            yield _without_first_newline(body[start : match.start()])
        if match[1]:
            return
        start = match.end()
    if start is not None:
        yield _without_first_newline(_without_cut_delimiter(body[start:], marker))


def delimiter(boundary: str) -> re.Pattern[bytes]:
    """A delimiter line (RFC 2046, section 5.1.1); its first group marks the closing one."""
    marker = re.escape(b"--" + boundary.encode("utf-8", "replace"))
    return re.compile(rb"(?:\A|\r?\n)" + marker + rb"(--)?[ \t]{0,80}(?=\r?\n|\r?\Z)")


def _without_cut_delimiter(section: bytes, marker: bytes) -> bytes:
    """The end of a cut message may be the beginning of a delimiter line: that is no text."""
    text, newline, last = section.rpartition(b"\n")
    if newline and last.startswith(b"--") and (marker + b"--").startswith(last):
        return text.removesuffix(b"\r")
    return section


def _without_first_newline(section: bytes) -> bytes:
    return section[2:] if section.startswith(b"\r\n") else section[1:]


def parameterised(raw: bytes) -> tuple[str, dict[str, str]]:
    """Value and parameters of Content-Type or Content-Disposition, e.g. ("text/html", {…}).

    Knows RFC 2231 (charset, percent encoding, continuation) and, because senders use them
    there, RFC 2047 words. Where both forms of a parameter are given the RFC 2231 one wins.
    """
    value, *pieces = _split_parameters(decode_text(raw, "utf-8"))
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    plain: dict[str, str] = {}
    for piece in pieces[:_MAX_PARAMETERS]:
        key, _, content = piece.partition("=")
        match = _PARAMETER.fullmatch(key.strip())
        if match is None:
            continue
        name, index, extended = match[1].lower(), match[2], match[3] is not None
        if index is None and not extended:
            plain.setdefault(name, _unquoted(content))
        else:
            sections.setdefault(name, {})[int(index or 0)] = (_unquoted(content), extended)
    decoded = {name: decode_words_if_any(text) for name, text in plain.items()}
    decoded.update({name: _joined(parts) for name, parts in sections.items()})
    return one_line(value), decoded


def decode_words_if_any(text: str) -> str:
    """RFC 2047 words where there are any, else the text unchanged (a boundary may hold "=")."""
    return decode_words(text.encode("utf-8", "replace")) if "=?" in text else text


def _joined(parts: dict[int, tuple[str, bool]]) -> str:
    charset, data = "", b""
    for position, (_, (section, extended)) in enumerate(sorted(parts.items())):
        text = section
        if position == 0 and extended and section.count("'") >= 2:
            charset, _, text = section.split("'", 2)
        data += unquote_to_bytes(text) if extended else text.encode("utf-8", "replace")
    return decode_text(data, charset)


def _split_parameters(text: str) -> list[str]:
    """Cut at semicolons outside quotes."""
    pieces: list[str] = []
    piece: list[str] = []
    quoted = escaped = False
    for char in text:
        if char == ";" and not quoted:
            pieces.append("".join(piece))
            piece = []
            continue
        piece.append(char)
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = quoted
        elif char == '"':
            quoted = not quoted
    pieces.append("".join(piece))
    return pieces


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text.strip('"')
