"""The report of a fit, and what its figures mean in words."""

from __future__ import annotations

import json

import pytest

from classifier.costs import Costs
from classifier.decision import FolderThreshold, Prediction
from tests.trainer.mailboxes import mailbox
from trainer.fit import fit
from trainer.meaning import confusions, costs_in_words, meanings
from trainer.scores import Policy, measure

LIMITS = {"claims": FolderThreshold(0.8, 0.98, 9), "cancel": FolderThreshold(0.8, 0.98, 9)}
COSTS = Costs({("claims", "cancel"): 5.0})
SAID = [("cancel", 0.99), ("cancel", 0.98), ("claims", 0.99), ("claims", 0.5)]
TRUTH = ["claims", "cancel", "claims", "claims"]


def report(costs: Costs = COSTS) -> dict[str, object]:
    """One claim moved to the cancellations, one mail left, two moved rightly."""
    said = [Prediction(((label, p),)) for label, p in SAID]
    policy = Policy(("claims", "cancel"), LIMITS, costs)
    found: dict[str, object] = json.loads(json.dumps(measure(said, TRUTH, policy).as_dict()))
    return found


def test_the_cost_is_that_of_the_mistakes_and_of_the_mails_left() -> None:
    """Five for the claim, one for the mail left; without costs one each."""
    assert (report()["cost"], report()["wrong_moves"], report()["left"]) == (6.0, 1, 1)
    assert report(Costs())["cost"] == 2.0


def test_every_figure_has_a_sentence() -> None:
    """With the interval where there is one; an old report without costs is read as well."""
    found = {one.name: one for one in meanings(report())}
    assert found["cost"].value == "6"
    assert found["cost"].sentence == "in mails left in the inbox: 1 left, 1 moved wrongly"
    assert found["accuracy"].value == "75.0 %"
    assert "–" in found["accuracy"].interval
    assert all(one.sentence for one in found.values())
    old = {key: value for key, value in report().items() if not key.startswith("cost")}
    assert "cost" not in {one.name for one in meanings(old)}


def test_confusions_and_costs_are_named() -> None:
    """By the folders' names, the dearest first."""
    names = {"claims": "Schadensmeldungen", "cancel": "Kündigungen"}
    [one] = confusions(report(), names)
    assert (one.true, one.predicted, one.mails, one.cost) == (
        *("Schadensmeldungen", "Kündigungen"), 1, 5.0,
    )  # fmt: skip
    assert costs_in_words(report(), names) == [
        "A mail of Schadensmeldungen filed under Kündigungen costs as much as 5 left in the inbox."
    ]


def test_a_fit_reports_on_mail_it_had_not_seen_and_a_model_keeps_its_costs() -> None:
    """The newer half of the window; dear mistakes move less mail, never more."""
    mails = mailbox(160, noise=0.15)
    plain = fit(mails, {}, featurizer_fingerprint="", target_precision=0.8)
    costs = Costs({("*", "folder-1"): 20.0})
    dear = fit(mails, {}, featurizer_fingerprint="", target_precision=0.8, costs=costs)
    recent = plain.report.recent
    assert recent is not None
    assert recent.mails == plain.report.window - plain.report.window // 2
    assert sum(map(sum, recent.confusion)) == recent.mails
    assert sum(one.mails for one in recent.reliability) == recent.mails
    assert recent.cost == recent.wrong_moves + recent.left
    assert recent.roc_auc == pytest.approx(
        sum(a for a in recent.roc_auc_by_label.values() if a is not None) / 4
    )
    assert dear.model.costs == costs
    limits = [one.model.thresholds["folder-1"].estimated_precision for one in (plain, dear)]
    assert limits[1] < limits[0]
