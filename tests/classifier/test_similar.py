"""The most similar past mails."""

from __future__ import annotations

import numpy as np
import pytest

from classifier.similar import CHUNK, similarities, strongest
from tests.classifier.models import examples, features_of, mail_about, small_model


def test_similarities_are_the_inner_products_of_the_rows() -> None:
    """Checked against the plain loop, over more than one chunk."""
    space = small_model().space
    others = [one.features for one in examples(90)] * (CHUNK // 90 + 1)
    mail = others[7]
    rows = space.rows([mail, *others[:90]])
    dense = []
    for at in range(91):
        part = slice(rows.offsets[at], rows.offsets[at + 1])
        dense.append(dict(zip(rows.keys[part].tolist(), rows.values[part].tolist(), strict=True)))
    products = [
        sum(value * dense[0].get(key, 0.0) for key, value in dense[at].items())
        + float(rows.deep[at] @ rows.deep[0])
        for at in range(1, 91)
    ]
    lengths = np.sqrt(rows.square_norms())
    expected = np.array(products) / (lengths[1:] * lengths[0])
    found = similarities(space, mail, others)
    assert len(found) == len(others)
    assert found[:90] == pytest.approx(expected, abs=1e-4)
    assert found[7] == pytest.approx(1.0, abs=1e-4)


def test_what_the_model_never_saw_counts_too() -> None:
    """A new mail and its copy share words that no training mail has; another does not."""
    space = small_model().space
    new = features_of(mail_about("bills", 7777), "bills", 7777)
    assert (space.positions(new.indices) < 0).any()
    copied, other = similarities(space, new, [new, features_of(mail_about("bills", 8), "bills", 8)])
    assert copied == pytest.approx(1.0, abs=1e-4)
    assert other < copied


def test_mail_of_the_same_topic_is_most_similar() -> None:
    """A new bill resembles bills."""
    known = examples(60)
    bill = features_of(mail_about("bills", 501), "bills", 501)
    scores = similarities(small_model().space, bill, [one.features for one in known])
    assert {known[at].label for at in strongest(scores, 5)} == {"bills"}
    assert len(similarities(small_model().space, bill, [])) == 0
