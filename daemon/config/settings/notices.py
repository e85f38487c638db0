"""What inboxd tells people by itself: [notices]."""

from __future__ import annotations

import enum
from datetime import time

from pydantic import Field

from daemon.config.settings.section import Section
from daemon.config.values import FilePath, Switch, TimeOfDay, Whole


class Webhook(enum.StrEnum):
    """What a webhook understands."""

    OFF = "off"
    NTFY = "ntfy"
    GOTIFY = "gotify"
    JSON = "json"


class Language(enum.StrEnum):
    """The language in which people are told something (ISO 639-1)."""

    EN = "en"
    DE = "de"


class Weekday(enum.StrEnum):
    """A day of the week."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"

    @property
    def number(self) -> int:
        """0 is Monday, as with `datetime.date.weekday`."""
        return list(Weekday).index(self)


class NoticeSettings(Section):
    """What inboxd tells you by itself: how the week was, that an account needs you to sign in,
    that a folder broke its promise. Off unless mail or webhook is set; see docs/monitoring.md."""

    mail: Switch = False
    """Whether a notice comes as a mail into the account's own inbox. Only for accounts with mode
    "sort": in the other modes inboxd changes nothing in your mailbox. An account that cannot be
    reached or signed in to can only be told of by webhook."""

    webhook: Webhook = Webhook.OFF
    """Whether a notice is posted to an address: "ntfy" (its text, with title and priority as
    headers), "gotify" or "json" (an object with id, kind, account, title, text, urgent, at)."""

    url_file: FilePath | None = Field(None, examples=["/etc/inboxd/webhook-url"])
    """File that holds the webhook's address and nothing else; it is kept like a password, since a
    topic or a token in it lets others in. inboxd looks for the systemd credential
    inboxd.notices_url first, then here, then in the keyring (service "inboxd", user
    "notices:url"). Begins with https://, or with http:// on this machine."""

    ca_file: FilePath | None = Field(None, examples=["/etc/inboxd/webhook-ca.pem"])
    """PEM file with the certificate authority of the webhook, when it is not one that the system
    trusts. Certificates are always checked."""

    folder_names: Switch = False
    """Whether a webhook is told the names of your folders. If not, it gets counts and the names of
    accounts alone. A mail to yourself always names them."""

    language: Language = Language.EN
    """The language of notices: "en" or "de"."""

    weekly: Switch = True
    """Whether there is a summary of each week."""

    weekly_on: Weekday = Weekday.MONDAY
    """The day of the week on which it comes."""

    weekly_at: TimeOfDay = Field(time(8, 0))
    """The time of day, in the machine's time zone. When inboxd does not run then, the summary
    comes as soon as it does; of several missed ones only the last."""

    overdue_hours: Whole = Field(6, ge=1, le=720)
    """How long an account must have gone without a good pass before the webhook tells of it."""
