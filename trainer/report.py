"""Figures of one fit, from predictions of mail that the model had not seen."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier.calibrate import Calibration
from classifier.costs import Costs
from classifier.decision import FolderThreshold, Prediction
from trainer.autonomy import Missing, missing
from trainer.calibration import Past
from trainer.doubt import Doubt, Window, look_for_doubt
from trainer.heads import TrainedHead
from trainer.metrics import coverage_at, expected_calibration_error
from trainer.scores import Policy, Report, measure
from trainer.thresholds import Outcome
from trainer.tune import Goal, Tuned, count_by_label, honest_positions, outcomes_of, tune

if TYPE_CHECKING:
    from classifier.features import Features
    from classifier.model import MailClassifier


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What a model says about a mail that it had not seen.

    `probability` is what it compares with its threshold: lowered by its costs, if it has any.
    """

    label: str
    probability: float


def said_unseen(
    model: MailClassifier, mails: Sequence[tuple[Features, str | None]]
) -> list[HeldOut]:
    """What a model says about mails that it had not seen, each with its parent's label."""
    predictions = model.predict(
        [features for features, _ in mails], [parent for _, parent in mails]
    )
    return [HeldOut(each.label, model.decide(each).confidence) for each in predictions]


def held_out_to_json(held_out: Mapping[str, HeldOut]) -> str:
    """The gate's memory of a model, to be kept beside it."""
    return json.dumps({key: [one.label, one.probability] for key, one in held_out.items()})


def held_out_from_json(text: str) -> dict[str, HeldOut]:
    """The inverse of `held_out_to_json`."""
    rows: dict[str, tuple[str, float]] = json.loads(text)
    return {key: HeldOut(label, share) for key, (label, share) in rows.items()}


@dataclass(frozen=True, slots=True)
class LabelReport:
    """One label in the calibration window: how often right, what it may do by itself, and what
    it lacks for that (None where it lacks nothing)."""

    examples: int
    predicted: int
    right: int
    actual: int
    threshold: FolderThreshold
    missing: Missing | None = None


@dataclass(frozen=True, slots=True)
class FitReport:
    """Figures of one fit; all from predictions of mails not yet seen. JSON-able by `as_dict`.

    `accuracy_by_quarter`: share of right top labels in each quarter of the history; mails that
    were the first of their folder count as wrong. `ece`, `coverage_95`, `coverage_98` (share
    of mails above the confidence at which 95 or 98 % are right, chosen in hindsight), and
    `moved` and `moved_right` belong to the calibration window; the last two are of its newer
    half, with calibration and thresholds from its older half only; so is `recent`, with all
    other figures (None without mail there). `doubt`: which labels wrongly filed mail may keep
    from sorting.
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
    recent: Report | None = None
    doubt: Doubt = field(default_factory=Doubt)
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
    counts = count_by_label(head.examples)
    outcomes = outcomes_of(recent, tuned.calibration, head.labels, goal.costs)
    newest = head.leave_one_out(min(max(held_out, window), len(head.examples)))
    return FitReport(
        examples=len(head.examples),
        left_out=left_out,
        labels=len(head.labels),
        target_precision=goal.target_precision,
        accuracy_by_quarter=_by_quarter(past[honest], tuned.calibration),
        per_label=_per_label(counts, recent, outcomes, head.labels, goal, tuned),
        held_out=_held_out(head, newest, goal, tuned, held_out, seen),
        doubt=look_for_doubt(
            head.examples,
            counts,
            newest,
            tuned.calibration,
            head.labels,
            Window(honest[-window:].tolist(), outcomes, tuned.thresholds),
            goal,
        ),
        **_window_figures(recent, head.labels, counts, goal, tuned),
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
    recent = _recent(past[half:], labels, earlier, goal.costs)
    return {
        "window": len(past),
        "accuracy": float(right.mean()) if len(right) else 0.0,
        "ece": expected_calibration_error(confidence, right),
        "coverage_95": coverage_at(confidence, right, 0.95),
        "coverage_98": coverage_at(confidence, right, 0.98),
        "moved": recent.coverage.value if recent else 0.0,
        "moved_right": recent.moved_precision.value if recent and recent.moved_precision else None,
        "recent": recent,
    }


def _recent(past: Past, labels: Sequence[str], tuned: Tuned, costs: Costs) -> Report | None:
    """All figures of `past` under a calibration and thresholds that did not see it."""
    if not len(past):
        return None
    predictions = [
        Prediction(tuple((labels[at], float(row[at])) for at in np.argsort(-row, kind="stable")))
        for row in past.probabilities(tuned.calibration)
    ]
    truth = [labels[number] for number in past.truth.tolist()]
    return measure(predictions, truth, Policy(labels, tuned.thresholds, costs))


def _per_label(
    counts: Mapping[str, int],
    past: Past,
    outcomes: Sequence[Outcome],
    labels: Sequence[str],
    goal: Goal,
    tuned: Tuned,
) -> dict[str, LabelReport]:
    predicted = Counter(one.label for one in outcomes)
    right = Counter(one.label for one in outcomes if one.right)
    actual = Counter(labels[number] for number in past.truth.tolist())
    found = {}
    for label in labels:
        limit = tuned.thresholds[label]
        lacks = (
            missing(label, counts[label], outcomes, goal, limit.estimated_precision)
            if limit.threshold is None
            else None
        )
        found[label] = LabelReport(
            counts[label], predicted[label], right[label], actual[label], limit, lacks
        )
    return found


def _held_out(
    head: TrainedHead, newest: Past, goal: Goal, tuned: Tuned, size: int, seen: Collection[str]
) -> dict[str, HeldOut]:
    """What is said of the `newest` mails, `size` of them at most, by example key; none of
    `seen`."""
    first = len(head.examples) - len(newest)
    positions = [
        at
        for at, one in enumerate(head.examples)
        if at >= len(head.examples) - size and one.is_mail and one.key not in seen
    ]
    if not positions:
        return {}
    chosen = newest[np.array(positions) - first]
    outcomes = outcomes_of(chosen, tuned.calibration, head.labels, goal.costs)
    return {
        head.examples[at].key: HeldOut(one.label, one.probability)
        for at, one in zip(positions, outcomes, strict=True)
    }
