"""What is said about the quality of examples: the values that `trainer.quality` returns."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

RELABELLED = "relabelled"
"""Source of an example whose label a person set without moving the mail."""
IMPORTED = "imported"
"""Source of an example that came from a file."""


class Grade(enum.StrEnum):
    """How far an example, a folder or the whole can be trusted."""

    GOOD = "good"
    SUSPECT = "suspect"
    BAD = "bad"


class Flaw(enum.StrEnum):
    """What may be wrong."""

    CONTRADICTION = "contradiction"
    MISLABEL = "mislabel"
    OUTDATED = "outdated"
    EXACT_COPY = "exact-copy"
    NEAR_COPY = "near-copy"
    TOO_FEW = "too-few"
    TOO_OLD = "too-old"
    COPIES = "copies"
    ONE_SIDED = "one-sided"
    IMBALANCE = "imbalance"
    MISLABELS = "mislabels"
    FOLDERS = "folders"


@dataclass(frozen=True, slots=True)
class Reason:
    """One flaw, how much it matters, a sentence for people, and the examples it refers to."""

    flaw: Flaw
    grade: Grade
    sentence: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExampleVerdict:
    """`own`: probability of its label by the rest of the mail; `better`: the label that the
    rest prefers, when it is another one. None: nothing can be said."""

    key: str
    label: str
    grade: Grade
    reasons: tuple[Reason, ...]
    own: float | None
    better: str | None


@dataclass(frozen=True, slots=True)
class FolderVerdict:
    """One label: number of examples, of different texts, of examples per grade."""

    label: str
    examples: int
    texts: int
    good: int
    suspect: int
    bad: int
    newest: datetime
    grade: Grade
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class QualityReport:
    """All verdicts. `imbalance`: the largest folder ÷ the smallest; `mislabels`: share of
    the examples whose label is doubted, an upper estimate of the wrong ones."""

    examples: tuple[ExampleVerdict, ...]
    folders: tuple[FolderVerdict, ...]
    grade: Grade
    reasons: tuple[Reason, ...]
    imbalance: float
    mislabels: float


@dataclass(frozen=True, slots=True)
class QualitySettings:
    """Where the lines are drawn.

    `min_per_folder`: fewer different texts teach nothing. `few`: fewer make a folder suspect.
    `old_after`: mail older than this may be out of date.
    A mislabel is bad where another label is ahead by `clear_margin` and its own has at most
    `clear_own` more than half of the mail that lies elsewhere gives it; where folders overlap so
    much that this is more than `most_elsewhere`, no more than that. Measured in
    `docs/examples.md`. A folder of at least `one_sided_from` texts is
    one-sided where `one_sided` of them share a feature that at most `elsewhere` of the others
    have. `imbalance`: the largest folder ÷ this one. `bad_share` of bad examples makes a folder
    bad.
    """

    min_per_folder: int = 3
    few: int = 10
    old_after: timedelta = timedelta(days=3 * 365)
    clear_margin: float = 0.5
    clear_own: float = 0.01
    most_elsewhere: float = 0.1
    one_sided: float = 0.9
    elsewhere: float = 0.05
    one_sided_from: int = 10
    imbalance: float = 20.0
    bad_share: float = 0.2
    ridge_lambda: float = 0.03


def worst(reasons: Iterable[Reason]) -> Grade:
    """The worst grade of any reason; good without reasons."""
    order = list(Grade)
    return max((reason.grade for reason in reasons), key=order.index, default=Grade.GOOD)
