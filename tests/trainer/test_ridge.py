"""The closed forms against brute force in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.ridge import Ridge

RIDGE = 0.03


def problem(seed: int, size: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows [n, d], classes [n] (every class occurs, numbered as they appear), weights [n]."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(size, 12)).astype(np.float32)
    labels = random.integers(0, classes, size)
    _, first = np.unique(labels, return_index=True)
    order = {int(labels[at]): number for number, at in enumerate(sorted(first))}
    weights = random.uniform(0.3, 3.0, size).astype(np.float32)
    return rows, np.array([order[int(one)] for one in labels]), weights


def targets(labels: np.ndarray, count: int) -> np.ndarray:
    matrix = np.full((len(labels), count), -1.0 / (count - 1))
    matrix[np.arange(len(labels)), labels] = 1.0
    return matrix


def brute_force(
    rows: np.ndarray, labels: np.ndarray, weights: np.ndarray, new: np.ndarray, count: int
) -> np.ndarray:
    """Scores of `new` by the primal solution of weighted ridge regression."""
    wide = rows.astype(np.float64)
    scaled = wide * weights[:, None]
    left = wide.T @ scaled + RIDGE * np.eye(wide.shape[1])
    return new @ np.linalg.solve(left, scaled.T @ targets(labels, count))


def ridge_of(rows: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> Ridge:
    return Ridge(np.asfortranarray(rows @ rows.T), labels, weights, RIDGE)


mailboxes = st.tuples(st.integers(0, 2**31), st.integers(6, 40), st.integers(2, 5))


@given(mailboxes)
@settings(max_examples=25, deadline=None)
def test_primal_weights_are_those_of_weighted_ridge_regression(
    drawn: tuple[int, int, int],
) -> None:
    """Xᵀα predicts what the normal equations predict."""
    rows, labels, weights = problem(*drawn)
    count = labels.max() + 1
    if count < 2:
        return
    new = np.random.default_rng(1).normal(size=(5, 12)).astype(np.float32)
    found = new @ (rows.T @ ridge_of(rows, labels, weights).alpha())
    expected = brute_force(rows, labels, weights, new, count)
    np.testing.assert_allclose(found, expected, atol=2e-3)


@given(mailboxes)
@settings(max_examples=25, deadline=None)
def test_prequential_scores_are_those_of_models_of_the_earlier_mails(
    drawn: tuple[int, int, int],
) -> None:
    """Each row equals the prediction of a model fitted anew on the mails before it."""
    rows, labels, weights = problem(*drawn)
    ridge = ridge_of(rows, labels, weights)
    scores, known = ridge.prequential(), ridge.known()
    for at in range(1, len(rows)):
        count = labels[:at].max() + 1
        assert known[at].sum() == count
        if count < 2:
            continue
        expected = brute_force(rows[:at], labels[:at], weights[:at], rows[at], count)
        np.testing.assert_allclose(scores[at, :count], expected, atol=5e-3)


@given(mailboxes)
@settings(max_examples=25, deadline=None)
def test_leave_one_out_scores_are_those_of_models_of_the_other_mails(
    drawn: tuple[int, int, int],
) -> None:
    """Each row equals the prediction of a model fitted anew without that mail."""
    rows, labels, weights = problem(*drawn)
    count = labels.max() + 1
    if count < 2:
        return
    scores = ridge_of(rows, labels, weights).leave_one_out()
    for at in range(len(rows)):
        others = np.arange(len(rows)) != at
        expected = brute_force(rows[others], labels[others], weights[others], rows[at], count)
        np.testing.assert_allclose(scores[at], expected, atol=5e-3)


@given(mailboxes, st.integers(0, 300))
@settings(max_examples=15, deadline=None)
def test_appending_gives_the_same_as_learning_everything_at_once(
    drawn: tuple[int, int, int], more: int
) -> None:
    """Factor and targets grow exactly, new classes included; scores are from before."""
    seed, size, classes = drawn
    rows, labels, weights = problem(seed, size + more, classes)
    start = int(np.argmax(labels > 0)) + 1  # the first moment with two classes
    if labels.max() < 1:
        return
    grown = ridge_of(rows[:start], labels[:start], weights[:start])
    prequential = ridge_of(rows, labels, weights).prequential()
    for at in range(start, len(rows)):
        count = grown.class_count
        scores = grown.append(
            rows[:at] @ rows[at], float(rows[at] @ rows[at]), int(labels[at]), float(weights[at])
        )
        np.testing.assert_allclose(scores, prequential[at, :count], atol=5e-3)
    whole = ridge_of(rows, labels, weights)
    np.testing.assert_allclose(rows.T @ grown.alpha(), rows.T @ whole.alpha(), atol=5e-3)
    np.testing.assert_allclose(grown.leave_one_out(), whole.leave_one_out(), atol=5e-3)


def test_a_weight_of_two_counts_like_the_mail_twice() -> None:
    """λ / w on the diagonal is the same as w copies of the mail."""
    rows, labels, _ = problem(3, 10, 3)
    weights = np.ones(10, dtype=np.float32)
    weights[4] = 2.0
    twice = np.append(np.arange(10), 4)
    once = rows.T @ ridge_of(rows, labels, weights).alpha()
    copies = (
        rows[twice].T @ ridge_of(rows[twice], labels[twice], np.ones(11, dtype=np.float32)).alpha()
    )
    np.testing.assert_allclose(once, copies, atol=2e-3)


def test_scores_of_new_mails_equal_the_primal_prediction() -> None:
    """The dual and the primal form say the same."""
    rows, labels, weights = problem(5, 30, 4)
    ridge = ridge_of(rows, labels, weights)
    new = np.random.default_rng(2).normal(size=(7, 12)).astype(np.float32)
    np.testing.assert_allclose(
        ridge.scores(new @ rows.T), new @ (rows.T @ ridge.alpha()), atol=2e-3
    )


def test_a_single_class_has_no_scores() -> None:
    """−1/(C−1) does not exist for C = 1."""
    rows, _, weights = problem(0, 6, 2)
    with pytest.raises(ValueError, match="two classes"):
        ridge_of(rows, np.zeros(6, dtype=np.int64), weights).alpha()


def test_class_numbers_may_not_be_skipped() -> None:
    """A new class takes the next number."""
    rows, labels, weights = problem(0, 8, 2)
    ridge = ridge_of(rows, labels, weights)
    with pytest.raises(ValueError, match="without gaps"):
        ridge.append(rows @ rows[0], 1.0, labels.max() + 2, 1.0)
