"""The featurizer joins text preparation, encoder and lexical features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from classifier.features import FEATURES_VERSION, lexical
from classifier.featurizer import Featurizer, Progress
from classifier.mail import Mail
from classifier.text import TEXT_VERSION, prepare

MAILS = [Mail(subject="Miete", plain="Die Miete steigt."), Mail(), Mail(subject="Urlaub")]


class LengthEncoder:
    """An encoder whose vector points in a direction given by the length of the text."""

    fingerprint = "length"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        self.seen += texts
        if progress is not None:
            progress(len(texts))
        angles = np.array([len(text) for text in texts], dtype=np.float32)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_each_mail_has_its_own_vector_and_counts() -> None:
    """In the order of the mails, with the text that prepare() makes."""
    encoder = LengthEncoder()
    features = Featurizer(encoder).features(MAILS)
    assert encoder.seen == [prepare(mail).encoder_text for mail in MAILS]
    for mail, made in zip(MAILS, features, strict=True):
        indices, values = lexical(mail, prepare(mail))
        assert made.vector.dtype == np.float16
        assert np.allclose(np.linalg.norm(made.vector.astype(np.float32)), 1, atol=1e-3)
        assert np.array_equal(made.indices, indices)
        assert np.array_equal(made.values, values)


def test_the_encoder_reports_progress() -> None:
    """The caller hears from the slow part."""
    reported: list[int] = []
    Featurizer(LengthEncoder()).features(MAILS, reported.append)
    assert reported == [3]


def test_no_mail_needs_no_encoder() -> None:
    """An empty batch is answered without a call."""
    encoder = LengthEncoder()
    assert Featurizer(encoder).features([]) == []
    assert encoder.seen == []


def test_the_fingerprint_names_all_that_shapes_features() -> None:
    """Cached features are found again only if encoder, text and features are unchanged."""
    fingerprint = Featurizer(LengthEncoder()).fingerprint
    assert fingerprint.split("+") == ["length", TEXT_VERSION, FEATURES_VERSION]
