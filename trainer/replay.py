"""Living through a mailbox again: predict the next mail, then learn where it went.

This is the instrument by which learning is judged: the number of mails that a person would
still have to move. Everything a prediction uses (document frequencies, centre, calibration,
thresholds, thread parents, the very list of folders) comes from earlier mails only, through
the same code as in production: `Head`, `tune`, `decide`.

Prequential evaluation: Dawid, Statistical Theory: The Prequential Approach, 1984. Mail must be
evaluated in time order: Bekkerman, McCallum, Huang, Automatic Categorization of Email into
Folders, 2004.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from classifier.costs import NO_COSTS, Costs
from classifier.decision import Prediction, decide
from classifier.space import FeatureSpace
from classifier.threads import ThreadLabels
from trainer.calibration import Past
from trainer.descriptions import BACKGROUND, blocks_for
from trainer.errors import ModelNotTrainable
from trainer.examples import Example, in_time_order
from trainer.fit import FitSettings, Goal, Tuned, count_by_label, recent_mails, tune
from trainer.head import Head
from trainer.metrics import (
    calibration_error_by_chance,
    confusion_matrix,
    coverage_at,
    expected_calibration_error,
    macro_f1,
)

Doubles = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """How to replay.

    `every`: learn after so many mails (1: after each). `skip`: the first mails are not scored.
    `tune_every`: calibration and thresholds are brought up to date after so many mails.
    `relearn_at`: the feature space is learnt anew whenever the mailbox has grown by this
    factor; in between mails are appended to the head exactly, in the space as it is.
    `costs`: of mistakes, by label.
    """

    every: int = 1
    skip: int = 20
    tune_every: int = 10
    relearn_at: float = 1.25
    target_precision: float = 0.97
    fit: FitSettings = field(default_factory=FitSettings)
    costs: Costs = NO_COSTS


@dataclass(frozen=True, slots=True)
class Step:
    """One mail as it was predicted.

    `predicted`: without a model the only folder so far, None when there is none. `probability`:
    0 when there was no model to give one. `known`: whether any earlier mail lay in the true
    folder, or a description told of it. `cost`: what this mail costs, in mails left in the inbox.
    """

    key: str
    truth: str
    predicted: str | None
    probability: float
    moves: bool
    known: bool
    cost: float = 1.0

    @property
    def is_right(self) -> bool:
        """Whether the best folder is the true one."""
        return self.predicted == self.truth

    @property
    def has_probability(self) -> bool:
        """Whether there was a model that said how sure it is."""
        return self.probability > 0.0


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """Figures over the scored mails.

    With forced decisions: `accuracy`, `manual_moves_forced` (wrong), `macro_f1`,
    `accuracy_by_quarter`. With the abstain policy: `manual_moves` (`wrong_moves` + `left`),
    `cost` (the same, but with costly mistakes counted as configured), `coverage` (share moved),
    `precision` (of the moved; None when none was). `coverage_at_95` and `_98`: the largest share,
    most confident first, of which 95 (98) % are right. `ece`: the expected calibration error of
    the mails that came with a probability (while there is one folder there is no model, and none);
    `ece_by_chance`: what perfectly calibrated probabilities would show on as many mails.
    `zero_shot_accuracy`: see `zero_shot`; None without descriptions. Seconds are wall time;
    `seconds_refit_median` of one learning step, tuning included.
    """

    messages: int
    folders: int
    scored: int
    unseen_folder_mails: int
    accuracy: float
    manual_moves_forced: int
    macro_f1: float
    accuracy_by_quarter: tuple[float, ...]
    manual_moves: int
    cost: float
    wrong_moves: int
    left: int
    coverage: float
    precision: float | None
    coverage_at_95: float
    coverage_at_98: float
    ece: float
    ece_by_chance: float
    target_precision: float
    seconds_refit_median: float
    mails_per_second: float
    zero_shot_accuracy: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Replay:
    """Every step, and the figures over the scored ones."""

    steps: tuple[Step, ...]
    report: ReplayReport


def replay(
    examples: Sequence[Example],
    settings: ReplaySettings | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Replay:
    """Live through `examples` (any order; sorted by time here).

    Descriptions among them are known from the start and are no steps.
    """
    chosen = settings or ReplaySettings()
    ordered = in_time_order(examples)
    described = [one for one in ordered if not one.is_mail]
    mails = ordered[len(described) :]
    started = time.perf_counter()
    learner = _Learner(chosen, described)
    steps = []
    for number, example in enumerate(mails, start=1):
        steps.append(learner.predict(example))
        learner.learn(example)
        progress(number, len(mails))
    seconds = time.perf_counter() - started
    refit = float(np.median(learner.seconds)) if learner.seconds else 0.0
    report = summarise(steps, chosen.skip, chosen.target_precision, refit, len(steps) / seconds)
    return Replay(
        tuple(steps), replace(report, zero_shot_accuracy=zero_shot(described, mails, chosen.fit))
    )


def zero_shot(
    descriptions: Sequence[Example], mails: Sequence[Example], settings: FitSettings
) -> float | None:
    """The share of all `mails` (in time order) that descriptions alone name rightly.

    No folder is ever told. Document frequencies and centre come from the descriptions and from
    up to `BACKGROUND` earlier mails, as for a model whose user has filed nothing yet. None
    without two described folders.
    """
    if len({one.label for one in descriptions}) < 2 or not mails:
        return None
    known = [one.features for one in descriptions]
    right, due, head = 0, 0, None
    for number, one in enumerate(mails):
        if head is None or (number >= due and number <= BACKGROUND):
            past = [mail.features for mail in mails[:number]]
            space = FeatureSpace.learn([*known, *past], blocks_for(descriptions, settings.blocks))
            head = Head(descriptions, settings.ridge_lambda, space=space)
            due = number + 1 + number // 10
        right += head.labels[int(head.scores(one.features).argmax())] == one.label
    return right / len(mails)


class _Learner:
    """A head with its calibration, as it is after the mails so far."""

    def __init__(self, settings: ReplaySettings, descriptions: Sequence[Example]) -> None:
        self._settings = settings
        self._goal = Goal(settings.target_precision, {}, settings.fit.thresholds, settings.costs)
        self._head: Head | None = None
        self._tuned: Tuned | None = None
        self._seen: list[Example] = list(descriptions)
        self._labels = {one.label for one in descriptions}
        self._threads = ThreadLabels()
        self._waiting: list[Example] = []
        self._relearnt_at = 0
        self._tuned_at = 0
        self.seconds: list[float] = []
        if descriptions:
            self._relearn()
            self._tune()

    def predict(self, example: Example) -> Step:
        """What the model of the earlier mails says."""
        known = example.label in self._labels
        if self._head is None or self._tuned is None:
            only = next(iter(self._labels), None)
            return Step(example.key, example.label, only, 0.0, moves=False, known=known)
        prediction = self._rank(self._head, self._tuned, example)
        costs = self._settings.costs
        moves = decide(prediction, self._tuned.thresholds, costs).moves
        label = prediction.label
        spent = 0.0 if label == example.label else costs.of(example.label, label)
        return Step(
            example.key,
            example.label,
            label,
            prediction.probability,
            moves,
            known,
            cost=spent if moves else 1.0,
        )

    def _rank(self, head: Head, tuned: Tuned, example: Example) -> Prediction:
        scores = head.scores(example.features)[None, :]
        parent = self._threads.label_of(example.references)
        number = head.labels.index(parent) if parent in head.labels else -1
        past = Past(
            scores,
            np.ones(scores.shape, dtype=np.bool_),
            np.array([-1], dtype=np.int64),
            np.array([number], dtype=np.int64),
        )
        row = past.probabilities(tuned.calibration)[0]
        order = np.argsort(-row, kind="stable")
        return Prediction(tuple((head.labels[at], float(row[at])) for at in order))

    def learn(self, example: Example) -> None:
        """The true folder becomes known."""
        self._seen.append(example)
        self._waiting.append(example)
        self._labels.add(example.label)
        self._threads.add(example.message_id, example.references, example.label)
        if len(self._waiting) >= self._settings.every:
            started = time.perf_counter()
            self._catch_up()
            self.seconds.append(time.perf_counter() - started)

    def _catch_up(self) -> None:
        if len(self._seen) >= max(self._relearnt_at * self._settings.relearn_at, 2):
            self._relearn()
        elif self._head is not None:
            for each in self._waiting:
                self._head.append(each)
        self._waiting.clear()
        self._tune()

    def _relearn(self) -> None:
        try:
            fit = self._settings.fit
            self._head = Head(self._seen, fit.ridge_lambda, blocks_for(self._seen, fit.blocks))
        except ModelNotTrainable:
            return
        self._relearnt_at = len(self._seen)

    def _tune(self) -> None:
        """Calibration and thresholds from past predictions, as `fit` does it."""
        head = self._head
        if head is None:
            return
        due = self._tuned_at + min(self._settings.tune_every, max(1, self._tuned_at // 10))
        if self._tuned is not None and len(self._seen) < due:
            return
        window = recent_mails(head.examples, self._settings.fit.calibration_window)
        past = head.prequential()[window]
        self._tuned = tune(past, head.labels, count_by_label(head.examples), self._goal)
        self._tuned_at = len(self._seen)


def summarise(
    steps: Sequence[Step],
    skip: int,
    target_precision: float,
    seconds_refit_median: float,
    mails_per_second: float,
) -> ReplayReport:
    """The figures over all steps but the first `skip`."""
    scored = steps[skip:]
    right = np.array([step.is_right for step in scored], dtype=np.bool_)
    confidence = np.array([step.probability for step in scored], dtype=np.float64)
    said = np.array([step.has_probability for step in scored], dtype=np.bool_)
    moved = [step for step in scored if step.moves]
    wrong_moves = sum(not step.is_right for step in moved)
    left = len(scored) - len(moved)
    return ReplayReport(
        messages=len(steps),
        folders=len({step.truth for step in steps}),
        scored=len(scored),
        unseen_folder_mails=sum(not step.known for step in scored),
        accuracy=_mean(right),
        manual_moves_forced=int((~right).sum()),
        macro_f1=_macro_f1(scored),
        accuracy_by_quarter=tuple(_mean(part) for part in np.array_split(right, 4)),
        manual_moves=wrong_moves + left,
        cost=sum(step.cost for step in scored),
        wrong_moves=wrong_moves,
        left=left,
        coverage=len(moved) / max(len(scored), 1),
        precision=1.0 - wrong_moves / len(moved) if moved else None,
        coverage_at_95=coverage_at(confidence, right, 0.95),
        coverage_at_98=coverage_at(confidence, right, 0.98),
        ece=expected_calibration_error(confidence[said], right[said]),
        ece_by_chance=calibration_error_by_chance(confidence[said]),
        target_precision=target_precision,
        seconds_refit_median=seconds_refit_median,
        mails_per_second=mails_per_second,
    )


def _mean(flags: Booleans) -> float:
    return float(flags.mean()) if len(flags) else 0.0


def _macro_f1(scored: Sequence[Step]) -> float:
    if not scored:
        return 0.0
    names = dict.fromkeys([*(step.truth for step in scored), *(s.predicted or "" for s in scored)])
    number = {label: position for position, label in enumerate(names)}
    truth = np.array([number[step.truth] for step in scored], dtype=np.int64)
    predicted = np.array([number[step.predicted or ""] for step in scored], dtype=np.int64)
    return macro_f1(confusion_matrix(truth, predicted, len(number)))
