"""The figures of merit against scikit-learn and against hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from trainer.metrics import (
    bootstrap_interval,
    bootstrap_macro_f1,
    calibration_error_by_chance,
    class_scores,
    confusion_matrix,
    coverage_at,
    expected_calibration_error,
    macro_f1,
    macro_roc_auc,
    roc_auc,
)

seeds = st.integers(0, 2**31)


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_confusion_and_scores_agree_with_scikit_learn(seed: int) -> None:
    """Precision, recall, F1 and support of every class, missing ones included."""
    random = np.random.default_rng(seed)
    truth, predicted = random.integers(0, 5, 60), random.integers(0, 6, 60)
    confusion = confusion_matrix(truth, predicted, 6)
    classes = np.arange(6)
    assert (confusion == reference.confusion_matrix(truth, predicted, labels=classes)).all()
    expected = reference.precision_recall_fscore_support(
        truth, predicted, labels=classes, zero_division=0.0
    )
    found = [(one.precision, one.recall, one.f1, one.support) for one in class_scores(confusion)]
    np.testing.assert_allclose(np.array(found).T, np.array(expected))


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_macro_f1_agrees_with_scikit_learn(seed: int) -> None:
    """Folders that are only ever predicted wrongly count as 0; those not involved do not count."""
    random = np.random.default_rng(seed)
    truth, predicted = random.integers(0, 4, 12), random.integers(2, 9, 12)
    expected = reference.f1_score(truth, predicted, average="macro", zero_division=0.0)
    assert macro_f1(confusion_matrix(truth, predicted, 12)) == pytest.approx(expected)


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_roc_auc_agrees_with_scikit_learn(seed: int) -> None:
    """Ties included."""
    random = np.random.default_rng(seed)
    scores = random.integers(0, 10, 50).astype(np.float64)
    positive = random.random(50) < 0.4
    if positive.all() or not positive.any():
        assert roc_auc(scores, positive) is None
    else:
        assert roc_auc(scores, positive) == pytest.approx(reference.roc_auc_score(positive, scores))


def test_macro_roc_auc_agrees_with_scikit_learn() -> None:
    """One against the rest, mean over the classes."""
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(4), 80)
    truth = random.integers(0, 4, 80)
    expected = reference.roc_auc_score(truth, probabilities, multi_class="ovr")
    assert macro_roc_auc(probabilities, truth) == pytest.approx(expected)


def test_macro_roc_auc_leaves_out_classes_that_do_not_occur() -> None:
    """And is undefined when only one occurs."""
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]])
    assert macro_roc_auc(probabilities, np.array([0, 1])) == 1.0
    assert macro_roc_auc(probabilities, np.array([0, 0])) is None


def test_calibration_error_is_the_mean_gap_of_equally_filled_bins() -> None:
    """A calibrated half and a half that is sure of everything but right every second time."""
    honest, sure = np.full(100, 0.5), np.full(100, 1.0)
    right = np.tile([True, False], 100)
    error = expected_calibration_error(np.concatenate([honest, sure]), right, bins=2)
    assert error == pytest.approx(0.25)
    assert expected_calibration_error(np.empty(0), np.empty(0, dtype=np.bool_)) == 0.0


def test_coverage_counts_the_most_confident_mails_that_are_right_often_enough() -> None:
    """The largest share counts, and equal confidences go together."""
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.6])
    right = np.array([True, False, True, True, False])
    assert coverage_at(confidence, right, 0.9) == pytest.approx(0.2)
    assert coverage_at(confidence, right, 0.75) == pytest.approx(0.2)
    assert coverage_at(confidence, right, 0.6) == pytest.approx(1.0)
    assert coverage_at(confidence, np.zeros(5, dtype=np.bool_), 0.6) == 0.0


def test_bootstrap_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """95 % intervals of 200 samples of a known mean."""
    random = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        values = (random.random(80) < 0.7).astype(np.float64)
        low, high = bootstrap_interval(values, rounds=400, seed=seed)
        held += low <= 0.7 <= high
    assert 178 <= held <= 200


def test_the_bootstrap_of_macro_f1_agrees_with_resampling_mail_by_mail() -> None:
    """Two ways to the same interval."""
    random = np.random.default_rng(3)
    truth = random.integers(0, 6, 150)
    predicted = np.where(random.random(150) < 0.7, truth, random.integers(0, 6, 150))
    values = []
    for _ in range(1000):
        chosen = random.integers(0, 150, 150)
        values.append(macro_f1(confusion_matrix(truth[chosen], predicted[chosen], 7)))
    low, high = np.quantile(values, [0.025, 0.975])
    assert bootstrap_macro_f1(truth, predicted, 7) == pytest.approx((low, high), abs=0.015)


def test_the_calibration_error_by_chance_is_what_calibrated_predictions_show() -> None:
    """Large with few mails, small with many; far below what wrong probabilities show."""
    random = np.random.default_rng(3)
    few, many = random.uniform(0.3, 1.0, 190), random.uniform(0.3, 1.0, 20_000)
    drawn = [expected_calibration_error(few, random.random(len(few)) < few) for _ in range(100)]
    assert calibration_error_by_chance(few) == pytest.approx(np.mean(drawn), abs=0.01)
    assert calibration_error_by_chance(few) > 0.05
    assert calibration_error_by_chance(many) < 0.02
    sure = np.full(len(many), 0.99)
    assert expected_calibration_error(sure, random.random(len(many)) < 0.7) > 0.2
