"""The roles of an account's folders: [accounts.NAME.folders]."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from daemon.config.settings.section import Section
from daemon.config.values import Description, FolderName, Pattern, Text


class FolderSettings(Section):
    """The roles of an account's folders.

    Patterns are those of the shell: * stands for anything (the delimiter between parent and child
    folders too), ? for one character, [abc] for one of these. Capitals and small letters differ.
    """

    inbox: Text = "INBOX"
    """The folder where new mail arrives and out of which it is sorted."""

    labels: tuple[Pattern, ...] = ("*",)
    """Folders that inboxd learns and sorts into."""

    neutral: tuple[Pattern, ...] = Field((), examples=[["Archive/*"]])
    """Folders that inboxd leaves alone and learns nothing from, even when a pattern of labels
    matches them too. Trash, junk, sent mail, drafts and archives that the server marks as such
    are always neutral."""

    descriptions: Mapping[FolderName, Description] = Field(
        default_factory=dict,
        examples=[{"Kündigungen": "Kunden beenden ihren Vertrag oder ihr Abo"}],
    )
    """A sentence for each folder about the mail that belongs there, in the words of that mail.
    A folder with a sentence is suggested before its first mail; may also be a table of its own,
    [accounts.NAME.folders.descriptions]."""
