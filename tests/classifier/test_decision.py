"""Labels, probabilities and decisions: the values that leave the classifier."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.calibrate import Calibration
from classifier.decision import FolderThreshold, Prediction, Reason, decide
from classifier.labels import LEAVE, LabelSet

LIMITS = {
    "bills": FolderThreshold(0.9, 0.98, 50),
    "misc": FolderThreshold(None, 0.7, 30),
    LEAVE: FolderThreshold(None, 0.99, 30),
}


@pytest.mark.parametrize(
    ("label", "probability", "moves", "reason"),
    [
        ("bills", 0.95, True, Reason.SURE),
        ("bills", 0.9, True, Reason.SURE),
        ("bills", 0.89, False, Reason.NOT_SURE),
        ("misc", 0.999, False, Reason.NOT_EARNED),
        ("unknown", 0.999, False, Reason.NOT_EARNED),
        (LEAVE, 0.999, False, Reason.LEAVE),
    ],
)
def test_only_a_folder_that_earned_it_receives_mail_it_is_sure_of(
    label: str, probability: float, moves: bool, reason: Reason
) -> None:
    """Every way to decide, with its reason and a sentence that names the folder."""
    decision = decide(Prediction(((label, probability), ("other", 0.001))), LIMITS)
    assert (decision.moves, decision.reason) == (moves, reason)
    assert decision.label == label
    sentence = decision.sentence("Bills")
    assert f"{probability:.1%}" in sentence
    assert ("Bills" in sentence) == (label != LEAVE)


def test_label_set_finds_labels_and_names() -> None:
    """Unknown labels have no position and are shown as they are."""
    labels = LabelSet.of(("7", "9"), {"7": "Rechnungen"})
    assert labels.index("9") == 1
    assert labels.index("8") == labels.index(None) == -1
    assert labels.name("7") == "Rechnungen"
    assert labels.name("9") == "9"
    assert labels.name("8") == "8"
    assert "7" in labels
    assert list(labels) == ["7", "9"]


def test_label_set_refuses_what_cannot_be_right() -> None:
    """Two labels of the same key, or a name too few."""
    with pytest.raises(ValueError, match="twice"):
        LabelSet(("a", "a"), ("A", "B"))
    with pytest.raises(ValueError, match="exactly one"):
        LabelSet(("a", "b"), ("A",))


calibrations = st.builds(
    Calibration,
    scale=st.floats(0.5, 40),
    thread_bonus=st.floats(-2, 8),
    none_logit=st.floats(-5, 5),
    slope=st.floats(0.2, 3),
    offset=st.floats(-3, 3),
)


@given(calibrations, st.integers(0, 2**31), st.integers(2, 8))
@settings(max_examples=100, deadline=None)
def test_probabilities_are_probabilities_and_keep_the_order(
    calibration: Calibration, seed: int, classes: int
) -> None:
    """Between 0 and 1, together at most 1, and ranked as the logits are."""
    logits = np.random.default_rng(seed).normal(0, 4, (20, classes)).astype(np.float32)
    probabilities = calibration.probabilities(logits)
    assert probabilities.min() >= 0.0
    assert probabilities.sum(axis=1).max() <= 1.0 + 1e-5
    best = logits.argmax(axis=1)
    assert (probabilities.max(axis=1) <= probabilities[np.arange(20), best] + 1e-6).all()


@given(calibrations, st.floats(-3, 3))
@settings(max_examples=50, deadline=None)
def test_a_higher_score_never_lowers_the_probability(
    calibration: Calibration, score: float
) -> None:
    """More like the folder, surer of it."""
    scores = np.array([[score, 0.1, 0.0], [score + 0.2, 0.1, 0.0]], dtype=np.float32)
    none = np.array([-1, -1])
    probabilities = calibration.probabilities(calibration.logits(scores, none))
    if scores[0].argmax() == 0:
        assert probabilities[1, 0] >= probabilities[0, 0] - 1e-6


def test_mail_that_resembles_no_folder_gets_a_low_probability() -> None:
    """Two folders with scores near zero do not share 100 %."""
    scores = np.array([[0.05, 0.0], [0.9, 0.0]], dtype=np.float32)
    calibration = Calibration(scale=10.0, none_logit=2.0)
    probabilities = calibration.probabilities(calibration.logits(scores, np.array([-1, -1])))
    assert probabilities[0].sum() < 0.4
    assert probabilities[1, 0] > 0.95


def test_the_thread_bonus_goes_to_the_folder_of_the_parent() -> None:
    """And nowhere without a parent."""
    scores = np.zeros((2, 3), dtype=np.float32)
    logits = Calibration(thread_bonus=2.5).logits(scores, np.array([1, -1]))
    assert logits.tolist() == [[0.0, 2.5, 0.0], [0.0, 0.0, 0.0]]


def test_calibration_refuses_to_turn_the_order_round() -> None:
    """Scale and slope are positive."""
    with pytest.raises(ValueError, match="positive"):
        Calibration(scale=0.0)
    with pytest.raises(ValueError, match="positive"):
        Calibration(slope=-1.0)
