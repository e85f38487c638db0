"""Explanations: exact, readable, strongest first."""

from __future__ import annotations

import pytest

from classifier.explain import MEANING, THREAD, contributions
from classifier.model import MailClassifier
from tests.classifier.models import features_of, mail_about, small_model

MAIL = mail_about("bills", 501)
CONTENT = features_of(MAIL, "bills", 501)


@pytest.fixture(scope="module")
def model() -> MailClassifier:
    return small_model()


@pytest.mark.parametrize("label", ["bills", "travel", "lists"])
@pytest.mark.parametrize("parent", [None, "bills", "unknown"])
def test_contributions_sum_to_the_logit(
    model: MailClassifier, label: str, parent: str | None
) -> None:
    """Nothing is left out and nothing made up."""
    found = contributions(model, MAIL, CONTENT, label, parent=parent)
    logit = model.logits_of([CONTENT], [parent])[0, model.label_set.index(label)]
    assert sum(one.weight for one in found) == pytest.approx(float(logit), abs=1e-3)


def test_contributions_against_another_label_sum_to_the_difference(
    model: MailClassifier,
) -> None:
    """Why this folder rather than that."""
    found = contributions(model, MAIL, CONTENT, "bills", parent="travel", against="travel")
    logits = model.logits_of([CONTENT], ["travel"])[0]
    difference = logits[model.label_set.index("bills")] - logits[model.label_set.index("travel")]
    assert sum(one.weight for one in found) == pytest.approx(float(difference), abs=1e-3)
    thread = next(one for one in found if one.block == THREAD)
    assert thread.name == "Reisen"
    assert thread.weight < 0


def test_words_senders_and_lists_are_named(model: MailClassifier) -> None:
    """What speaks most for a folder is what its mails have and others do not."""
    found = contributions(model, MAIL, CONTENT, "bills")
    by_name = {(one.block, one.name): one.weight for one in found}
    assert by_name["words", "rechnung"] > 0
    assert by_name["sender", "@bills.example.org"] > 0
    assert by_name["recipients", "me@example.com"] != 0
    assert ("characters", "") in by_name
    assert (MEANING, "") in by_name
    listed = mail_about("lists", 502)
    why = contributions(model, listed, features_of(listed, "lists", 502), "lists")
    assert any(one.block == "list" and one.name == "dev.lists.example.org" for one in why)


def test_strongest_come_first(model: MailClassifier) -> None:
    """For or against."""
    weights = [abs(one.weight) for one in contributions(model, MAIL, CONTENT, "travel")]
    assert weights == sorted(weights, reverse=True)


def test_an_unknown_label_is_refused(model: MailClassifier) -> None:
    """As label and as the one to compare with."""
    with pytest.raises(ValueError, match="nowhere"):
        contributions(model, MAIL, CONTENT, "nowhere")
    with pytest.raises(ValueError, match="nowhere"):
        contributions(model, MAIL, CONTENT, "bills", against="nowhere")
