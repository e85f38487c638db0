"""Mail made to crash or stall its reader, generated and by hand.

No time is asserted; what would take minutes in a quadratic parser runs into the suite's
time-out instead.
"""

from __future__ import annotations

import string
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.mail.charsets import decode_text
from daemon.mail.headers import MAX_REFERENCES, addresses, decode_words
from daemon.mail.mime import MAX_DEPTH, MAX_PARTS, parameterised
from daemon.mail.parse import MAX_CONTENT_BYTES, parse

TOKENS = st.sampled_from(
    [
        *(b"\r\n", b"\n", b"\r\n\r\n", b" ", b"\t", b";", b"=", b'"', b"'", b"(", b")", b"<", b">"),
        *(b"@", b",", b":", b"\\", b"%", b"*", b"?", b"--b", b"--b--", b"\x00", b"\xff", b"\xc3"),
        *(b"From: ", b"Subject: ", b"Date: ", b"References: ", b"Content-Type: ", b"List-Id: "),
        *(b"multipart/mixed", b"boundary=b", b"text/plain", b"text/html", b"message/rfc822"),
        *(b"charset=", b"utf-8", b"utf-16", b"punycode", b"zlib", b"filename*0*=", b"name*="),
        *(b"Content-Transfer-Encoding: ", b"base64", b"quoted-printable", b"Content-Disposition: "),
        *(b"attachment", b"=?utf-8?q?", b"=?utf-8?b?", b"?=", b"5 Jan 2026", b"99999999999"),
    ]
)
MAILS = st.lists(TOKENS | st.binary(max_size=4), max_size=120).map(b"".join)


@given(MAILS)
def test_any_bytes_become_a_mail(content: bytes) -> None:
    """Nothing raises, and every promise about the fields holds."""
    mail = parse(content)
    for text in (mail.subject, mail.sender.name, mail.message_id, mail.list_id):
        assert not set(text) & set("\r\n\x00")
    assert len(mail.references) <= MAX_REFERENCES
    assert mail.date is None or mail.date.astimezone(UTC)
    assert all(mail.attachments)


@given(st.binary(max_size=300), st.text(max_size=20) | st.sampled_from(["zlib", "idna", "hex"]))
def test_any_charset_decodes_any_bytes(data: bytes, charset: str) -> None:
    """Whatever a mail declares."""
    assert isinstance(decode_text(data, charset), str)


@given(st.text(alphabet=string.printable + "äöü€", max_size=80))
def test_utf8_headers_keep_their_words(text: str) -> None:
    """Text without encoded words comes back, white space aside."""
    if "=?" not in text:
        assert decode_words(text.encode()).split() == text.replace("\x7f", " ").split()


@given(st.binary(max_size=200))
def test_any_parameters_can_be_read(raw: bytes) -> None:
    """Content-Type and Content-Disposition of any kind."""
    value, parameters = parameterised(raw)
    assert isinstance(value, str)
    assert all(isinstance(text, str) for text in parameters.values())


@given(st.binary(max_size=200))
def test_any_addresses_can_be_read(raw: bytes) -> None:
    """Each result has a name or an address."""
    assert all(found.name or found.address for found in addresses([raw]))


def nested(depth: int) -> bytes:
    """Multiparts inside each other, with text at every level."""
    levels = (
        f"Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n"
        f"--b{level}\r\nContent-Type: text/plain\r\n\r\nlevel {level}\r\n--b{level}\r\n"
        for level in range(depth)
    )
    return "".join(levels).encode()


def test_depth_is_limited() -> None:
    """Text down to the limit is read, what lies deeper is not."""
    mail = parse(nested(5000))
    assert f"level {MAX_DEPTH - 1}" in mail.plain
    assert f"level {MAX_DEPTH}\n" not in mail.plain


def test_the_number_of_parts_is_limited() -> None:
    """Ten thousand parts are no reason to work for ten thousand."""
    content = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    mail = parse(content + b"--b\r\n\r\nx\r\n" * 10_000)
    assert mail.plain.count("x") == MAX_PARTS


SIZE = MAX_CONTENT_BYTES


@pytest.mark.parametrize(
    "content",
    [
        b"To: " + b"(" * SIZE,
        b"From: " + b'"\\' * (SIZE // 2),
        b"Subject: " + b"=?a?q?" * (SIZE // 6),
        b"References: " + b"<" * SIZE,
        b"a: b\r\n" * (SIZE // 6),
        b"a: b\r\n" + b" c\r\n" * (SIZE // 4),
        b"Content-Type: " + b"a/b;" * (SIZE // 4),
        b"Content-Disposition: x" + b"; filename*1*=%C3" * (SIZE // 17),
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"\r\n--b" * (SIZE // 5),
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + (b"\r\n--b" + b" " * 79) * 40_000,
        b"Content-Type: text/html\r\n\r\n" + b"<meta" * (SIZE // 5),
        b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a-" + b"b" * (SIZE // 2),
        b"Content-Transfer-Encoding: base64\r\n\r\n" + b"=A" * (SIZE // 2),
        b"\r" * SIZE,
        nested(2000) + b"x\r\n" * 500_000,
    ],
    ids=lambda content: content[:24].decode("ascii"),
)
def test_size_alone_stalls_nothing(content: bytes) -> None:
    """Megabytes of whatever is worst for a careless parser."""
    parse(content)
