"""The report on a set of predictions: every figure, with its interval where that matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from classifier.costs import NO_COSTS, Costs
from classifier.decision import FolderThreshold, Prediction, decide
from trainer.metrics import (
    Bin,
    ClassScore,
    bootstrap_interval,
    bootstrap_macro_f1,
    class_scores,
    confusion_matrix,
    expected_calibration_error,
    macro_f1,
    mean_area,
    reliability,
    roc_auc_by_class,
)

Integers = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


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
    `roc_auc` is the mean one-against-the-rest area, None when it is undefined; so is that of
    each label. `reliability` bins the same probabilities as `ece`.

    `wrong_moves` + `left` mails remain for the person; `cost` is what they cost in mails left
    in the inbox, which is the same number unless `costs` (rows of `Costs.to_json`) say else.
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
    roc_auc_by_label: Mapping[str, float | None]
    reliability: tuple[Bin, ...]
    wrong_moves: int
    left: int
    cost: float
    cost_per_mail: Figure
    costs: Sequence[Sequence[Any]] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a model may do: its labels, its thresholds, what mistakes cost."""

    labels: Sequence[str]
    thresholds: Mapping[str, FolderThreshold]
    costs: Costs = NO_COSTS


def measure(
    predictions: Sequence[Prediction], truth: Sequence[str], policy: Policy, left_out: int = 0
) -> Report:
    """Compare predictions with the labels that people gave.

    Raises `ValueError` without any prediction.
    """
    if not predictions:
        raise ValueError("there is no mail to evaluate on")
    labels = tuple(dict.fromkeys([*policy.labels, *truth]))
    number = {label: position for position, label in enumerate(labels)}
    true = np.array([number[label] for label in truth], dtype=np.int64)
    predicted = np.array([number[one.label] for one in predictions], dtype=np.int64)
    right = true == predicted
    confidence = np.array([one.probability for one in predictions], dtype=np.float64)
    moved = np.array([decide(one, policy.thresholds, policy.costs).moves for one in predictions])
    spent = _spent(predictions, truth, moved, policy.costs)
    confusion = confusion_matrix(true, predicted, len(labels))
    scores = class_scores(confusion)
    areas = roc_auc_by_class(_matrix(predictions, number), true)
    return Report(
        mails=len(truth),
        left_out=left_out,
        labels=labels,
        accuracy=_mean(right),
        macro_f1=_macro_f1_figure(true, predicted, len(labels)),
        weighted_f1=sum(one.f1 * one.support for one in scores) / len(truth),
        per_label=dict(zip(labels, scores, strict=True)),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        coverage=_mean(moved),
        moved_precision=_mean(right[moved]) if moved.any() else None,
        ece=expected_calibration_error(confidence, right),
        roc_auc=mean_area(areas),
        roc_auc_by_label=dict(zip(labels, areas, strict=True)),
        reliability=tuple(reliability(confidence, right)),
        wrong_moves=int((moved & ~right).sum()),
        left=int((~moved).sum()),
        cost=float(spent.sum()),
        cost_per_mail=_mean(spent),
        costs=policy.costs.to_json(),
    )


def _spent(
    predictions: Sequence[Prediction],
    truth: Sequence[str],
    moved: npt.NDArray[np.bool_],
    costs: Costs,
) -> Doubles:
    """[n] what each mail costs: 1 where it is left, 0 where it is moved rightly."""
    return np.array(
        [
            1.0 if not moves else 0.0 if one.label == label else costs.of(label, one.label)
            for one, label, moves in zip(predictions, truth, moved.tolist(), strict=True)
        ],
        dtype=np.float64,
    )


def _mean(values: npt.NDArray[Any]) -> Figure:
    plain = values.astype(np.float64)
    return Figure(float(plain.mean()), *bootstrap_interval(plain))


def _macro_f1_figure(true: Integers, predicted: Integers, classes: int) -> Figure:
    value = macro_f1(confusion_matrix(true, predicted, classes))
    return Figure(value, *bootstrap_macro_f1(true, predicted, classes))


def _matrix(predictions: Sequence[Prediction], number: Mapping[str, int]) -> Doubles:
    """[n, C] probabilities, 0 for labels that the model does not know."""
    matrix = np.zeros((len(predictions), len(number)))
    for row, one in zip(matrix, predictions, strict=True):
        for label, probability in one.ranked:
            row[number[label]] = probability
    return matrix
