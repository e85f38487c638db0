"""How soon a broken promise is noticed, and how often a kept one is doubted.

Simulated moves into one folder that promised a precision of 0.97. False alarms: how many per 1,000
moves of a folder that is right 98 times (or exactly 97 times) of a hundred. Delay: how many mails
after a drop to 0.85 it is noticed, in a folder that begins like that and in one after 300 good
moves (median, and 90 % at most). The test of `trainer.drift` beside river's ADWIN, alone and with
the same test on its window, and CUSUM. Then the way back: of suspended folders that are still
wrong, how many regain trust; how many mails a mended one needs. Needs the extra "bench".
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
from collections.abc import Callable, Iterable
from typing import Any

from river import drift

from trainer.drift import DEFAULT, DriftSettings, holds_again, live_precision, probability_below

_ADWIN: Any = drift.ADWIN  # without types

TARGET, GOOD, BAD = 0.97, 0.98, 0.85
NEVER = 400

Detector = Callable[[bool], bool]
"""Told whether the next move was right; says whether the promise is broken."""


def windows(settings: DriftSettings) -> Detector:
    """`trainer.drift`."""
    right: list[bool] = []

    def told(was_right: bool) -> bool:
        right.append(was_right)
        return not was_right and live_precision(right, TARGET, settings).broken

    return told


def adwin(delta: float, certainty: float | None) -> Detector:
    """ADWIN: alone it alarms where it finds a change for the worse; with a certainty the beta
    test is asked of its window, at each wrong move and at each change."""
    detector: Any = _ADWIN(delta=delta, clock=1, grace_period=5)

    def told(was_right: bool) -> bool:
        detector.update(int(was_right))
        changed = bool(detector.drift_detected)
        if certainty is None:
            return changed and detector.estimation < TARGET
        if was_right and not changed:
            return False
        moves = int(detector.width)
        wrong = moves - round(detector.estimation * moves)
        return probability_below(TARGET, wrong, moves, DEFAULT.prior_strength) >= certainty

    return told


def cusum(limit: float) -> Detector:
    """Page's test of 0.85 against 0.97."""
    total = 0.0

    def told(was_right: bool) -> bool:
        nonlocal total
        ratio = BAD / TARGET if was_right else (1 - BAD) / (1 - TARGET)
        total = max(0.0, total + math.log(ratio))
        return total >= limit

    return told


def first_alarm(detector: Detector, precisions: Iterable[float]) -> int | None:
    """After how many moves it alarms."""
    for number, precision in enumerate(precisions, start=1):
        if detector(random.random() < precision):  # noqa: S311 - a simulation
            return number
    return None


def false_alarms(make: Callable[[], Detector], precision: float, runs: int) -> float:
    """Alarms per 1,000 moves; after one it begins anew."""
    alarms = 0
    left = 1000 * runs
    while left > 0:
        at = first_alarm(make(), [precision] * min(left, 1000))
        alarms += at is not None
        left -= at or 1000
    return alarms / runs


def delay(make: Callable[[], Detector], before: int, runs: int) -> tuple[int, int]:
    """Median and 90th percentile of mails from the drop to the alarm; alarms before the drop are
    left out."""
    found: list[int] = []
    while len(found) < runs:
        at = first_alarm(make(), [GOOD] * before + [BAD] * NEVER)
        if at is None or at > before:
            found.append(NEVER if at is None else at - before)
    found.sort()
    return int(statistics.median(found)), found[math.ceil(0.9 * runs) - 1]


def mails_until_trusted(precision: float, limit: int) -> int | None:
    """After how many would-be moves a suspended folder is trusted; None: not within `limit`."""
    right: list[bool] = []
    for number in range(1, limit + 1):
        right.append(random.random() < precision)  # noqa: S311 - a simulation
        if holds_again(right, TARGET):
            return number
    return None


CONTENDERS: dict[str, Callable[[], Detector]] = {
    "last 50 and last 500, certainty 0.995": lambda: windows(DEFAULT),
    "last 50 alone, 0.995": lambda: windows(DriftSettings(windows=(50,))),
    "last 50 alone, 0.99": lambda: windows(DriftSettings(windows=(50,), certainty=0.99)),
    "all moves, 0.995": lambda: windows(DriftSettings(windows=(100_000,))),
    "ADWIN alone, delta 0.05": lambda: adwin(0.05, None),
    "ADWIN alone, delta 0.2": lambda: adwin(0.2, None),
    "ADWIN's window, delta 0.2, 0.99": lambda: adwin(0.2, 0.99),
    "ADWIN's window, delta 0.9, 0.99": lambda: adwin(0.9, 0.99),
    "CUSUM, limit 5": lambda: cusum(5.0),
    "CUSUM, limit 6": lambda: cusum(6.0),
}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m bench drift", description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    print("| detector | false alarms at 0.98 | at 0.97 | drop at once | drop after 300 |")
    print("|---|---:|---:|---:|---:|")
    for name, make in CONTENDERS.items():
        random.seed(options.seed)
        alarms = [false_alarms(make, precision, options.runs) for precision in (GOOD, TARGET)]
        delays = [delay(make, before, options.runs) for before in (0, 300)]
        cells = [f"{each:.3f}" for each in alarms] + [f"{m} ({p})" for m, p in delays]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print("\nWrong moves in a row that break the promise, after so many right ones:")
    for before in (0, 5, 20, 50):
        row = next(n for n in range(1, 99) if live_precision([True] * before + [False] * n,
                                                             TARGET).broken)  # fmt: skip
        print(f"  {before}: {row}")
    for precision in (BAD, 0.95, GOOD, 1.0):
        found = [mails_until_trusted(precision, 200) for _ in range(options.runs)]
        back = [each for each in found if each is not None]
        median = int(statistics.median(back)) if back else None
        share = len(back) / options.runs
        print(f"precision {precision}: {share:.1%} trusted within 200 mails, median {median}")


if __name__ == "__main__":
    main()
