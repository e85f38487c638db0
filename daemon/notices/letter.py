"""A notice as a mail to the account's own inbox."""

from __future__ import annotations

from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from daemon.notices.words import Said

DOMAIN = "notice.inboxd.invalid"
"""Of sender and Message-ID. No mail can ever come from there or go there (RFC 2606, 2)."""


def message_id(token: str) -> str:
    """The Message-ID of a notice, without angle brackets."""
    return f"{token}@{DOMAIN}"


def letter(said: Said, *, token: str, kind: str, recipient: str, now: datetime) -> bytes:
    """RFC 5322 with CRLF. Marked as made by a machine (RFC 3834), so that nobody answers it.

    `recipient` is the name that the account logs in with; it is named when it is an address.
    """
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address("inboxd", "inboxd", DOMAIN)
    to = _address(recipient)
    if to is not None:
        mail["To"] = to
    mail["Subject"] = " ".join(said.title.split())
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{message_id(token)}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Inboxd-Notice"] = kind
    mail.set_content(said.text + "\n", cte="quoted-printable")
    mail["Content-Language"] = said.language
    return mail.as_bytes()


def _address(name: str) -> Address | None:
    try:
        return Address(addr_spec=name) if "@" in name and name.isascii() else None
    except (MessageError, ValueError, IndexError):  # what the library raises for odd names
        return None
