"""Sample mails become proper messages, which inboxd's own parser reads back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parsedate_to_datetime
from typing import cast

from daemon.demo.mails import MessageBuilder, SampleMail, Samples, load_samples
from daemon.mail.parse import parse

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _sample(id_: str, **fields: object) -> SampleMail:
    given: dict[str, object] = {
        "folder": "Rechnungen",
        "sender": "Dr. Jörg Größe <joerg@groesse.example>",
        "subject": "Grüße aus Köln",
        "text": "Schöne Grüße\n",
        "html": None,
    }
    return SampleMail(id=id_, **(given | fields))  # type: ignore[arg-type]


def _build(*mails: SampleMail) -> EmailMessage:
    """The message of the last of the mails."""
    builder = MessageBuilder(Samples(mails, (), {}), NOW)
    return message_from_bytes(builder.build(mails[-1]), policy=SMTP)


def test_headers_survive_the_wire() -> None:
    """Umlauts and full stops in names, subject, date and identity arrive as written."""
    message = _build(_sample("a-1", days_ago=2.5, list_id="Größe <list.example>"))
    assert message["From"].addresses[0].display_name == "Dr. Jörg Größe"
    assert message["Subject"] == "Grüße aus Köln"
    assert message["Message-ID"] == "<a-1@demo.example>"
    assert message["List-Id"] == "Größe <list.example>"
    assert parsedate_to_datetime(message["Date"]) == NOW - timedelta(days=2.5)


def test_a_reply_names_its_parent_and_the_whole_thread() -> None:
    """In-Reply-To is the parent, References all ancestors, oldest first."""
    thread = (_sample("t-1"), _sample("t-2", reply_to="t-1"), _sample("t-3", reply_to="t-2"))
    message = _build(*thread)
    assert message["In-Reply-To"] == "<t-2@demo.example>"
    assert message["References"] == "<t-1@demo.example> <t-2@demo.example>"


def test_text_and_html_become_alternatives_with_attachments_beside_them() -> None:
    """multipart/mixed of multipart/alternative and the files."""
    message = _build(_sample("m-1", html="<p>Gr&uuml;&szlig;e</p>", attachments=("Übersicht.pdf",)))
    assert message.get_content_type() == "multipart/mixed"
    body, attachment = message.iter_parts()
    types = [part.get_content_type() for part in cast("EmailMessage", body).iter_parts()]
    assert types == ["text/plain", "text/html"]
    assert attachment.get_content_type() == "application/pdf"
    assert cast("EmailMessage", attachment).get_filename() == "Übersicht.pdf"


def test_html_alone_is_the_whole_message() -> None:
    """Newsletters without a text part exist."""
    message = _build(_sample("h-1", text=None, html="<p>Hallo</p>"))
    assert message.get_content_type() == "text/html"


def test_every_sample_is_read_back() -> None:
    """Subject, sender, list and attachments' names are those of the sample; lines end in CRLF."""
    samples = load_samples()
    builder = MessageBuilder(samples, NOW)
    for mail in samples.all:
        message = builder.build(mail)
        read = parse(message)
        assert read.subject == mail.subject.strip()
        assert read.sender.address in mail.sender
        assert read.attachments == mail.attachments
        assert bool(read.list_id) == (mail.list_id is not None)
        assert bool(read.plain) == (mail.text is not None)
        assert bool(read.html) == (mail.html is not None)
        assert message.count(b"\n") == message.count(b"\r\n")
