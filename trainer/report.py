"""Figures of one fit, from predictions of mail that the model had not seen."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from classifier.calibrate import Calibration
from classifier.decision import FolderThreshold, Prediction, decide
from trainer.calibration import Past
from trainer.divided import DividedHead
from trainer.examples import Example
from trainer.head import Head
from trainer.metrics import coverage_at, expected_calibration_error
from trainer.thresholds import Outcome
from trainer.tune import Goal, Tuned, count_by_label, outcomes_of, recent_mails, tune


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What a model says about a mail that it had not seen."""

    label: str
    probability: float


def held_out_to_json(held_out: Mapping[str, HeldOut]) -> str:
    """The gate's memory of a model, to be kept beside it."""
    return json.dumps({key: [one.label, one.probability] for key, one in held_out.items()})


def held_out_from_json(text: str) -> dict[str, HeldOut]:
    """The inverse of `held_out_to_json`."""
    rows: dict[str, tuple[str, float]] = json.loads(text)
    return {key: HeldOut(label, share) for key, (label, share) in rows.items()}


@dataclass(frozen=True, slots=True)
class LabelReport:
    """One label in the calibration window: how often right, and what it may do by itself."""

    examples: int
    predicted: int
    right: int
    actual: int
    threshold: FolderThreshold


@dataclass(frozen=True, slots=True)
class FitReport:
    """Figures of one fit; all from predictions of mails not yet seen. JSON-able by `as_dict`.

    `accuracy_by_quarter`: share of right top labels in each quarter of the history; mails that
    were the first of their folder count as wrong. `ece`, `coverage_95`, `coverage_98` (share
    of mails above the confidence at which 95 or 98 % are right, chosen in hindsight), and
    `moved` and `moved_right` belong to the calibration window; the last two are of its newer
    half, with calibration and thresholds from its older half only.
    """

    examples: int
    left_out: int
    labels: int
    accuracy_by_quarter: tuple[float, ...]
    window: int
    accuracy: float
    ece: float
    coverage_95: float
    coverage_98: float
    moved: float
    moved_right: float | None
    target_precision: float
    per_label: Mapping[str, LabelReport]
    held_out: Mapping[str, HeldOut]
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def fit_report(
    head: Head | DividedHead,
    past: Past,
    goal: Goal,
    tuned: Tuned,
    *,
    window: int,
    held_out: int,
    left_out: int,
) -> FitReport:
    """The report on a head that was tuned on the last `window` of its `past` predictions.

    `held_out`: how many leave-one-out predictions to keep. `seconds` is left at 0.
    """
    recent = past[recent_mails(head.examples, window)]
    return FitReport(
        examples=len(head.examples),
        left_out=left_out,
        labels=len(head.labels),
        target_precision=goal.target_precision,
        accuracy_by_quarter=_by_quarter(head.examples, past, tuned.calibration),
        per_label=_per_label(head.examples, recent, head.labels, tuned),
        held_out=_held_out(head, tuned.calibration, held_out),
        **_window_figures(recent, head.labels, count_by_label(head.examples), goal, tuned),
    )


def _by_quarter(
    examples: Sequence[Example], past: Past, calibration: Calibration
) -> tuple[float, ...]:
    positions = recent_mails(examples, len(examples))
    right = past[positions].probabilities(calibration).argmax(axis=1) == past.truth[positions]
    return tuple(float(part.mean()) for part in np.array_split(right, 4) if len(part))


def _window_figures(
    past: Past, labels: Sequence[str], counts: Mapping[str, int], goal: Goal, tuned: Tuned
) -> dict[str, Any]:
    """The figures of `FitReport` that belong to the calibration window."""
    outcomes = outcomes_of(past, tuned.calibration, labels)
    confidence = np.array([one.probability for one in outcomes], dtype=np.float64)
    right = np.array([one.right for one in outcomes], dtype=np.bool_)
    half = len(past) // 2
    earlier = tune(past[:half], labels, counts, goal)
    later = [
        one.right
        for one in outcomes_of(past[half:], earlier.calibration, labels)
        if _moves(one, earlier.thresholds)
    ]
    return {
        "window": len(past),
        "accuracy": float(right.mean()) if len(right) else 0.0,
        "ece": expected_calibration_error(confidence, right),
        "coverage_95": coverage_at(confidence, right, 0.95),
        "coverage_98": coverage_at(confidence, right, 0.98),
        "moved": len(later) / max(len(past) - half, 1),
        "moved_right": sum(later) / len(later) if later else None,
    }


def _moves(outcome: Outcome, limits: Mapping[str, FolderThreshold]) -> bool:
    return decide(Prediction(((outcome.label, outcome.probability),)), limits).moves


def _per_label(
    examples: Sequence[Example], past: Past, labels: Sequence[str], tuned: Tuned
) -> dict[str, LabelReport]:
    outcomes = outcomes_of(past, tuned.calibration, labels)
    predicted = Counter(one.label for one in outcomes)
    right = Counter(one.label for one in outcomes if one.right)
    actual = Counter(labels[number] for number in past.truth.tolist())
    counts = count_by_label(examples)
    return {
        label: LabelReport(
            counts[label], predicted[label], right[label], actual[label], tuned.thresholds[label]
        )
        for label in labels
    }


def _held_out(head: Head | DividedHead, calibration: Calibration, size: int) -> dict[str, HeldOut]:
    """Leave-one-out predictions of the newest `size` mails, by example key."""
    positions = [at for at, one in enumerate(head.examples) if one.is_mail][-size:]
    if not positions:
        return {}
    newest = head.leave_one_out(len(head.examples) - positions[0])
    outcomes = outcomes_of(newest[np.array(positions) - positions[0]], calibration, head.labels)
    return {
        head.examples[at].key: HeldOut(one.label, one.probability)
        for at, one in zip(positions, outcomes, strict=True)
    }
