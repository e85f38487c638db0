"""A notice as a mail."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

import pytest

from daemon.mail.parse import parse
from daemon.mailbox.identity import identify
from daemon.notices.letter import letter, message_id
from daemon.notices.words import Said

NOW = datetime(2026, 3, 30, 8, tzinfo=UTC)
SAID = Said("inboxd: Kündigungen bekommt nur noch Vorschläge", "Grüße.\nZwei Zeilen.", "de")


def made(recipient: str = "anna@example.org", said: Said = SAID) -> bytes:
    """One mail."""
    return letter(said, token="ab12", kind="precision", recipient=recipient, now=NOW)


def test_a_notice_is_marked_as_made_by_a_machine() -> None:
    """Nobody answers it, and no mail can come from where it says that it is from."""
    mail = message_from_bytes(made(), policy=default)
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Inboxd-Notice"] == "precision"
    assert mail["From"].addresses[0].domain.endswith(".invalid")
    assert mail["To"] == "anna@example.org"
    assert mail["Content-Language"] == "de"
    assert "List-Id" not in mail
    assert (mail["Subject"], mail.get_content().splitlines()) == (
        SAID.title,
        SAID.text.splitlines(),
    )


def test_a_notice_is_ascii_with_crlf() -> None:
    """Any server takes it."""
    assert made().isascii()
    assert made().count(b"\n") == made().count(b"\r\n")


def test_the_message_id_is_the_one_by_which_it_is_known_again() -> None:
    """As the mailbox port tells it."""
    header, _, body = made().partition(b"\r\n\r\n")
    found = identify(
        1, header, server_id=None, body_start=body, internal_date=NOW, size=len(made())
    )
    assert found.message_id == message_id("ab12")
    assert parse(made()).subject == SAID.title


@pytest.mark.parametrize(
    "name", ["anna", "a b@c", "ä@example.org", "x@y\r\nBcc: z@example.org", "@", "a@", ""]
)
def test_a_login_name_that_is_no_address_does_no_harm(name: str) -> None:
    """Then the mail names nobody."""
    mail = message_from_bytes(made(name), policy=default)
    assert "Bcc" not in mail
    assert mail["Subject"] == SAID.title


def test_a_title_cannot_add_a_header() -> None:
    """Whatever a folder is called."""
    mail = message_from_bytes(made(said=Said("a\r\nBcc: b@example.org", "t", "en")))
    assert "Bcc" not in mail
