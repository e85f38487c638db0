"""From which probability on each folder may receive mail by itself.

The evidence are past predictions of mails that the model had not seen. For a folder at a
threshold t, k of its n predictions with probability ≥ t were right. A small folder has too few
to say anything alone, so its precision is estimated by a beta-binomial model: the prior is
worth `prior_strength` predictions and has its mean at the pooled precision of all folders at t
(empirical Bayes, as in Efron and Morris, Stein's Paradox in Statistics, 1977):

    estimate = (strength · pooled + k) / (strength + n)

The pooled precision itself enters by its lower confidence bound (Jeffreys interval; Brown, Cai,
DasGupta, Interval Estimation for a Binomial Proportion, 2001), because a threshold chosen as
the lowest one that looks good enough is a little lucky, and because mail changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from classifier.decision import FolderThreshold
from classifier.labels import LEAVE

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ThresholdSettings:
    """How careful to be.

    `confidence`: one-sided confidence of the pooled precision's lower bound.
    `prior_strength`: how many predictions the other folders' precision is worth. With a weak
    prior each of many folders picks the threshold at which it was lucky: on twenty newsgroups
    with the target 0.97, a strength of 10 let through 0.957, one of 50 0.971. It was chosen on
    that mail, so these are no independent figures.
    `minimum_examples`: with fewer mails of its own a folder never receives mail by itself.
    `lowest`: no threshold below this probability, whatever the past says.
    """

    confidence: float = 0.9
    prior_strength: float = 50.0
    minimum_examples: int = 3
    lowest: float = 0.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a past prediction said, and whether that was right.

    `probability` is what will be compared with the threshold (`Costs.confidence`); a wrong one
    counts as `cost` wrong ones.
    """

    label: str
    probability: float
    right: bool
    cost: float = 1.0


def thresholds(
    outcomes: Sequence[Outcome],
    examples: Mapping[str, int],
    target_precision: float,
    settings: ThresholdSettings | None = None,
    folder_targets: Mapping[str, float] | None = None,
) -> dict[str, FolderThreshold]:
    """One threshold for every label of `examples` (number of training mails by label).

    `folder_targets` may ask more (or less) of single folders than `target_precision`.
    """
    chosen = settings or ThresholdSettings()
    pool = _Curve.of(outcomes)
    grid = np.unique(pool.probabilities[pool.probabilities >= chosen.lowest])
    pooled = pool.lower_bound(grid, chosen.confidence)
    found: dict[str, FolderThreshold] = {}
    for label, count in examples.items():
        own = _Curve.of(one for one in outcomes if one.label == label)
        target = (folder_targets or {}).get(label, target_precision)
        threshold = _lowest(own, grid, pooled, target, chosen)
        if label == LEAVE or count < chosen.minimum_examples:
            threshold = FolderThreshold(None, threshold.estimated_precision, threshold.support)
        found[label] = threshold
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Curve:
    """Predictions by falling probability, how much the first count, and how many of them were
    right."""

    probabilities: Doubles
    total: Doubles
    right: Doubles

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> _Curve:
        ordered = sorted(outcomes, key=lambda one: -one.probability)
        return cls(
            np.array([one.probability for one in ordered], dtype=np.float64),
            np.cumsum([0.0, *(1.0 if one.right else one.cost for one in ordered)]),
            np.cumsum([0.0, *(float(one.right) for one in ordered)]),
        )

    def counts(self, grid: Doubles) -> tuple[Doubles, Doubles]:
        """Per threshold: how much the predictions at or above it count, and how many of them
        were right."""
        above = self.support(grid)
        return self.total[above], self.right[above]

    def support(self, grid: Doubles) -> Integers:
        """Per threshold: number of predictions at or above it."""
        return np.asarray(np.searchsorted(-self.probabilities, -grid, side="right"))

    def lower_bound(self, grid: Doubles, confidence: float) -> Doubles:
        """Per threshold: one-sided Jeffreys lower bound of the precision above it."""
        above, right = self.counts(grid)
        bound = stats.beta.ppf(1.0 - confidence, right + 0.5, above - right + 0.5)
        return np.asarray(bound, dtype=np.float64)


def _lowest(
    own: _Curve, grid: Doubles, pooled: Doubles, target: float, settings: ThresholdSettings
) -> FolderThreshold:
    """The lowest threshold of the grid whose estimate reaches the target."""
    if not len(grid):
        return FolderThreshold(None, 0.0, 0)
    above, right = own.counts(grid)
    strength = settings.prior_strength
    support = own.support(grid)
    estimates = (strength * pooled + right) / (strength + above)
    enough = np.flatnonzero(estimates >= target)
    if not len(enough):
        best = int(np.argmax(estimates))
        return FolderThreshold(None, float(estimates[best]), int(support[best]))
    first = int(enough[0])
    return FolderThreshold(float(grid[first]), float(estimates[first]), int(support[first]))
