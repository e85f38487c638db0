"""Costs of mistakes: which line counts, and what they do to confidence and decision."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.costs import ANY, Costs, read_confusion
from classifier.decision import FolderThreshold, Prediction, Reason, decide

DEAR = Costs({("claims", "cancel"): 5.0})
LIMITS = {"cancel": FolderThreshold(0.9, 0.98, 50), "claims": FolderThreshold(0.9, 0.98, 50)}


def test_the_exact_line_counts_before_those_for_any_folder() -> None:
    """Of two lines with a star the dearer one; nothing listed costs 1."""
    costs = Costs({("a", "b"): 2.0, (ANY, "b"): 7.0, ("c", ANY): 9.0})
    assert costs.of("a", "b") == 2.0
    assert costs.of("d", "b") == 7.0
    assert costs.of("c", "b") == 9.0
    assert costs.of("c", "a") == 9.0
    assert costs.of(None, "b") == 7.0
    assert costs.of(None, "a") == costs.of("a", "c") == 1.0


def test_the_confidence_is_the_formula() -> None:
    """p(A) against what mistakes would cost, the share of no folder included."""
    shares = [("cancel", 0.9), ("claims", 0.06), ("other", 0.01)]
    assert DEAR.confidence("cancel", shares) == pytest.approx(0.9 / (0.9 + 0.30 + 0.01 + 0.03))
    starred = Costs({(ANY, "cancel"): 3.0})
    assert starred.confidence("cancel", shares) == pytest.approx(0.9 / (0.9 + 0.3))


@given(
    st.lists(st.floats(0.001, 1.0), min_size=2, max_size=6),
    st.floats(1.0, 1000.0),
    st.floats(0.2, 1.0),
)
@settings(max_examples=50, deadline=None)
def test_costs_only_ever_lower_the_confidence(
    weights: list[float], cost: float, known: float
) -> None:
    """And without costs it is the probability."""
    shares = [(str(at), known * w / sum(weights)) for at, w in enumerate(weights)]
    assert Costs().confidence("0", shares) == pytest.approx(shares[0][1])
    confidence = Costs({("1", "0"): cost}).confidence("0", shares)
    assert 0.0 < confidence <= shares[0][1] + 1e-9


def test_a_costly_mistake_keeps_a_mail_that_would_else_be_moved() -> None:
    """The reason names the folder it may belong to, and the price."""
    said = Prediction((("cancel", 0.92), ("claims", 0.06)))
    assert decide(said, LIMITS).moves
    decision = decide(said, LIMITS, DEAR)
    assert not decision.moves
    assert decision.reason is Reason.COSTLY
    sentence = decision.sentence("Kündigungen", "Schadensmeldungen")
    assert "may belong to Schadensmeldungen (6.0%)" in sentence
    assert "as much as 5 mails left in the inbox" in sentence


def test_a_mistake_the_other_way_round_costs_nothing_more() -> None:
    """A cancellation filed under claims is an ordinary mistake."""
    said = Prediction((("claims", 0.92), ("cancel", 0.06)))
    decision = decide(said, LIMITS, DEAR)
    assert decision.moves
    assert decision.confidence == pytest.approx(0.92)
    assert decision.mistake is None


def test_costs_by_name_become_costs_by_label() -> None:
    """A line with a folder that is not there is left out; a star stays."""
    by_name = Costs({("A", "B"): 5.0, (ANY, "B"): 2.0, ("A", "gone"): 9.0})
    found = by_name.of_labels({"A": "1", "B": "2"})
    assert found == Costs({("1", "2"): 5.0, (ANY, "2"): 2.0})
    assert Costs.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("Schadensmeldungen -> Kündigungen", ("Schadensmeldungen", "Kündigungen")),
        ("* → Lists/a->b", ("*", "Lists/a->b")),
    ],
)
def test_a_line_names_two_folders(text: str, pair: tuple[str, str]) -> None:
    """An arrow without spaces belongs to a folder's name."""
    assert read_confusion(text) == pair


@pytest.mark.parametrize(
    ("text", "problem"),
    [("A", "two folders"), ("A -> ", "two folders"), ("A -> B -> C", "two folders"),
     ("* -> *", "target_precision"), ("A -> A", "twice")],
)  # fmt: skip
def test_a_line_that_means_nothing_is_refused(text: str, problem: str) -> None:
    """With the reason."""
    with pytest.raises(ValueError, match=problem):
        read_confusion(text)
