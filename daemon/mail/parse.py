"""Bytes of a message, possibly cut off, to the value that the classifier reads."""

from __future__ import annotations

import re
from collections.abc import Iterable

from classifier.html import MAX_CHARACTERS as MAX_HTML
from classifier.mail import Address, Mail
from classifier.text import MAX_PLAIN
from daemon.mail.charsets import decode_text
from daemon.mail.headers import (
    Headers,
    addresses,
    date,
    message_id,
    one_line,
    references,
    split_message,
)
from daemon.mail.mime import Part, leaves

MAX_CONTENT_BYTES = 4 * 1024 * 1024
"""Beyond this a message is cut; the daemon fetches far less."""

_MAX_SUBJECT = 2_000
_MAX_AUTOMATION_VALUE = 80
_MAX_ATTACHMENTS = 100

_ANGLE = re.compile(r"<([^<>]*)>")
_PRODUCT = re.compile(r"[a-z][a-z .!&-]*[a-z]")


def parse(content: bytes) -> Mail:
    """The mail in `content`: header block and as much of the body as there is.

    Total: whatever the bytes are, a `Mail` comes back, in time linear in their number. What is
    missing or unreadable becomes an empty string. An attached message counts as an attachment
    (its subject stands in for a missing file name) and, in a mail without any text of its own,
    its subject is the text.
    """
    block, body = split_message(content[:MAX_CONTENT_BYTES])
    headers = Headers(block)
    parts = leaves(headers, body)
    plain = _text_of(parts, "text/plain", MAX_PLAIN)
    html = _text_of(parts, "text/html", MAX_HTML)
    if not plain.strip() and not html.strip():
        plain = "\n".join(filter(None, map(_substitute, parts)))
    return Mail(
        subject=headers.text("subject")[:_MAX_SUBJECT],
        sender=_sender(headers),
        recipients=addresses(headers.raw_all("to") + headers.raw_all("cc")),
        list_id=_list_id(headers),
        plain=plain[:MAX_PLAIN],
        html=html,
        attachments=tuple(filter(None, map(_attachment_name, parts)))[:_MAX_ATTACHMENTS],
        date=date(headers.raw("date")),
        message_id=message_id(headers.raw("message-id")),
        references=references(headers),
        automation=_automation(headers),
    )


def _text_of(parts: Iterable[Part], content_type: str, limit: int) -> str:
    """The texts of this type, one below the other, cut at `limit` characters."""
    texts: list[str] = []
    length = 0
    for part in parts:
        if length <= limit and _is_text(part, content_type):
            texts.append(part.text())
            length += len(texts[-1]) + 1
    return "\n".join(texts)[:limit]


def _is_text(part: Part, content_type: str) -> bool:
    if part.content_type != content_type or part.attachment:
        return False
    # A part with a file name is an attachment even without a disposition, except when there
    # is nothing else: some senders name the only part of a mail.
    return part.root or not part.filename


def _substitute(part: Part) -> str:
    """Text for a mail without text: a calendar entry, enriched text, an attached subject."""
    if part.content_type == "message/rfc822":
        return _attached_subject(part)
    if part.content_type.startswith("text/") and not part.attachment and not part.filename:
        return part.text()
    return ""


def _attachment_name(part: Part) -> str:
    if _is_text(part, "text/plain") or _is_text(part, "text/html"):
        return ""
    if part.content_type == "message/rfc822":
        return part.filename or _attached_subject(part)
    return part.filename


def _attached_subject(part: Part) -> str:
    return Headers(split_message(part.data())[0]).text("subject")[:_MAX_SUBJECT]


def _sender(headers: Headers) -> Address:
    for name in ("from", "sender", "reply-to"):
        found = addresses(headers.raw_all(name)[:1])
        if found:
            return found[0]
    return Address("", "")


def _list_id(headers: Headers) -> str:
    """The identifier of RFC 2919, lower-cased, without the list's descriptive name."""
    text = headers.text("list-id")
    match = _ANGLE.search(text)
    return (match[1] if match else text).strip().lower()[:255]


def _automation(headers: Headers) -> tuple[tuple[str, str], ...]:
    """Signs of a machine as (lower-case header, value), without anything personal.

    List-Unsubscribe carries addresses and tokens of the reader: only its presence counts.
    X-Mailer is reduced to the product's name, since versions change.
    """
    found = []
    for name in ("auto-submitted", "precedence", "x-auto-response-suppress"):
        value = one_line(decode_text(headers.raw(name), "")).lower()[:_MAX_AUTOMATION_VALUE]
        if value:
            found.append((name, value))
    if "list-unsubscribe" in headers:
        found.append(("list-unsubscribe", "present"))
    for name in ("x-mailer", "user-agent"):
        product = _PRODUCT.search(headers.text(name).lower()[:_MAX_AUTOMATION_VALUE])
        if product:
            found.append(("x-mailer", product[0]))
            break
    return tuple(found)
