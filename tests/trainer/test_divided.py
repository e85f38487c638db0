"""The divided head against the heads of its parts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from classifier.features import Block, Features, block_of
from classifier.space import BlockWeights, FeatureSpace
from tests.trainer.mailboxes import features, mailbox
from trainer.divided import DividedHead, dealt, made_one_by_one, parts_needed
from trainer.examples import Example, Source
from trainer.fit import FitSettings, Fitted, fit
from trainer.head import Head

RIDGE = 0.03
RECENT = 30
PARTS = 3


@pytest.fixture(scope="module")
def mails() -> list[Example]:
    return mailbox(160)


@pytest.fixture(scope="module")
def space(mails: list[Example]) -> FeatureSpace:
    return FeatureSpace.learn([one.features for one in mails], BlockWeights())


def head_of(
    mails: list[Example], space: FeatureSpace, count: int, recent: int = RECENT
) -> DividedHead:
    return DividedHead(mails, space, made_one_by_one(mails, RIDGE, space, count), recent=recent)


@pytest.fixture(scope="module")
def divided(mails: list[Example], space: FeatureSpace) -> DividedHead:
    return head_of(mails, space, PARTS)


def heads_of_parts(
    mails: list[Example], space: FeatureSpace, stop: int | None = None, without: int | None = None
) -> list[Head]:
    """An exact head on each part, as far as it lies before `stop`, `without` one mail."""
    heads = []
    for part in dealt(mails, PARTS):
        members = part[: np.searchsorted(part, len(mails) if stop is None else stop)]
        known = [mails[at] for at in members if at != without]
        heads.append(Head(known, RIDGE, space=space))
    return heads


def by_label(head: Head, scores: np.ndarray, labels: list[str]) -> np.ndarray:
    return np.array([scores[head.labels.index(label)] for label in labels])


def test_each_mail_is_in_one_part_and_stays_there_as_others_come_and_go(
    mails: list[Example],
) -> None:
    """Parts of about the same size, in time order; descriptions are in all of them."""
    sentence = replace(mails[0], key="d", source=Source.DESCRIPTION)
    parts = dealt([sentence, *mails], PARTS)
    assert sorted(at for part in parts for at in part[1:]) == list(range(1, len(mails) + 1))
    assert all(part[0] == 0 and (np.diff(part) > 0).all() for part in parts)
    assert all(35 < len(part) < 75 for part in parts)
    fewer = [one for number, one in enumerate(mails) if number % 10]
    for part, smaller in zip(parts, dealt(fewer, PARTS), strict=True):
        assert {fewer[at].key for at in smaller} <= {mails[at - 1].key for at in part[1:]}


def test_as_many_parts_as_are_needed_and_room_for_descriptions(mails: list[Example]) -> None:
    """160 mails: three parts of 60, or four of which each holds ten descriptions."""
    sentences = [replace(one, source=Source.DESCRIPTION) for one in mails[:10]]
    assert parts_needed(mails, 60) == 3
    assert parts_needed([*sentences, *mails], 60) == 4


def test_a_single_part_is_the_exact_head(mails: list[Example], space: FeatureSpace) -> None:
    """Weights, prequential and leave-one-out predictions agree."""
    one, exact = head_of(mails, space, 1), Head(mails, RIDGE, space=space)
    np.testing.assert_allclose(one.weights().wide, exact.weights().wide, atol=1e-5, rtol=1e-3)
    np.testing.assert_allclose(one.weights().deep, exact.weights().deep, atol=1e-5)
    np.testing.assert_allclose(one.prequential().scores, exact.prequential().scores, atol=1e-5)
    found, expected = one.leave_one_out(RECENT), exact.leave_one_out(RECENT)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    assert (found.known == expected.known).all()
    assert (found.truth == expected.truth).all()


def test_the_weights_are_the_mean_of_the_parts_weights(
    mails: list[Example], space: FeatureSpace, divided: DividedHead
) -> None:
    """A new mail gets the mean of what the three heads say."""
    parts = heads_of_parts(mails, space)
    new = features(np.random.default_rng(5), 2)
    expected = np.mean([by_label(p, p.scores(new), divided.labels) for p in parts], axis=0)
    weights = divided.weights()
    row = weights.space.rows([new])
    known = row.columns >= 0
    found = row.values[known] @ weights.wide[row.columns[known]] + weights.deep @ row.deep[0]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_allclose(divided.scores(new), expected, atol=1e-3)


def test_recent_mails_are_predicted_by_the_mean_of_heads_of_earlier_mails(
    mails: list[Example], space: FeatureSpace, divided: DividedHead
) -> None:
    """No part knows the mail or anything after it."""
    past = divided.prequential()
    for at in (131, 145, 159):
        earlier = heads_of_parts(mails, space, stop=at)
        said = [by_label(p, p.scores(mails[at].features), divided.labels) for p in earlier]
        np.testing.assert_allclose(past.scores[at], np.mean(said, axis=0), atol=2e-3)


def test_older_mails_are_predicted_by_their_own_part_from_earlier_mails(
    mails: list[Example], space: FeatureSpace, divided: DividedHead
) -> None:
    """The average of all parts is only worked out for the recent ones."""
    at = 100
    turn = next(turn for turn, part in enumerate(dealt(mails, PARTS)) if at in part)
    own = heads_of_parts(mails, space, stop=at)[turn]
    expected = by_label(own, own.scores(mails[at].features), divided.labels)
    np.testing.assert_allclose(divided.prequential().scores[at], expected, atol=2e-3)


def test_a_left_out_mail_is_unknown_to_every_part(
    mails: list[Example], space: FeatureSpace, divided: DividedHead
) -> None:
    """Its own part without it, the others as they are."""
    past = divided.leave_one_out(RECENT)
    for at in (130, 144, 159):
        parts = heads_of_parts(mails, space, without=at)
        said = [by_label(p, p.scores(mails[at].features), divided.labels) for p in parts]
        np.testing.assert_allclose(past.scores[at - 130], np.mean(said, axis=0), atol=2e-3)


def test_no_more_mails_can_be_left_out_than_were_prepared(divided: DividedHead) -> None:
    """A clear error instead of wrong figures."""
    with pytest.raises(ValueError, match="newest 30"):
        divided.leave_one_out(RECENT + 1)


def test_a_part_without_some_folder_still_fits_the_others(space: FeatureSpace) -> None:
    """A folder of one mail lies in one part only, and every part knows a description."""
    few = mailbox(40)
    sentence = replace(few[0], key="d", label="described", source=Source.DESCRIPTION)
    rare = replace(few[11], key="rare", label="rare")
    head = head_of([sentence, *few, rare], space, 3, recent=10)
    assert {"described", "rare"} <= set(head.labels)
    assert np.isfinite(head.weights().wide).all()
    assert np.isfinite(head.prequential().scores).all()


def test_words_of_a_single_mail_can_be_left_out(mails: list[Example]) -> None:
    """Counted over all parts: a word that occurs once in each of two parts stays, and so does
    every sender."""
    strange = [replace(mails[0], key=f"x{n}", features=odd_features(n)) for n in range(3)]
    all_mails = [*mails, *strange]
    space = FeatureSpace.learn([one.features for one in all_mails], BlockWeights())
    head = head_of(all_mails, space, PARTS)
    counts = Counter(key for one in all_mails for key in one.features.indices.tolist())
    kept = set(head.weights(rare_words=False).space.active.tolist())
    named = {key for key in counts if block_of(key) >= Block.SENDER}
    assert named | {key for key, count in counts.items() if count > 1} == kept
    assert set(counts) == set(head.weights().space.active.tolist())


def odd_features(number: int) -> Features:
    """A mail about what no other is about."""
    return features(np.random.default_rng(number), 50 + number)


def test_a_fit_of_many_examples_is_divided_and_as_good() -> None:
    """The same report as from one exact head, and new mail goes where mail of its topic lies."""
    mails, new = mailbox(400), mailbox(100, seed=7, noise=0.0)
    settings = FitSettings(calibration_window=100, held_out=120)
    exact = fit(mails, {}, settings, featurizer_fingerprint="")
    small = replace(settings, exact_up_to=150, part_size=150)
    divided = fit(mails, {}, small, featurizer_fingerprint="")
    assert len(divided.report.held_out) == 120
    assert divided.report.examples == 400
    assert accuracy(divided, new) > accuracy(exact, new) - 0.05
    assert accuracy(divided, new) > 0.9


def accuracy(fitted: Fitted, mails: list[Example]) -> float:
    predictions = fitted.model.predict([one.features for one in mails], [None] * len(mails))
    right = [one.label == mail.label for one, mail in zip(predictions, mails, strict=True)]
    return float(np.mean(right))
