"""Generated messages of all kinds that have stalled or crashed mail readers, full-sized."""

from __future__ import annotations

from collections.abc import Callable

MEGABYTE = 1024 * 1024
PLAIN = b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
HTML = b"Content-Type: text/html; charset=utf-8\r\n\r\n"
FULL = 4 * MEGABYTE
"""More than that nobody parses; see `daemon.mail.parse.MAX_CONTENT_BYTES`."""


def _nested(depth: int) -> bytes:
    levels = (
        f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(depth)
    )
    return "".join(levels).encode() + b"\r\nbottom\r\n"


def _attached(depth: int) -> bytes:
    return b"Content-Type: message/rfc822\r\n\r\n" * depth + b"Subject: bottom\r\n\r\nx"


def _in_html(tag: bytes) -> Callable[[], bytes]:
    return lambda: HTML + tag * (FULL // len(tag))


def _in_plain(text: bytes) -> Callable[[], bytes]:
    return lambda: PLAIN + text * (FULL // len(text))


BOMBS: dict[str, Callable[[], bytes]] = {
    "multiparts 1,000 deep": lambda: _nested(1_000),
    "multiparts 60,000 deep": lambda: _nested(60_000),
    "80,000 multiparts of one boundary": lambda: (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" * 80_000
    ),
    "body of 100 MB": lambda: PLAIN + b"word and word\r\n" * (100 * MEGABYTE // 15),
    "line of 50 MB": lambda: PLAIN + b"x" * (50 * MEGABYTE),
    "10,000 headers": lambda: b"".join(b"X-%d: y\r\n" % n for n in range(10_000)) + b"\r\nx",
    "100,000 recipients": lambda: (
        b"To: " + b",\r\n ".join(b"a%d@example.org" % n for n in range(100_000)) + b"\r\n\r\nx"
    ),
    "100,000 recipient fields": lambda: b"To: a@example.org\r\n" * 100_000 + b"\r\nx",
    "messages in messages": lambda: _attached(50_000),
    "comments in comments": lambda: (b"To: " + b"(" * 16_000 + b"\r\n") * 250,
    "encoded words": lambda: b"Subject: " + b"=?utf-8?b?QUJD?= " * 200_000 + b"\r\n\r\nx",
    "encoded words without end": lambda: b"Subject: " + b"=?utf-8?q?" * 300_000,
    "parameters": lambda: b"Content-Type: text/plain" + b"; a*0*=%41" * 300_000 + b"\r\n\r\nx",
    "base64 that is not": lambda: (
        b"Content-Transfer-Encoding: base64\r\n\r\n" + b"$=" * (FULL // 2)
    ),
    "binary as text": _in_plain(bytes(range(256))),
    "nul bytes": _in_plain(b"\x00"),
    "combining marks": _in_plain("a\u0301\u0316\u0301".encode()),
    "invisible characters": _in_plain("\u200b\u202e".encode()),
    "escapes of utf-7": lambda: (
        b"Content-Type: text/plain; charset=utf-7\r\n\r\n" + b"+AGE-" * (FULL // 5)
    ),
    "escapes of iso-2022-jp": lambda: (
        b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n" + b"\x1b$B" * (FULL // 3)
    ),
    "punycode": lambda: b"Content-Type: text/plain; charset=punycode\r\n\r\na-" + b"b" * FULL,
    "attributions": _in_plain(b"On 1 Jan 2026 a@b.example wrote\n"),
    "quote marks": _in_plain(b">"),
    "header blocks": _in_plain(b"From: x\n"),
    "separators": _in_plain(b"--\n"),
    "urls": _in_plain(b"http://"),
    "line breaks": _in_plain(b"\r"),
    "blanks": _in_plain(b" "),
    "open blocks": _in_html(b"<div>"),
    "open lists": _in_html(b"<li><ul>"),
    "open links": _in_html(b"<a href=x>"),
    "open formatting": _in_html(b"<b><p>"),
    "tables in tables": _in_html(b"<table><tr><td>"),
    "a huge table": _in_html(b"<tr><td>x</td></tr>"),
    "open comments": _in_html(b"<!--"),
    "less-than signs": _in_html(b"<"),
    "entities": _in_html(b"&amp;"),
    "attributes": lambda: HTML + b"<p " + b" ".join(b"a%d=b" % n for n in range(400_000)) + b">x",
    "style declarations": lambda: HTML + b'<p style="' + b"a:b;" * (FULL // 4) + b'">x',
    "templates": _in_html(b"<template>"),
    "drawings": _in_html(b"<svg><g>"),
}
