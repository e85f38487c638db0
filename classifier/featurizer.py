"""Mails in, `Features` out: text preparation, encoder and lexical features together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from classifier.features import FEATURES_VERSION, Features, lexical
from classifier.mail import Mail
from classifier.text import TEXT_VERSION, prepare

Progress = Callable[[int], None]


class TextEncoder(Protocol):
    """What turns texts into vectors; `classifier.encoder.Encoder` is one."""

    @property
    def fingerprint(self) -> str:
        """A stable id: texts encoded under the same one have the same vectors."""
        ...

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """Unit vectors, float32 [len(texts), hidden]; `progress` is told how many are done."""
        ...


class Featurizer:
    """Makes the features of mails, the same for serving and for training."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder

    @property
    def fingerprint(self) -> str:
        """Features are comparable (and may be cached) only under the same fingerprint."""
        return f"{self._encoder.fingerprint}+{TEXT_VERSION}+{FEATURES_VERSION}"

    def features(self, mails: Sequence[Mail], progress: Progress | None = None) -> list[Features]:
        """The features of each mail, in the order of `mails`.

        The encoder takes nearly all of the time, so `progress` is the encoder's.
        """
        if not mails:
            return []
        texts = [prepare(mail) for mail in mails]
        vectors = self._encoder.encode([text.encoder_text for text in texts], progress)
        return [
            Features(vector.astype(np.float16), *lexical(mail, text))
            for mail, text, vector in zip(mails, texts, vectors, strict=True)
        ]
