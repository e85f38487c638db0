"""How good a model would have been on the newest mail, learnt from older mail only.

Mail has to be split by time: a random split lets a thread or a mailing list be known before it
began (Bekkerman, McCallum, Huang, Automatic Categorization of Email into Folders, 2004).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from classifier.costs import NO_COSTS, Costs
from classifier.decision import Prediction
from classifier.labels import LabelSet
from classifier.model import MailClassifier
from trainer.calibration import Past
from trainer.examples import (
    Example,
    TimeSplit,
    in_time_order,
    parent_labels,
    time_split,
)
from trainer.fit import FitSettings, Goal, assemble, count_by_label, tune
from trainer.head import Head
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
) -> Report:
    """Learn from the oldest 80 %, calibrate on the next 10 %, test on the newest 10 %.

    Threads and near-duplicates that cross a border are left out of the later part. Raises
    `ModelNotTrainable`, and `ValueError` when the test part is empty.
    """
    split = time_split(examples)
    model = learn_split(
        split,
        label_names,
        settings or FitSettings(),
        target_precision=target_precision,
        costs=costs,
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
) -> MailClassifier:
    """A model of the training part, calibrated on the part after it; the test part is not
    looked at. Raises `ModelNotTrainable`."""
    head = Head(in_time_order(split.train), settings.ridge_lambda, settings.blocks)
    goal = Goal(target_precision, {}, settings.thresholds, costs)
    tuned = tune(_past(head, split.calibrate), head.labels, count_by_label(split.train), goal)
    return assemble(
        head.weights(),
        LabelSet.of(tuple(head.labels), label_names),
        tuned,
        costs=costs,
        encoder={},
        featurizer_fingerprint="",
        training={},
    )


def _past(head: Head, examples: Sequence[Example]) -> Past:
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
