"""One signal interrupts, further ones do not disturb the clean-up."""

from __future__ import annotations

import signal

import pytest

from daemon.demo.interrupts import Interrupts


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_the_first_signal_interrupts_and_the_second_does_nothing(number: int, code: int) -> None:
    """The exit code is the one that shells know for the first signal."""
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        signal.raise_signal(signal.SIGINT)
        assert interrupts.exit_code == code


def test_nothing_interrupts_once_it_is_over() -> None:
    """Cleaning up after a demo that was played to its end is not interrupted either."""
    with Interrupts() as interrupts:
        interrupts.over()
        signal.raise_signal(signal.SIGINT)


def test_handlers_are_restored_and_ignored_signals_stay_ignored() -> None:
    """nohup ignores SIGHUP, and means it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGHUP, before)
