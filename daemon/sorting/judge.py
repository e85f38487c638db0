"""The seam between sorting and learning: what the sorter asks of the classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from classifier.mail import Mail


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the model says about one mail.

    `ranked` holds (folder id, probability), best first; the folder id None means "leave it in
    the inbox". `moves` says whether the folder may be acted on without asking.
    """

    ranked: tuple[tuple[int | None, float], ...]
    threshold: float | None
    moves: bool
    reason: str

    @property
    def folder_id(self) -> int | None:
        """The best folder, or None for the inbox."""
        return self.ranked[0][0]

    @property
    def probability(self) -> float:
        """The calibrated probability of the best folder."""
        return self.ranked[0][1]


class Judge(Protocol):
    """One model of one account, ready to judge."""

    @property
    def version(self) -> str:
        """The model's version."""
        ...

    @property
    def fingerprint(self) -> str:
        """Under which features are cached: encoder and preparation."""
        ...

    def features(self, mails: Sequence[Mail]) -> list[bytes]:
        """Features of each mail, as they are cached."""
        ...

    def verdicts(self, features: Sequence[bytes], parents: Sequence[int | None]) -> list[Verdict]:
        """A verdict per mail; `parents` holds the folder id in which the nearest known
        ancestor in the thread lies, -1 for one that was left in the inbox, or None."""
        ...
