"""Earning autonomy: thresholds per folder from past predictions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.labels import LEAVE
from trainer.thresholds import Outcome, ThresholdSettings, thresholds

TARGET = 0.97


def history(size: int, seed: int = 0, labels: tuple[str, ...] = ("a", "b", "c")) -> list[Outcome]:
    """Calibrated predictions: one of probability p is right with probability p."""
    random = np.random.default_rng(seed)
    probabilities = 1.0 - 0.6 * random.random(size) ** 2
    right = random.random(size) < probabilities
    chosen = random.integers(0, len(labels), size)
    return [
        Outcome(labels[label], float(probability), bool(ok))
        for label, probability, ok in zip(chosen, probabilities, right, strict=True)
    ]


def test_moves_above_the_thresholds_reach_the_target_on_later_mail() -> None:
    """What the past promised holds for new mail of the same kind."""
    found = thresholds(history(2_000), dict.fromkeys("abc", 700), TARGET)
    later = history(20_000, seed=1)
    moved = [
        one
        for one in later
        if (limit := found[one.label].threshold) is not None and one.probability >= limit
    ]
    assert len(moved) > 1_000
    assert sum(one.right for one in moved) / len(moved) >= TARGET - 0.005


def test_a_higher_target_never_lowers_a_threshold() -> None:
    """More precision asked, fewer mails moved."""
    past = history(1_500)
    counts = dict.fromkeys("abc", 500)
    limits = [
        [thresholds(past, counts, target)[label].threshold or 2.0 for label in "abc"]
        for target in (0.8, 0.9, 0.95, 0.97, 0.99)
    ]
    for lower, higher in itertools.pairwise(limits):
        assert all(one <= other for one, other in zip(lower, higher, strict=True))


def test_a_small_folder_borrows_from_all_folders() -> None:
    """Three right predictions are no evidence alone, but they need not be."""
    good = [Outcome("big", 0.99, right=True)] * 300
    small = [Outcome("small", 0.99, right=True)] * 3
    alone = thresholds(small, {"small": 3}, TARGET)["small"]
    together = thresholds(good + small, {"big": 300, "small": 3}, TARGET)["small"]
    assert alone.threshold is None
    assert together.threshold is not None
    assert together.support == 3


def test_a_bad_folder_is_locked_out_however_good_the_others_are() -> None:
    """Its own record outweighs the prior from the others."""
    good = [Outcome("good", 0.99, right=True)] * 500
    bad = [Outcome("bad", 0.99, right=number % 5 > 0) for number in range(100)]
    found = thresholds(good + bad, {"good": 500, "bad": 100}, 0.95)
    assert found["good"].threshold is not None
    assert found["bad"].threshold is None
    assert found["bad"].estimated_precision < 0.9


def test_leave_never_moves_and_tiny_folders_not_yet() -> None:
    """The inbox is no target, and two examples are not enough."""
    past = [Outcome(label, 0.99, right=True) for label in (LEAVE, "a", "new") for _ in range(200)]
    found = thresholds(past, {LEAVE: 200, "a": 200, "new": 2}, TARGET)
    assert found[LEAVE].threshold is None
    assert found["new"].threshold is None
    assert found["a"].threshold is not None


def test_without_a_past_nothing_moves() -> None:
    """No evidence, no autonomy."""
    found = thresholds([], {"a": 10}, TARGET)
    assert found["a"].threshold is None
    assert found["a"].support == 0


def test_a_folder_can_ask_for_more_than_the_others() -> None:
    """Own targets hold for that folder only."""
    past = history(2_000)
    counts = dict.fromkeys("abc", 700)
    plain = thresholds(past, counts, 0.95)
    strict = thresholds(past, counts, 0.95, folder_targets={"b": 0.99})
    assert strict["a"] == plain["a"]
    assert (strict["b"].threshold or 2.0) > (plain["b"].threshold or 2.0)


@given(st.integers(0, 2**31), st.floats(0.8, 0.995))
@settings(max_examples=30, deadline=None)
def test_every_threshold_given_rests_on_an_estimate_that_reaches_the_target(
    seed: int, target: float
) -> None:
    """And none lies below the lowest allowed."""
    rules = ThresholdSettings(lowest=0.6)
    for one in thresholds(history(300, seed), dict.fromkeys("abc", 100), target, rules).values():
        if one.threshold is not None:
            assert one.estimated_precision >= target
            assert one.threshold >= 0.6
        else:
            assert one.estimated_precision < target


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95])
def test_more_confidence_means_more_care(confidence: float) -> None:
    """A higher confidence level never lowers a threshold."""
    past, counts = history(800), dict.fromkeys("abc", 250)
    rules = ThresholdSettings(confidence=confidence)
    careful = ThresholdSettings(confidence=confidence + 0.04)
    for label in "abc":
        lower = thresholds(past, counts, TARGET, rules)[label].threshold or 2.0
        higher = thresholds(past, counts, TARGET, careful)[label].threshold or 2.0
        assert lower <= higher
