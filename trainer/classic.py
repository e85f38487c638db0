"""The classic head: BERT's pooling layer, dropout and a linear layer, trained by AdamW.

What one gets who fine-tunes a BERT with its body frozen. It reads the encoder's cached vector and
nothing else; whether that is enough the gate decides, as for every candidate.

A head that learns in steps has no closed form for what it would have said about its own training
mail. So its honest predictions are made by training again on less: for the calibration in time
order, each block of mails from the mails before it; for the gate, each fifth from the other four.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from classifier.costs import NO_COSTS, Costs
from classifier.features import Features
from classifier.labels import LabelSet
from classifier.model import CLASSIC, MailClassifier, MailClassifierConfig
from trainer.calibration import Past
from trainer.curves import CurvePoint, Curves
from trainer.examples import Example, parent_labels, time_split
from trainer.head import check_trainable
from trainer.heads import Learner
from trainer.steps import ClassicSettings, class_weights
from trainer.tune import Tuned

Floats = npt.NDArray[np.float32]
FIRST_BLOCK = 16
"""Mails before the first prediction in time order."""
BLOCK_SHARE = 0.25
"""Each block is this share of all before it: the whole history costs five trainings."""
FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Mails:
    """n mails as tensors: vectors [n, hidden], labels and weights [n]."""

    vectors: Tensor
    labels: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Tensor) -> Mails:
        return Mails(self.vectors[rows], self.labels[rows], self.weights[rows])


# -- the training loop ----------------------------------------------------------------------------


def train(
    model: MailClassifier,
    mails: Mails,
    settings: ClassicSettings,
    *,
    epochs: int,
    validation: Mails | None = None,
) -> list[CurvePoint]:
    """Train `model` in place; with `validation`, until its loss has stopped falling.

    The same seed gives the same weights. The learning rate is that of a run of
    `settings.epochs`, also when fewer are made.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    optimizer = torch.optim.AdamW(_decayed(model, settings.weight_decay), lr=settings.learning_rate)
    steps = -(-len(mails) // settings.batch_size)  # per epoch
    scheduler = LambdaLR(optimizer, _linear(steps * settings.epochs, settings.warm_up))
    points: list[CurvePoint] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)  # dropout draws from the global generator
        for epoch in range(1, epochs + 1):
            model.train()
            losses = []
            order = torch.randperm(len(mails), generator=generator)  # anew in every epoch
            for rows in torch.split(order, settings.batch_size):
                batch = mails[rows]
                output = model(
                    vector=batch.vectors,  # [B, hidden]
                    labels=batch.labels,  # [B]
                    label_weights=batch.weights,  # [B]
                )
                optimizer.zero_grad()
                output.loss.backward()
                optimizer.step()
                scheduler.step()
                losses.append(output.loss.item() * len(rows))
            model.train(mode=False)
            if validation is not None:
                points.append(_look(model, validation, epoch, sum(losses) / len(mails)))
                if _has_stopped(points, settings.patience):
                    break
    return points


def _look(model: MailClassifier, mails: Mails, epoch: int, training_loss: float) -> CurvePoint:
    with torch.inference_mode():
        output = model(vector=mails.vectors, labels=mails.labels, label_weights=mails.weights)
    right = (output.logits.argmax(dim=1) == mails.labels).float().mean()
    return CurvePoint(float(epoch), training_loss, float(output.loss), float(right))


def _has_stopped(points: Sequence[CurvePoint], patience: int) -> bool:
    best = min(range(len(points)), key=lambda at: points[at].validation_loss)
    return len(points) - 1 - best >= patience


def _decayed(model: MailClassifier, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay for the matrices; biases are not held back (as in BERT)."""
    parameters = [p for p in model.pooling.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _linear(total: int, warm_up: float) -> Any:
    """Factor of the learning rate by step: up to 1 in the first `warm_up` share, then to 0."""
    rising = max(1, round(total * warm_up))

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return max(0.0, (total - step) / max(1, total - rising))

    return factor


# -- examples in, a head out ----------------------------------------------------------------------


class ClassicTrained:
    """A trained classic head, and what it would have said about its own training mail."""

    def __init__(self, examples: Sequence[Example], settings: ClassicSettings) -> None:
        """Learn `examples`, which must be in time order. Raises `ModelNotTrainable`."""
        check_trainable(examples)
        self.examples = list(examples)
        self.labels = list(dict.fromkeys(one.label for one in examples))
        self._settings = settings
        self._numbers = {label: number for number, label in enumerate(self.labels)}
        vectors = np.stack([one.features.vector for one in examples]).astype(np.float32)
        self._vectors = torch.from_numpy(vectors)  # [n, hidden]
        self._classes = torch.tensor([self._numbers[one.label] for one in examples])
        self._weights = torch.tensor([one.weight for one in examples], dtype=torch.float32)
        self.curves = self._curves()
        self._epochs = int(self.curves.best.epoch) if self.curves.points else settings.epochs
        self._network = self._trained(torch.arange(len(examples)))

    def scores(self, features: Features) -> Floats:
        """[C] scores of one new mail."""
        vector = torch.from_numpy(features.vector.astype(np.float32))[None, :]
        return np.asarray(_scores(self._network, vector)[0])

    def prequential(self) -> Past:
        """Every block of mails as predicted from the earlier ones only; the first is not."""
        parts = [(torch.arange(start), torch.arange(start, end)) for start, end in self._blocks()]
        return self._past(parts)

    def leave_one_out(self, newest: int | None = None) -> Past:
        """The `newest` (all) mails, each as predicted from the four fifths that it is not in."""
        fold = torch.arange(len(self.examples)) % FOLDS
        rows = torch.arange(len(self.examples))
        past = self._past([(rows[fold != k], rows[fold == k]) for k in range(FOLDS)])
        return past if newest is None else past[slice(len(past) - newest, None)]

    def model(
        self,
        labels: LabelSet,
        tuned: Tuned,
        *,
        training: Mapping[str, Any] | None = None,
        costs: Costs = NO_COSTS,
        **facts: Any,
    ) -> MailClassifier:
        """The servable model; `facts` as in `trainer.fit.assemble`."""
        config = MailClassifierConfig(
            labels=labels.keys,
            label_names=labels.names,
            hidden_size=self._vectors.shape[1],
            head=CLASSIC,
            dropout=self._settings.dropout,
            costs=costs.to_json(),
            training={**(training or {}), "classic": asdict(self._settings)},
            calibration=asdict(tuned.calibration),
            thresholds={label: asdict(limit) for label, limit in tuned.thresholds.items()},
            **facts,
        )
        model = MailClassifier(config)
        model.load_state_dict(self._network.state_dict())
        model.train(mode=False)
        return model

    def _curves(self) -> Curves:
        """A run on the oldest nine tenths, validated on the newest tenth.

        What of the newest tenth belongs to a thread or text known before is learnt from.
        """
        held_back = {one.key for one in time_split(self.examples, 0.9, 0.1).calibrate}
        later = torch.tensor([one.key in held_back for one in self.examples])
        rows = torch.arange(len(self.examples))
        if not held_back or len(set(self._classes[~later].tolist())) < 2:
            return Curves(())
        mails = self._mails(rows[~later])
        network = self._network_of(rows[~later])
        validation = self._mails(rows[later], like=rows[~later])
        points = train(
            network, mails, self._settings, epochs=self._settings.epochs, validation=validation
        )
        return Curves(tuple(points))

    def _trained(self, rows: Tensor) -> MailClassifier:
        network = self._network_of(rows)
        train(network, self._mails(rows), self._settings, epochs=self._epochs)
        return network

    def _network_of(self, rows: Tensor) -> MailClassifier:
        """An untrained network, centred on `rows`; the same seed draws the same weights."""
        config = MailClassifierConfig(
            labels=self.labels,
            label_names=self.labels,
            hidden_size=self._vectors.shape[1],
            head=CLASSIC,
            dropout=self._settings.dropout,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._settings.seed)
            network = MailClassifier(config)
        network.centre.copy_(self._vectors[rows].mean(dim=0))
        return network

    def _mails(self, rows: Tensor, like: Tensor | None = None) -> Mails:
        """The mails at `rows`, weighted against the imbalance among `like` (default: `rows`)."""
        known = self._classes[rows if like is None else like].tolist()
        balance = class_weights(known, len(self.labels), self._settings.balance)
        weights = torch.tensor(balance)[self._classes[rows]] * self._weights[rows]
        return Mails(self._vectors[rows], self._classes[rows], weights)

    def _blocks(self) -> Iterator[tuple[int, int]]:
        start, total = min(FIRST_BLOCK, len(self.examples) // 2), len(self.examples)
        while 0 < start < total:
            end = min(total, start + max(FIRST_BLOCK, round(start * BLOCK_SHARE)))
            if len(set(self._classes[:start].tolist())) > 1:
                yield start, end
            start = end

    def _past(self, parts: Sequence[tuple[Tensor, Tensor]]) -> Past:
        """Predictions of the second rows of each pair by a network of the first ones."""
        shape = (len(self.examples), len(self.labels))
        scores, known = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
        for learnt, asked in parts:
            scores[asked.numpy()] = _scores(self._trained(learnt), self._vectors[asked])
            known[np.ix_(asked.numpy(), np.unique(self._classes[learnt].numpy()))] = True
        parents = [
            -1 if label is None else self._numbers[label] for label in parent_labels(self.examples)
        ]
        truth = self._classes.numpy().astype(np.int64)
        return Past(scores, known, truth, np.array(parents, dtype=np.int64))


def _scores(network: MailClassifier, vectors: Tensor) -> Floats:
    """[n, hidden] → [n, C]"""
    with torch.inference_mode():
        return np.asarray(network.meaning_scores(vectors).numpy(), dtype=np.float32)


def classic(settings: ClassicSettings) -> Learner:
    """The classic head. Mail that nobody has filed is of no use to it."""

    def learn(examples: Sequence[Example], _background: Sequence[Features]) -> ClassicTrained:
        return ClassicTrained(examples, settings)

    return learn
