"""Whether a newly trained model may replace the current one.

Both models are asked about the same recent mail, each only about mail that it had not learnt
from: a mail of its own training set is judged by its leave-one-out prediction, any other by a
plain one. The candidate is turned away when it is significantly worse at naming the folder, or
moves significantly more mail wrongly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from classifier.decision import FolderThreshold, Prediction, decide
from classifier.model import MailClassifier
from trainer.examples import Example, in_time_order, parent_labels
from trainer.fit import HeldOut
from trainer.metrics import bootstrap_means

Doubles = npt.NDArray[np.float64]

RECENT = 200
"""How many of the newest mails are looked at."""
FEWEST = 20
"""With fewer mails to compare on nothing can be significant."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Contender:
    """A model and its leave-one-out predictions of its own training mail, by example key."""

    model: MailClassifier
    held_out: Mapping[str, HeldOut]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's decision, in one sentence and in figures (JSON values)."""

    promote: bool
    reason: str
    figures: Mapping[str, Any]


def judge(candidate: Contender, current: Contender | None, examples: Sequence[Example]) -> Verdict:
    """Compare on the newest mails of `examples` (everything that is known, any order)."""
    if current is None:
        return Verdict(True, "This is the first model.", {"compared": 0})
    ordered = in_time_order(examples)
    parents = parent_labels(ordered)
    recent = [pair for pair in zip(ordered, parents, strict=True) if pair[0].is_mail][-RECENT:]
    truth = [one.label for one, _ in recent]
    ours, theirs = _says(candidate, recent), _says(current, recent)
    figures = _figures(candidate, current, truth, ours, theirs)
    return _verdict(figures)


def _says(contender: Contender, recent: Sequence[tuple[Example, str | None]]) -> list[HeldOut]:
    """What the model says about each mail, unseen."""
    unseen = [pair for pair in recent if pair[0].key not in contender.held_out]
    plain = contender.model.predict(
        [one.features for one, _ in unseen], [parent for _, parent in unseen]
    )
    found = dict(contender.held_out)
    for (one, _), prediction in zip(unseen, plain, strict=True):
        found[one.key] = HeldOut(prediction.label, prediction.probability)
    return [found[one.key] for one, _ in recent]


def _figures(
    candidate: Contender,
    current: Contender,
    truth: Sequence[str],
    ours: Sequence[HeldOut],
    theirs: Sequence[HeldOut],
) -> dict[str, Any]:
    """Shares of right and of wrongly moved mail of both, with intervals of the differences."""
    right = [_right(says, truth) for says in (ours, theirs)]
    wrong = [
        _wrongly_moved(says, truth, one.model.thresholds)
        for says, one in ((ours, candidate), (theirs, current))
    ]
    changed = [one.label != other.label for one, other in zip(ours, theirs, strict=True)]
    compared = max(len(truth), 1)
    return {
        "compared": len(truth),
        "right": float(right[0].sum()) / compared,
        "right_before": float(right[1].sum()) / compared,
        "right_change": _interval(right[0] - right[1]),
        "wrongly_moved": float(wrong[0].sum()) / compared,
        "wrongly_moved_before": float(wrong[1].sum()) / compared,
        "wrongly_moved_change": _interval(wrong[0] - wrong[1]),
        "churn": sum(changed) / compared,
    }


def _verdict(figures: Mapping[str, Any]) -> Verdict:
    compared = figures["compared"]
    shares = f"{figures['right']:.1%} right, before {figures['right_before']:.1%}"
    if compared < FEWEST:
        reason = f"Only {compared} recent mails to compare on: too few to turn a model away."
        return Verdict(True, reason, figures)
    if figures["right_change"][1] < 0:
        reason = f"Turned away: worse on the last {compared} mails ({shares})."
        return Verdict(False, reason, figures)
    if figures["wrongly_moved_change"][0] > 0:
        reason = (
            f"Turned away: would move {figures['wrongly_moved']:.1%} of the last {compared} "
            f"mails wrongly, before {figures['wrongly_moved_before']:.1%}."
        )
        return Verdict(False, reason, figures)
    return Verdict(True, f"Not worse on the last {compared} mails ({shares}).", figures)


def _right(says: Sequence[HeldOut], truth: Sequence[str]) -> Doubles:
    return np.array([float(one.label == label) for one, label in zip(says, truth, strict=True)])


def _wrongly_moved(
    says: Sequence[HeldOut], truth: Sequence[str], limits: Mapping[str, FolderThreshold]
) -> Doubles:
    flags = [
        one.label != label and decide(Prediction(((one.label, one.probability),)), limits).moves
        for one, label in zip(says, truth, strict=True)
    ]
    return np.array(flags, dtype=np.float64)


def _interval(differences: Doubles) -> tuple[float, float]:
    """One-sided bounds of the mean paired difference, each at `CONFIDENCE` (bootstrap)."""
    means = bootstrap_means(differences)
    low, high = np.quantile(means, [1.0 - CONFIDENCE, CONFIDENCE])
    return float(low), float(high)
