"""What is decided before the model is asked: [[accounts.NAME.rules]]."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, model_validator

from daemon.config.settings.section import Section
from daemon.config.values import HeaderName, RulePattern, Switch, Text, fault


class RuleSettings(Section):
    """One rule: all conditions that it names must hold, then the mail goes to its folder or stays
    in the inbox.

    Rules are tried in their order, before the model, and the first that fits decides. A condition
    is a text for the whole value in which * stands for anything and ? for one character, or a
    regular expression (RE2) between slashes, which may be found anywhere in it; capitals and small
    letters are the same. What a mail lacks fits no condition. inboxd rules test shows what your
    rules would do with past mail.
    """

    sender: RulePattern | None = Field(None, examples=["*@bank.example"])
    """The address of the sender."""

    domain: RulePattern | None = Field(None, examples=["bank.example"])
    """The domain of the sender, or one above it: "bank.example" fits mail.bank.example too."""

    list: RulePattern | None = Field(None, examples=["*.lists.example.org"])
    """The identifier of the mailing list, without angle brackets (List-Id)."""

    subject: RulePattern | None = Field(None, examples=["/^Kontoauszug \\d+/"])
    """The subject."""

    header: Mapping[HeaderName, RulePattern] = Field(
        default_factory=dict, examples=[{"X-Spam-Flag": "YES"}]
    )
    """Any other header fields by name; of several fields with one name, one has to fit."""

    folder: Text | None = Field(None, examples=["Bank"])
    """Where the mail goes: a label folder, or a neutral one except the trash."""

    leave: Switch = False
    """With true the mail stays in the inbox, whatever the model thinks."""

    @model_validator(mode="after")
    def _says_when_and_what(self) -> RuleSettings:
        if not (self.sender or self.domain or self.list or self.subject or self.header):
            raise fault(
                "has no condition, so it would fit every mail",
                "Give it at least one of sender, domain, list, subject, header.",
            )
        if (self.folder is not None) == self.leave:
            raise fault(
                "must say either where the mail goes or that it stays",
                'Write one of the two: folder = "Bank" or leave = true',
            )
        return self
