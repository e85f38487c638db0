"""The fast similarity matrix against the plain product."""

from __future__ import annotations

import numpy as np
import pytest

from classifier.space import BlockWeights, FeatureSpace, Rows
from tests.trainer.mailboxes import features, mailbox
from trainer.kernel import Design


def dense(rows: Rows) -> np.ndarray:
    """[n, keys + hidden] the rows written out."""
    keys = np.unique(rows.keys, return_counts=True)[0]
    matrix = np.zeros((len(rows), len(keys)), dtype=np.float64)
    matrix[rows.owners(), np.searchsorted(keys, rows.keys)] = rows.values
    return np.hstack([matrix, rows.deep])


@pytest.mark.parametrize("size", [3, 40, 700])
def test_gram_is_the_product_of_the_rows_with_themselves(size: int) -> None:
    """Frequent columns, rare columns, single columns and the dense part all arrive."""
    content = [one.features for one in mailbox(size)]
    space = FeatureSpace.learn(content, BlockWeights())
    rows = space.rows(content)
    written = dense(rows)
    gram = Design(rows, space.active).gram()
    np.testing.assert_allclose(gram, written @ written.T, atol=1e-4)
    np.testing.assert_allclose(np.diag(gram), rows.square_norms(), atol=1e-4)


def test_appended_rows_count_like_first_ones() -> None:
    """Products with, and weights over, rows that came later and brought new features."""
    content = [one.features for one in mailbox(300)]
    space = FeatureSpace.learn(content[:30], BlockWeights())
    design = Design(space.rows(content[:30]), space.active)
    whole = dense(space.rows(content))
    for at in range(30, len(content)):
        row = space.rows([content[at]])
        expected = whole[:at] @ whole[at]
        np.testing.assert_allclose(design.against(row), expected, atol=1e-4)
        design.append(row)
    assert len(design) == 300
    alpha = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    keys, wide, deep = design.primal(alpha)
    assert np.all(np.diff(keys.astype(np.int64)) > 0)
    np.testing.assert_allclose(np.hstack([wide.T, deep]), alpha.T @ whole, atol=1e-3)


def test_a_mail_without_any_feature_is_like_nothing() -> None:
    """An empty row is no error, only dissimilar."""
    random = np.random.default_rng(0)
    content = [features(random, topic) for topic in (0, 1)]
    empty = type(content[0])(
        content[0].vector, np.empty(0, dtype=np.uint32), np.empty(0, dtype=np.float32)
    )
    space = FeatureSpace.learn([*content, empty], BlockWeights(deep=0.0))
    gram = Design(space.rows([*content, empty]), space.active).gram()
    assert gram[2].tolist() == [0.0, 0.0, 0.0]
