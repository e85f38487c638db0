"""Figures of one fit, from predictions of mail that the model had not seen."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from classifier.calibrate import Calibration
from classifier.decision import FolderThreshold, Prediction, decide
from trainer.calibration import Past
from trainer.examples import Example
from trainer.heads import TrainedHead
from trainer.metrics import coverage_at, expected_calibration_error
from trainer.thresholds import Outcome
from trainer.tune import Goal, Tuned, count_by_label, honest_positions, outcomes_of, tune


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
    head: TrainedHead,
    past: Past,
    goal: Goal,
    tuned: Tuned,
    *,
    window: int,
    held_out: int,
    left_out: int,
    seen: Collection[str] = (),
) -> FitReport:
    """The report on a head that was tuned on the last `window` of its `past` predictions.

    `held_out`: how many leave-one-out predictions to keep. `seen`: keys of mails whose
    predictions are not honest, see `trainer.fit`. `seconds` is left at 0.
    """
    honest = honest_positions(head.examples, past, len(past), seen)
    recent = past[honest[-window:]]
    return FitReport(
        examples=len(head.examples),
        left_out=left_out,
        labels=len(head.labels),
        target_precision=goal.target_precision,
        accuracy_by_quarter=_by_quarter(past[honest], tuned.calibration),
        per_label=_per_label(head.examples, recent, head.labels, tuned),
        held_out=_held_out(head, tuned.calibration, held_out, seen),
        **_window_figures(recent, head.labels, count_by_label(head.examples), goal, tuned),
    )


def _by_quarter(past: Past, calibration: Calibration) -> tuple[float, ...]:
    right = past.probabilities(calibration).argmax(axis=1) == past.truth
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


def _held_out(
    head: TrainedHead, calibration: Calibration, size: int, seen: Collection[str]
) -> dict[str, HeldOut]:
    """Leave-one-out predictions of the newest `size` mails not in `seen`, by example key."""
    positions = [at for at, one in enumerate(head.examples) if one.is_mail and one.key not in seen][
        -size:
    ]
    if not positions:
        return {}
    chosen = head.leave_one_out()[np.array(positions)]
    outcomes = outcomes_of(chosen, calibration, head.labels)
    return {
        head.examples[at].key: HeldOut(one.label, one.probability)
        for at, one in zip(positions, outcomes, strict=True)
    }
