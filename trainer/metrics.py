"""Figures of merit for classifiers, on plain arrays.

Own implementations (scikit-learn is only needed by the tests, which compare against it).
Class numbers run from 0 to C − 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import stats

Integers = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Precision, recall and F1 of one class; 0 where undefined. `support` counts its mails."""

    precision: float
    recall: float
    f1: float
    support: int


def confusion_matrix(truth: Integers, predicted: Integers, classes: int) -> Integers:
    """[C, C] counts; row: true class, column: predicted class."""
    cells = truth * classes + predicted
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def class_scores(confusion: Integers) -> list[ClassScore]:
    """Precision, recall, F1 of every class."""
    right = np.diagonal(confusion).astype(np.float64)
    predicted, support = confusion.sum(axis=0), confusion.sum(axis=1)
    precision = right / np.maximum(predicted, 1)
    recall = right / np.maximum(support, 1)
    f1 = 2.0 * right / np.maximum(predicted + support, 1)
    return [
        ClassScore(float(p), float(r), float(f), int(s))
        for p, r, f, s in zip(precision, recall, f1, support, strict=True)
    ]


def macro_f1(confusion: Integers) -> float:
    """Mean F1 over the classes that are true or predicted at least once, as scikit-learn does.

    A class that is only ever predicted wrongly counts as 0. Without it, mail that goes to a
    folder where none belonged would cost nothing.
    """
    involved = (confusion.sum(axis=0) + confusion.sum(axis=1)) > 0
    scores = [
        one.f1 for one, counts in zip(class_scores(confusion), involved, strict=True) if counts
    ]
    return sum(scores) / len(scores) if scores else 0.0


def expected_calibration_error(confidence: Doubles, right: Booleans, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over equally filled bins.

    Naeini, Cooper, Hauskrecht 2015; equal counts rather than equal widths, because most
    confidences lie near 1 (Nixon et al., Measuring Calibration in Deep Learning, 2019).
    """
    if not len(confidence):
        return 0.0
    order = np.argsort(confidence, kind="stable")
    gaps = [
        abs(float(confidence[part].sum()) - float(right[part].sum()))
        for part in np.array_split(order, min(bins, len(order)))
    ]
    return sum(gaps) / len(confidence)


def calibration_error_by_chance(confidence: Doubles, rounds: int = 200, seed: int = 0) -> float:
    """The expected calibration error that perfectly calibrated predictions would show.

    With few mails the error is far from 0 by chance alone (0.08 with 190 mails in 15 bins), so a
    measured one means little without this beside it: consistency resampling (Bröcker and Smith,
    Increasing the Reliability of Reliability Diagrams, 2007).
    """
    random = np.random.default_rng(seed)
    errors = [
        expected_calibration_error(confidence, random.random(len(confidence)) < confidence)
        for _ in range(rounds)
    ]
    return sum(errors) / rounds


@dataclass(frozen=True, slots=True)
class Bin:
    """`mails` predictions of similar confidence: their mean and the share that was right."""

    mails: int
    confidence: float
    right: float


def reliability(confidence: Doubles, right: Booleans, bins: int = 10) -> list[Bin]:
    """The reliability diagram as a table, over equally filled bins, least confident first.

    DeGroot and Fienberg, The Comparison and Evaluation of Forecasters, 1983.
    """
    order = np.argsort(confidence, kind="stable")
    return [
        Bin(len(part), float(confidence[part].mean()), float(right[part].mean()))
        for part in np.array_split(order, min(bins, len(order)) or 1)
        if len(part)
    ]


def coverage_at(confidence: Doubles, right: Booleans, precision: float) -> float:
    """Largest share of mails, most confident first, among which `precision` are right."""
    if not len(confidence):
        return 0.0
    order = np.argsort(-confidence, kind="stable")
    counts = np.arange(1, len(order) + 1)
    precisions = np.cumsum(right[order]) / counts
    # Mails of equal confidence move together or not at all.
    last = np.append(np.diff(confidence[order]) != 0, True)
    reached = np.flatnonzero((precisions >= precision) & last)
    return float(counts[reached[-1]] / len(order)) if len(reached) else 0.0


def roc_auc(scores: Doubles, positive: Booleans) -> float | None:
    """Area under the ROC curve by the Mann–Whitney statistic; None without both kinds."""
    hits, misses = int(positive.sum()), int((~positive).sum())
    if not hits or not misses:
        return None
    ranks = stats.rankdata(scores)
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def roc_auc_by_class(
    probabilities: npt.NDArray[np.floating], truth: Integers
) -> list[float | None]:
    """One area per class, one against the rest; None for classes that do not occur in `truth`."""
    return [
        roc_auc(probabilities[:, number].astype(np.float64), truth == number)
        for number in range(probabilities.shape[1])
    ]


def macro_roc_auc(probabilities: npt.NDArray[np.floating], truth: Integers) -> float | None:
    """Mean one-against-the-rest area over the classes that occur in `truth`."""
    return mean_area(roc_auc_by_class(probabilities, truth))


def mean_area(areas: Sequence[float | None]) -> float | None:
    """The mean of those that are defined; None where none is."""
    found = [area for area in areas if area is not None]
    return sum(found) / len(found) if found else None


def bootstrap_interval(
    values: Doubles, confidence: float = 0.95, rounds: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values` [n] (Efron 1979)."""
    means = bootstrap_means(values, rounds, seed)
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return float(low), float(high)


def bootstrap_means(values: Doubles, rounds: int = 2000, seed: int = 0) -> Doubles:
    """[rounds] means of resamples; multinomial counts instead of index matrices."""
    if not len(values):
        return np.zeros(rounds)
    size = len(values)
    counts = _resamples(size, rounds, seed)
    return np.asarray(counts @ values / size, dtype=np.float64)


@lru_cache(maxsize=4)
def _resamples(size: int, rounds: int, seed: int) -> npt.NDArray[np.int16]:
    """[rounds, size] how often each resample holds each value.

    Drawing them takes longer than using them, and a fit needs the same ones several times.
    """
    counts = np.random.default_rng(seed).multinomial(size, np.full(size, 1.0 / size), size=rounds)
    return counts.astype(np.int16)  # more than 32,767 times the same value: never


def bootstrap_macro_f1(
    truth: Integers,
    predicted: Integers,
    classes: int,
    confidence: float = 0.95,
    rounds: int = 500,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of `macro_f1`, all resamples at once."""
    size = len(truth)
    counts = _resamples(size, rounds, seed).astype(np.float64)
    of_truth, of_predicted = np.eye(classes)[truth], np.eye(classes)[predicted]  # [n, C]
    involved = counts @ (of_truth + of_predicted)  # [rounds, C]
    scores = 2.0 * (counts @ (of_truth * of_predicted)) / np.maximum(involved, 1.0)
    values = scores.sum(axis=1) / (involved > 0).sum(axis=1)
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return float(low), float(high)
