"""Probable mislabels: what the rest of the mail says about each example.

Every example is predicted from mail that holds no copy of it, in closed form (leave-one-out of
the ridge head). Then confident learning (Northcutt, Jiang, Chuang: Confident Learning:
Estimating Uncertainty in Dataset Labels, JAIR 70, 2021): a class is believed for an example
when its probability reaches the mean that the examples of this class give it; an example for
which another class than its own is believed lies off the diagonal of the confident joint.

The implementation is our own. The authors' library, cleanlab, is under the AGPL, which does
not go with this project's licence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifier.calibrate import Calibration
from trainer.calibration import Past, fit_calibration
from trainer.errors import ModelNotTrainable
from trainer.examples import Example
from trainer.head import Head

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the other mail says about one example: the probability of its own label, the best
    label and its probability, and the label that confident learning believes in (or None).

    `elsewhere`: the probability of its own label that half of the mail with other labels does not
    exceed. Wrong labels raise it, most of all where there are few labels: with two of them and one
    label in twenty wrong, a calibrated head gives no mail less than about 5 %.
    """

    own: float
    elsewhere: float
    best: str
    best_probability: float
    believed: str | None


def opinions(
    examples: Sequence[Example], groups: Sequence[int], ridge_lambda: float = 0.03
) -> list[Opinion | None]:
    """An opinion per example, None where the rest of the mail knows nothing of its label.

    `examples` in time order; `groups` numbers families of near-duplicates, as
    `trainer.examples.near_duplicates` gives them. A family is judged by its newest mail. One
    that lies under several labels is kept out of the head, which then judges its members:
    otherwise each would testify against the other. O(n³) in the number of families.
    """
    disputed = disputed_groups(examples, groups)
    newest = {group: at for at, group in enumerate(groups) if group not in disputed}
    learnt = sorted(newest.values())
    try:
        head = Head([examples[at] for at in learnt], ridge_lambda)
    except ModelNotTrainable:
        return [None] * len(examples)
    past = head.leave_one_out()
    calibration = fit_calibration(past)
    probabilities = past.probabilities(calibration)
    truth = past.answerable_truth()
    standard = _Standard.of(probabilities, truth, head.labels)
    row_of = {groups[at]: row for row, at in enumerate(learnt)}
    found: list[Opinion | None] = []
    for one, group in zip(examples, groups, strict=True):
        if group in disputed:
            number = head.labels.index(one.label) if one.label in head.labels else -1
            row = _of_unseen(head, one, calibration)
        else:
            number = int(truth[row_of[group]])
            row = probabilities[row_of[group]]
        found.append(standard.opinion(row, number) if number >= 0 else None)
    return found


def opinions_of(
    past: Past, calibration: Calibration, labels: Sequence[str]
) -> list[Opinion | None]:
    """An opinion per leave-one-out prediction, None where nothing else has the example's label."""
    probabilities = past.probabilities(calibration)
    truth = past.answerable_truth()
    standard = _Standard.of(probabilities, truth, labels)
    return [
        standard.opinion(row, number) if number >= 0 else None
        for row, number in zip(probabilities, truth.tolist(), strict=True)
    ]


def disputed_groups(examples: Sequence[Example], groups: Sequence[int]) -> set[int]:
    """Families of near-duplicates that lie under more than one label."""
    labels: dict[int, set[str]] = {}
    for one, group in zip(examples, groups, strict=True):
        labels.setdefault(group, set()).add(one.label)
    return {group for group, found in labels.items() if len(found) > 1}


def class_thresholds(probabilities: Floats, given: Integers) -> Floats:
    """[C] mean probability [n, C] that the examples of each class give to their own class.

    `given` [n]: class numbers, −1 for examples that do not count. A class without examples can
    never be believed.
    """
    count = probabilities.shape[1]
    counted = np.flatnonzero(given >= 0)
    own = probabilities[counted, given[counted]]
    sizes = np.bincount(given[counted], minlength=count)
    sums = np.bincount(given[counted], weights=own, minlength=count)
    means = np.where(sizes > 0, sums / np.maximum(sizes, 1), np.inf)
    return np.asarray(means, dtype=np.float32)


def believed_class(row: Floats, thresholds: Floats) -> int:
    """The most probable class among those whose probability [C] reaches their threshold [C],
    −1 when none does."""
    passing = row >= thresholds
    return int(np.where(passing, row, -1.0).argmax()) if passing.any() else -1


@dataclass(frozen=True, slots=True, eq=False)
class _Standard:
    """What probabilities are usual, by class: `own` [C] as `class_thresholds`, `elsewhere` [C] as
    `Opinion.elsewhere`."""

    labels: Sequence[str]
    own: Floats
    elsewhere: Floats

    @classmethod
    def of(cls, probabilities: Floats, given: Integers, labels: Sequence[str]) -> _Standard:
        """From probabilities [n, C]; `given` as in `class_thresholds`."""
        others = [(given >= 0) & (given != number) for number in range(len(labels))]
        elsewhere = [
            np.median(column[rows]) if rows.any() else 0.0
            for column, rows in zip(probabilities.T, others, strict=True)
        ]
        return cls(
            labels, class_thresholds(probabilities, given), np.array(elsewhere, dtype=np.float32)
        )

    def opinion(self, row: Floats, given: int) -> Opinion:
        """On a mail with probabilities [C] that lies under the label numbered `given`."""
        best, believed = int(row.argmax()), believed_class(row, self.own)
        return Opinion(
            own=float(row[given]),
            elsewhere=float(self.elsewhere[given]),
            best=self.labels[best],
            best_probability=float(row[best]),
            believed=self.labels[believed] if believed >= 0 else None,
        )


def _of_unseen(head: Head, one: Example, calibration: Calibration) -> Floats:
    """[C] probabilities of a mail that the head has not learnt."""
    scores = head.scores(one.features)[None, :]
    nobody = np.array([-1], dtype=np.int64)
    past = Past(scores, np.ones(scores.shape, dtype=np.bool_), nobody, nobody)
    return np.asarray(past.probabilities(calibration)[0])
