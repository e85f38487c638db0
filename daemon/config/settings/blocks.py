"""What counts when mails are compared: [model.blocks]."""

from __future__ import annotations

from pydantic import Field, model_validator

from daemon.config.settings.section import Section
from daemon.config.values import Number, fault


class BlockSettings(Section):
    """How much each kind of evidence counts when two mails are compared.

    Only the proportions to each other and to ridge_lambda matter; 0 leaves a kind out. The defaults
    were chosen by replaying real mailboxes; `inboxd tune` looks for better ones on your own mail.
    """

    words: Number = Field(1.0, ge=0, le=100)
    """Words and pairs of neighbouring words, of attachments' names too."""

    characters: Number = Field(2.0, ge=0, le=100)
    """Runs of three to five characters: parts of words, spellings, numbers."""

    sender: Number = Field(1.0, ge=0, le=100)
    """The sender's address, domain and name."""

    recipients: Number = Field(1.0, ge=0, le=100)
    """The addresses and domains in To and Cc."""

    list: Number = Field(1.0, ge=0, le=100)
    """The mailing list that the mail came through."""

    meta: Number = Field(0.25, ge=0, le=100)
    """Language, kinds of attachments, signs of a machine as the sender."""

    deep: Number = Field(1.5, ge=0, le=100)
    """The meaning of the text, as the encoder understands it."""

    @model_validator(mode="after")
    def _something_counts(self) -> BlockSettings:
        if not any(self.model_dump().values()):
            raise fault(
                "leaves nothing to compare mail by",
                "Give at least one of its keys a value above 0.",
            )
        return self
