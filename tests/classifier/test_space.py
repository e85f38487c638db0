"""The feature space: weighted, normalised rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier import space as module
from classifier.features import Block, Features, index_of
from classifier.space import BlockWeights, FeatureSpace, KeyTable, bisected
from tests.trainer.mailboxes import mailbox

WEIGHTS = BlockWeights(words=1.0, characters=2.0, sender=0.5, deep=1.5)


def mail(counts: dict[tuple[Block, str], int], vector: list[float]) -> Features:
    keys = sorted((index_of(block, name), count) for (block, name), count in counts.items())
    return Features(
        np.array(vector, dtype=np.float16),
        np.array([key for key, _ in keys], dtype=np.uint32),
        np.array([count for _, count in keys], dtype=np.float32),
    )


INVOICE = mail(
    {(Block.WORDS, "invoice"): 3, (Block.WORDS, "the"): 1, (Block.SENDER, "a"): 1}, [1, 0]
)
LUNCH = mail({(Block.WORDS, "lunch"): 1, (Block.WORDS, "the"): 2}, [0, 1])


def test_each_block_of_a_row_has_the_length_of_its_weight() -> None:
    """So a block's share of the similarity of a mail with itself is its weight."""
    content = [one.features for one in mailbox(30)]
    rows = FeatureSpace.learn(content, WEIGHTS).rows(content)
    blocks = rows.keys >> 29
    for block, weight in ((Block.WORDS, 1.0), (Block.CHARACTERS, 2.0), (Block.SENDER, 0.5)):
        here = blocks == block
        squares = np.bincount(rows.owners()[here], weights=rows.values[here] ** 2)
        np.testing.assert_allclose(squares, weight, rtol=1e-5)
    np.testing.assert_allclose(np.square(rows.deep).sum(axis=1), 1.5, rtol=1e-3)
    np.testing.assert_allclose(rows.square_norms(), 5.0, rtol=1e-3)


def test_values_are_sublinear_counts_times_idf() -> None:
    """(1 + ln 3) · idf against 1 · idf, both divided by the block's length."""
    space = FeatureSpace.learn([INVOICE, LUNCH], WEIGHTS)
    rows = space.rows([INVOICE])
    found = dict(zip(rows.keys.tolist(), rows.values.tolist(), strict=True))
    rare, common = 1 + math.log(3 / 2), 1.0
    raw = {"invoice": (1 + math.log(3)) * rare, "the": common}
    length = math.hypot(*raw.values())
    for word, value in raw.items():
        assert found[index_of(Block.WORDS, word)] == pytest.approx(value / length, rel=1e-5)
    assert found[index_of(Block.SENDER, "a")] == pytest.approx(math.sqrt(0.5))


def test_unknown_features_keep_their_share_of_the_length() -> None:
    """A mail of unknown words is not like any known mail."""
    space = FeatureSpace.learn([INVOICE, LUNCH], WEIGHTS)
    strange = mail({(Block.WORDS, "the"): 1, (Block.WORDS, "quark"): 5}, [1, 0])
    rows = space.rows([strange])
    known = rows.columns >= 0
    assert known.sum() == 1
    assert float(rows.values[known][0]) < 0.3
    assert float(np.square(rows.values).sum()) == pytest.approx(1.0)


def test_dense_part_is_centred_and_a_mail_at_the_centre_is_zero() -> None:
    """Without a direction there is nothing to normalise."""
    space = FeatureSpace.learn([INVOICE, LUNCH], WEIGHTS)
    centre = Features(np.array([0.5, 0.5], dtype=np.float16), INVOICE.indices, INVOICE.values)
    deep = space.rows([INVOICE, LUNCH, centre]).deep
    np.testing.assert_allclose(deep[0], -deep[1], rtol=1e-5)
    assert deep[2].tolist() == [0.0, 0.0]


def test_more_active_features_change_no_row() -> None:
    """Rows of a grown space are those of the old one."""
    content = [one.features for one in mailbox(40)]
    space = FeatureSpace.learn(content[:20], BlockWeights())
    every = np.unique(np.concatenate([one.indices for one in content]), return_counts=True)[0]
    grown = space.with_active(every).rows(content)
    np.testing.assert_array_equal(grown.values, space.rows(content).values)
    assert grown.columns.min() == 0


def test_a_block_without_weight_is_silent() -> None:
    """Weight 0 gives values 0."""
    rows = FeatureSpace.learn([INVOICE], BlockWeights(sender=0.0)).rows([INVOICE])
    assert rows.values[rows.keys >> 29 == Block.SENDER].tolist() == [0.0]


def test_no_mails_give_no_rows() -> None:
    """An empty batch is no error."""
    rows = FeatureSpace.learn([INVOICE], WEIGHTS).rows([])
    assert len(rows) == 0
    assert rows.deep.shape == (0, 2)


KEYS = st.integers(0, 2**32 - 1) | st.integers(0, 40)


@given(st.sets(KEYS, min_size=1), st.lists(KEYS))
def test_a_table_finds_what_bisection_finds(known: set[int], others: list[int]) -> None:
    """Keys that are there, that are not, and that fall into one slot with another."""
    ascending = np.array(sorted(known), dtype=np.uint32)
    asked = np.array([*others, *known], dtype=np.uint32)
    found = KeyTable(ascending).positions(asked)
    assert found.tolist() == bisected(ascending, asked).tolist()
    assert found[len(others) :].tolist() == [sorted(known).index(key) for key in known]


def test_many_mails_at_once_have_the_rows_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """From `MANY_KEYS` on features are looked up in a table."""
    content = [one.features for one in mailbox(60)]
    space = FeatureSpace.learn(content[:40], WEIGHTS)
    few = space.rows(content)
    monkeypatch.setattr(module, "MANY_KEYS", 1)
    many = space.rows(content)
    assert (few.columns == -1).any()
    assert many.columns.tolist() == few.columns.tolist()
    assert many.values.tolist() == few.values.tolist()
