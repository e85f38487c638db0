"""What bad examples cost: the same mailbox lived through with them, without them, and with the
label that the rest of the mail prefers.

Three replays, each predicting every mail from the mails before it. They are compared on the same
mails, those that are not called bad: the labels of the others are what is in doubt, so they can
be no measure. Which examples are bad was judged with all mail, later mail included; the replays
themselves look at nothing from the future.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from trainer.examples import Example
from trainer.metrics import bootstrap_interval
from trainer.replay import ReplaySettings, Step, replay
from trainer.verdicts import Grade, QualityReport

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lived:
    """One replay on the mails that count. `manual_moves_forced`: wrong first choices, as if each
    mail had to be filed; `manual_moves`: wrong moves and mail left. `fewer`: how many fewer of
    the former than with the examples as they are, with the 95 % interval of a paired bootstrap."""

    manual_moves_forced: int
    manual_moves: int
    fewer: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Effect:
    """`bad` examples were left out, or (`relabelled` of them) given the better label; `mails`
    others were judged by."""

    mails: int
    bad: int
    relabelled: int
    as_it_is: Lived
    without: Lived
    with_better: Lived


def effect(
    examples: Sequence[Example],
    report: QualityReport,
    settings: ReplaySettings | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Effect | None:
    """Replay `examples`, which `report` is about. None when no example is bad."""
    chosen = settings or ReplaySettings()
    bad = bad_ones(report)
    if not bad:
        return None
    without, with_better = alternatives(examples, report)
    runs = []
    total = 3 * len(examples)
    for number, variant in enumerate((examples, without, with_better)):
        base = number * len(examples)

        def tell(done: int, _of: int, base: int = base) -> None:
            progress(base + done, total)

        runs.append(replay(variant, chosen, tell).steps)
    progress(total, total)
    counted = [one.key for one in runs[0][chosen.skip :] if one.key not in bad]
    before = _of(runs[0], counted)
    lived = [_lived(_of(steps, counted), before) for steps in runs]
    return Effect(len(counted), len(bad), len(with_better) - len(without), *lived)


def bad_ones(report: QualityReport) -> dict[str, str | None]:
    """The better label, if there is one, of each example that is called bad, by key."""
    return {one.key: one.better for one in report.examples if one.grade is Grade.BAD}


def alternatives(
    examples: Sequence[Example], report: QualityReport
) -> tuple[list[Example], list[Example]]:
    """The examples without the bad ones; and these with the bad ones under their better label,
    as far as there is one."""
    bad = bad_ones(report)
    without = [one for one in examples if one.key not in bad]
    relabelled = [
        replace(one, label=better) for one in examples if (better := bad.get(one.key)) is not None
    ]
    return without, [*without, *relabelled]


def _of(steps: Sequence[Step], keys: Sequence[str]) -> list[Step]:
    by_key = {step.key: step for step in steps}
    return [by_key[key] for key in keys]


def _lived(steps: Sequence[Step], before: Sequence[Step]) -> Lived:
    right, was_right = (_right(each) for each in (steps, before))
    gained = right - was_right
    low, high = bootstrap_interval(gained)
    return Lived(
        manual_moves_forced=int(len(steps) - right.sum()),
        manual_moves=sum(not (step.moves and step.is_right) for step in steps),
        fewer=int(gained.sum()),
        low=low * len(steps),
        high=high * len(steps),
    )


def _right(steps: Sequence[Step]) -> Doubles:
    return np.array([float(step.is_right) for step in steps])
