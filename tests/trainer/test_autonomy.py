"""What a folder lacks: the number that is told is the number that is enough."""

from __future__ import annotations

import pytest

from trainer.autonomy import MOST, missing
from trainer.thresholds import Outcome, ThresholdSettings, thresholds
from trainer.tune import Goal

GOAL = Goal(0.97, {}, ThresholdSettings())


def outcomes(own_wrong: int, own_right: int, others: int = 60) -> list[Outcome]:
    """Predictions of "mine" and of a folder with a clean record."""
    found = [Outcome("mine", 0.9, right=False) for _ in range(own_wrong)]
    found += [Outcome("mine", 0.9, right=True) for _ in range(own_right)]
    return found + [Outcome("other", 0.9, right=True) for _ in range(others)]


@pytest.mark.parametrize(("wrong", "right"), [(1, 5), (2, 10), (0, 1)])
def test_so_many_right_predictions_are_enough_and_one_less_is_not(wrong: int, right: int) -> None:
    """Asked of the rule that decides."""
    past = outcomes(wrong, right)
    found = missing("mine", 9, past, GOAL, 0.9).right_predictions
    assert found is not None

    def earned(more: int) -> bool:
        further = [Outcome("mine", 0.9, right=True)] * more
        return thresholds([*past, *further], {"mine": 9}, 0.97)["mine"].threshold is not None

    assert earned(found)
    assert found == 0 or not earned(found - 1)


def test_a_folder_with_many_errors_lacks_more_than_can_be_foreseen() -> None:
    """Nobody is promised anything."""
    found = missing("mine", 99, outcomes(30, 40), GOAL, 0.6)
    assert found.right_predictions is None
    assert (found.mails, found.precision, found.target) == (0, 0.6, 0.97)
    assert MOST < 1000


def test_a_folder_with_two_mails_lacks_one() -> None:
    """Three are needed to take part."""
    assert missing("mine", 2, outcomes(0, 2), GOAL, 0.98).mails == 1


def test_a_costly_mistake_weighs_on_the_estimate() -> None:
    """One that costs ten counts as ten."""
    cheap = outcomes(1, 40)
    dear = [Outcome("mine", 0.9, right=False, cost=10.0), *outcomes(0, 40)]
    limits = [thresholds(past, {"mine": 41}, 0.97)["mine"] for past in (cheap, dear)]
    assert limits[1].estimated_precision < limits[0].estimated_precision
    assert limits[0].support == limits[1].support == 41
