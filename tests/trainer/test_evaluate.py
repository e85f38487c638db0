"""Evaluation on a split by time, and the model card."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from classifier.decision import Prediction
from tests.trainer.mailboxes import mailbox, names_of
from trainer.card import model_card
from trainer.evaluate import evaluate, evaluate_over_time
from trainer.fit import FitSettings, fit

MAILS = mailbox(400, noise=0.05)


def test_newest_tenth_is_judged_by_a_model_of_the_oldest_eight() -> None:
    """Accuracy lies near the share of mails that are filed by topic, inside its interval."""
    report = evaluate_over_time(MAILS, names_of(MAILS))
    assert report.mails == 40
    assert report.left_out == 0
    assert report.accuracy.low <= report.accuracy.value <= report.accuracy.high
    assert report.accuracy.value > 0.8
    assert report.macro_f1.low <= report.macro_f1.value <= report.macro_f1.high
    assert report.roc_auc is not None
    assert report.roc_auc > 0.9
    assert sum(map(sum, report.confusion)) == 40
    assert json.loads(json.dumps(report.as_dict()))["mails"] == 40


def test_label_that_only_the_test_mail_has_counts_as_wrong() -> None:
    """A folder that came later cannot be predicted; it is in the table all the same."""
    late = [replace(one, label="late") if at >= 380 else one for at, one in enumerate(MAILS)]
    report = evaluate_over_time(late, {})
    assert report.per_label["late"].support == 20
    assert report.per_label["late"].recall == 0.0
    assert report.accuracy.value < 0.6


def test_figures_of_known_predictions_are_exact() -> None:
    """Three of four right, two moved, one of them wrongly."""
    model = fit(MAILS, {}, featurizer_fingerprint="").model
    model.thresholds = {
        label: replace(limit, threshold=0.9) for label, limit in model.thresholds.items()
    }
    labels = model.label_set.keys
    said = [(0, 0.95), (1, 0.92), (2, 0.6), (3, 0.5)]
    predictions = [
        Prediction(((labels[best], share), (labels[(best + 1) % 4], 1 - share)))
        for best, share in said
    ]
    truth = [labels[0], labels[2], labels[2], labels[3]]
    report = evaluate(predictions, truth, model, left_out=7)
    assert report.accuracy.value == 0.75
    assert report.coverage.value == 0.5
    assert report.moved_precision is not None
    assert report.moved_precision.value == 0.5
    assert report.left_out == 7
    assert report.per_label[labels[2]].recall == 0.5
    assert report.per_label[labels[1]].support == 0
    assert report.macro_f1.value == pytest.approx((1 + 0 + 2 / 3 + 1) / 4)
    assert report.weighted_f1 == pytest.approx((1 + 2 * 2 / 3 + 1) / 4)


def test_nothing_to_evaluate_is_an_error() -> None:
    """No figures out of nothing."""
    model = fit(MAILS, {}, featurizer_fingerprint="").model
    with pytest.raises(ValueError, match="no mail"):
        evaluate([], [], model)


def test_model_card_tells_data_method_figures_and_limits() -> None:
    """One readable page with every folder in it, and table cells that stay cells."""
    names = {**names_of(MAILS), "folder-1": "A|B\nC"}
    fitted = fit(MAILS, names, featurizer_fingerprint="encoder+text")
    card = model_card(
        fitted.model,
        fitted.report,
        FitSettings(),
        created=datetime(2025, 3, 14, 9, 15, tzinfo=UTC),
        evaluation=evaluate_over_time(MAILS, names),
    )
    assert "2025-03-14 09:15 UTC" in card
    assert "400 examples in 4 places" in card
    assert "`encoder+text`" in card
    assert "| Folder 2 |" in card
    assert "| A\\|B C |" in card
    assert "40 mails" in card
    assert "## Limits" in card


def test_model_card_without_evaluation_leaves_that_part_out() -> None:
    """A young mailbox has nothing to split."""
    few = MAILS[:12]
    fitted = fit(few, {}, featurizer_fingerprint="")
    card = model_card(fitted.model, fitted.report, FitSettings(), created=datetime.now(UTC))
    assert "Newest tenth" not in card
    assert "none was moved" in card
