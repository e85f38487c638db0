"""Whether a tuned encoder pays: the whole head on its features against the same on today's.

The encoder alone is not what a user sees. So both are judged through the combined ridge head
(words, sender, lists and the vector together), fitted on the same older mail, on the same newest
mail, which neither the encoder nor the head nor the early stopping has seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from classifier.features import Features
from trainer.calibration import fit_calibration
from trainer.evaluate import past_of
from trainer.examples import Example, TimeSplit, in_time_order
from trainer.fit import FitSettings, ridge
from trainer.heads import Learner
from trainer.metrics import bootstrap_interval, bootstrap_means
from trainer.tune import honest_positions

Doubles = npt.NDArray[np.float64]
FEWEST = 30
"""Mails to compare on: with fewer, nothing can be shown."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class EncoderComparison:
    """Shares of right folders among `compared` newest mails, with 95 % intervals.

    `gain`: tuned minus present; `at_least` its one-sided lower bound at 95 % (paired bootstrap).
    """

    compared: int
    present: float
    tuned: float
    present_interval: tuple[float, float]
    tuned_interval: tuple[float, float]
    gain: float
    at_least: float

    @property
    def pays(self) -> bool:
        """Whether the tuned encoder is better beyond chance."""
        return self.compared >= FEWEST and self.at_least > 0

    @property
    def reason(self) -> str:
        """The decision in one sentence."""
        shares = f"{self.tuned:.1%} right, with the present one {self.present:.1%}"
        if self.compared < FEWEST:
            return f"Only {self.compared} mails to compare on: too few to show that it pays."
        if self.pays:
            return f"The tuned encoder pays: on the newest {self.compared} mails {shares}."
        return (
            f"The tuned encoder does not pay: on the newest {self.compared} mails {shares}; the "
            f"difference may be {self.at_least:+.1%}."
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "pays": self.pays, "reason": self.reason}


def with_vectors(
    examples: Sequence[Example], vectors: Mapping[str, npt.NDArray[np.float16]]
) -> list[Example]:
    """The same examples as another encoder sees them; `vectors` [hidden] by example key."""
    return [
        replace(one, features=Features(vectors[one.key], one.features.indices, one.features.values))
        for one in examples
    ]


def compare_encoders(
    split: TimeSplit,
    vectors: Mapping[str, npt.NDArray[np.float16]],
    settings: FitSettings | None = None,
) -> EncoderComparison:
    """Judge the encoder behind `vectors` on `split.test`, having learnt from all before it."""
    chosen = settings or FitSettings()
    before = [*split.train, *split.calibrate]
    present = right_on(before, split.test, chosen)
    tuned = right_on(with_vectors(before, vectors), with_vectors(split.test, vectors), chosen)
    means = bootstrap_means(tuned - present)
    return EncoderComparison(
        compared=len(split.test),
        present=_mean(present),
        tuned=_mean(tuned),
        present_interval=bootstrap_interval(present),
        tuned_interval=bootstrap_interval(tuned),
        gain=_mean(tuned - present),
        at_least=float(np.quantile(means, 1.0 - CONFIDENCE)),
    )


def right_on(
    before: Sequence[Example],
    test: Sequence[Example],
    settings: FitSettings | None = None,
    learner: Learner | None = None,
) -> Doubles:
    """[n] 1 where a head (by default the ridge head) that learnt `before` is right on `test`.

    The thread's bonus counts as it does in serving.
    """
    chosen = settings or FitSettings()
    ordered = in_time_order(before)
    head = (learner or ridge(chosen))(ordered, ())
    history = head.prequential()
    window = honest_positions(ordered, history, chosen.calibration_window)
    calibration = fit_calibration(history[window])
    past = past_of(head, test)
    best = calibration.logits(past.scores.copy(), past.parents).argmax(axis=1)
    return np.asarray(best == past.truth, dtype=np.float64)


def _mean(values: Doubles) -> float:
    return float(values.mean()) if len(values) else 0.0
