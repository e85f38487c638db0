"""Two ways of learning on the same mail: what is the difference, and can it be told?

Both learn from the same oldest mail and predict the same newest mail, so the figures are paired:
each bootstrap sample draws mails, and both are judged on the mails drawn (Efron and Tibshirani,
An Introduction to the Bootstrap, 1993, chapter 16). Anything that can learn from a `TimeSplit`
and then predicts can be compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from classifier.decision import Decision, Prediction
from classifier.features import Features
from trainer.errors import ModelNotTrainable
from trainer.examples import TimeSplit, parent_labels
from trainer.metrics import confusion_matrix, macro_f1

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]

FEWEST = 20
"""On fewer mails nothing is said about which is better."""
ROUNDS = 2000


class Predictor(Protocol):
    """What has learnt; `classifier.model.MailClassifier` is one."""

    def predict(
        self, features: Sequence[Features], parents: Sequence[str | None]
    ) -> list[Prediction]:
        """One prediction per mail, with the label of each thread's parent."""
        ...

    def decide(self, prediction: Prediction) -> Decision:
        """Whether the mail may be moved by itself."""
        ...


Learn = Callable[[TimeSplit], Predictor]
"""Learns from `train`, sets itself up on `calibrate`, and never looks at `test`."""


@dataclass(frozen=True, slots=True)
class Side:
    """The figures of one way of learning on the test mail. `moved_precision` is None when
    nothing would have been moved; `manual_moves_forced` counts wrong first choices, as if each
    mail had to be filed; `manual_moves` wrong moves and mail left in the inbox."""

    accuracy: float
    macro_f1: float
    coverage: float
    moved_precision: float | None
    manual_moves_forced: int
    manual_moves: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Difference:
    """The second minus the first, with its 95 % interval; None where a side has no value."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides on `mails` test mails, learnt from `train` and set up on `calibrate` others.

    `left_out`: mail in threads or near-duplicates that cross a border of the split.
    """

    train: int
    calibrate: int
    mails: int
    left_out: int
    first: Side
    second: Side
    differences: Mapping[str, Difference]
    verdict: str


def compare(
    split: TimeSplit, first: Learn, second: Learn, names: tuple[str, str] = ("A", "B")
) -> Comparison:
    """Let both learn and predict. `names` are what the verdict calls them.

    Raises `ModelNotTrainable` when there is too little mail for a split.
    """
    if not split.test or not split.train:
        raise ModelNotTrainable("There is too little mail to put some of it aside as a test.")
    sides = [_Outcome.of(learn, split) for learn in (first, second)]
    differences = _differences(sides[0], sides[1])
    return Comparison(
        train=len(split.train),
        calibrate=len(split.calibrate),
        mails=len(split.test),
        left_out=split.straddling,
        first=sides[0].side(),
        second=sides[1].side(),
        differences=differences,
        verdict=_verdict(differences["manual_moves_forced"], len(split.test), names),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Outcome:
    """What one side said about each test mail: class numbers and whether it would move it."""

    truth: Integers
    predicted: Integers
    moved: Booleans
    classes: int
    seconds: float

    @classmethod
    def of(cls, learn: Learn, split: TimeSplit) -> _Outcome:
        started = time.perf_counter()
        learnt = learn(split)
        seconds = time.perf_counter() - started
        known = [*split.train, *split.calibrate]
        parents = parent_labels([*known, *split.test])[len(known) :]
        predictions = learnt.predict([one.features for one in split.test], parents)
        labels = dict.fromkeys(one.label for one in (*known, *split.test))
        number = {label: position for position, label in enumerate(labels)}
        return cls(
            truth=np.array([number[one.label] for one in split.test], dtype=np.int64),
            predicted=np.array([number[one.label] for one in predictions], dtype=np.int64),
            moved=np.array([learnt.decide(one).moves for one in predictions], dtype=np.bool_),
            classes=len(number),
            seconds=seconds,
        )

    def side(self) -> Side:
        every = np.arange(len(self.truth))
        figures = self.figures(every)
        return Side(
            accuracy=figures["accuracy"],
            macro_f1=figures["macro_f1"],
            coverage=figures["coverage"],
            moved_precision=figures["moved_precision"] if self.moved.any() else None,
            manual_moves_forced=round(figures["manual_moves_forced"]),
            manual_moves=round(figures["manual_moves"]),
            seconds=self.seconds,
        )

    def figures(self, drawn: Integers) -> dict[str, float]:
        """All figures over the mails at the positions `drawn`; NaN where there is none."""
        truth, predicted, moved = self.truth[drawn], self.predicted[drawn], self.moved[drawn]
        right = truth == predicted
        moved_right = int((right & moved).sum())
        count = len(drawn)
        return {
            "accuracy": float(right.mean()),
            "macro_f1": macro_f1(confusion_matrix(truth, predicted, self.classes)),
            "coverage": float(moved.mean()),
            "moved_precision": moved_right / int(moved.sum()) if moved.any() else float("nan"),
            "manual_moves_forced": float(count - int(right.sum())),
            "manual_moves": float(count - moved_right),
        }


def _differences(first: _Outcome, second: _Outcome, seed: int = 0) -> dict[str, Difference]:
    """The paired difference of each figure, with a percentile bootstrap interval."""
    size = len(first.truth)

    def of(drawn: Integers) -> dict[str, float]:
        before, after = first.figures(drawn), second.figures(drawn)
        return {name: after[name] - before[name] for name in before}

    random = np.random.default_rng(seed)
    samples = [of(random.integers(0, size, size)) for _ in range(ROUNDS)]
    return {
        name: _difference(value, np.array([sample[name] for sample in samples]))
        for name, value in of(np.arange(size)).items()
    }


def _difference(value: float, samples: Doubles) -> Difference:
    """Samples in which a side moved nothing have no precision and do not count."""
    usable = samples[np.isfinite(samples)]
    if not np.isfinite(value) or not len(usable):
        return Difference(None, None, None)
    low, high = np.quantile(usable, [0.025, 0.975])
    return Difference(value, float(low), float(high))


def _verdict(wrong: Difference, mails: int, names: tuple[str, str]) -> str:
    """One sentence, by the number of mails that would have gone to the wrong folder."""
    if mails < FEWEST:
        return f"{mails} mails are too few to tell a difference."
    value, low, high = wrong.value or 0.0, wrong.low or 0.0, wrong.high or 0.0
    if low <= 0 <= high:
        return (
            f"No difference can be told on {mails} mails: {names[1]} has {_count(value)} than "
            f"{names[0]}, and anything from {low:+.0f} to {high:+.0f} would be no surprise."
            if value
            else f"No difference can be told on {mails} mails: both get equally many wrong."
        )
    better, worse = (names[1], names[0]) if value < 0 else (names[0], names[1])
    near, far = sorted((abs(low), abs(high)))
    return (
        f"{better} is better: of {mails} mails {abs(value):.0f} fewer to move by hand than with "
        f"{worse} (95 % sure of {near:.0f} to {far:.0f})."
    )


def _count(value: float) -> str:
    """ "3 fewer mails to move by hand", "1 more mail to move by hand"."""
    mails = "mail" if abs(value) == 1 else "mails"
    return f"{abs(value):.0f} {'fewer' if value < 0 else 'more'} {mails} to move by hand"
