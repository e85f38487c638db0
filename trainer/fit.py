"""Examples in, a fitted and calibrated model out, with honest figures about it.

One factorisation gives everything: the weights, the prediction of every mail from the mails
before it (which calibrate the probabilities and earn each folder its threshold), and the
prediction of every mail from all others (which the gate compares models by).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch

from classifier.costs import NO_COSTS, Costs
from classifier.features import Features
from classifier.labels import LabelSet
from classifier.model import MailClassifier, MailClassifierConfig
from classifier.space import BlockWeights, FeatureSpace
from trainer.calibration import Past
from trainer.curves import Curves
from trainer.descriptions import blocks_for
from trainer.divided import DividedHead, made_one_by_one, parts_needed
from trainer.examples import Example, newest_per_key, select
from trainer.head import Head, HeadWeights, check_trainable
from trainer.heads import Learner
from trainer.report import (
    FitReport,
    HeldOut,
    LabelReport,
    fit_report,
    held_out_from_json,
    held_out_to_json,
)
from trainer.thresholds import ThresholdSettings
from trainer.tune import (
    Goal,
    Tuned,
    count_by_label,
    honest_positions,
    outcomes_of,
    recent_mails,
    tune,
)

__all__ = [
    "FitReport",
    "FitSettings",
    "Fitted",
    "Goal",
    "HeldOut",
    "LabelReport",
    "Tuned",
    "assemble",
    "count_by_label",
    "fit",
    "held_out_from_json",
    "held_out_to_json",
    "outcomes_of",
    "recent_mails",
    "ridge",
    "tune",
]


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How the head learns. The defaults were chosen by replaying real mailboxes.

    `ridge_lambda`: strength of the regularisation; flat between 0.01 and 0.1.
    `max_examples`: more are thinned out, newest and balanced over the labels first.
    `exact_up_to`: one factorisation needs n² floats of memory and n³/3 operations, 144 MB and
    about 2 s at 6,000; more examples are dealt out to parts of about `part_size`, see
    `trainer.divided`.
    `rare_words_up_to`: from more mails on, words and character n-grams of a single mail get no
    weight, which makes the model a third of the size. On one mailbox, predicting the next 500
    mails, 148 instead of 142 went wrong after 500 mails, 105 instead of 100 after 1,000, and
    97 instead of 98 after 1,500.
    `calibration_window`: how many of the last past predictions calibrate and set thresholds.
    `held_out`: how many of the newest leave-one-out predictions are kept for the gate.
    """

    ridge_lambda: float = 0.03
    blocks: BlockWeights = field(default_factory=BlockWeights)
    max_examples: int = 20_000
    exact_up_to: int = 6000
    part_size: int = 5000
    rare_words_up_to: int = 1500
    calibration_window: int = 800
    held_out: int = 1000
    thresholds: ThresholdSettings = field(default_factory=ThresholdSettings)

    @property
    def recent(self) -> int:
        """Of so many of the newest mails honest predictions are wanted."""
        return max(self.calibration_window, self.held_out)


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The model and what is known about it. `past` holds the prequential predictions of
    `examples` (time order), for whoever wants other figures. `curves`: how a head learnt that
    learns in steps."""

    model: MailClassifier
    report: FitReport
    examples: tuple[Example, ...]
    past: Past
    curves: Curves | None = None


def fit(
    examples: Sequence[Example],
    label_names: Mapping[str, str],
    settings: FitSettings | None = None,
    *,
    featurizer_fingerprint: str,
    target_precision: float = 0.97,
    folder_targets: Mapping[str, float] | None = None,
    costs: Costs = NO_COSTS,
    encoder: Mapping[str, Any] | None = None,
    background: Sequence[Features] = (),
    learner: Learner | None = None,
    seen: Collection[str] = (),
) -> Fitted:
    """Learn from `examples` (any order; of several with the same key the last one given).

    `folder_targets` overrides the target precision of single labels; `costs` (by label) makes
    single mistakes dearer. `encoder` describes the
    encoder behind the features (`Encoder.describe()`), for the model's configuration.
    `background`: mail that nobody has filed; only its document frequencies and centre are used.
    `learner`: the kind of head, by default the ridge head. `seen`: keys of mails that the
    encoder itself was tuned on; they are learnt, but no prediction of them is honest, so they
    neither calibrate nor earn thresholds nor stand before the gate.
    Raises `ModelNotTrainable` with fewer than two labels.
    """
    started = time.perf_counter()
    chosen = settings or FitSettings()
    unique = newest_per_key(examples)
    check_trainable(unique)
    learnt = select(unique, chosen.max_examples)
    head = (learner or ridge(chosen))(learnt, background)
    past = head.prequential()
    window = honest_positions(learnt, past, chosen.calibration_window, seen)
    goal = Goal(target_precision, dict(folder_targets or {}), chosen.thresholds, costs)
    tuned = tune(past[window], head.labels, count_by_label(learnt), goal)
    model = head.model(
        LabelSet.of(tuple(head.labels), label_names),
        tuned,
        costs=costs,
        encoder=encoder or {},
        featurizer_fingerprint=featurizer_fingerprint,
        training={"examples": len(learnt), "target_precision": target_precision},
    )
    report = fit_report(
        head,
        past,
        goal,
        tuned,
        window=chosen.calibration_window,
        held_out=chosen.held_out,
        left_out=len(unique) - len(learnt),
        seen=seen,
    )
    seconds = time.perf_counter() - started
    return Fitted(model, replace(report, seconds=seconds), tuple(learnt), past, head.curves)


class _Ridge:
    """What makes a head in closed form servable (`trainer.heads.TrainedHead`)."""

    curves = None
    rare_words = True

    weights: Callable[..., HeadWeights]

    def model(self, labels: LabelSet, tuned: Tuned, **facts: Any) -> MailClassifier:
        """Its primal form."""
        return assemble(self.weights(rare_words=self.rare_words), labels, tuned, **facts)


class RidgeTrained(_Ridge, Head):
    """The exact ridge head."""


class DividedTrained(_Ridge, DividedHead):
    """The average of several, where there are too many examples for one."""


def ridge(settings: FitSettings) -> Learner:
    """The ridge head in closed form."""

    def learn(
        examples: Sequence[Example], background: Sequence[Features]
    ) -> RidgeTrained | DividedTrained:
        known = [*(one.features for one in examples), *background]
        space = FeatureSpace.learn(known, blocks_for(examples, settings.blocks))
        head: RidgeTrained | DividedTrained
        if len(examples) <= settings.exact_up_to:
            head = RidgeTrained(examples, settings.ridge_lambda, space=space)
        else:
            count = parts_needed(examples, settings.part_size)
            parts = made_one_by_one(examples, settings.ridge_lambda, space, count)
            head = DividedTrained(examples, space, parts, recent=settings.recent)
        head.rare_words = len(examples) <= settings.rare_words_up_to
        return head

    return learn


def assemble(
    weights: HeadWeights,
    labels: LabelSet,
    tuned: Tuned,
    *,
    costs: Costs = NO_COSTS,
    encoder: Mapping[str, Any],
    featurizer_fingerprint: str,
    training: Mapping[str, Any],
) -> MailClassifier:
    """The servable model. Wide weights are rounded to half precision, as they are stored."""
    space = weights.space
    config = MailClassifierConfig(
        labels=labels.keys,
        label_names=labels.names,
        hidden_size=len(space.centre),
        active_features=len(space.active),
        unseen_idf=space.unseen_idf,
        block_weights=asdict(space.weights),
        calibration=asdict(tuned.calibration),
        thresholds={label: asdict(limit) for label, limit in tuned.thresholds.items()},
        costs=costs.to_json(),
        encoder=encoder,
        featurizer_fingerprint=featurizer_fingerprint,
        training=training,
    )
    model = MailClassifier(config)
    model.load_state_dict(
        {
            "wide_weight": torch.from_numpy(weights.wide).half().float(),
            "deep_weight": torch.from_numpy(weights.deep),
            "active": torch.from_numpy(space.active.astype(np.int64)),
            "idf": torch.from_numpy(space.idf),
            "centre": torch.from_numpy(space.centre),
        }
    )
    model.train(mode=False)
    return model
