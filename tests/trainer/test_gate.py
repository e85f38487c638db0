"""The gate: worse models are turned away, equal and better ones pass."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tests.trainer.mailboxes import mailbox
from trainer.examples import Example
from trainer.fit import Fitted, HeldOut, fit
from trainer.gate import RECENT, Contender, judge

MAILS = mailbox(320, noise=0.05)


def learnt(examples: Sequence[Example]) -> Fitted:
    return fit(examples, {}, featurizer_fingerprint="")


def contender(found: Fitted) -> Contender:
    return Contender(found.model, found.report.held_out)


def mixed_up(examples: Sequence[Example], share: float) -> list[Example]:
    """The same mails, `share` of them under a wrong label."""
    random = np.random.default_rng(0)
    return [
        replace(one, label=f"folder-{random.integers(0, 4)}") if random.random() < share else one
        for one in examples
    ]


def test_the_first_model_is_promoted() -> None:
    """Nothing to compare with."""
    verdict = judge(contender(learnt(MAILS)), None, MAILS)
    assert verdict.promote
    assert verdict.reason == "This is the first model."


def test_a_model_of_more_of_the_same_mail_is_promoted() -> None:
    """The ordinary case: thirty new mails."""
    verdict = judge(contender(learnt(MAILS)), contender(learnt(MAILS[:290])), MAILS)
    assert verdict.promote
    assert verdict.figures["compared"] == RECENT
    assert verdict.figures["churn"] < 0.1


def test_a_model_trained_on_spoilt_labels_is_turned_away() -> None:
    """Its own held-out predictions betray it against the true labels."""
    spoilt = contender(learnt(mixed_up(MAILS, 0.8)))
    verdict = judge(spoilt, contender(learnt(MAILS[:290])), MAILS)
    assert not verdict.promote
    assert verdict.reason.startswith("Turned away: worse on the last 200 mails (")
    assert verdict.figures["right"] < verdict.figures["right_before"]
    assert verdict.figures["churn"] > 0.2


def test_a_model_that_moves_more_mail_wrongly_is_turned_away() -> None:
    """As good at naming folders, but too sure of itself."""
    good = learnt(MAILS)
    reckless = {key: HeldOut(one.label, 1.0) for key, one in good.report.held_out.items()}
    modest = {key: HeldOut(one.label, 0.0) for key, one in good.report.held_out.items()}
    verdict = judge(Contender(good.model, reckless), Contender(good.model, modest), MAILS)
    assert not verdict.promote
    assert "would move" in verdict.reason
    assert verdict.figures["churn"] == 0.0


def test_each_model_is_asked_only_about_mail_it_has_not_learnt() -> None:
    """A current model of all the mail gains nothing from having seen it."""
    memory = learnt(MAILS)
    verdict = judge(contender(learnt(MAILS)), contender(memory), MAILS)
    assert verdict.figures["right"] == verdict.figures["right_before"]
    assert verdict.figures["right"] < 0.99


def test_too_few_mails_turn_no_model_away() -> None:
    """Nothing is significant on ten mails."""
    few = MAILS[:10]
    bad = contender(learnt(mixed_up(few, 1.0)))
    verdict = judge(bad, contender(learnt(few)), few)
    assert verdict.promote
    assert "too few" in verdict.reason


def test_a_label_the_current_model_does_not_know_counts_against_it() -> None:
    """A new folder is judged like any other."""
    new = [replace(one, label="folder-new") if one.label == "folder-3" else one for one in MAILS]
    verdict = judge(contender(learnt(new)), contender(learnt(MAILS[:290])), new)
    assert verdict.promote
    assert verdict.figures["right"] > verdict.figures["right_before"]


def test_figures_are_json() -> None:
    """They are stored with the model."""
    verdict = judge(contender(learnt(MAILS)), contender(learnt(MAILS[:290])), MAILS)
    assert json.loads(json.dumps(verdict.figures))["compared"] == RECENT
