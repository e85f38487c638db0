"""What a folder lacks before it may receive mail by itself.

Asked of the very rule that decides (`trainer.thresholds`): the folder's past predictions are
lengthened by more of its own right ones, until the rule gives it a threshold.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from classifier.labels import LEAVE
from trainer.thresholds import Evidence, Outcome
from trainer.tune import Goal

MOST = 200
"""More right predictions than this are not foreseen: until then the mail will have changed."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What is missing; nothing where `mails` and `right_predictions` are 0.

    `mails`: filed mails until the folder can take part. `right_predictions`: so many more,
    none wrong in between and as sure as its right ones so far, would lift the estimate to
    `target`; None when more than `MOST`. `precision`: the present estimate, in which a costly
    mistake counts several times.
    """

    mails: int
    right_predictions: int | None
    precision: float
    target: float


def missing(
    label: str, examples: int, outcomes: Sequence[Outcome], goal: Goal, precision: float
) -> Missing:
    """What `label` with so many `examples` lacks; `outcomes` are those that set thresholds, and
    `precision` is the folder's estimate today."""
    target = goal.folder_targets.get(label, goal.target_precision)
    mails = max(goal.settings.minimum_examples - examples, 0)
    return Missing(mails, _right_predictions(label, outcomes, goal), precision, target)


def _right_predictions(label: str, outcomes: Sequence[Outcome], goal: Goal) -> int | None:
    """Smallest number of further right predictions that earns a threshold."""
    if label == LEAVE:
        return None
    alike = [one for one in outcomes if one.label == label and one.right]
    alike = alike or [one for one in outcomes if one.right]
    if not alike:
        return None
    # The newest first, as they are most like the next ones.
    further = [
        Outcome(label, one.probability, right=True)
        for one in itertools.islice(itertools.cycle(reversed(alike)), MOST)
    ]

    evidence = Evidence.of([*outcomes, *further])
    target = goal.folder_targets.get(label, goal.target_precision)

    def earned(number: int) -> bool:
        return evidence.first(len(outcomes) + number).grants(label, target, goal.settings)

    if earned(0):
        return 0
    if not earned(MOST):
        return None
    low, high = 0, MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if earned(middle) else (middle, high)
    return high
