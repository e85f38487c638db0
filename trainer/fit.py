"""Examples in, a fitted and calibrated model out, with honest figures about it.

One factorisation gives everything: the weights, the prediction of every mail from the mails
before it (which calibrate the probabilities and earn each folder its threshold), and the
prediction of every mail from all others (which the gate compares models by).
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from classifier.calibrate import Calibration
from classifier.decision import FolderThreshold, Prediction, decide
from classifier.labels import LabelSet
from classifier.model import MailClassifier, MailClassifierConfig
from classifier.space import BlockWeights
from trainer.calibration import Past, fit_calibration
from trainer.examples import Example, newest_per_key, select
from trainer.head import Head, HeadWeights, check_trainable
from trainer.metrics import coverage_at, expected_calibration_error
from trainer.thresholds import Outcome, ThresholdSettings, thresholds

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How the head learns. The defaults were measured; see docs/learning.md.

    `ridge_lambda`: strength of the regularisation; flat between 0.01 and 0.1.
    `max_examples`: more are thinned out, newest and balanced over the labels first. The dual
    form needs n² floats of memory and n³/3 operations: 144 MB and about 2 s at 6,000.
    `rare_words_up_to`: from more mails on, words and character n-grams of a single mail get no
    weight, which makes the model a third of the size (measured: no more mails go wrong from
    1,500 mails on, 4 % more at 500).
    `calibration_window`: how many of the last past predictions calibrate and set thresholds.
    `held_out`: how many of the newest leave-one-out predictions are kept for the gate.
    """

    ridge_lambda: float = 0.03
    blocks: BlockWeights = field(default_factory=BlockWeights)
    max_examples: int = 6000
    rare_words_up_to: int = 1500
    calibration_window: int = 800
    held_out: int = 1000
    thresholds: ThresholdSettings = field(default_factory=ThresholdSettings)


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
    seconds: float
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

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The model and what is known about it. `past` holds the prequential predictions of
    `examples` (time order), for whoever wants other figures."""

    model: MailClassifier
    report: FitReport
    examples: tuple[Example, ...]
    past: Past


def fit(
    examples: Sequence[Example],
    label_names: Mapping[str, str],
    settings: FitSettings | None = None,
    *,
    featurizer_fingerprint: str,
    target_precision: float = 0.97,
    folder_targets: Mapping[str, float] | None = None,
    encoder: Mapping[str, Any] | None = None,
) -> Fitted:
    """Learn from `examples` (any order; of several with the same key the last one given).

    `folder_targets` overrides the target precision of single labels. `encoder` describes the
    encoder behind the features (`Encoder.describe()`), for the model's configuration.
    Raises `ModelNotTrainable` with fewer than two labels.
    """
    started = time.perf_counter()
    chosen = settings or FitSettings()
    unique = newest_per_key(examples)
    check_trainable(unique)
    learnt = select(unique, chosen.max_examples)
    head = Head(learnt, chosen.ridge_lambda, chosen.blocks)
    past = head.prequential()
    window = recent_mails(learnt, chosen.calibration_window)
    goal = Goal(target_precision, dict(folder_targets or {}), chosen.thresholds)
    tuned = tune(past[window], head.labels, count_by_label(learnt), goal)
    model = assemble(
        head.weights(rare_words=len(learnt) <= chosen.rare_words_up_to),
        LabelSet.of(tuple(head.labels), label_names),
        tuned,
        encoder=encoder or {},
        featurizer_fingerprint=featurizer_fingerprint,
        training={"examples": len(learnt), "target_precision": target_precision},
    )
    report = FitReport(
        examples=len(learnt),
        left_out=len(unique) - len(learnt),
        labels=len(head.labels),
        target_precision=target_precision,
        accuracy_by_quarter=_by_quarter(learnt, past, tuned.calibration),
        per_label=_per_label(learnt, past[window], head.labels, tuned),
        held_out=_held_out(head, tuned.calibration, chosen.held_out),
        **_window_figures(past[window], head.labels, count_by_label(learnt), goal, tuned),
        seconds=time.perf_counter() - started,
    )
    return Fitted(model, report, tuple(learnt), past)


@dataclass(frozen=True, slots=True)
class Goal:
    """The precision that automatic moves must have, and how carefully to look."""

    target_precision: float
    folder_targets: Mapping[str, float]
    settings: ThresholdSettings


@dataclass(frozen=True, slots=True)
class Tuned:
    """What past predictions decide: how sure the model is, and how sure it must be."""

    calibration: Calibration
    thresholds: Mapping[str, FolderThreshold]


def tune(past: Past, labels: Sequence[str], counts: Mapping[str, int], goal: Goal) -> Tuned:
    """Calibration and thresholds from past predictions; `counts`: training mails by label."""
    calibration = fit_calibration(past)
    limits = thresholds(
        outcomes_of(past, calibration, labels),
        {label: counts.get(label, 0) for label in labels},
        goal.target_precision,
        goal.settings,
        goal.folder_targets,
    )
    return Tuned(calibration, limits)


def outcomes_of(past: Past, calibration: Calibration, labels: Sequence[str]) -> list[Outcome]:
    """Top label, its probability and whether it was right, per prediction."""
    probabilities = past.probabilities(calibration)
    best = probabilities.argmax(axis=1)
    return [
        Outcome(labels[choice], float(row[choice]), bool(choice == truth))
        for choice, row, truth in zip(best.tolist(), probabilities, past.truth, strict=True)
    ]


def count_by_label(examples: Sequence[Example]) -> Counter[str]:
    """Number of mails (descriptions do not count) by label."""
    return Counter(one.label for one in examples if one.is_mail)


def assemble(
    weights: HeadWeights,
    labels: LabelSet,
    tuned: Tuned,
    *,
    encoder: Mapping[str, Any],
    featurizer_fingerprint: str,
    training: Mapping[str, Any],
) -> MailClassifier:
    """The servable model. Wide weights are rounded to half precision, as they are stored."""
    space = weights.space
    config = MailClassifierConfig(
        labels=labels.keys,
        label_names=labels.names,
        hidden_size=len(space.centre),
        active_features=len(space.active),
        unseen_idf=space.unseen_idf,
        block_weights=asdict(space.weights),
        calibration=asdict(tuned.calibration),
        thresholds={label: asdict(limit) for label, limit in tuned.thresholds.items()},
        encoder=encoder,
        featurizer_fingerprint=featurizer_fingerprint,
        training=training,
    )
    model = MailClassifier(config)
    model.load_state_dict(
        {
            "wide_weight": torch.from_numpy(weights.wide).half().float(),
            "deep_weight": torch.from_numpy(weights.deep),
            "active": torch.from_numpy(space.active.astype(np.int64)),
            "idf": torch.from_numpy(space.idf),
            "centre": torch.from_numpy(space.centre),
        }
    )
    model.train(mode=False)
    return model


def recent_mails(examples: Sequence[Example], size: int) -> Integers:
    """Positions of the last `size` mails that were predicted with two classes known."""
    seen: set[str] = set()
    positions = []
    for position, one in enumerate(examples):
        if one.is_mail and len(seen) >= 2:
            positions.append(position)
        seen.add(one.label)
    return np.array(positions[-size:], dtype=np.int64)


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


def _held_out(head: Head, calibration: Calibration, size: int) -> dict[str, HeldOut]:
    """Leave-one-out predictions of the newest `size` mails, by example key."""
    positions = [at for at, one in enumerate(head.examples) if one.is_mail][-size:]
    if not positions:
        return {}
    chosen = head.leave_one_out()[np.array(positions)]
    outcomes = outcomes_of(chosen, calibration, head.labels)
    return {
        head.examples[at].key: HeldOut(one.label, one.probability)
        for at, one in zip(positions, outcomes, strict=True)
    }
