"""What the model says about one mail, and whether that is enough to move it.

Plain values without torch, so that whoever only reads verdicts need not load it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from classifier.costs import NO_COSTS, Costs
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
    """From which confidence on (`Decision.confidence`) a folder may receive mail by itself.

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
    COSTLY = "costly"
    NOT_EARNED = "not-earned"


@dataclass(frozen=True, slots=True)
class Mistake:
    """The mistake that weighs most: the mail belongs to `label` (None: to no known folder)
    with this probability, and filing it wrongly would cost so many mails left in the inbox."""

    label: str | None
    probability: float
    cost: float


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict on one mail; `threshold` is that of `label`, None when it has none.

    `confidence` is what is compared with it: the probability, lowered by the costs of mistakes
    (`Costs.confidence`). `mistake` is None where costs play no part.
    """

    label: str
    probability: float
    threshold: float | None
    moves: bool
    reason: Reason
    confidence: float
    mistake: Mistake | None = None

    def sentence(self, name: str, mistaken: str = "another folder") -> str:
        """The reason in one plain sentence; `name` and `mistaken` are the display names of the
        label and of the mistake's label."""
        share = f"{self.probability:.1%}"
        costs = "" if self.mistake is None else f" ({self.confidence:.1%} with costs)"
        match self.reason:
            case Reason.SURE:
                return f"{share} sure of {name}{costs}; {self.threshold:.1%} is enough."
            case Reason.LEAVE:
                return f"{share} sure that it should stay in the inbox."
            case Reason.NOT_SURE:
                return f"Only {share} sure of {name}{costs}; {self.threshold:.1%} is needed."
            case Reason.NOT_EARNED:
                return f"{share} sure of {name}, which may not receive mail by itself yet."
            case Reason.COSTLY:
                return f"{share} sure of {name}, but {self._fear(mistaken)}"

    def _fear(self, mistaken: str) -> str:
        feared = self.mistake
        if feared is None:  # `decide` gives no such reason without one
            return ""
        return (
            f"it may belong to {mistaken} ({feared.probability:.1%}), and that mistake costs as "
            f"much as {feared.cost:g} mails left in the inbox: {self.confidence:.1%} with costs, "
            f"{self.threshold:.1%} is needed."
        )


def decide(
    prediction: Prediction, thresholds: Mapping[str, FolderThreshold], costs: Costs = NO_COSTS
) -> Decision:
    """Move when the best folder's confidence reaches that folder's own threshold."""
    label, probability = prediction.ranked[0]
    confidence, mistake = probability, None
    if costs and label != LEAVE:
        confidence = costs.confidence(label, prediction.ranked)
        dearest = Mistake(*costs.dearest(label, prediction.ranked))
        mistake = dearest if dearest.cost > 1.0 else None
    known = thresholds.get(label)
    threshold = None if label == LEAVE or known is None else known.threshold
    moves = is_enough(label, confidence, thresholds)
    reason = _reason(label, threshold, probability, moves=moves)
    return Decision(label, probability, threshold, moves, reason, confidence, mistake)


def is_enough(label: str, confidence: float, thresholds: Mapping[str, FolderThreshold]) -> bool:
    """Whether a mail may be moved to `label` at this confidence (`Costs.confidence`)."""
    known = thresholds.get(label)
    if label == LEAVE or known is None or known.threshold is None:
        return False
    return confidence >= known.threshold


def _reason(label: str, threshold: float | None, probability: float, *, moves: bool) -> Reason:
    if moves:
        return Reason.SURE
    if label == LEAVE:
        return Reason.LEAVE
    if threshold is None:
        return Reason.NOT_EARNED
    # Sure enough, so only the costs kept it.
    return Reason.COSTLY if probability >= threshold else Reason.NOT_SURE
