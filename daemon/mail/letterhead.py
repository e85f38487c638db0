"""What rules look at in a mail: its header, without the text."""

from __future__ import annotations

from dataclasses import dataclass

from classifier.mail import Mail
from daemon.mail.headers import Headers, decode_words, split_message
from daemon.mail.parse import parse

_MAX_FIELDS = 20
"""So many header fields of one name are looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Letterhead:
    """Sender's address, list identifier and subject as the classifier sees them, and the rest of
    the header. What the mail lacks is ""."""

    sender: str
    list_id: str
    subject: str
    headers: Headers

    @property
    def domain(self) -> str:
        """What follows the @ of the sender's address."""
        return self.sender.rpartition("@")[2] if "@" in self.sender else ""

    def field(self, name: str) -> list[str]:
        """The header fields of that name, decoded, each on one line."""
        return [decode_words(raw) for raw in self.headers.raw_all(name.lower())[:_MAX_FIELDS]]


def letterhead(mail: Mail, content: bytes) -> Letterhead:
    """That of a mail which has been parsed from `content`."""
    headers = Headers(split_message(content)[0])
    return Letterhead(mail.sender.address, mail.list_id, mail.subject, headers)


def read_letterhead(content: bytes) -> Letterhead:
    """That of a message of which perhaps no more than the header is there."""
    return letterhead(parse(content), content)
