"""How the encoder is tuned: [deep_tuning]."""

from __future__ import annotations

from pydantic import Field

from daemon.config.settings.section import Section
from daemon.config.values import Number, Whole


class DeepTuningSettings(Section):
    """How the encoder is tuned (LoRA), and what that may take of this machine."""

    rank: Whole = Field(8, ge=1, le=256)
    """Rank of the change to each weight matrix."""

    layers: Whole = Field(4, ge=1, le=48)
    """How many of the encoder's upper layers are changed. The others, and the word embeddings,
    stay as they are."""

    dropout: Number = Field(0.1, ge=0, le=0.9)
    """Dropout on the change; more helps against overfitting."""

    learning_rate: Number = Field(0.0005, gt=0, le=1.0)
    """The size of a step, reached after the warm-up."""

    weight_decay: Number = Field(0.01, ge=0, le=1.0)
    """How strongly the change is pulled to zero; more helps against overfitting."""

    warm_up: Number = Field(0.1, ge=0, le=0.9)
    """Share of the steps in which the learning rate rises."""

    epochs: Whole = Field(3, ge=1, le=1000)
    """How often each mail is looked at, at most."""

    patience: Whole = Field(3, ge=1, le=1000)
    """After so many looks at the validation mail without a lower loss it stops."""

    looks_per_epoch: Whole = Field(2, ge=1, le=100)
    """How often per epoch it looks at the validation mail, and writes a checkpoint."""

    batch_size: Whole = Field(16, ge=1, le=1024)
    """How many mails are learnt from in one step."""

    max_tokens: Whole = Field(128, ge=16, le=8192)
    """Where mail is cut while tuning; at most what [model] max_tokens says."""

    balance: Number = Field(0.5, ge=0, le=1.0)
    """How far small folders are given more weight: 0 all mails count alike, 1 all folders."""

    seed: Whole = Field(17, ge=0, le=4_294_967_295)
    """Where chance begins; the same seed gives the same result on the same machine."""

    min_examples: Whole = Field(500, ge=10, le=1_000_000)
    """With fewer examples there is no nightly tuning."""

    new_examples: Whole = Field(200, ge=1, le=1_000_000)
    """So many examples must have come since the last tuning before the next nightly one."""

    nice: Whole = Field(15, ge=0, le=19)
    """How far the tuning steps back behind everything else on this machine."""

    memory_mb: Whole = Field(4096, ge=256, le=1_048_576)
    """Memory that the tuning may use, in megabytes. It ends with a message when that is not
    enough (Linux only)."""

    threads: Whole = Field(0, ge=0, le=1024)
    """CPU threads for the tuning; 0 takes all cores."""

    max_minutes: Whole = Field(120, ge=1, le=10_080)
    """After so long the tuning ends with the best it has found."""
