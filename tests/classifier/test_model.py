"""The model as a transformers model and as what the daemon asks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel

from classifier.features import Features
from classifier.model import FeaturizerMismatch, MailClassifier, MailClassifierConfig
from tests.classifier.models import FINGERPRINT, HIDDEN, features_of, mail_about, small_model


@pytest.fixture(scope="module")
def model() -> MailClassifier:
    return small_model()


def tiny_encoder() -> BertModel:
    """An untrained BERT with the hidden size of the made-up vectors."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_size=HIDDEN,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
    )
    module = BertModel(config)
    module.train(mode=False)
    return module


def new_mails(size: int) -> list[tuple[str, Features]]:
    """Topic and features of mails that the model has not seen."""
    found = []
    for number in range(500, 500 + size):
        topic = ("bills", "travel", "lists")[number % 3]
        found.append((topic, features_of(mail_about(topic, number), topic, number)))
    return found


def test_predictions_rank_all_labels_by_probability(model: MailClassifier) -> None:
    """Right, sorted, and never more than 100 % together."""
    mails = new_mails(30)
    predictions = model.predict([content for _, content in mails], [None] * 30)
    for (topic, _), prediction in zip(mails, predictions, strict=True):
        shares = [share for _, share in prediction.ranked]
        assert prediction.label == topic
        assert {label for label, _ in prediction.ranked} == {"bills", "travel", "lists"}
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1.0 + 1e-5


def test_a_batch_says_the_same_as_single_mails(model: MailClassifier) -> None:
    """No prediction depends on its neighbours."""
    contents = [content for _, content in new_mails(7)]
    parents = ["bills", None, "travel", "unknown", None, "lists", None]
    batch = model.predict(contents, parents)
    for one, parent, expected in zip(contents, parents, batch, strict=True):
        found = model.predict([one], [parent])[0]
        assert found.label == expected.label
        assert found.probability == pytest.approx(expected.probability, abs=1e-5)


def test_parent_speaks_for_its_folder_and_unknown_parents_for_none(
    model: MailClassifier,
) -> None:
    """The bonus raises the parent's folder only."""
    content = new_mails(1)[0][1]
    shares = {
        parent: dict(model.predict([content], [parent])[0].ranked)
        for parent in (None, "travel", "elsewhere")
    }
    assert shares["travel"]["travel"] > shares[None]["travel"]
    assert shares["elsewhere"] == shares[None]


def test_no_mails_give_no_predictions(model: MailClassifier) -> None:
    """And lists of different length are a mistake of the caller."""
    assert model.predict([], []) == []
    with pytest.raises(ValueError, match="one parent"):
        model.predict([new_mails(1)[0][1]], [])


def test_a_mail_of_unknown_features_only_is_predicted_modestly(model: MailClassifier) -> None:
    """Nothing known of it: no error, and no certainty."""
    strange = Features(
        np.full(HIDDEN, HIDDEN**-0.5, dtype=np.float16),
        np.array([123_456, 2**31 + 5], dtype=np.uint32),
        np.ones(2, dtype=np.float32),
    )
    prediction = model.predict([strange], [None])[0]
    assert prediction.probability < 0.7


def test_forward_gives_logits_and_loss(model: MailClassifier) -> None:
    """An ordinary transformers output, and a loss that falls for the right labels."""
    mails = new_mails(6)
    vector = torch.stack([torch.from_numpy(content.vector).float() for _, content in mails])
    right = torch.tensor([model.label_set.index(topic) for topic, _ in mails])
    output = model(vector=vector, labels=right)
    assert output.logits.shape == (6, 3)
    assert output.loss < model(vector=vector, labels=(right + 1) % 3).loss


def test_gradients_reach_the_encoder_through_the_head(model: MailClassifier) -> None:
    """What a fine-tune of the upper layers needs."""
    tuned = small_model()
    encoder = tiny_encoder()
    tuned.attach_encoder(encoder)
    ids = torch.randint(5, 50, (3, 9))
    output = tuned(
        input_ids=ids, attention_mask=torch.ones_like(ids), labels=torch.tensor([0, 1, 2])
    )
    output.loss.backward()
    moved = [one.grad for one in encoder.parameters() if one.grad is not None]
    assert sum(float(gradient.abs().sum()) for gradient in moved) > 0.0


def test_token_ids_and_their_vector_give_the_same_logits() -> None:
    """Pooling in forward: masked mean, unit length; padding changes nothing."""
    model = small_model()
    encoder = tiny_encoder()
    model.attach_encoder(encoder)
    ids = torch.randint(5, 50, (1, 9))
    mask = torch.tensor([[1, 1, 1, 1, 1, 1, 0, 0, 0]])
    with torch.inference_mode():
        hidden = encoder(input_ids=ids[:, :6], attention_mask=mask[:, :6])[0]
        vector = nn.functional.normalize(hidden.mean(dim=1), dim=1)
        expected = model(vector=vector).logits
        found = model(input_ids=ids, attention_mask=mask).logits
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_token_ids_without_an_encoder_are_refused(model: MailClassifier) -> None:
    """With a sentence that says what to do."""
    ids = torch.zeros((1, 3), dtype=torch.int64)
    with pytest.raises(ValueError, match="attach_encoder"):
        model(input_ids=ids, attention_mask=torch.ones_like(ids))


def test_save_pretrained_leaves_the_encoder_out_and_loads_again(tmp_path: Path) -> None:
    """The transformers way of saving works too, and stays small."""
    model = small_model()
    contents = [content for _, content in new_mails(5)]
    expected = model.predict(contents, [None] * 5)
    model.attach_encoder(tiny_encoder())
    model.save_pretrained(tmp_path)
    again = MailClassifier.from_pretrained(tmp_path, local_files_only=True)
    assert not hasattr(again, "encoder")
    assert again.predict(contents, [None] * 5) == expected
    assert again.thresholds == model.thresholds


def test_features_of_another_encoder_are_refused(model: MailClassifier) -> None:
    """Vectors of another encoder would give nonsense without an error."""
    model.check_featurizer(FINGERPRINT)
    with pytest.raises(FeaturizerMismatch, match="other-encoder"):
        model.check_featurizer("other-encoder")


def test_config_survives_json(model: MailClassifier) -> None:
    """Labels with any characters, thresholds of None, all of it."""
    again = MailClassifierConfig.from_dict(model.config.to_dict())
    assert MailClassifier(again).thresholds == model.thresholds
    assert again.labels == model.config.labels
    assert again.label_names == ["Rechnungen", "Reisen", "Listen"]
    assert again.num_labels == 3
