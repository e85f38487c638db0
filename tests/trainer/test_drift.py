"""When a promise counts as broken, and when as kept again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.drift import DEFAULT, holds_again, live_precision, probability_below

PROMISED = 0.97


@pytest.mark.parametrize("before", [0, 1, 5, 50, 500])
def test_one_mistake_breaks_no_promise(before: int) -> None:
    """Not even as the first move into a new folder."""
    assert not live_precision([True] * before + [False], PROMISED).broken


@pytest.mark.parametrize(("before", "mistakes"), [(0, 4), (5, 4), (20, 5), (500, 7)])
def test_a_burst_of_mistakes_breaks_it_however_good_it_was(before: int, mistakes: int) -> None:
    """So many in a row; one less does not."""
    history = [True] * before
    assert not live_precision(history + [False] * (mistakes - 1), PROMISED).broken
    found = live_precision(history + [False] * mistakes, PROMISED)
    assert found.broken
    assert (found.moves, found.wrong) == (min(before + mistakes, 50), mistakes)


def test_a_few_mistakes_too_many_add_up() -> None:
    """One of every fifteen: no window of fifty shows it, five hundred do."""
    moves = [number % 15 != 0 for number in range(1, 501)]
    assert not live_precision(moves[-50:], PROMISED).broken
    assert live_precision(moves, PROMISED).broken


def test_what_was_promised_is_kept() -> None:
    """Three of a hundred, evenly, over and over."""
    moves = [number % 33 != 0 for number in range(1, 3001)]
    for end in range(100, 3000, 33):
        assert not live_precision(moves[:end], PROMISED).broken


def test_nothing_moved_is_nothing_broken() -> None:
    """And there is no precision to show."""
    found = live_precision([], PROMISED)
    assert (found.moves, found.wrong, found.precision, found.broken) == (0, 0, None, False)


@given(st.lists(st.booleans(), max_size=80), st.floats(0.5, 0.999))
def test_a_right_move_more_never_adds_to_the_doubt(moves: list[bool], promised: float) -> None:
    """And a wrong one never takes from it, as long as no window is full."""
    few = moves[:49]
    doubt = live_precision(few, promised).doubt
    assert live_precision([*few, True], promised).doubt <= doubt + 1e-12
    assert live_precision([*few, False], promised).doubt >= doubt - 1e-12


def test_the_doubt_is_the_beta_distribution() -> None:
    """Compared with its density, added up."""
    right, wrong = 20 * 0.9 + 8, 20 * 0.1 + 2
    steps = 100_000
    density = [
        (at / steps) ** (right - 1) * (1 - at / steps) ** (wrong - 1) for at in range(1, steps)
    ]
    expected = sum(density[: int(0.9 * steps)]) / sum(density)
    assert probability_below(0.9, 2, 10, 20.0) == pytest.approx(expected, abs=1e-4)


def test_trust_comes_back_with_enough_right_predictions() -> None:
    """Twenty at least; a wrong one among them asks for more."""
    assert not holds_again([True] * (DEFAULT.recovery_moves - 1), PROMISED)
    assert holds_again([True] * DEFAULT.recovery_moves, PROMISED)
    assert not holds_again([*[True] * 20, False], PROMISED)
    assert holds_again([*[True] * 20, False, *[True] * 20], PROMISED)
