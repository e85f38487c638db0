"""Mail that may lie in the wrong folder, and which folders it keeps from sorting.

A folder earns its autonomy by right predictions, and a right prediction of a mail that lies wrong
counts as a wrong one: with one label in twenty wrong, hardly a folder can show 97 %
(`docs/examples.md`). A sure mistake of the model looks just the same, so nothing is taken for
granted here, and no threshold is set by it; a person is told that looking may pay (docs/adr/0055).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from classifier.calibrate import Calibration
from classifier.decision import FolderThreshold
from classifier.labels import LEAVE
from trainer.calibration import Past
from trainer.examples import Example
from trainer.mislabels import opinions_of
from trainer.quality import is_bad_label
from trainer.thresholds import Outcome
from trainer.tune import Goal, limits_from


@dataclass(frozen=True, slots=True)
class Doubt:
    """`mails`: how many of the newest examples clearly read like mail of another label and were
    only found where they are. `labels`: those that may not receive mail by themselves and could,
    if these mails lay wrong and were put right."""

    mails: int = 0
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """The predictions that set thresholds: the `positions` of their examples, what they said and
    the `limits` that followed."""

    positions: Sequence[int]
    outcomes: Sequence[Outcome]
    limits: Mapping[str, FolderThreshold]


def look_for_doubt(
    examples: Sequence[Example],
    counts: Mapping[str, int],
    left_out: Past,
    calibration: Calibration,
    labels: Sequence[str],
    window: Window,
    goal: Goal,
) -> Doubt:
    """What the newest `left_out` examples, each predicted from all others, say of their labels.

    `counts`: training mails by label, with which the thresholds of the window were set.
    """
    first = len(examples) - len(left_out)
    better = {
        first + row: opinion.best
        for row, opinion in enumerate(opinions_of(left_out, calibration, labels))
        if opinion is not None and is_bad_label(examples[first + row], opinion)
    }
    if not better:
        return Doubt()
    put_right = [
        replace(one, right=True) if better.get(at) == one.label else one
        for at, one in zip(window.positions, window.outcomes, strict=True)
    ]
    limits = limits_from(put_right, labels, counts, goal)
    gained = (
        label
        for label, limit in limits.items()
        if label != LEAVE and limit.threshold is not None and window.limits[label].threshold is None
    )
    return Doubt(len(better), tuple(gained))
