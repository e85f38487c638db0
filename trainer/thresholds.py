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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

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
    evidence = Evidence.of(outcomes)
    grid, pooled = evidence.pooled(chosen)
    found: dict[str, FolderThreshold] = {}
    for label, count in examples.items():
        target = (folder_targets or {}).get(label, target_precision)
        threshold = _lowest(evidence.curve(label), grid, pooled, target, chosen)
        if label == LEAVE or count < chosen.minimum_examples:
            threshold = FolderThreshold(None, threshold.estimated_precision, threshold.support)
        found[label] = threshold
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Outcomes as arrays, for whoever asks the rule many times: labels [n] and, as rows [n, 3],
    probability, how much it counts, whether it was right."""

    labels: npt.NDArray[np.object_]
    rows: Doubles

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Evidence:
        """The outcomes in their order."""
        rows = [(one.probability, 1.0 if one.right else one.cost, one.right) for one in outcomes]
        return cls(
            np.array([one.label for one in outcomes], dtype=object),
            np.array(rows, dtype=np.float64).reshape(-1, 3),
        )

    def first(self, number: int) -> Evidence:
        """The first outcomes only."""
        return Evidence(self.labels[:number], self.rows[:number])

    def grants(self, label: str, target: float, settings: ThresholdSettings) -> bool:
        """Whether `label`, had it mail enough, would get a threshold."""
        grid, pooled = self.pooled(settings)
        return _lowest(self.curve(label), grid, pooled, target, settings).threshold is not None

    def pooled(self, settings: ThresholdSettings) -> tuple[Doubles, Doubles]:
        """All possible thresholds, and the lower bound of the precision of all folders at each."""
        pool = _Curve.of(self.rows)
        grid = np.unique(pool.probabilities[pool.probabilities >= settings.lowest])
        return grid, pool.lower_bound(grid, settings.confidence)

    def curve(self, label: str) -> _Curve:
        """The predictions of one folder."""
        return _Curve.of(self.rows[self.labels == label])


@dataclass(frozen=True, slots=True, eq=False)
class _Curve:
    """Predictions by falling probability, how much the first count, and how many of them were
    right."""

    probabilities: Doubles
    total: Doubles
    right: Doubles

    @classmethod
    def of(cls, rows: Doubles) -> _Curve:
        """`rows` as in `Evidence`."""
        ordered = rows[np.argsort(-rows[:, 0], kind="stable")]
        total, right = np.cumsum(np.vstack([np.zeros(2), ordered[:, 1:]]), axis=0).T
        return cls(ordered[:, 0], total, right)

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
        # As stats.beta.ppf, which checks its arguments for as long as it computes.
        bound = special.betaincinv(right + 0.5, above - right + 0.5, 1.0 - confidence)
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
