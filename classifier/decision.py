"""What the model says about one mail, and whether that is enough to move it.

Plain values without torch, so that whoever only reads verdicts need not load it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from classifier.labels import LEAVE


@dataclass(frozen=True, slots=True)
class Prediction:
    """All labels with their probabilities, best first.

    The probabilities may sum to less than 1: the rest is "none of these folders".
    """

    ranked: tuple[tuple[str, float], ...]

    @property
    def label(self) -> str:
        """The most probable label."""
        return self.ranked[0][0]

    @property
    def probability(self) -> float:
        """Probability of the most probable label, 0 to 1."""
        return self.ranked[0][1]


@dataclass(frozen=True, slots=True)
class FolderThreshold:
    """From which probability on a folder may receive mail by itself.

    `threshold` None: not yet; its past predictions do not show the required precision.
    `estimated_precision` is the estimate at that threshold (where there is none: the best that
    any threshold reached), `support` the number of past predictions of this folder behind it.
    """

    threshold: float | None
    estimated_precision: float
    support: int


class Reason(enum.StrEnum):
    """Why a mail is moved or stays."""

    SURE = "sure"
    LEAVE = "leave"
    NOT_SURE = "not-sure"
    NOT_EARNED = "not-earned"


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict on one mail; `threshold` is that of `label`, None when it has none."""

    label: str
    probability: float
    threshold: float | None
    moves: bool
    reason: Reason

    def sentence(self, name: str) -> str:
        """The reason in one plain sentence; `name` is the display name of the label."""
        share = f"{self.probability:.1%}"
        match self.reason:
            case Reason.SURE:
                return f"{share} sure of {name}; {self.threshold:.1%} is enough."
            case Reason.LEAVE:
                return f"{share} sure that it should stay in the inbox."
            case Reason.NOT_SURE:
                return f"Only {share} sure of {name}; {self.threshold:.1%} is needed."
            case Reason.NOT_EARNED:
                return f"{share} sure of {name}, which may not receive mail by itself yet."


def decide(prediction: Prediction, thresholds: Mapping[str, FolderThreshold]) -> Decision:
    """Move when the best folder's probability reaches that folder's own threshold."""
    label, probability = prediction.ranked[0]
    if label == LEAVE:
        return Decision(label, probability, None, moves=False, reason=Reason.LEAVE)
    known = thresholds.get(label)
    if known is None or known.threshold is None:
        return Decision(label, probability, None, moves=False, reason=Reason.NOT_EARNED)
    moves = probability >= known.threshold
    reason = Reason.SURE if moves else Reason.NOT_SURE
    return Decision(label, probability, known.threshold, moves=moves, reason=reason)
