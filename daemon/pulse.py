"""Whether a worker is alive: it says how long it may be silent, and anybody can look.

A worker is *silent* when it has not been heard of for longer than it said. What that means for
the waits of a worker (no task, back-off, pause, another process's lock) and for its work is in
docs/adr/0038.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LONGEST_STEP = 30 * 60.0
"""Seconds between two signs of life at work. The longest step known is the download of an encoder
over a slow line; a batch of mails takes seconds."""

ALLOWANCE = 120.0
"""Seconds by which a wait may last longer than planned: a busy machine, a late schedule."""


@dataclass(frozen=True, slots=True)
class Vital:
    """One worker at one moment. `last_pass` is the monotonic time of the end of the last pass that
    went well, None before the first."""

    account: str
    is_alive: bool
    is_failing: bool
    last_pass: float | None


class Pulse:
    """Written by the worker's thread, read by any other: each attribute is set in one step."""

    def __init__(
        self,
        account: str,
        longest_step: float = LONGEST_STEP,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` counts seconds and, as systemd's watchdog, stands still while the machine
        sleeps."""
        self._account = account
        self._longest_step = longest_step
        self._clock = clock
        self._due = clock() + longest_step
        self._has_ended = False
        self._is_failing = False
        self._last_pass: float | None = None

    def step(self) -> None:
        """A step of work begins; the one before is done."""
        self._due = self._clock() + self._longest_step

    def wait(self, seconds: float) -> None:
        """From now on the worker waits, for so many seconds at most."""
        self._due = self._clock() + seconds + ALLOWANCE

    def passed(self) -> None:
        """A pass went well."""
        self._is_failing = False
        self._last_pass = self._clock()

    def failed(self) -> None:
        """An attempt failed, and the worker knows it: it will wait, and try again."""
        self._is_failing = True

    @contextmanager
    def living(self) -> Iterator[None]:
        """Around the body of the worker's thread: however it ends, it is over with it then."""
        self.step()
        try:
            yield
        finally:
            self._has_ended = True

    def vital(self) -> Vital:
        """How it is just now."""
        return Vital(
            account=self._account,
            is_alive=not self._has_ended and self._clock() <= self._due,
            is_failing=self._is_failing,
            last_pass=self._last_pass,
        )
