"""Random messages that look enough like mail to get past the first line of a parser.

Deterministic: the same seed gives the same messages on every machine.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

TOKENS = (
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b";", b"=", b'"', b"'", b"(", b")", b"<"),
    *(b">", b"@", b",", b":", b"\\", b"%", b"*", b"?", b"&", b"--b", b"--b--", b"\r\n--b\r\n"),
    *(b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xe2\x80\xae"),
    *(b"\xe2\x80\x8b", b"\xcc\x81", b"\x1b$B", b"+AGE-", b"From: ", b"To: ", b"Subject: "),
    *(b"Date: ", b"References: ", b"List-Id: ", b"Content-Type: ", b"Content-Disposition: "),
    *(b"Content-Transfer-Encoding: ", b"multipart/mixed; boundary=b", b"multipart/digest"),
    *(b"text/plain", b"text/html", b"message/rfc822", b"; charset=", b"utf-8", b"utf-16"),
    *(b"utf-7", b"iso-2022-jp", b"hz", b"punycode", b"idna", b"gb18030", b"filename*0*="),
    *(b"base64", b"quoted-printable", b"attachment", b"=?utf-8?q?", b"=?utf-8?b?", b"?="),
    *(b"<div>", b"</div>", b"<table><tr><td>", b"<b>", b"<!--", b"<style>", b"<a href=x>"),
    *(b"<blockquote>", b"display:none", b"&amp;", b"&#0;", b"&#x110000;", b"<![CDATA[", b"<svg>"),
    *(b"On Mon, 1 Jan 2026 a@b.example wrote:\n", b"> ", b"-- \n", b"Von: x\nGesendet: y\n"),
    *(b"-----Original Message-----\n", b"begin 644 x\n", b"http://", b"Re: ", b"Danke ", b"word "),
)
_HEADS = (
    b"",
    b"Subject: a\r\n\r\n",
    b"Content-Type: text/html\r\n\r\n",
    b"Content-Type: text/html; charset=utf-8\r\n\r\n<html>",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
    b"Content-Transfer-Encoding: base64\r\n\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n",
)


def messages(seed: int, count: int, corpus: tuple[bytes, ...] = ()) -> Iterator[bytes]:
    """`count` messages: made of tokens, or members of `corpus` with pieces changed."""
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    for _ in range(count):
        if corpus and chance.random() < 0.5:
            yield _changed(chance, chance.choice(corpus))
        else:
            yield _made(chance)


def _made(chance: random.Random) -> bytes:
    pieces = [chance.choice(_HEADS)]
    for _ in range(chance.randrange(60)):
        token = chance.choice(TOKENS)
        # Now and then one token many times: nesting and quadratic cost begin there.
        pieces.append(token * (1 if chance.random() < 0.95 else chance.randrange(2_000)))
    return b"".join(pieces)


def _changed(chance: random.Random, content: bytes) -> bytes:
    data = bytearray(content[:20_000])
    for _ in range(chance.randrange(1, 12)):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.randrange(40))
        kind = chance.randrange(4)
        if kind == 0:
            data[start:end] = chance.choice(TOKENS)
        elif kind == 1:
            del data[start:end]
        elif kind == 2:
            data[start:start] = data[start:end] * chance.randrange(1, 50)
        else:
            data[start:end] = chance.randbytes(end - start)
    return bytes(data)
