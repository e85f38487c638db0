"""Ctrl-C and other requests to stop: one interruption, then an undisturbed clean-up."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Within the block the first signal raises KeyboardInterrupt and later ones do nothing.

    For the main thread. What was ignored before (nohup) stays ignored.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._received: int | None = None
        self._over = False

    @property
    def exit_code(self) -> int:
        """What a shell reports of a program that ended by this signal: 130 for Ctrl-C."""
        return 128 + (self._received or signal.SIGINT)

    def over(self) -> None:
        """From now on signals are ignored: cleaning up has begun."""
        self._over = True

    def __enter__(self) -> Self:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._over:
            return
        self._over = True
        self._received = number
        raise KeyboardInterrupt
