"""Fit the five numbers of `Calibration` to past predictions.

Maximum a posteriori in two steps, the softmax first, then the sureness of the best folder: the
log loss of the predictions plus a weak pull towards the defaults, so that twenty mails already
give something sensible and eight hundred decide for themselves. A mail whose label was not
known yet counts for "none of these".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import optimize

from classifier.calibrate import Calibration, log_odds

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

_FAR = np.float32(-1e9)
"""Logit of a class that was not known then."""
# Standard deviations of the prior: log of the scale, thread bonus, none logit.
_SPREAD = np.array([0.5, 2.0, 2.0])
# Of the log of the slope, and of the offset.
_SURENESS_SPREAD = np.array([0.5, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """n predictions of mails by a model that had not seen them.

    `scores` [n, C], `known` [n, C] the classes that could be answered, `truth` [n] and
    `parents` [n] class numbers, −1 for none.
    """

    scores: Floats
    known: Booleans
    truth: Integers
    parents: Integers

    def __len__(self) -> int:
        return len(self.truth)

    def __getitem__(self, chosen: slice | Integers | Booleans) -> Past:
        return Past(
            self.scores[chosen], self.known[chosen], self.truth[chosen], self.parents[chosen]
        )

    def probabilities(self, calibration: Calibration) -> Floats:
        """[n, C] calibrated probabilities, 0 for classes that were not known then."""
        logits = calibration.logits(self.scores, self.answerable_parents())
        return calibration.probabilities(np.where(self.known, logits, _FAR))

    def answerable_parents(self) -> Integers:
        """[n] parents, −1 where the parent's class was not known yet."""
        rows = np.arange(len(self))
        return np.where((self.parents >= 0) & self.known[rows, self.parents], self.parents, -1)

    def answerable_truth(self) -> Integers:
        """[n] truth, −1 where no known class was right."""
        rows = np.arange(len(self))
        return np.where((self.truth >= 0) & self.known[rows, self.truth], self.truth, -1)


def fit_calibration(past: Past) -> Calibration:
    """The calibration under which `past` is most probable (with the prior above)."""
    if not len(past):
        return Calibration()
    softmax = _fit_softmax(past)
    logits = softmax.logits(past.scores, past.answerable_parents())
    shares = softmax.shares(np.where(past.known, logits, _FAR))
    right = shares.argmax(axis=1) == past.truth
    slope, offset = _fit_sureness(log_odds(shares.max(axis=1)).astype(np.float64), right)
    return replace(softmax, slope=slope, offset=offset)


def _fit_softmax(past: Past) -> Calibration:
    prior = Calibration()
    centre = np.array([math.log(prior.scale), prior.thread_bonus, prior.none_logit])
    scores = np.where(past.known, past.scores, 0.0).astype(np.float64)
    parents, truth = past.answerable_parents(), past.answerable_truth()
    bonus = np.zeros_like(scores)
    with_parent = np.flatnonzero(parents >= 0)
    bonus[with_parent, parents[with_parent]] = 1.0

    def loss(point: Doubles) -> tuple[float, Doubles]:
        value, gradient = _softmax_loss(point, scores, bonus, past.known, truth)
        return _with_prior(value, gradient, (point - centre) / _SPREAD, _SPREAD)

    found = optimize.minimize(loss, centre, jac=True, method="L-BFGS-B")
    log_scale, thread_bonus, none_logit = found.x
    return Calibration(math.exp(log_scale), float(thread_bonus), float(none_logit))


def _fit_sureness(odds: Doubles, right: Booleans) -> tuple[float, float]:
    """Slope (positive, so fitted as its logarithm) and offset of the Platt scaling."""
    signs = np.where(right, 1.0, -1.0)

    def loss(point: Doubles) -> tuple[float, Doubles]:
        slope = math.exp(point[0])
        wrongness = -signs * (point[1] + slope * odds)  # log-odds against what happened
        errors = -signs / (1.0 + np.exp(-wrongness))
        gradient = np.array([slope * float(errors @ odds), float(errors.sum())])
        value = float(np.logaddexp(0.0, wrongness).sum())
        return _with_prior(value, gradient, point / _SURENESS_SPREAD, _SURENESS_SPREAD)

    found = optimize.minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B")
    return math.exp(found.x[0]), float(found.x[1])


def _with_prior(
    value: float, gradient: Doubles, away: Doubles, spread: Doubles
) -> tuple[float, Doubles]:
    """Loss and gradient plus those of a normal prior; `away` in standard deviations."""
    return value + 0.5 * float(away @ away), gradient + away / spread


def _softmax_loss(
    point: Doubles, scores: Doubles, bonus: Doubles, known: Booleans, truth: Integers
) -> tuple[float, Doubles]:
    """Summed log loss and its gradient by (log scale, thread bonus, none logit)."""
    scale = math.exp(point[0])
    logits = np.where(known, scale * scores + point[1] * bonus, _FAR)
    logits = np.column_stack([logits, np.full(len(logits), point[2])])  # last: none of these
    logits -= logits.max(axis=1, keepdims=True)
    shares = np.exp(logits)
    totals = shares.sum(axis=1, keepdims=True)
    rows = np.arange(len(truth))  # truth −1 is the last column
    loss = float(np.log(totals).sum() - logits[rows, truth].sum())
    errors = shares / totals
    errors[rows, truth] -= 1.0  # derivative of the loss by each logit
    gradient = np.array(
        [
            scale * float((errors[:, :-1] * scores).sum()),
            float((errors[:, :-1] * bonus).sum()),
            float(errors[:, -1].sum()),
        ]
    )
    return loss, gradient
