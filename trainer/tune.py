"""What past predictions decide: how sure the model is, and how sure it must be to move mail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifier.calibrate import Calibration
from classifier.costs import NO_COSTS, Costs
from classifier.decision import FolderThreshold
from trainer.calibration import Past, fit_calibration
from trainer.examples import Example
from trainer.thresholds import Outcome, ThresholdSettings, thresholds

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Goal:
    """The precision that automatic moves must have, how carefully to look, and what mistakes
    cost (by label)."""

    target_precision: float
    folder_targets: Mapping[str, float]
    settings: ThresholdSettings
    costs: Costs = NO_COSTS


@dataclass(frozen=True, slots=True)
class Tuned:
    """What past predictions decide: how sure the model is, and how sure it must be."""

    calibration: Calibration
    thresholds: Mapping[str, FolderThreshold]


def tune(past: Past, labels: Sequence[str], counts: Mapping[str, int], goal: Goal) -> Tuned:
    """Calibration and thresholds from past predictions; `counts`: training mails by label."""
    calibration = fit_calibration(past)
    outcomes = outcomes_of(past, calibration, labels, goal.costs)
    return Tuned(calibration, limits_from(outcomes, labels, counts, goal))


def limits_from(
    outcomes: Sequence[Outcome], labels: Sequence[str], counts: Mapping[str, int], goal: Goal
) -> dict[str, FolderThreshold]:
    """The thresholds that follow from these predictions; `counts`: training mails by label."""
    return thresholds(
        outcomes,
        {label: counts.get(label, 0) for label in labels},
        goal.target_precision,
        goal.settings,
        goal.folder_targets,
    )


def outcomes_of(
    past: Past, calibration: Calibration, labels: Sequence[str], costs: Costs = NO_COSTS
) -> list[Outcome]:
    """Top label, its confidence, whether it was right and what a mistake cost, per prediction.

    Without costs the confidence is the probability.
    """
    probabilities = past.probabilities(calibration)
    best = probabilities.argmax(axis=1)
    if not costs:
        return [
            Outcome(labels[choice], float(row[choice]), bool(choice == truth))
            for choice, row, truth in zip(best.tolist(), probabilities, past.truth, strict=True)
        ]
    return [
        Outcome(
            labels[choice],
            costs.confidence(labels[choice], zip(labels, shares, strict=True)),
            choice == truth,
            costs.of(labels[truth] if truth >= 0 else None, labels[choice]),
        )
        for choice, shares, truth in zip(
            best.tolist(), probabilities.tolist(), past.truth.tolist(), strict=True
        )
    ]


def count_by_label(examples: Sequence[Example]) -> Counter[str]:
    """Number of mails (descriptions do not count) by label."""
    return Counter(one.label for one in examples if one.is_mail)


def recent_mails(examples: Sequence[Example], size: int) -> Integers:
    """Positions of the last `size` mails that were predicted with two classes known."""
    seen: set[str] = set()
    positions = []
    for position, one in enumerate(examples):
        if one.is_mail and len(seen) >= 2:
            positions.append(position)
        seen.add(one.label)
    return np.array(positions[-size:], dtype=np.int64)


def honest_positions(
    examples: Sequence[Example], past: Past, size: int, seen: Collection[str] = ()
) -> Integers:
    """Positions of the last `size` mails that were predicted by something that had not seen them.

    Not those whose keys are in `seen`, nor those for which nothing was known.
    """
    positions = [
        at
        for at in recent_mails(examples, len(examples)).tolist()
        if past.known[at].any() and examples[at].key not in seen
    ]
    return np.array(positions[-size:], dtype=np.int64)
