"""The model: a frozen BERT encoder and a head, of one of two kinds.

    ridge     scores = deep · centred vector + wide · sparse features
    classic   scores = output · dropout(tanh(dense · centred vector)), BERT's pooling layer
    both      logits = scale · scores + bonus of the thread

The first is one linear layer over everything that a mail tells, the second the usual head of a
fine-tuned BERT, over nothing but the encoder's vector. An ordinary transformers model:
configuration in JSON, parameters in safetensors, `forward` returns a `SequenceClassifierOutput`.
The ridge head's weights come from the closed form (`trainer.fit`), the classic one's from gradient
steps (`trainer.classic`); gradients flow through both, so that a fine-tune can reach the encoder
(`trainer.finetune`). The encoder is attached after loading and never saved with the head: it is
hundreds of megabytes, the same for many versions, and named in the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from classifier.calibrate import Calibration
from classifier.costs import Costs
from classifier.decision import Decision, FolderThreshold, Prediction, decide
from classifier.features import Features
from classifier.labels import LabelSet
from classifier.space import BlockWeights, FeatureSpace, Rows

__all__ = [
    "Decision",
    "FeaturizerMismatch",
    "FolderThreshold",
    "MailClassifier",
    "MailClassifierConfig",
    "Prediction",
]


RIDGE, CLASSIC = "ridge", "classic"
"""The kinds of head."""


class FeaturizerMismatch(Exception):
    """The features were made by another encoder or text preparation than the model learnt on."""

    next_step = "Learn again: inboxd learn"


class MailClassifierConfig(PretrainedConfig):  # type: ignore[no-untyped-call]  # transformers
    """All of a model that is not a tensor; plain JSON values only.

    `labels` and `label_names` in the order of the logits; `active_features` is the number of
    sparse features with a weight; `calibration`, `block_weights` and `thresholds` hold the
    fields of `Calibration`, `BlockWeights` and, per label, `FolderThreshold`; `costs` the rows
    of `Costs.to_json` by label; `encoder` describes the encoder that the features came from,
    `training` how the model came about. `head` is "ridge" or "classic"; `dropout` is that of the
    classic head while it learns.
    """

    model_type = "inboxd-mail-classifier"

    def __init__(
        self,
        *,
        labels: Sequence[str] = (),
        label_names: Sequence[str] = (),
        hidden_size: int = 384,
        active_features: int = 0,
        unseen_idf: float = 1.0,
        block_weights: Mapping[str, float] | None = None,
        calibration: Mapping[str, float] | None = None,
        thresholds: Mapping[str, Mapping[str, Any]] | None = None,
        costs: Sequence[Sequence[Any]] = (),
        encoder: Mapping[str, Any] | None = None,
        featurizer_fingerprint: str = "",
        training: Mapping[str, Any] | None = None,
        head: str = RIDGE,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        if head not in {RIDGE, CLASSIC}:
            raise ValueError(f"there is no head called {head!r}")
        self.head = head
        self.dropout = dropout
        self.labels = list(labels)
        self.label_names = list(label_names)
        self.hidden_size = hidden_size
        self.active_features = active_features
        self.unseen_idf = unseen_idf
        self.block_weights = dict(block_weights or asdict(BlockWeights()))
        self.calibration = dict(calibration or asdict(Calibration()))
        self.thresholds = {key: dict(value) for key, value in (thresholds or {}).items()}
        self.costs = [list(row) for row in costs]
        self.encoder = dict(encoder or {})
        self.featurizer_fingerprint = featurizer_fingerprint
        self.training = dict(training or {})
        # transformers keeps its own copy of the label names; ours are the source of both.
        kwargs["id2label"] = dict(enumerate(self.label_names))
        kwargs["label2id"] = {name: index for index, name in enumerate(self.label_names)}
        super().__init__(**kwargs)


class PoolingHead(nn.Module):
    """BertPooler's dense layer and tanh, dropout, and a linear layer on top.

    BertPooler reads the first token's hidden state; this one reads the centred masked mean, since
    that is what is cached. Its components are small (unit length in `hidden` dimensions), so they
    are brought to the size of a hidden state's first.
    """

    def __init__(self, hidden: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, labels)

    def forward(self, centred: Tensor) -> Tensor:
        """[B, hidden] unit vectors → [B, C] scores.

        In units of the calibration's default scale, with which they are the trained logits.
        """
        pooled = torch.tanh(self.dense(centred * centred.shape[1] ** 0.5))  # [B, hidden]
        scores: Tensor = self.output(self.dropout(pooled)) / Calibration().scale
        return scores


class MailClassifier(PreTrainedModel):  # type: ignore[no-untyped-call]  # transformers
    """Encoder and head; see the module's docstring.

    Parameters of the ridge head: `wide_weight` [a, C] for the sparse features, `deep_weight`
    [C, hidden]. Those of the classic head are in `pooling`; its `wide_weight` is empty.
    Buffers: `active` [a] ascending feature keys, `idf` [a], `centre` [hidden].
    """

    config_class = MailClassifierConfig
    base_model_prefix = "encoder"
    main_input_name = "vector"

    active: Tensor
    idf: Tensor
    centre: Tensor

    def __init__(self, config: MailClassifierConfig) -> None:
        super().__init__(config)
        labels, features, hidden = len(config.labels), config.active_features, config.hidden_size
        self.wide_weight = nn.Parameter(torch.zeros(features, labels))
        if config.head == CLASSIC:
            self.pooling = PoolingHead(hidden, labels, config.dropout)
        else:
            self.deep_weight = nn.Parameter(torch.zeros(labels, hidden))
        self.register_buffer("active", torch.zeros(features, dtype=torch.int64))
        self.register_buffer("idf", torch.zeros(features))
        self.register_buffer("centre", torch.zeros(hidden))
        self.label_set = LabelSet(tuple(config.labels), tuple(config.label_names))
        self.calibration = Calibration(**config.calibration)
        self.thresholds = {
            label: FolderThreshold(**fields) for label, fields in config.thresholds.items()
        }
        self.costs = Costs.from_json(config.costs)
        self._space: FeatureSpace | None = None
        self.post_init()  # type: ignore[no-untyped-call]  # transformers

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing to draw: an unfitted ridge head is all zeros, torch drew the classic one."""

    # -- the encoder ---------------------------------------------------------------------

    def attach_encoder(self, module: nn.Module) -> None:
        """Use `module` (a BertModel) in `forward`; its parameters stay out of what is saved."""
        self.encoder = module
        ignored = set(self._keys_to_ignore_on_save or ())
        self._keys_to_ignore_on_save = ignored | {f"encoder.{name}" for name in module.state_dict()}

    def check_featurizer(self, fingerprint: str) -> None:
        """Raise `FeaturizerMismatch` unless features under `fingerprint` suit this model."""
        if fingerprint != self.config.featurizer_fingerprint:
            raise FeaturizerMismatch(
                f"the model was trained on features {self.config.featurizer_fingerprint}, "
                f"but these are {fingerprint}"
            )

    # -- torch ---------------------------------------------------------------------------

    def forward(
        self,
        *,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        vector: Tensor | None = None,
        wide_indices: Tensor | None = None,
        wide_values: Tensor | None = None,
        wide_offsets: Tensor | None = None,
        parent: Tensor | None = None,
        labels: Tensor | None = None,
        label_weights: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Calibrated logits [B, C], and the mean cross-entropy when `labels` [B] are given.

        A label of −1 is none and costs nothing; `label_weights` [B] says how much each counts.

        Either token ids (`input_ids`, `attention_mask` [B, T]; needs the encoder) or encoder
        vectors (`vector` [B, hidden], unit length). The sparse part is a bag: positions in
        `active` (`wide_indices` [nnz]), finished values (`wide_values` [nnz]) and the start of
        each mail (`wide_offsets` [B + 1]). `parent` [B]: position of the folder of the
        thread's parent, −1 for none.
        """
        if vector is None:
            vector = self._encode(input_ids, attention_mask)
        scores = self.meaning_scores(vector)  # [B, C]
        if wide_indices is not None:
            scores = scores + functional.embedding_bag(
                wide_indices,
                self.wide_weight,
                wide_offsets,
                mode="sum",
                per_sample_weights=wide_values,
                include_last_offset=True,
            )
        logits = scores * self.calibration.scale
        if parent is not None:
            here = torch.arange(logits.shape[1], device=logits.device) == parent[:, None]
            logits = logits + here * self.calibration.thread_bonus
        loss = None if labels is None else _loss(logits, labels, label_weights)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def meaning_scores(self, vector: Tensor) -> Tensor:
        """[B, hidden] vectors → [B, C] what the text's meaning alone says, before calibration."""
        centred = functional.normalize(vector - self.centre, dim=1, eps=1e-6)
        if self.config.head == CLASSIC:
            scores: Tensor = self.pooling(centred)
            return scores
        # Of length √weight, as in `FeatureSpace.rows`.
        linear: Tensor = (centred * self.config.block_weights["deep"] ** 0.5) @ self.deep_weight.T
        return linear

    def _encode(self, input_ids: Tensor | None, attention_mask: Tensor | None) -> Tensor:
        """[B, hidden] unit-length masked means, as `classifier.encoder` makes them."""
        if not hasattr(self, "encoder"):
            raise ValueError("token ids need an encoder: call attach_encoder first")
        if input_ids is None or attention_mask is None:
            raise ValueError("forward needs either vector or input_ids and attention_mask")
        hidden: Tensor = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        mask = attention_mask[:, :, None].to(hidden.dtype)  # [B, T, 1]; hidden is [B, T, H]
        mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        unit: Tensor = functional.normalize(mean, dim=1)
        return unit

    # -- serving -------------------------------------------------------------------------

    @property
    def space(self) -> FeatureSpace:
        """The feature space as numpy arrays (built once, views of the buffers)."""
        if self._space is None:
            self._space = FeatureSpace(
                active=self.active.cpu().numpy().astype(np.uint32),
                idf=self.idf.cpu().numpy(),
                unseen_idf=self.config.unseen_idf,
                centre=self.centre.cpu().numpy(),
                weights=BlockWeights(**self.config.block_weights),
            )
        return self._space

    def logits_of(
        self, features: Sequence[Features], parents: Sequence[str | None]
    ) -> np.ndarray[Any, np.dtype[np.float32]]:
        """[n, C] calibrated logits from cached features."""
        with torch.inference_mode():
            output = self(
                **self._bag(self.space.rows(features)),
                vector=self._tensor(np.stack([one.vector for one in features]).astype(np.float32)),
                parent=self._tensor(np.array([self.label_set.index(p) for p in parents])),
            )
        return np.asarray(output.logits.cpu().numpy(), dtype=np.float32)

    def predict(
        self, features: Sequence[Features], parents: Sequence[str | None]
    ) -> list[Prediction]:
        """One prediction per mail.

        `parents`: label of the nearest known ancestor in the mail's thread, or None.
        """
        if len(features) != len(parents):
            raise ValueError("predict needs one parent (or None) per mail")
        if not features:
            return []
        probabilities = self.calibration.probabilities(self.logits_of(features, parents))
        order = np.argsort(-probabilities, axis=1, kind="stable")
        keys = self.label_set.keys
        return [
            Prediction(tuple((keys[c], float(row[c])) for c in ranks))
            for row, ranks in zip(probabilities, order, strict=True)
        ]

    def decide(self, prediction: Prediction) -> Decision:
        """Whether the mail may be moved by itself, by this model's thresholds and costs."""
        return decide(prediction, self.thresholds, self.costs)

    def sentence(self, decision: Decision) -> str:
        """The decision's reason with the names that the user knows."""
        mistake = decision.mistake
        mistaken = None if mistake is None else mistake.label
        return decision.sentence(
            self.label_set.name(decision.label),
            "no known folder" if mistaken is None else self.label_set.name(mistaken),
        )

    def _bag(self, rows: Rows) -> dict[str, Tensor]:
        """The sparse part of rows as `forward` takes it, unknown features left out."""
        known = rows.columns >= 0
        kept = np.concatenate([[0], np.cumsum(known)])[rows.offsets]
        return {
            "wide_indices": self._tensor(rows.columns[known]),
            "wide_values": self._tensor(rows.values[known]),
            "wide_offsets": self._tensor(kept),
        }

    def _tensor(self, array: np.ndarray[Any, Any]) -> Tensor:
        tensor: Tensor = torch.from_numpy(np.ascontiguousarray(array)).to(self.device)
        return tensor


def _loss(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """[B, C], [B], [B] → mean of the weighted cross-entropies; label −1 adds nothing."""
    each = functional.cross_entropy(logits.float(), labels, reduction="none", ignore_index=-1)
    return (each if weights is None else each * weights).mean()
