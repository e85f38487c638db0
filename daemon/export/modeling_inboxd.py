"""An exported model: encoder, head, and the reading of messages, in one class."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from transformers import AutoConfig, AutoModel, PreTrainedModel, PreTrainedTokenizerBase

from classifier.encoder.encode import Encoder
from classifier.features import Features
from classifier.featurizer import Featurizer
from classifier.model import MailClassifier
from daemon.export.configuration_inboxd import InboxdConfig
from daemon.mail.parse import parse


class InboxdForMail(MailClassifier):
    """A `MailClassifier` that brings its encoder with it. `forward` takes token ids or encoder
    vectors, see there; `classify` takes messages."""

    config_class = InboxdConfig

    def __init__(self, config: InboxdConfig) -> None:
        super().__init__(config)
        encoder = AutoConfig.for_model(**config.encoder_config)
        make = AutoModel.from_config
        module = make(encoder, add_pooling_layer=False)  # type: ignore[no-untyped-call]
        self.encoder: PreTrainedModel = module
        self.post_init()  # type: ignore[no-untyped-call]  # transformers; again, for the encoder

    def bag(self, features: Sequence[Features]) -> dict[str, Tensor]:
        """The sparse inputs of `forward`, from features whose vector does not matter."""
        return self._bag(self.space.rows(features))

    def classify(
        self,
        messages: Sequence[bytes],
        tokenizer: PreTrainedTokenizerBase,
        parents: Sequence[str | None] | None = None,
    ) -> list[list[tuple[str, float]]]:
        """For each message (the bytes of an .eml file) its folders with probabilities, best
        first; what is missing to 1 is "none of these".

        `parents`: the label of the folder in which the message that it answers lies, or None.
        """
        encoder = Encoder(
            self.encoder,
            tokenizer,
            source="exported",
            prefix=self.config.prefix,
            max_tokens=self.config.max_tokens,
            fingerprint=self.config.featurizer_fingerprint,
        )
        features = Featurizer(encoder).features([parse(message) for message in messages])
        predictions = self.predict(features, parents or [None] * len(messages))
        return [
            [(self.label_set.name(label), probability) for label, probability in one.ranked]
            for one in predictions
        ]
