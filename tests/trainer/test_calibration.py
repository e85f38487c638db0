"""Fitting the calibration to past predictions."""

from __future__ import annotations

import math

import numpy as np

from classifier.calibrate import Calibration
from trainer.calibration import Past, fit_calibration
from trainer.metrics import expected_calibration_error


def drawn(
    calibration: Calibration, size: int, *, classes: int = 5, seed: int = 0, parents: float = 0.3
) -> Past:
    """Predictions whose truth is drawn from the very softmax that `calibration` describes."""
    random = np.random.default_rng(seed)
    scores = random.normal(0.1, 0.25, size=(size, classes)).astype(np.float32)
    with_parent = random.random(size) < parents
    parent = np.where(with_parent, random.integers(0, classes, size), -1)
    shares = calibration.shares(calibration.logits(scores, parent)).astype(np.float64)
    rest = 1.0 - shares.sum(axis=1, keepdims=True)
    cumulated = np.cumsum(np.hstack([shares, rest]), axis=1)
    truth = (random.random((size, 1)) > cumulated).sum(axis=1).clip(max=classes)
    known = np.ones((size, classes), dtype=np.bool_)
    return Past(scores, known, np.where(truth == classes, -1, truth), parent)


def test_the_parameters_that_made_the_data_are_found_again() -> None:
    """Enough data outweighs the prior."""
    made = Calibration(scale=6.0, thread_bonus=2.0, none_logit=0.5)
    found = fit_calibration(drawn(made, 20_000))
    assert math.isclose(found.scale, made.scale, rel_tol=0.1)
    assert math.isclose(found.thread_bonus, made.thread_bonus, abs_tol=0.2)
    assert math.isclose(found.none_logit, made.none_logit, abs_tol=0.2)
    assert math.isclose(found.slope, 1.0, abs_tol=0.1)
    assert math.isclose(found.offset, 0.0, abs_tol=0.1)


def test_calibrated_probabilities_are_right_as_often_as_they_say() -> None:
    """Scores with a wrong scale and shape become honest probabilities on later mail."""
    made = drawn(Calibration(scale=5.0, none_logit=1.5), 6_000, parents=0.0)
    noisy = made.scores + np.random.default_rng(9).normal(0, 0.3, made.scores.shape).astype("f4")
    past = Past(noisy, made.known, made.truth, made.parents)
    before, after = past[:3_000], past[3_000:]
    probabilities = after.probabilities(fit_calibration(before))
    right = probabilities.argmax(axis=1) == after.truth
    confidence = probabilities.max(axis=1).astype(np.float64)
    assert expected_calibration_error(confidence, right) < 0.03
    raw = after.probabilities(Calibration()).max(axis=1).astype(np.float64)
    assert expected_calibration_error(raw, right) > 0.1


def test_without_predictions_the_defaults_stand() -> None:
    """Nothing to fit is no error."""
    empty = drawn(Calibration(), 10)[:0]
    assert fit_calibration(empty) == Calibration()


def test_a_handful_of_predictions_moves_the_defaults_only_a_little() -> None:
    """Ten right answers in a row do not make the model certain of everything."""
    scores = np.tile(np.array([[0.4, 0.3, 0.0]], dtype=np.float32), (10, 1))
    ones = np.ones((10, 3), dtype=np.bool_)
    past = Past(scores, ones, np.zeros(10, dtype=np.int64), np.full(10, -1))
    assert past.probabilities(fit_calibration(past))[0, 0] < 0.97


def test_classes_not_known_then_get_nothing() -> None:
    """Neither probability, nor the bonus of a parent that lay there."""
    past = drawn(Calibration(), 50)
    known = past.known.copy()
    known[:, 4] = False
    limited = Past(past.scores, known, past.truth, np.full(50, 4))
    probabilities = limited.probabilities(Calibration())
    assert np.all(probabilities[:, 4] == 0.0)
    assert np.all(limited.answerable_parents() == -1)
    assert np.all(limited.answerable_truth()[past.truth == 4] == -1)
