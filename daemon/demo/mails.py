"""The sample mailbox: TOML files in `mailbox/`, turned into RFC 5322 messages.

One file per folder (`folder = "…"`), two with mail that is delivered while the demo runs
(`expect = "…"`, where it belongs) and one with the story's mails (`group = "…"` besides).
"""

from __future__ import annotations

import mimetypes
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses
from importlib.resources import files
from itertools import chain, zip_longest
from typing import Any

INBOX = "INBOX"
DOMAIN = "demo.example"
OWNER = "Alex Brandt <alex@brandt.example>"

_DELIVERIES = ("deliveries_de.toml", "deliveries_en.toml")
_STORY = "story.toml"
_OTHER_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class SampleMail:
    """One mail as it is written down. `folder` is where it lies, or belongs when it is one
    that is delivered (INBOX: nowhere, it should stay); at least one of `text` and `html` is
    there."""

    id: str
    folder: str
    sender: str
    subject: str
    text: str | None
    html: str | None
    to: str = OWNER
    cc: str | None = None
    days_ago: float = 0.0
    list_id: str | None = None
    reply_to: str | None = None
    attachments: tuple[str, ...] = ()
    group: str | None = None

    @property
    def message_id(self) -> str:
        """The Message-ID, with angle brackets."""
        return f"<{self.id}@{DOMAIN}>"


@dataclass(frozen=True, slots=True)
class Samples:
    """All mails of the demo: `filed` lie in their folders from the beginning, oldest first,
    `deliveries` arrive in this order, `story` holds the mails of each group in order."""

    filed: tuple[SampleMail, ...]
    deliveries: tuple[SampleMail, ...]
    story: Mapping[str, tuple[SampleMail, ...]]

    @property
    def folders(self) -> tuple[str, ...]:
        """Names of the folders that mail lies in, sorted."""
        return tuple(sorted({mail.folder for mail in self.filed}))

    @property
    def all(self) -> tuple[SampleMail, ...]:
        """Every mail."""
        return (*self.filed, *self.deliveries, *chain.from_iterable(self.story.values()))


def load_samples() -> Samples:
    """Read the files that come with the program."""
    directory = files(__package__) / "mailbox"
    by_file = {
        entry.name: _read(tomllib.loads(entry.read_text(encoding="utf-8")))
        for entry in directory.iterdir()
        if entry.name.endswith(".toml")
    }
    story = by_file.pop(_STORY)
    deliveries = [by_file.pop(name) for name in _DELIVERIES]
    groups = dict.fromkeys(mail.group for mail in story if mail.group is not None)
    filed = sorted(chain.from_iterable(by_file.values()), key=lambda mail: -mail.days_ago)
    return Samples(
        filed=tuple(filed),
        deliveries=_in_turns(deliveries),
        story={name: tuple(m for m in story if m.group == name) for name in groups},
    )


def _read(document: Mapping[str, Any]) -> list[SampleMail]:
    return [_mail(table, document.get("folder")) for table in document["mail"]]


def _mail(table: Mapping[str, Any], folder: str | None) -> SampleMail:
    given = dict(table)
    return SampleMail(
        id=given.pop("id"),
        folder=folder if folder is not None else given.pop("expect"),
        sender=given.pop("from"),
        text=given.pop("text", None),
        html=given.pop("html", None),
        attachments=tuple(given.pop("attachments", ())),
        **given,
    )


def _in_turns(queues: Sequence[Sequence[SampleMail]]) -> tuple[SampleMail, ...]:
    """One of each queue after the other, so that the languages mix."""
    rounds = chain.from_iterable(zip_longest(*queues))
    return tuple(mail for mail in rounds if mail is not None)


class MessageBuilder:
    """Makes messages out of sample mails; knows all of them, since replies refer to others."""

    def __init__(self, samples: Samples, now: datetime) -> None:
        self._by_id = {mail.id: mail for mail in samples.all}
        self._now = now

    def date(self, mail: SampleMail) -> datetime:
        """When it was sent, and when the server got it."""
        return self._now - timedelta(days=mail.days_ago)

    def build(self, mail: SampleMail, date: datetime | None = None) -> bytes:
        """The message as it goes over the wire; `date` instead of the one in the sample."""
        message = EmailMessage(policy=SMTP)
        message["From"] = _addresses(mail.sender)
        message["To"] = _addresses(mail.to)
        if mail.cc is not None:
            message["Cc"] = _addresses(mail.cc)
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(date or self.date(mail))
        message["Message-ID"] = mail.message_id
        ancestors = self._ancestors(mail)
        if ancestors:
            message["In-Reply-To"] = ancestors[-1]
            message["References"] = " ".join(ancestors)
        if mail.list_id is not None:
            message["List-Id"] = mail.list_id
        _set_body(message, mail)
        for name in mail.attachments:
            _attach(message, name)
        return message.as_bytes()

    def _ancestors(self, mail: SampleMail) -> list[str]:
        """Message-IDs of the thread above `mail`, oldest first (RFC 5322, 3.6.4)."""
        found: list[str] = []
        while mail.reply_to is not None:
            mail = self._by_id[mail.reply_to]
            found.insert(0, mail.message_id)
        return found


def _addresses(text: str) -> tuple[Address, ...]:
    """Parsed here, as names with umlauts and full stops stand unquoted in the samples."""
    return tuple(
        Address(display_name=name, addr_spec=address) for name, address in getaddresses([text])
    )


def _set_body(message: EmailMessage, mail: SampleMail) -> None:
    if mail.text is not None:
        message.set_content(mail.text.lstrip("\n"), cte="quoted-printable")
        if mail.html is not None:
            message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    elif mail.html is not None:
        message.set_content(mail.html, subtype="html", cte="quoted-printable")


def _attach(message: EmailMessage, name: str) -> None:
    guessed, _ = mimetypes.guess_type(name)
    main_type, sub_type = (guessed or _OTHER_TYPE).split("/")
    content = f"{name}: an attachment of the sample mailbox, without content.\n".encode()
    message.add_attachment(content, maintype=main_type, subtype=sub_type, filename=name)
