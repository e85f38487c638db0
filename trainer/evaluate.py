"""How good a model would have been on the newest mail, learnt from older mail only.

Mail has to be split by time: a random split lets a thread or a mailing list be known before it
began (Bekkerman, McCallum, Huang, Automatic Categorization of Email into Folders, 2004).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from classifier.costs import NO_COSTS, Costs
from classifier.decision import Prediction
from classifier.labels import LabelSet
from classifier.model import MailClassifier
from trainer.calibration import Past
from trainer.examples import Example, TimeSplit, in_time_order, parent_labels, time_split
from trainer.fit import FitSettings, Goal, count_by_label, ridge, tune
from trainer.heads import Learner, TrainedHead
from trainer.scores import Figure, Policy, Report, measure

__all__ = ["Figure", "Report", "evaluate", "evaluate_over_time"]


def evaluate(
    predictions: Sequence[Prediction],
    truth: Sequence[str],
    model: MailClassifier,
    left_out: int = 0,
) -> Report:
    """Compare predictions of `model` with the labels that people gave.

    Raises `ValueError` without any prediction.
    """
    policy = Policy(tuple(model.label_set), model.thresholds, model.costs)
    return measure(predictions, truth, policy, left_out)


def evaluate_over_time(
    examples: Sequence[Example],
    label_names: Mapping[str, str],
    settings: FitSettings | None = None,
    *,
    target_precision: float = 0.97,
    costs: Costs = NO_COSTS,
    learner: Learner | None = None,
    seen: Collection[str] = (),
    split: TimeSplit | None = None,
) -> Report:
    """Learn from the oldest 80 %, calibrate on the next 10 %, test on the newest 10 %.

    Threads and near-duplicates that cross a border are left out of the later part. `split`:
    another one (`trainer.splits.random_split`). `learner` and `seen` as in `trainer.fit`; mails
    in `seen` are only learnt from. Raises `ModelNotTrainable`, and `ValueError` when the test
    part is empty.
    """
    split = without_seen(split or time_split(examples), seen)
    model = learn_split(
        split,
        label_names,
        settings or FitSettings(),
        target_precision=target_precision,
        costs=costs,
        learner=learner,
    )
    known = [*split.train, *split.calibrate]
    parents = parent_labels([*known, *split.test])[len(known) :]
    predictions = model.predict([one.features for one in split.test], parents)
    return evaluate(predictions, [one.label for one in split.test], model, split.straddling)


def learn_split(
    split: TimeSplit,
    label_names: Mapping[str, str],
    settings: FitSettings,
    *,
    target_precision: float,
    costs: Costs = NO_COSTS,
    learner: Learner | None = None,
) -> MailClassifier:
    """A model of the training part, calibrated on the part after it; the test part is not
    looked at. Raises `ModelNotTrainable`."""
    head = (learner or ridge(settings))(in_time_order(split.train), ())
    goal = Goal(target_precision, {}, settings.thresholds, costs)
    tuned = tune(past_of(head, split.calibrate), head.labels, count_by_label(split.train), goal)
    return head.model(
        LabelSet.of(tuple(head.labels), label_names),
        tuned,
        costs=costs,
        encoder={},
        featurizer_fingerprint="",
        training={},
    )


def without_seen(split: TimeSplit, seen: Collection[str]) -> TimeSplit:
    """Calibrated and tested only on mails that the encoder was not tuned on."""
    if not seen:
        return split
    calibrate = tuple(one for one in split.calibrate if one.key not in seen)
    test = tuple(one for one in split.test if one.key not in seen)
    return TimeSplit(split.train, calibrate, test, split.straddling)


def past_of(head: TrainedHead, examples: Sequence[Example]) -> Past:
    """Predictions of later mails by a head that stays as it is."""
    numbers = {label: position for position, label in enumerate(head.labels)}
    parents = parent_labels([*head.examples, *examples])[len(head.examples) :]
    scores = [head.scores(one.features) for one in examples]
    shape = (len(examples), len(numbers))
    return Past(
        scores=np.array(scores, dtype=np.float32).reshape(shape),
        known=np.ones(shape, dtype=np.bool_),
        truth=np.array([numbers.get(one.label, -1) for one in examples], dtype=np.int64),
        parents=np.array(
            [-1 if label is None else numbers.get(label, -1) for label in parents], dtype=np.int64
        ),
    )
