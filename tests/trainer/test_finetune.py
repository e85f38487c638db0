"""The deep fine-tune itself, without process and mailbox."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from classifier.encoder import Encoder, load_encoder
from classifier.encoder.adapter import adapted, load_adapter, save_adapter
from classifier.encoder.words import StoredEmbedding
from tests.support.stored_precision import rewrite
from tests.support.tiny_bert import tiny_bert_directory
from trainer.finetune import TextExample, Tuned, finetune
from trainer.steps import DeepSettings

SETTINGS = DeepSettings(
    rank=2, layers=2, epochs=2, looks_per_epoch=1, batch_size=4, max_tokens=16, learning_rate=0.01
)
TOPICS = ("invoice payment due bank account", "flight hotel booking travel ticket")


def load(directory: Path) -> Encoder:
    """The encoder in `directory`, in float32 as a fine-tune needs it."""
    return load_encoder(str(directory), directory / "cache", "cpu", precision="float32")


def tune(source: Path, directory: Path) -> Tuned:
    """A short fine-tune on two topics."""
    encoder = load(source)
    texts = [f"{TOPICS[number % 2]} {number}" for number in range(16)]
    examples = [
        TextExample(text, number % 2, vector)
        for number, (text, vector) in enumerate(zip(texts, encoder.encode(texts), strict=True))
    ]
    return finetune(encoder, examples[:12], examples[12:], SETTINGS, directory)


def test_word_embeddings_in_half_precision_are_tuned_above_alike(tmp_path: Path) -> None:
    """The same numbers in a file of float16 and of float32: the same adapter, which then loads
    and changes the vectors of both alike."""
    short = rewrite(tiny_bert_directory(tmp_path / "short"), torch.float16)
    long = rewrite(tiny_bert_directory(tmp_path / "long"), torch.float16, torch.float32)
    found, expected = tune(short, tmp_path / "first"), tune(long, tmp_path / "second")

    assert found.steps == expected.steps > 0
    assert found.trainable == expected.trainable
    assert found.tensors.keys() == expected.tensors.keys()
    for name, tensor in found.tensors.items():
        assert torch.equal(tensor, expected.tensors[name]), name
    assert any(bool(t.any()) for name, t in found.tensors.items() if "lora_B" in name)

    vectors = []
    for encoder in (load(short), load(long)):
        target = tmp_path / encoder.fingerprint
        save_adapter(target, found.tensors, found.config, base=encoder.fingerprint, manifest={})
        tuned = adapted(encoder, load_adapter(target))
        vectors.append(tuned.encode(TOPICS))
        assert np.abs(vectors[-1] - encoder.encode(TOPICS)).max() > 1e-3
    assert isinstance(load(short).module.get_input_embeddings(), StoredEmbedding)
    np.testing.assert_array_equal(vectors[0], vectors[1])
