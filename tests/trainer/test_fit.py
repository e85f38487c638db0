"""From examples to a model: what it learns, and whether its figures are honest."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from classifier.labels import LEAVE
from tests.trainer.mailboxes import START, example, features, mailbox, names_of
from trainer.doubt import Doubt
from trainer.errors import ModelNotTrainable
from trainer.examples import Example, Source
from trainer.fit import (
    FitSettings,
    Fitted,
    fit,
    held_out_from_json,
    held_out_to_json,
    outcomes_of,
)
from trainer.head import Head


def fitted(examples: list[Example], **settings: int) -> Fitted:
    return fit(
        examples,
        names_of(examples),
        FitSettings(**settings),  # type: ignore[arg-type]
        featurizer_fingerprint="made-up",
    )


@pytest.fixture(scope="module")
def mails() -> list[Example]:
    return mailbox(400)


@pytest.fixture(scope="module")
def result(mails: list[Example]) -> Fitted:
    return fitted(mails)


def test_new_mail_is_put_where_mail_of_its_topic_lies(result: Fitted) -> None:
    """It learns: more than nine in ten new mails go right, though a tenth of the old lay wrong."""
    new = mailbox(200, seed=7, noise=0.0)
    predictions = result.model.predict([one.features for one in new], [None] * len(new))
    right = [one.label == mail.label for one, mail in zip(predictions, new, strict=True)]
    assert np.mean(right) > 0.9


def test_served_probabilities_are_those_of_the_learning_head(
    mails: list[Example], result: Fitted
) -> None:
    """The primal model in half precision says what the dual form says."""
    head = Head(list(result.examples))
    new = mailbox(40, seed=8)
    scores = np.array([head.scores(one.features) for one in new])
    calibration = result.model.calibration
    expected = calibration.probabilities(calibration.logits(scores, np.full(40, -1)))
    predictions = result.model.predict([one.features for one in new], [None] * 40)
    for row, prediction in zip(expected, predictions, strict=True):
        said = dict(prediction.ranked)
        np.testing.assert_allclose([said[label] for label in head.labels], row, atol=5e-3)


def test_prequential_predictions_never_know_what_comes_after(mails: list[Example]) -> None:
    """The score of a mail is that of a model of the earlier mails in the same space."""
    whole = Head(mails[:120])
    past = whole.prequential()
    for at in (40, 75, 119):
        earlier = Head(mails[:at], space=whole.weights().space)
        assert earlier.labels == whole.labels[: len(earlier.labels)]
        np.testing.assert_allclose(
            past.scores[at, : len(earlier.labels)],
            earlier.scores(mails[at].features),
            atol=2e-3,
        )


def test_appending_mail_by_mail_equals_learning_at_once(mails: list[Example]) -> None:
    """Same space, same weights, in whatever steps."""
    whole = Head(mails[:150])
    grown = Head(mails[:60], space=whole.weights().space)
    for one in mails[60:150]:
        grown.append(one)
    expected, found = whole.weights(), grown.weights()
    assert (expected.space.active == found.space.active).all()
    np.testing.assert_allclose(found.wide, expected.wide, atol=1e-3)
    np.testing.assert_allclose(found.deep, expected.deep, atol=1e-3)


def test_held_out_predictions_are_those_of_models_without_the_mail(
    mails: list[Example],
) -> None:
    """What the gate will read is leave-one-out, not a memory of the label."""
    few = mails[:60]
    found = fitted(few)
    space = Head(few).weights().space
    for at in (5, 30, 59):
        others = Head(few[:at] + few[at + 1 :], space=space)
        best = others.labels[int(others.scores(few[at].features).argmax())]
        assert found.report.held_out[few[at].key].label == best


def test_figures_of_the_report_are_plausible_and_json(result: Fitted) -> None:
    """A tenth of the mails lies wrong, so about nine tenths can be right."""
    report = result.report
    assert report.examples == 400
    assert report.labels == 4
    assert len(report.accuracy_by_quarter) == 4
    assert 0.8 < report.accuracy_by_quarter[-1] <= 1.0
    assert 0.8 < report.accuracy < 0.97
    assert report.ece < 0.08
    assert sum(one.actual for one in report.per_label.values()) == report.window
    assert len(report.held_out) == 400
    assert json.loads(json.dumps(report.as_dict()))["labels"] == 4


def test_noise_in_the_folders_keeps_them_from_moving_mail_at_a_high_target() -> None:
    """A tenth misfiled can never be 99.9 % right; a clean mailbox can."""
    noisy = fit(mailbox(400), {}, featurizer_fingerprint="", target_precision=0.999)
    clean = fit(mailbox(400, noise=0.0), {}, featurizer_fingerprint="", target_precision=0.97)
    assert all(one.threshold is None for one in noisy.model.thresholds.values())
    assert all(one.threshold is not None for one in clean.model.thresholds.values())
    assert clean.report.moved > 0.8
    assert clean.report.moved_right is not None
    assert clean.report.moved_right > 0.97


def test_answers_follow_their_thread(mails: list[Example]) -> None:
    """When threads stay together, the parent's folder decides a mail that says nothing."""
    random = np.random.default_rng(1)
    threaded: list[Example] = []
    for number in range(300):
        parent = threaded[-1] if number % 3 else None
        label = parent.label if parent else f"folder-{random.integers(0, 4)}"
        threaded.append(
            example(
                number,
                label,
                features(random, 50),
                references=(parent.message_id,) if parent else (),
            )
        )
    model = fitted(threaded).model
    prediction = model.predict([features(random, 50)], ["folder-2"])[0]
    assert model.calibration.thread_bonus > 2.0
    assert prediction.label == "folder-2"
    assert prediction.probability > 0.8


def test_descriptions_teach_but_are_no_predictions() -> None:
    """A folder known by its description alone is predicted, but may not receive mail."""
    mails = mailbox(100, folders=3)
    random = np.random.default_rng(5)
    described = example(
        0, "folder-9", features(random, 9, words=60), key="d", source=Source.DESCRIPTION
    )
    found = fitted([*mails, described])
    about_nine = found.model.predict([features(random, 9)], [None])[0]
    assert about_nine.label == "folder-9"
    assert found.model.thresholds["folder-9"].threshold is None
    assert found.report.per_label["folder-9"].examples == 0
    assert "d" not in found.report.held_out


def test_put_backs_are_a_class_that_never_moves() -> None:
    """Mail like the one put back stays."""
    random = np.random.default_rng(2)
    kept = [
        example(1000 + number, LEAVE, features(random, 30), source=Source.PUT_BACK)
        for number in range(40)
    ]
    model = fitted([*mailbox(100, folders=2), *kept]).model
    prediction = model.predict([features(random, 30)], [None])[0]
    assert prediction.label == LEAVE
    assert not model.decide(prediction).moves


def test_heavier_examples_win() -> None:
    """The same mail under two labels: the one that counts more decides."""
    random = np.random.default_rng(4)
    content = features(random, 0)
    mails = [
        example(0, "a", content, weight=1.0),
        example(1, "b", content, weight=4.0),
        example(2, "c", features(random, 1)),
    ]
    assert fitted(mails).model.predict([content], [None])[0].label == "b"


def test_more_mail_than_the_limit_is_thinned_out() -> None:
    """The newest stay, and the report says how many were left out."""
    found = fitted(mailbox(120), max_examples=50)
    assert 46 < found.report.examples <= 50  # the same number per folder
    assert found.report.left_out == 120 - found.report.examples
    assert "key-00119" in found.report.held_out
    assert "key-00000" not in found.report.held_out


def test_rare_words_lose_their_weight_only_in_large_mailboxes() -> None:
    """Every sender keeps its weight, words and n-grams of a single mail go."""
    mails = mailbox(120)
    everything, pruned = fitted(mails).model, fitted(mails, rare_words_up_to=100).model
    keys, counts = np.unique(
        np.concatenate([one.features.indices for one in mails]), return_counts=True
    )
    kept = keys[(counts > 1) | (keys >> 29 > 1)]
    assert everything.active.tolist() == keys.tolist()
    assert pruned.active.tolist() == kept.tolist()
    assert len(kept) < len(keys)


@pytest.mark.parametrize(
    ("labels", "word"),
    [([], "no filed mail"), (["a", "a"], "same place"), ([LEAVE, LEAVE], "inbox")],
)
def test_nothing_to_tell_apart_is_said_plainly(labels: list[str], word: str) -> None:
    """No examples, one label, or only put-backs."""
    random = np.random.default_rng(0)
    mails = [example(at, label, features(random, 0)) for at, label in enumerate(labels)]
    with pytest.raises(ModelNotTrainable, match=word):
        fitted(mails)


def test_two_mails_in_two_folders_are_enough_to_start() -> None:
    """The smallest mailbox gives a model that moves nothing."""
    random = np.random.default_rng(0)
    found = fitted([example(0, "a", features(random, 0)), example(1, "b", features(random, 1))])
    assert found.report.window == 0
    assert found.model.predict([features(random, 1)], [None])[0].label == "b"
    assert all(one.threshold is None for one in found.model.thresholds.values())


def test_the_order_given_does_not_matter(mails: list[Example], result: Fitted) -> None:
    """Time order is made, not assumed."""
    shuffled = [mails[at] for at in np.random.default_rng(3).permutation(len(mails))]
    again = fitted(shuffled)
    assert again.model.config.labels == result.model.config.labels
    assert again.report.held_out == result.report.held_out


def test_a_mail_filed_again_counts_once_with_its_last_label() -> None:
    """The same key twice is one example."""
    mails = mailbox(60)
    moved = replace(mails[3], label="folder-new", date=START + timedelta(days=30))
    found = fitted([*mails, moved])
    assert found.report.examples == 60
    assert found.report.per_label["folder-new"].examples == 1


def test_held_out_predictions_survive_storage(result: Fitted) -> None:
    """Written and read again they are the same."""
    assert held_out_from_json(held_out_to_json(result.report.held_out)) == result.report.held_out


def test_outcomes_name_the_best_label(result: Fitted) -> None:
    """One outcome per prediction, right when the label is the truth."""
    labels = result.model.label_set.keys
    outcomes = outcomes_of(result.past, result.model.calibration, labels)
    assert len(outcomes) == len(result.past)
    for outcome, truth in zip(outcomes, result.past.truth, strict=True):
        assert outcome.right == (outcome.label == labels[truth])


def test_mail_that_may_lie_wrong_is_told_with_the_labels_it_holds_back() -> None:
    """Of a tidy mailbox nothing is told, nor where a person decided so."""
    tidy = mailbox(400, noise=0.0)
    wrong = {one.key for one in tidy[100::25]}

    def untidy(**fields: object) -> list[Example]:
        return [
            replace(one, label=f"folder-{(int(one.label[-1]) + 1) % 4}", **fields)  # type: ignore[arg-type]
            if one.key in wrong
            else one
            for one in tidy
        ]

    found = fit(untidy(), {}, featurizer_fingerprint="").report
    decided = fit(untidy(source=Source.MOVED), {}, featurizer_fingerprint="").report
    good = fit(tidy, {}, featurizer_fingerprint="").report

    assert 0 < found.doubt.mails <= len(wrong)
    held_back = {label for label, one in found.per_label.items() if one.threshold.threshold is None}
    assert set(found.doubt.labels) <= held_back
    assert found.doubt.labels
    assert decided.doubt.mails == 0
    assert good.doubt == Doubt()
