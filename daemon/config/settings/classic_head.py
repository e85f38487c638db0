"""How the classic head learns: [classic_head]."""

from __future__ import annotations

from pydantic import Field

from daemon.config.settings.section import Section
from daemon.config.values import Number, Whole


class ClassicHeadSettings(Section):
    """How the classic head learns; only with head = "classic"."""

    epochs: Whole = Field(60, ge=1, le=10_000)
    """How often each mail is looked at, at most."""

    patience: Whole = Field(6, ge=1, le=1000)
    """After so many epochs without a lower validation loss it stops."""

    batch_size: Whole = Field(32, ge=1, le=4096)
    """How many mails are learnt from in one step."""

    learning_rate: Number = Field(0.001, gt=0, le=1.0)
    """The size of a step, reached after the warm-up."""

    weight_decay: Number = Field(0.01, ge=0, le=1.0)
    """How strongly weights are pulled to zero; more helps against overfitting."""

    dropout: Number = Field(0.1, ge=0, le=0.9)
    """Share of the pooled vector that is left out at random while learning; more helps against
    overfitting."""

    warm_up: Number = Field(0.1, ge=0, le=0.9)
    """Share of the steps in which the learning rate rises."""

    balance: Number = Field(0.5, ge=0, le=1.0)
    """How far small folders are given more weight: 0 all mails count alike, 1 all folders."""

    seed: Whole = Field(17, ge=0, le=4_294_967_295)
    """Where chance begins; the same seed gives the same model."""
