"""What all learning in gradient steps shares: its settings, and weights against imbalance.

Without torch, so that the configuration can be turned into these values at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClassicSettings:
    """How the classic head learns (AdamW, linear warm-up and decay).

    `epochs`: at most; it stops after `patience` epochs without a lower validation loss, and
    what was best is taken. `warm_up`: share of all steps. `balance`: see `class_weights`.
    """

    epochs: int = 60
    patience: int = 6
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    dropout: float = 0.1
    warm_up: float = 0.1
    balance: float = 0.5
    seed: int = 17


@dataclass(frozen=True, slots=True)
class DeepSettings:
    """How the encoder learns.

    `layers`: how many of the upper layers get a change of rank `rank`; `balance` 0 to 1: how far
    classes are weighted against their size (1: all folders count alike, 0: all mails do);
    `patience`: looks without a better validation loss before it stops; `max_tokens`: where texts
    are cut for training (serving has its own limit); `seconds`: training ends after so long.
    """

    rank: int = 8
    layers: int = 6
    dropout: float = 0.1
    learning_rate: float = 5e-4
    weight_decay: float = 0.01
    warm_up: float = 0.1
    epochs: int = 4
    patience: int = 3
    looks_per_epoch: int = 2
    batch_size: int = 16
    max_tokens: int = 128
    balance: float = 0.5
    seed: int = 17
    seconds: float = 3600.0


def class_weights(labels: Sequence[int], classes: int, balance: float) -> list[float]:
    """[C] weight of each class in the loss: (mails / (C · mails of the class)) ^ `balance`.

    0: all mails count alike; 1: all folders do. Scaled so that the mean over the mails is 1, so
    that losses stay comparable.
    """
    counts = Counter(labels)
    plain = [(len(labels) / (classes * max(counts[c], 1))) ** balance for c in range(classes)]
    mean = sum(plain[label] for label in labels) / max(len(labels), 1)
    return [weight / mean for weight in plain] if mean else plain
