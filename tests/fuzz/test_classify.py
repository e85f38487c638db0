"""The last step: every odd message through a real (tiny) encoder and a fitted head."""

from __future__ import annotations

import numpy as np
import pytest

from classifier.encoder import load_encoder
from classifier.featurizer import Featurizer
from classifier.mail import Mail
from classifier.model import MailClassifier
from daemon.mail.parse import parse
from tests.classifier.models import examples, mail_about
from tests.fuzz.corpus import torture_messages
from tests.fuzz.mails import ODD
from tests.support.tiny_bert import tiny_bert_directory
from trainer.examples import Example
from trainer.fit import fit

BATCH = 64


@pytest.fixture(scope="module")
def featurizer(tmp_path_factory: pytest.TempPathFactory) -> Featurizer:
    """A tiny but real BERT and the features that go with it."""
    path = tmp_path_factory.mktemp("encoder")
    return Featurizer(load_encoder(str(tiny_bert_directory(path / "tiny")), path / "cache", "cpu"))


@pytest.fixture(scope="module")
def model(featurizer: Featurizer) -> MailClassifier:
    """Fitted on ninety mails in three folders, as this encoder reads them."""
    known = examples()
    found = featurizer.features([mail_about(e.label, n) for n, e in enumerate(known)])
    read = [
        Example(key=e.key, label=e.label, features=f, date=e.date, message_id=e.message_id)
        for e, f in zip(known, found, strict=True)
    ]
    names = {"bills": "Rechnungen", "travel": "Reisen", "lists": "Listen"}
    return fit(read, names, featurizer_fingerprint=featurizer.fingerprint).model


def classified(mails: list[Mail], featurizer: Featurizer, model: MailClassifier) -> int:
    """How many got probabilities that are some, from each a decision with a sentence."""
    count = 0
    for start in range(0, len(mails), BATCH):
        features = featurizer.features(mails[start : start + BATCH])
        for prediction in model.predict(features, [None] * len(features)):
            chances = np.array([chance for _, chance in prediction.ranked])
            assert np.isfinite(chances).all()
            assert 0.0 <= chances.min() <= chances.sum() <= 1.001
            assert model.sentence(model.decide(prediction))
            count += 1
    return count


def test_every_odd_message_is_classified(featurizer: Featurizer, model: MailClassifier) -> None:
    """Our own, among them one of nothing at all."""
    mails = [parse(content) for content, _ in ODD.values()]
    assert classified(mails, featurizer, model) == len(ODD)


def test_every_torture_message_is_classified(featurizer: Featurizer, model: MailClassifier) -> None:
    """Those of the mail libraries, where they are at hand."""
    corpus = torture_messages()
    if not corpus:
        pytest.skip("no torture messages: set INBOXD_TORTURE_MESSAGES to their directory")
    mails = [parse(content) for content in corpus.values()]
    assert classified(mails, featurizer, model) == len(corpus) > 600


def test_the_encoder_is_part_of_it(featurizer: Featurizer) -> None:
    """Odd messages do not all get the same vector."""
    contents = [content for content, _ in ODD.values()][:10]
    vectors = {f.vector.tobytes() for f in featurizer.features([parse(c) for c in contents])}
    assert len(vectors) > 5
