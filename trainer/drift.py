"""Does a folder keep the precision that it promised?

Every move that inboxd made into the folder turned out right or wrong. Among its last moves, k of
n were wrong. They update a beta prior that is worth `prior_strength` moves at exactly the
promised precision; the promise counts as broken when the precision lies below it with
probability `certainty` (Gelman and others, Bayesian Data Analysis, section 2.4). One mistake in a
small folder does not say that; a burst of them does.

It is asked of the last few moves, in which months of right ones cannot hide a bad week, and of
many, in which a little too many mistakes add up. How often this is mistaken, how soon it notices,
and what change detectors do in its place is simulated in `bench/drift.py`; the figures are in
docs/adr/0044.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """How sure to be, and how fast.

    `windows`: numbers of moves to look back over. `prior_strength`: how many moves the promise
    is worth. `certainty`: from which probability on a promise is broken. `recovery_moves`: so
    many would-be moves must be there before a folder is trusted again.
    """

    windows: tuple[int, ...] = (50, 500)
    prior_strength: float = 20.0
    certainty: float = 0.995
    recovery_moves: int = 20


DEFAULT = DriftSettings()


@dataclass(frozen=True, slots=True)
class LivePrecision:
    """What the outcomes say: of the last `moves`, `wrong` were wrong. `doubt` is the probability
    that the precision is below the promise, `broken` whether that is certain enough."""

    moves: int
    wrong: int
    doubt: float
    broken: bool

    @property
    def precision(self) -> float | None:
        """The share of right ones, None without any."""
        return 1.0 - self.wrong / self.moves if self.moves else None


def live_precision(
    right: Sequence[bool], promised: float, settings: DriftSettings = DEFAULT
) -> LivePrecision:
    """Judge the moves into one folder, oldest first, against the promised precision (0 to 1).

    Of the windows the one that says the worst counts.
    """
    found = (_over(right[-window:], promised, settings) for window in settings.windows)
    return max(found, key=lambda each: each.doubt)


def _over(right: Sequence[bool], promised: float, settings: DriftSettings) -> LivePrecision:
    wrong = len(right) - sum(right)
    doubt = probability_below(promised, wrong, len(right), settings.prior_strength)
    return LivePrecision(len(right), wrong, doubt, broken=wrong > 0 and doubt >= settings.certainty)


@lru_cache(maxsize=65_536)
def probability_below(promised: float, wrong: int, moves: int, strength: float) -> float:
    """The probability that the precision is below `promised`, after so many moves."""
    from scipy import special  # noqa: PLC0415 - most passes ask nothing

    right = moves - wrong
    return float(
        special.betainc(strength * promised + right, strength * (1 - promised) + wrong, promised)
    )


def holds_again(right: Sequence[bool], promised: float, settings: DriftSettings = DEFAULT) -> bool:
    """Whether what would have been moved since the promise was broken shows that it is kept:
    enough of it, and the estimate back at the promise."""
    strength = settings.prior_strength
    estimate = (sum(right) + strength * promised) / (len(right) + strength)
    return len(right) >= settings.recovery_moves and estimate >= promised
