"""Texts in, vectors out: order, batches, pooling, threads."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file, save_file

from classifier.encoder import Encoder, load_encoder
from classifier.encoder.encode import plan_batches
from tests.support.stored_precision import rewrite
from tests.support.tiny_bert import HIDDEN_SIZE, tiny_bert_directory

Load = Callable[..., Encoder]

TEXTS = [
    "Rechnung",
    "Your invoice for March is attached, please pay the amount until Friday. " * 6,
    "",
    "Liebe Eltern, der Ausflug der Klasse ist am Mittwoch.",
    "Grüße",
    "Meeting agenda and minutes " * 15,
]


def test_vectors_are_unit_length_float32_in_the_order_of_the_texts(load_tiny: Load) -> None:
    """Row i belongs to text i although batches are sorted by length."""
    encoder = load_tiny()
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), HIDDEN_SIZE) == (len(TEXTS), encoder.hidden_size)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(vectors, alone, atol=1e-4)


@pytest.mark.parametrize("tokens_per_batch", [1, 40, 300, 100_000])
def test_the_company_in_a_batch_does_not_change_a_vector(
    load_tiny: Load, tokens_per_batch: int
) -> None:
    """Padding and neighbours leave no trace, however large the batches are."""
    encoder = load_tiny()
    expected = encoder.encode(TEXTS)
    encoder.tokens_per_batch = tokens_per_batch
    order = [4, 1, 0, 5, 2, 3]
    found = encoder.encode([TEXTS[i] for i in order])
    np.testing.assert_allclose(found, expected[order], atol=1e-4)


def test_the_vector_is_the_mean_of_the_last_hidden_state(load_tiny: Load) -> None:
    """Compared with the definition, written out for one text without padding."""
    encoder = load_tiny()
    ids = encoder.tokenizer(TEXTS[3], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        mean = encoder.module(input_ids=ids).last_hidden_state[0].mean(dim=0)
    expected = (mean / mean.norm()).numpy()
    np.testing.assert_allclose(encoder.encode([TEXTS[3]])[0], expected, atol=1e-5)


def test_no_texts_give_no_rows(load_tiny: Load) -> None:
    """An empty list is an ordinary input."""
    assert load_tiny().encode([]).shape == (0, HIDDEN_SIZE)


def test_progress_counts_up_to_the_number_of_texts(load_tiny: Load) -> None:
    """Each batch reports how many texts are done, over several windows too."""
    encoder = load_tiny()
    encoder.tokens_per_batch = 500
    seen: list[int] = []
    encoder.encode(["Termin am Montag"] * 1500, seen.append)
    assert seen == sorted(set(seen))
    assert len(seen) > 10
    assert seen[-1] == 1500


def test_text_beyond_max_tokens_has_no_influence(load_tiny: Load) -> None:
    """What lies behind the cut does not change the vector, what lies before it does."""
    encoder = load_tiny(max_tokens=8)
    kept = "invoice order payment bank account delivery "
    cut = encoder.encode([kept + "birthday", kept + "contract", "school " + kept])
    np.testing.assert_allclose(cut[0], cut[1], atol=1e-6)
    assert np.abs(cut[0] - cut[2]).max() > 0.01


def test_the_prefix_is_part_of_the_text(load_tiny: Load) -> None:
    """With a prefix, the vector is that of prefix and text together."""
    plain, prefixed = load_tiny(prefix=""), load_tiny(prefix="query: ")
    np.testing.assert_allclose(
        prefixed.encode(["Rechnung"]), plain.encode(["query: Rechnung"]), atol=1e-6
    )


def test_special_tokens_in_a_mail_are_only_text(load_tiny: Load) -> None:
    """A mail cannot slip the ids of [SEP] or [PAD] between its words."""
    encoder = load_tiny()
    (row,) = encoder.token_ids(["pay [SEP] now [PAD] [CLS]"])
    special = set(encoder.tokenizer.all_special_ids)
    assert special.isdisjoint(row[1:-1])


@pytest.mark.encoder
def test_special_tokens_of_a_unigram_vocabulary_are_only_text(real_encoder: Encoder) -> None:
    """Unigram lists "</s>" as a piece, and full-width brackets become it by NFKC."""
    (row,) = real_encoder.token_ids(["pay </s> now <pad> ＜/s＞ <mask>"])
    assert {0, 1, 2, 250_001}.isdisjoint(row[1:-1])
    assert (row[0], row[-1]) == (0, 2)


def test_a_lone_surrogate_does_not_stop_the_batch(load_tiny: Load) -> None:
    """Broken headers decode to lone surrogates, which no tokenizer accepts."""
    vectors = load_tiny().encode(["Rechnung \ud800\udcff", "Rechnung"])
    assert np.isfinite(vectors).all()


def test_threads_get_the_vectors_of_their_own_texts(load_tiny: Load) -> None:
    """Several threads encode at once; each gets what it would have got alone."""
    encoder = load_tiny()
    encoder.tokens_per_batch = 64
    groups = [[f"{word} {number}" for number in range(30)] for word in ("bank", "reise", "schule")]
    expected = [encoder.encode(group) for group in groups]
    found: dict[int, npt.NDArray[np.float32]] = {}

    def work(index: int) -> None:
        found[index] = encoder.encode(groups[index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in range(3):
        np.testing.assert_allclose(found[index], expected[index], atol=1e-4)


def test_another_thread_gets_its_turn_between_two_batches(load_tiny: Load) -> None:
    """While a long run reports progress, the encoder is free for somebody else."""
    encoder = load_tiny()
    inner: list[int] = []

    def progress(_: int) -> None:
        thread = threading.Thread(target=lambda: inner.append(len(encoder.encode(["now"]))))
        thread.start()
        thread.join(timeout=60)
        assert not thread.is_alive()

    encoder.encode(["one", "two"], progress)
    assert inner == [1]


def test_bfloat16_moves_a_vector_by_less_than_a_hundredth(load_tiny: Load) -> None:
    """The promise behind leaving the precision out of the fingerprint."""
    exact, rounded = load_tiny(), load_tiny(precision="bfloat16")
    assert rounded.module.dtype == torch.bfloat16
    cosines = (exact.encode(TEXTS) * rounded.encode(TEXTS)).sum(axis=1)
    assert cosines.min() > 0.99


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
def test_an_overflow_in_float16_is_repeated_in_float32(stored: torch.dtype, tmp_path: Path) -> None:
    """Weights beyond the range of float16 activations give finite vectors all the same."""
    directory = rewrite(_scaled(tiny_bert_directory(tmp_path / "wide"), 20_000), stored)
    exact = load_encoder(str(directory), tmp_path, "cpu", precision="float32")
    encoder = load_encoder(str(directory), tmp_path, "cpu", precision="float16")
    vectors = encoder.encode(TEXTS)
    assert encoder.module.dtype == torch.float32
    assert (vectors * exact.encode(TEXTS)).sum(axis=1).min() > 0.99


def test_broken_weights_raise_instead_of_giving_nan(tmp_path: Path) -> None:
    """A NaN in the head's training data would spoil every later decision."""
    directory = _scaled(tiny_bert_directory(tmp_path / "broken"), float("nan"))
    encoder = load_encoder(str(directory), tmp_path, "cpu", precision="float32")
    with pytest.raises(ArithmeticError, match="finite"):
        encoder.encode(["Rechnung"])


def _scaled(directory: Path, factor: float) -> Path:
    tensors = load_file(directory / "model.safetensors")
    tensors["encoder.layer.0.intermediate.dense.weight"] *= factor
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


def test_the_description_is_json(load_tiny: Load) -> None:
    """`describe` goes into model cards and status answers."""
    facts = json.loads(json.dumps(load_tiny().describe()))
    assert facts["hidden_size"] == HIDDEN_SIZE
    assert facts["precision"] == "float32"
    assert facts["pooling"] == "masked mean"


def test_batches_keep_to_the_budget_and_cover_every_text() -> None:
    """Rows times longest row stays within the budget; longest first, nothing lost."""
    lengths = [5, 120, 7, 64, 64, 3, 30]
    batches = list(plan_batches(lengths, 130))
    assert sorted(index for batch in batches for index in batch) == list(range(7))
    for batch in batches:
        assert len(batch) * max(lengths[i] for i in batch) <= 130
    assert batches == [[1], [3, 4], [6, 2, 0, 5]]


def test_a_text_longer_than_the_budget_gets_a_batch_of_its_own() -> None:
    """A tiny budget slows down, it does not drop or block."""
    assert list(plan_batches([10, 200, 10], 50)) == [[1], [0, 2]]
