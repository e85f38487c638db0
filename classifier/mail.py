"""The neutral value that the classifier reads: one mail, already parsed, not yet cleaned.

Whoever calls the classifier (the daemon, the replay, a notebook) fills it; the classifier
knows nothing of IMAP, MIME bytes or databases.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox of a From, To or Cc header (RFC 5322, section 3.4)."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Mail:
    """One parsed mail. All strings are decoded; a missing header is the empty string.

    `plain` and `html` are the decoded text parts (possibly cut: only the first bytes of a
    message are fetched). `references` holds the Message-IDs of In-Reply-To and References,
    nearest ancestor first. `automation` holds headers by which machines give themselves away
    (Auto-Submitted, Precedence, List-Unsubscribe, X-Mailer class), lower-cased name to value.
    """

    subject: str = ""
    sender: Address = Address("", "")
    recipients: tuple[Address, ...] = ()
    list_id: str = ""
    plain: str = ""
    html: str = ""
    attachments: tuple[str, ...] = ()
    date: datetime | None = None
    message_id: str = ""
    references: tuple[str, ...] = ()
    automation: tuple[tuple[str, str], ...] = field(default=())
