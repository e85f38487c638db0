"""The classic head: trained in steps, judged as any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from classifier.artifact import load_model, save_model
from classifier.model import CLASSIC
from tests.trainer.mailboxes import mailbox, names_of
from trainer.classic import ClassicTrained, classic
from trainer.curves import CurvePoint, Curves, verdict
from trainer.evaluate import evaluate_over_time
from trainer.fit import Fitted, fit
from trainer.gate import Contender, judge
from trainer.splits import families, random_split
from trainer.steps import ClassicSettings, class_weights

SETTINGS = ClassicSettings(epochs=12, patience=3, learning_rate=5e-3)


@pytest.fixture(scope="module")
def result() -> Fitted:
    """A classic head over 160 mails in four folders."""
    mails = mailbox(160)
    return fit(mails, names_of(mails), featurizer_fingerprint="made-up", learner=classic(SETTINGS))


def test_it_learns(result: Fitted) -> None:
    """Far better than one in four on mail that it has not seen."""
    new = mailbox(120, seed=7, noise=0.0)
    predictions = result.model.predict([one.features for one in new], [None] * len(new))
    right = [one.label == mail.label for one, mail in zip(predictions, new, strict=True)]
    assert result.model.config.head == CLASSIC
    assert np.mean(right) > 0.7


def test_the_same_seed_gives_the_same_weights() -> None:
    """Whatever else has drawn from the global generator."""
    mails = mailbox(60)
    first = ClassicTrained(mails, SETTINGS)
    torch.rand(5)
    second = ClassicTrained(mails, SETTINGS)
    for one, other in zip(
        first._network.state_dict().values(), second._network.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)


def test_it_survives_storage(result: Fitted, tmp_path: Path) -> None:
    """Saved and loaded it says the same; nothing but safetensors and JSON is written."""
    save_model(result.model, tmp_path / "model", manifest={})
    again = load_model(tmp_path / "model")
    new = [one.features for one in mailbox(20, seed=3)]
    assert again.predict(new, [None] * 20) == result.model.predict(new, [None] * 20)
    assert {path.suffix for path in (tmp_path / "model").iterdir()} == {".json", ".safetensors"}


def test_its_predictions_in_time_order_do_not_know_the_future() -> None:
    """Other content in the last block changes no prediction before it, but those within."""
    mails = mailbox(60)
    first = ClassicTrained(mails, SETTINGS)
    start = list(first._blocks())[-1][0]
    others = mailbox(60, seed=9)
    turned = [
        replace(one, features=others[at].features) if at >= start else one
        for at, one in enumerate(mails)
    ]
    second = ClassicTrained(turned, SETTINGS)
    first._epochs = second._epochs = 3
    before, after = first.prequential(), second.prequential()
    assert before.known[20].any()
    np.testing.assert_array_equal(before.scores[:start], after.scores[:start])
    assert not np.array_equal(before.scores[start:], after.scores[start:])


def test_the_gate_compares_it_with_a_ridge_head(result: Fitted) -> None:
    """Both have held-out predictions of the same mail."""
    mails = mailbox(160)
    other = fit(mails, names_of(mails), featurizer_fingerprint="made-up")
    said = judge(
        Contender(result.model, result.report.held_out),
        Contender(other.model, other.report.held_out),
        mails,
    )
    assert said.figures["compared"] == 160
    assert 0 < said.figures["right"] <= 1


def test_it_is_evaluated_on_the_newest_mail() -> None:
    """The split by time works for both heads."""
    mails = mailbox(120)
    report = evaluate_over_time(mails, names_of(mails), learner=classic(SETTINGS))
    assert report.mails > 0


def test_classes_are_weighted_against_their_size() -> None:
    """Fully, half, or not at all; the mean over the mails stays 1."""
    labels = [0] * 8 + [1] * 2
    full, half, none = (class_weights(labels, 2, balance) for balance in (1.0, 0.5, 0.0))
    assert full[1] / full[0] == pytest.approx(4.0)
    assert half[1] / half[0] == pytest.approx(2.0)
    assert none == [1.0, 1.0]
    assert sum(half[label] for label in labels) / 10 == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("losses", "word"),
    [
        ([(1.0, 1.2), (0.5, 0.8), (0.1, 1.1)], "overfitting: training loss 0.10"),
        ([(2.5, 0.1), (2.4, 0.2), (1.7, 0.2)], "past its best"),
        ([(2.0, 2.0), (1.5, 1.6), (1.2, 1.2)], "underfitting"),
        ([(0.5, 1.0), (0.2, 0.9), (0.1, 0.9)], "close to overfitting"),
        ([(1.0, 1.1), (0.8, 0.9), (0.8, 0.9)], "a good fit"),
        ([(1.0, 1.1)], "too short"),
    ],
)
def test_the_verdict_names_what_the_curves_show(
    losses: list[tuple[float, float]], word: str
) -> None:
    """Over- and underfitting, in words."""
    points = tuple(
        CurvePoint(float(epoch), training, validation, 0.5)
        for epoch, (training, validation) in enumerate(losses, start=1)
    )
    curves = Curves(points)
    assert word in verdict(curves)
    assert Curves.from_dict(curves.as_dict()) == curves


def test_a_random_split_keeps_families_together() -> None:
    """Every mail is in one part, every label in the first, no thread in two."""
    mails = mailbox(200)
    split = random_split(mails)
    parts = [split.train, split.calibrate, split.test]
    assert sorted(one.key for part in parts for one in part) == sorted(one.key for one in mails)
    assert {one.label for one in split.train} == {one.label for one in mails}
    number = dict(zip((one.key for one in mails), families(mails), strict=True))
    groups = [{number[one.key] for one in part} for part in parts]
    assert not groups[0] & groups[1]
    assert not (groups[0] | groups[1]) & groups[2]
    assert random_split(mails) == split
