"""Messages for the contract tests."""

from __future__ import annotations


def mail(
    number: int = 1,
    *,
    body: str = "Hallo,\r\nbis morgen.\r\n",
    fields: str = "",
    named: bool = True,
) -> bytes:
    """A small message; `named` gives it a Message-ID, `fields` are further header lines."""
    message_id = f"Message-ID: <mail-{number}@example.org>\r\n" if named else ""
    return (
        f"From: Anna Beispiel <anna@example.org>\r\n"
        f"Date: Mon, 5 Jan 2026 08:{number % 60:02d}:00 +0100\r\n"
        f"Subject: Nachricht {number}\r\n{message_id}{fields}\r\n{body}"
    ).encode()
