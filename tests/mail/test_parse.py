"""Parsing real and ordinary mail: what the classifier gets to see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from classifier.mail import Address, Mail
from daemon.mail.parse import parse


def message(headers: str = "", body: bytes | str = b"", *, encoding: str = "utf-8") -> bytes:
    """Bytes of a message from header lines and a body."""
    block = headers.strip("\n").replace("\r\n", "\n").replace("\n", "\r\n").encode(encoding)
    return block + b"\r\n\r\n" + (body.encode(encoding) if isinstance(body, str) else body)


MULTIPART = b"""\
--b1\r
Content-Type: multipart/alternative; boundary=b2\r
\r
--b2\r
Content-Type: text/plain; charset=utf-8\r
\r
Sch\xc3\xb6ne Gr\xc3\xbc\xc3\x9fe\r
--b2\r
Content-Type: text/html; charset=iso-8859-1\r
Content-Transfer-Encoding: quoted-printable\r
\r
<p>Sch=F6ne =\r
Gr=FC=DFe</p>\r
--b2--\r
--b1\r
Content-Type: application/pdf; name="ignored.pdf"\r
Content-Disposition: attachment; filename*=utf-8''Rechnung%20M%C3%A4rz.pdf\r
Content-Transfer-Encoding: base64\r
\r
JVBERi0=\r
--b1--\r
"""


def test_an_ordinary_mail_is_read() -> None:
    """Headers, text, date and thread of a plain mail."""
    mail = parse(
        message(
            """
From: Anna Beispiel <Anna@Example.org>
To: "Bert, der Große" <bert@example.org>, carla@example.org
Cc: Team: dora@example.org, emil@example.org;
Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= aus Rom
Date: Mon, 5 Jan 2026 08:00:00 +0100
Message-ID: <one@example.org>
In-Reply-To: <parent@example.org>
References: <root@example.org> <parent@example.org>
Content-Type: text/plain; charset=utf-8
""",
            "Hallo,\r\nbis morgen.\r\n",
        )
    )
    assert mail == Mail(
        subject="Grüße aus Rom",
        sender=Address("Anna Beispiel", "anna@example.org"),
        recipients=(
            Address("Bert, der Große", "bert@example.org"),
            Address("", "carla@example.org"),
            Address("", "dora@example.org"),
            Address("", "emil@example.org"),
        ),
        plain="Hallo,\nbis morgen.\n",
        date=datetime(2026, 1, 5, 8, 0, tzinfo=timezone(timedelta(hours=1))),
        message_id="one@example.org",
        references=("parent@example.org", "root@example.org"),
    )


def test_both_texts_and_the_attachments_of_a_multipart_are_found() -> None:
    """Alternative inside mixed; quoted-printable, two charsets, an RFC 2231 file name."""
    mail = parse(message("Content-Type: multipart/mixed; boundary=b1", MULTIPART))
    assert mail.plain == "Schöne Grüße"
    assert mail.html == "<p>Schöne Grüße</p>"
    assert mail.attachments == ("Rechnung März.pdf",)


@pytest.mark.parametrize("length", range(0, len(MULTIPART), 7))
def test_a_mail_cut_anywhere_is_read_as_far_as_it_goes(length: int) -> None:
    """Only the first bytes are fetched: the text so far is a beginning of the whole text."""
    mail = parse(message("Content-Type: multipart/mixed; boundary=b1", MULTIPART[:length]))
    assert "Schöne Grüße".startswith(mail.plain.strip())
    assert "<p>Schöne Grüße</p>".startswith(mail.html.strip())


@pytest.mark.parametrize(
    ("raw", "subject"),
    [
        ("Angebot", "Angebot"),
        ("  Angebot \r\n\tund  Preis", "Angebot und Preis"),
        ("=?UTF-8?B?UsO8Y2tmcmFnZQ==?=", "Rückfrage"),
        ("=?iso-8859-1?q?R=FCckfrage?=", "Rückfrage"),
        ("=?utf-8*de?q?R=C3=BCckfrage?=", "Rückfrage"),
        ("=?utf-8?q?R=C3?= =?utf-8?q?=BCckfrage?=", "Rückfrage"),
        ("=?utf-8?q?eins?=\r\n =?utf-8?q?_zwei?=", "eins zwei"),
        ("Re: =?utf-8?q?eins?= zwei =?iso-8859-1?q?dr=E4i?=", "Re: eins zwei dräi"),
        ("=?utf-8?q?eins?= =?iso-8859-1?q?dr=E4i?=", "einsdräi"),
        ("=?utf-8?B?UsO8Y2tmcmFnZQ?=", "Rückfrage"),
        ("=?no-such-charset?q?R=C3=BCckfrage?=", "Rückfrage"),
        ("=?zlib?q?text?=", "text"),
        ("=?utf-8?q?offen", "=?utf-8?q?offen"),
        ("=?utf-8?x?egal?=", "=?utf-8?x?egal?="),
        ("a\x00b\x07c", "a b c"),
        ("", ""),
    ],
)
def test_subjects_are_decoded(raw: str, subject: str) -> None:
    """RFC 2047 as senders write it, not only as it is defined."""
    assert parse(message(f"Subject: {raw}\nX: y")).subject == subject


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "cp1252"])
def test_raw_characters_in_headers_are_tolerated(encoding: str) -> None:
    """Some senders encode nothing at all."""
    mail = parse(message("Subject: Kündigung\nFrom: Jörg <j@example.org>", encoding=encoding))
    assert mail.subject == "Kündigung"
    assert mail.sender == Address("Jörg", "j@example.org")


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("utf-8", "utf-8"),
        ("utf-8", "cp1252"),
        ("us-ascii", "utf-8"),
        ("us-ascii", "cp1252"),
        ("iso-8859-1", "utf-8"),
        ("iso-8859-1", "cp1252"),
        ("iso-8859-15", "iso-8859-15"),
        ("windows-1252", "cp1252"),
        ("unknown-8bit", "utf-8"),
        ('"utf-8"', "utf-8"),
        ("", "cp1252"),
        ("utf-16", "utf-16"),
        ("unicode-escape", "utf-8"),
    ],
)
def test_a_wrong_charset_does_not_spoil_the_text(declared: str, encoding: str) -> None:
    """The bytes decide where the declaration cannot be true."""
    text = "Grüße für 5 €: schöne Äpfel"
    headers = f"Content-Type: text/plain; charset={declared}"
    assert parse(message(headers) + text.encode(encoding)).plain == text


def test_a_character_cut_in_two_leaves_no_trace() -> None:
    """The body is cut after so many bytes, not characters."""
    body = "Grüße ü".encode()[:-1]
    assert parse(message("Content-Type: text/plain; charset=utf-8", body)).plain == "Grüße "


def test_the_charset_of_html_may_stand_in_the_html() -> None:
    """A meta element counts when the header says nothing."""
    body = '<html><head><meta charset="koi8-r"></head>Привет'.encode("koi8-r")
    assert parse(message("Content-Type: text/html", body)).html.endswith("Привет")


@pytest.mark.parametrize(
    ("raw", "name", "address"),
    [
        ("a@example.org", "", "a@example.org"),
        ("<a@example.org>", "", "a@example.org"),
        ('"Doe, Jane" <jane@example.org>', "Doe, Jane", "jane@example.org"),
        ('"Jane \\"J\\" Doe" <jane@example.org>', 'Jane "J" Doe', "jane@example.org"),
        ("jane@example.org (Jane Doe)", "", "jane@example.org"),
        ("Jane (work) <jane@example.org>", "Jane", "jane@example.org"),
        ("=?utf-8?q?J=C3=B6rg?= <j@example.org>", "Jörg", "j@example.org"),
        ("'Jane' <jane@example.org>", "Jane", "jane@example.org"),
        ("Postmaster", "Postmaster", ""),
        ("<>", "", ""),
        ("Jane <jane@example.org", "Jane", "jane@example.org"),
        ("Jane jane@example.org>", "", "jane jane@example.org"),
        ("undisclosed-recipients:;", "", ""),
        ('"', "", ""),
        ("((((((", "", ""),
    ],
)
def test_senders_are_understood(raw: str, name: str, address: str) -> None:
    """RFC 5322 addresses, and what passes for them."""
    assert parse(message(f"From: {raw}")).sender == Address(name, address)


def test_a_mail_without_from_is_by_its_sender() -> None:
    """Sender, then Reply-To."""
    assert parse(message("Sender: a@example.org")).sender.address == "a@example.org"
    assert parse(message("Reply-To: b@example.org")).sender.address == "b@example.org"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("In-Reply-To: <c@x>\nReferences: <a@x> <b@x> <c@x>", ("c@x", "b@x", "a@x")),
        ("References: <a@x>\n <b@x>", ("b@x", "a@x")),
        ("In-Reply-To: your message of Monday <c@x>", ("c@x",)),
        ("In-Reply-To: nonsense", ()),
        ("References: <a@x> <a@x> broken <b", ("a@x",)),
        (
            "References: " + " ".join(f"<{n}@x>" for n in range(50)),
            tuple(f"{n}@x" for n in range(49, 29, -1)),
        ),
    ],
)
def test_ancestors_come_nearest_first(fields: str, expected: tuple[str, ...]) -> None:
    """In-Reply-To, then References from the end, each once, at most twenty."""
    assert parse(message(fields)).references == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("Mon, 5 Jan 2026 08:00:00 -0000", datetime(2026, 1, 5, 8, tzinfo=UTC)),
        ("5 Jan 2026 08:00 GMT", datetime(2026, 1, 5, 8, tzinfo=UTC)),
        ("Mon, 99 Foo 2026 08:00:00 +0100", None),
        ("Fri, 31 Dec 9999 23:59:59 -1400", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_date_is_aware_or_missing(raw: str, expected: datetime | None) -> None:
    """Never a naive date, never an exception."""
    assert parse(message(f"Date: {raw}")).date == expected


def test_machines_are_recognised_without_keeping_what_is_personal() -> None:
    """Values that say "machine" are kept, tokens and addresses of the reader are not."""
    mail = parse(
        message(
            """
Auto-Submitted: Auto-Generated
Precedence: BULK
List-Unsubscribe: <https://example.org/u?token=geheim&mail=anna@example.org>
List-Id: The Garden Club <Garden.Example.org>
X-Mailer: Microsoft Outlook 16.0.1234 (build 5)
"""
        )
    )
    assert mail.automation == (
        ("auto-submitted", "auto-generated"),
        ("precedence", "bulk"),
        ("list-unsubscribe", "present"),
        ("x-mailer", "microsoft outlook"),
    )
    assert mail.list_id == "garden.example.org"


def multipart(*parts: str, kind: str = "mixed") -> bytes:
    """A multipart message of parts given as header lines, empty line, body."""
    body = "".join(f"--b\n{part}\n" for part in parts) + "--b--\n"
    return message(f"Content-Type: multipart/{kind}; boundary=b", body.replace("\n", "\r\n"))


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ('Content-Type: image/png; name="Bild 1.png"', "Bild 1.png"),
        ("Content-Type: image/png; name==?utf-8?q?Gr=C3=BC=C3=9Fe=2Epng?=", "Grüße.png"),
        ("Content-Disposition: attachment; filename*0=lang; filename*1=er.txt", "langer.txt"),
        (
            "Content-Disposition: attachment; filename*0*=utf-8''M%C3%A4; filename*1*=rz.txt",
            "März.txt",
        ),
        ("Content-Disposition: attachment; filename=a.txt; filename*=utf-8''b.txt", "b.txt"),
        ('Content-Disposition: inline; filename="notiz.txt"', "notiz.txt"),
        ('Content-Disposition: attachment; filename="a;b\\"c.txt"', 'a;b"c.txt'),
        ("Content-Disposition: attachment; filename*1*=x; filename*=y; a*0=b; a*=c", "yx"),
        ("Content-Disposition: attachment; filename*99999999999=x; filename=ok.txt", "ok.txt"),
    ],
)
def test_file_names_are_decoded(headers: str, name: str) -> None:
    """RFC 2231, RFC 2047 where it does not belong, and broken mixtures."""
    mail = parse(multipart("Content-Type: text/plain\n\ntext", f"{headers}\n\ndata"))
    assert mail.attachments == (name,)
    assert mail.plain == "text"


def test_a_text_attachment_is_no_text() -> None:
    """What somebody attached is not what they wrote."""
    attachment = "Content-Type: text/plain\nContent-Disposition: attachment\n\nold text"
    mail = parse(multipart("Content-Type: text/plain\n\nnew text", attachment))
    assert mail.plain == "new text"


def test_a_named_mail_of_one_part_is_text() -> None:
    """Some programs give the body itself a name."""
    mail = parse(message('Content-Type: text/plain; name="body.txt"', "words"))
    assert (mail.plain, mail.attachments) == ("words", ())


FORWARDED = "Content-Type: message/rfc822\n\nSubject: Der alte Betreff\nFrom: x@y\n\nold text"


def test_an_attached_message_counts_by_its_subject() -> None:
    """It is named by its subject, and its text is not taken for the sender's."""
    mail = parse(multipart("Content-Type: text/plain\n\nsiehe unten", FORWARDED))
    assert mail.attachments == ("Der alte Betreff",)
    assert mail.plain == "siehe unten"


def test_an_attached_message_stands_in_for_missing_text() -> None:
    """Forwarded without a word: its subject is all there is to go by."""
    assert parse(multipart(FORWARDED)).plain == "Der alte Betreff"
    digest = "\nSubject: Eins\n\ntext"
    assert parse(multipart(digest, kind="digest")).plain == "Eins"


def test_rare_text_is_better_than_none() -> None:
    """An invitation that consists of a calendar entry alone."""
    calendar = "BEGIN:VCALENDAR\nSUMMARY:Elternabend\nEND:VCALENDAR"
    mail = parse(message("Content-Type: text/calendar", calendar))
    assert "Elternabend" in mail.plain


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        b"\r\n\r\nonly a body",
        b"no header at all",
        b"Subject: x",
        b"Subject: x\r\n",
        b"From somebody Mon Jan 5\r\nSubject: x\r\n\r\n",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n\r\ntext',
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\nno delimiter",
        b"Content-Type: nonsense\r\n\r\ntext",
        b"Content-Type: ;;;=;\r\n\r\ntext",
        b"\xff\xfe\x00\x01" * 50,
    ],
)
def test_odd_messages_give_a_mail(content: bytes) -> None:
    """Missing and unreadable things are empty strings."""
    mail = parse(content)
    assert isinstance(mail.subject, str)
    assert mail.html == ""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines_may_end_in_either_way(newline: str) -> None:
    """Files from mbox and Maildir have bare line feeds."""
    content = multipart("Content-Type: text/plain\n\neins\nzwei", FORWARDED)
    mail = parse(content.replace(b"\r\n", newline.encode()))
    assert mail.plain == "eins\nzwei"
    assert mail.attachments == ("Der alte Betreff",)
