"""How good a model would have been on the newest mail, learnt from older mail only.

Mail has to be split by time: a random split lets a thread or a mailing list be known before it
began (Bekkerman, McCallum, Huang, Automatic Categorization of Email into Folders, 2004).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from classifier.decision import Prediction, decide
from classifier.labels import LabelSet
from classifier.model import MailClassifier
from trainer.calibration import Past
from trainer.examples import Example, TimeSplit, in_time_order, parent_labels, time_split
from trainer.fit import FitSettings, Goal, count_by_label, ridge, tune
from trainer.heads import Learner, TrainedHead
from trainer.metrics import (
    ClassScore,
    bootstrap_interval,
    bootstrap_statistic,
    class_scores,
    confusion_matrix,
    expected_calibration_error,
    macro_f1,
    macro_roc_auc,
)

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Report:
    """Figures over `mails` test mails. JSON-able by `as_dict`.

    `labels` are the rows and columns of `confusion` (true, predicted): those of the model and
    those that only the test mail has. `per_label`, `macro_f1` (over labels that are true or
    predicted at least once) and `weighted_f1` are of the top label. `coverage` is the share of
    mails that would have been moved, `moved_precision` how many of them rightly (None: none).
    `roc_auc` is the mean one-against-the-rest area, None when it is undefined.
    """

    mails: int
    left_out: int
    labels: tuple[str, ...]
    accuracy: Figure
    macro_f1: Figure
    weighted_f1: float
    per_label: Mapping[str, ClassScore]
    confusion: tuple[tuple[int, ...], ...]
    coverage: Figure
    moved_precision: Figure | None
    ece: float
    roc_auc: float | None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def evaluate(
    predictions: Sequence[Prediction],
    truth: Sequence[str],
    model: MailClassifier,
    left_out: int = 0,
) -> Report:
    """Compare predictions of `model` with the labels that people gave.

    Raises `ValueError` without any prediction.
    """
    if not predictions:
        raise ValueError("there is no mail to evaluate on")
    labels = tuple(dict.fromkeys([*model.label_set, *truth]))
    number = {label: position for position, label in enumerate(labels)}
    true = np.array([number[label] for label in truth], dtype=np.int64)
    predicted = np.array([number[one.label] for one in predictions], dtype=np.int64)
    right = predicted == true
    confusion = confusion_matrix(true, predicted, len(labels))
    scores = class_scores(confusion)
    moved = np.array([decide(one, model.thresholds).moves for one in predictions])
    confidence = np.array([one.probability for one in predictions], dtype=np.float64)
    return Report(
        mails=len(predictions),
        left_out=left_out,
        labels=labels,
        accuracy=_mean(right),
        macro_f1=_macro_f1_figure(true, predicted, len(labels)),
        weighted_f1=sum(one.f1 * one.support for one in scores) / len(predictions),
        per_label=dict(zip(labels, scores, strict=True)),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        coverage=_mean(moved),
        moved_precision=_mean(right[moved]) if moved.any() else None,
        ece=expected_calibration_error(confidence, right),
        roc_auc=macro_roc_auc(_matrix(predictions, number), true),
    )


def evaluate_over_time(
    examples: Sequence[Example],
    label_names: Mapping[str, str],
    settings: FitSettings | None = None,
    *,
    target_precision: float = 0.97,
    learner: Learner | None = None,
    seen: Collection[str] = (),
    split: TimeSplit | None = None,
) -> Report:
    """Learn from the oldest 80 %, calibrate on the next 10 %, test on the newest 10 %.

    Threads and near-duplicates that cross a border are left out of the later part. `split`:
    another one (`trainer.splits.random_split`). `learner` and `seen` as in `trainer.fit`; mails
    in `seen` are only learnt from. Raises `ModelNotTrainable`, and `ValueError` when the test
    part is empty.
    """
    chosen = settings or FitSettings()
    split = without_seen(split or time_split(examples), seen)
    head = (learner or ridge(chosen))(in_time_order(split.train), ())
    goal = Goal(target_precision, {}, chosen.thresholds)
    tuned = tune(past_of(head, split.calibrate), head.labels, count_by_label(split.train), goal)
    model = head.model(
        LabelSet.of(tuple(head.labels), label_names),
        tuned,
        encoder={},
        featurizer_fingerprint="",
        training={},
    )
    known = [*split.train, *split.calibrate]
    parents = parent_labels([*known, *split.test])[len(known) :]
    predictions = model.predict([one.features for one in split.test], parents)
    return evaluate(predictions, [one.label for one in split.test], model, split.straddling)


def without_seen(split: TimeSplit, seen: Collection[str]) -> TimeSplit:
    """Calibrated and tested only on mails that the encoder was not tuned on."""
    if not seen:
        return split
    calibrate = tuple(one for one in split.calibrate if one.key not in seen)
    test = tuple(one for one in split.test if one.key not in seen)
    return TimeSplit(split.train, calibrate, test, split.straddling)


def past_of(head: TrainedHead, examples: Sequence[Example]) -> Past:
    """Predictions of later mails by a head that stays as it is."""
    numbers = {label: position for position, label in enumerate(head.labels)}
    parents = parent_labels([*head.examples, *examples])[len(head.examples) :]
    scores = [head.scores(one.features) for one in examples]
    shape = (len(examples), len(numbers))
    return Past(
        scores=np.array(scores, dtype=np.float32).reshape(shape),
        known=np.ones(shape, dtype=np.bool_),
        truth=np.array([numbers.get(one.label, -1) for one in examples], dtype=np.int64),
        parents=np.array(
            [-1 if label is None else numbers.get(label, -1) for label in parents], dtype=np.int64
        ),
    )


def _mean(flags: npt.NDArray[np.bool_]) -> Figure:
    values = flags.astype(np.float64)
    return Figure(float(values.mean()), *bootstrap_interval(values))


def _macro_f1_figure(true: Integers, predicted: Integers, classes: int) -> Figure:
    def of(chosen: Integers) -> float:
        return macro_f1(confusion_matrix(true[chosen], predicted[chosen], classes))

    return Figure(of(np.arange(len(true))), *bootstrap_statistic(of, len(true)))


def _matrix(
    predictions: Sequence[Prediction], number: Mapping[str, int]
) -> npt.NDArray[np.float64]:
    """[n, C] probabilities, 0 for labels that the model does not know."""
    matrix = np.zeros((len(predictions), len(number)))
    for row, one in zip(matrix, predictions, strict=True):
        for label, probability in one.ranked:
            row[number[label]] = probability
    return matrix
