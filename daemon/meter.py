"""The seam to whoever measures the daemon: the core calls a `Meter` and knows no metrics system.

Only what the store does not tell goes through here: how long things took.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from classifier.mail import Mail
from daemon.sorting.judge import Judge, Verdict


class Meter(Protocol):
    """Is told of each finished piece of work; must neither raise nor wait."""

    def cycle(self, account: str, seconds: float) -> None:
        """A pass ended well."""
        ...

    def encoded(self, account: str, mails: int, seconds: float) -> None:
        """New mails were read by the encoder, in one go."""
        ...

    def learned(self, account: str, seconds: float) -> None:
        """A model was trained and judged."""
        ...


class NoMeter:
    """For when nobody measures."""

    def cycle(self, account: str, seconds: float) -> None:
        """Nothing."""

    def encoded(self, account: str, mails: int, seconds: float) -> None:
        """Nothing."""

    def learned(self, account: str, seconds: float) -> None:
        """Nothing."""


class MeteredJudge:
    """A judge that tells how long the encoder took."""

    def __init__(self, judge: Judge, meter: Meter, account: str) -> None:
        self._judge = judge
        self._meter = meter
        self._account = account

    @property
    def version(self) -> str:
        """The model's version."""
        return self._judge.version

    @property
    def fingerprint(self) -> str:
        """Under which features are cached."""
        return self._judge.fingerprint

    def features(self, mails: Sequence[Mail]) -> list[bytes]:
        """Features of each mail; what was in the cache is not asked for here."""
        if not mails:
            return []
        started = time.perf_counter()
        found = self._judge.features(mails)
        self._meter.encoded(self._account, len(mails), time.perf_counter() - started)
        return found

    def verdicts(self, features: Sequence[bytes], parents: Sequence[int | None]) -> list[Verdict]:
        """A verdict per mail."""
        return self._judge.verdicts(features, parents)
