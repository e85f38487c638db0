"""What is kept between two fits gives what a fit from scratch gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.mailboxes import example, features, mailbox
from trainer.divided import made_one_by_one
from trainer.errors import ModelNotTrainable
from trainer.examples import Example, Source, in_time_order
from trainer.fit import DividedTrained, FitSettings, Fitted, RidgeTrained, fit
from trainer.head import Head
from trainer.heads import TrainedHead
from trainer.kept import RELEARN_SHARE, KeptRidge
from trainer.pairs import Pairs
from trainer.parts import Parts
from trainer.replay import ReplaySettings

SETTINGS = FitSettings(held_out=40)
RARE_LEFT_OUT = replace(SETTINGS, rare_words_up_to=5)
IN_PARTS = replace(SETTINGS, exact_up_to=20, part_size=25, calibration_window=30, held_out=30)
KINDS = [SETTINGS, RARE_LEFT_OUT, IN_PARTS, replace(IN_PARTS, rare_words_up_to=5)]


def from_scratch(examples: Sequence[Example], kept: KeptRidge, settings: FitSettings) -> Fitted:
    """The head learnt anew in the space that is kept, in as many parts as are kept."""
    space, held = kept.space, held_by(kept)
    assert space is not None

    def learn(known: Sequence[Example], _background: object) -> TrainedHead:
        head: RidgeTrained | DividedTrained
        if isinstance(held, Pairs):
            head = RidgeTrained(known, settings.ridge_lambda, space=space)
        else:
            parts = made_one_by_one(known, settings.ridge_lambda, space, len(list(held)))
            head = DividedTrained(known, space, parts, recent=settings.recent)
        head.rare_words = len(known) <= settings.rare_words_up_to
        return head

    return fit(examples, {}, settings, featurizer_fingerprint="f", learner=learn)


def held_by(kept: KeptRidge) -> Pairs | Parts:
    assert kept._kept is not None
    return kept._kept.held


def fitted(examples: Sequence[Example], kept: KeptRidge, settings: FitSettings) -> Fitted:
    return fit(examples, {}, settings, featurizer_fingerprint="f", learner=kept.learner(settings))


def assert_same(one: Fitted, other: Fitted, asked: Sequence[Example]) -> None:
    """Same predictions of unknown mail, of the past, of what was left out, and same thresholds."""
    assert one.model.label_set.keys == other.model.label_set.keys
    parents = [None] * len(asked)
    contents = [each.features for each in asked]
    np.testing.assert_allclose(
        one.model.logits_of(contents, parents), other.model.logits_of(contents, parents), atol=0.02
    )
    np.testing.assert_array_equal(one.past.truth, other.past.truth)
    known = one.past.known
    np.testing.assert_array_equal(known, other.past.known)
    np.testing.assert_allclose(one.past.scores[known], other.past.scores[known], atol=1e-3)
    assert one.report.held_out.keys() == other.report.held_out.keys()
    for key, said in one.report.held_out.items():
        assert said.probability == pytest.approx(other.report.held_out[key].probability, abs=5e-3)
    np.testing.assert_array_equal(one.model.active.numpy(), other.model.active.numpy())


class Mailbox:
    """Examples that change as a person changes them; each lesson takes one number as its dice."""

    lessons = ("file", "file old", "file in new folder", "move", "exclude", "reweigh")

    def __init__(self, size: int) -> None:
        self.examples = mailbox(size)
        self._random = np.random.default_rng(1)
        self._number = size

    def teach(self, lesson: str, dice: int) -> None:
        at = dice % len(self.examples)
        one = self.examples[at]
        if lesson == "file":
            self._file(self._number, dice)
        elif lesson == "file old":
            self._file(at, dice)
        elif lesson == "file in new folder":
            self._file(self._number, 10 + dice % 3)
        elif lesson == "move":
            self.examples[at] = replace(one, label=f"folder-{dice % 5}")
        elif lesson == "exclude":
            del self.examples[at]
        else:
            self.examples[at] = replace(one, weight=1.0 + dice % 3)
        self.examples = in_time_order(self.examples)

    def _file(self, hour: int, topic: int) -> None:
        self._number += 1
        filed = example(hour, f"folder-{topic % 13}", features(self._random, topic % 13))
        self.examples.append(replace(filed, key=f"later-{self._number}", message_id=""))


LESSONS = st.lists(
    st.lists(
        st.tuples(st.sampled_from(Mailbox.lessons), st.integers(0, 1000)), min_size=1, max_size=3
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(lessons=LESSONS, chosen=st.sampled_from(KINDS))
def test_after_any_lessons_the_model_is_that_of_a_fit_from_scratch(
    lessons: list[list[tuple[str, int]]], chosen: FitSettings
) -> None:
    """Mail is filed (also between older mail), moved, excluded and reweighed; the same space, in
    one piece or in three parts."""
    person, kept = Mailbox(60), KeptRidge()
    asked = mailbox(20, seed=5)
    fitted(person.examples, kept, chosen)
    for round_ in lessons:
        for lesson, dice in round_:
            person.teach(lesson, dice)
        found = fitted(person.examples, kept, chosen)
        assert_same(found, from_scratch(person.examples, kept, chosen), asked)


def test_what_only_an_excluded_mail_had_is_no_feature_any_more() -> None:
    """Filed after the space was learnt, and gone again: nothing of it is in the model."""
    examples, kept = mailbox(60), KeptRidge()
    fitted(examples, kept, SETTINGS)
    strange = features(np.random.default_rng(3), 77)
    with_it = fitted([*examples, example(60, "folder-1", strange)], kept, SETTINGS)
    without = fitted(examples, kept, SETTINGS)
    assert set(strange.indices.tolist()) <= set(with_it.model.active.tolist())
    assert not set(strange.indices.tolist()) <= set(without.model.active.tolist())
    assert_same(without, from_scratch(examples, kept, SETTINGS), examples[:10])


def test_moved_mail_changes_neither_similarities_nor_factor() -> None:
    """Other labels alone: the very same square of numbers."""
    examples, kept = mailbox(60), KeptRidge()
    fitted(examples, kept, SETTINGS)
    held = held_by(kept)
    assert isinstance(held, Pairs)
    before = held.factor.copy()
    moved = [
        replace(one, label="folder-0") if at % 7 == 0 else one for at, one in enumerate(examples)
    ]
    fitted(moved, kept, SETTINGS)
    assert held_by(kept) is held
    np.testing.assert_array_equal(held.factor, before)


def test_many_mails_at_once_count_like_first_ones() -> None:
    """Thirty are filed between two fits: compared together instead of one by one."""
    examples, kept = mailbox(300), KeptRidge()
    fitted(examples[:200:1], kept, SETTINGS)
    space = kept.space
    found = fitted(in_time_order([*examples[:100], *examples[110:235]]), kept, SETTINGS)
    assert kept.space is space
    chosen = in_time_order([*examples[:100], *examples[110:235]])
    assert_same(found, from_scratch(chosen, kept, SETTINGS), examples[250:270])


def test_the_space_is_learnt_anew_when_a_quarter_of_the_mail_is_new() -> None:
    """Until then it stays as it is; afterwards the fit is the plain one from scratch."""
    examples, kept = mailbox(200), KeptRidge()
    fitted(examples[:100], kept, SETTINGS)
    first = kept.space
    fitted(examples[:124], kept, SETTINGS)
    assert kept.space is first
    found = fitted(examples[:125], kept, SETTINGS)
    assert kept.space is not first
    plain = fit(examples[:125], {}, SETTINGS, featurizer_fingerprint="f")
    assert_same(found, plain, examples[150:170])


def test_a_replay_learns_its_space_by_the_same_rule() -> None:
    """What `inboxd replay` measures is what the daemon does."""
    assert ReplaySettings().relearn_at == 1.0 + RELEARN_SHARE


@pytest.mark.parametrize(
    "changed",
    [
        replace(SETTINGS, ridge_lambda=0.1),
        replace(SETTINGS, blocks=replace(SETTINGS.blocks, words=2.0)),
    ],
)
def test_other_settings_are_fitted_from_scratch(changed: FitSettings) -> None:
    """Another λ, other weights of the blocks: nothing that is kept suits them."""
    examples, kept = mailbox(80), KeptRidge()
    fitted(examples, kept, SETTINGS)
    found = fitted(examples, kept, changed)
    assert_same(found, fit(examples, {}, changed, featurizer_fingerprint="f"), examples[:10])


def test_other_features_of_the_same_mail_are_noticed() -> None:
    """A key that means other content is not the mail that was learnt."""
    examples, kept = mailbox(80), KeptRidge()
    fitted(examples, kept, SETTINGS)
    random = np.random.default_rng(9)
    changed = [*examples[:40], replace(examples[40], features=features(random, 3)), *examples[41:]]
    found = fitted(changed, kept, SETTINGS)
    assert_same(found, from_scratch(changed, kept, SETTINGS), examples[:10])


def test_descriptions_made_anew_are_the_same_as_before() -> None:
    """They are encoded at each fit; equal features do not make a fit from scratch of it."""
    described = [
        replace(one, key=f"description {one.key}", source=Source.DESCRIPTION)
        for one in mailbox(4, seed=3)
    ]
    examples, kept = in_time_order([*described, *mailbox(60)]), KeptRidge()
    fitted(examples, kept, SETTINGS)
    again = [
        replace(one, features=type(one.features).from_bytes(one.features.to_bytes()))
        if not one.is_mail
        else one
        for one in examples
    ]
    assert held_by(kept).changes(again) == 0
    assert_same(fitted(again, kept, SETTINGS), from_scratch(again, kept, SETTINGS), examples[-9:])


def test_after_a_failed_fit_nothing_is_kept() -> None:
    """The next one starts from scratch."""
    examples, kept = mailbox(60), KeptRidge()
    fitted(examples, kept, SETTINGS)
    assert kept.bytes > 4 * 60 * 60
    broken = [*examples, replace(examples[0], key="broken", features=None)]  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        fitted(broken, kept, SETTINGS)
    assert kept.bytes == 0
    fitted(examples, kept, SETTINGS)
    assert kept.bytes > 0


def test_too_few_folders_do_not_cost_what_is_kept() -> None:
    """Nothing to learn is said before anything is touched."""
    examples, kept = mailbox(60), KeptRidge()
    fitted(examples, kept, SETTINGS)
    with pytest.raises(ModelNotTrainable):
        fitted([one for one in examples if one.label == "folder-1"], kept, SETTINGS)
    assert kept.bytes > 0


def test_what_one_piece_does_not_hold_is_kept_in_parts() -> None:
    """Beyond `exact_up_to`; and in one piece again when enough has gone."""
    examples, kept = mailbox(90), KeptRidge()
    few = replace(SETTINGS, exact_up_to=60, part_size=50)
    for size, kind in ((50, Pairs), (70, Parts), (75, Parts), (60, Pairs)):
        found = fitted(examples[:size], kept, few)
        assert isinstance(held_by(kept), kind)
        assert_same(found, from_scratch(examples[:size], kept, few), examples[85:])


@pytest.mark.parametrize("most_bytes", [50_000, 0])
def test_parts_that_would_take_too_much_memory_are_made_one_by_one(most_bytes: int) -> None:
    """The same model, and nothing is kept of them; one piece is not asked."""
    examples, kept = mailbox(90), KeptRidge()
    few = replace(SETTINGS, exact_up_to=60, part_size=50)
    learner = kept.learner(few, most_bytes)
    found = fit(examples, {}, few, featurizer_fingerprint="f", learner=learner)
    assert_same(found, fit(examples, {}, few, featurizer_fingerprint="f"), examples[:5])
    assert kept.bytes == 0
    fit(examples[:55], {}, few, featurizer_fingerprint="f", learner=learner)
    assert kept.bytes > 0


def test_many_mails_at_once_are_compared_by_the_parts_as_they_are_asked() -> None:
    """More than are compared one by one between two fits."""
    examples, kept = mailbox(500), KeptRidge()
    chosen = replace(IN_PARTS, part_size=150)
    fitted(examples[:400], kept, chosen)
    held = held_by(kept)
    found = fitted(examples[:480], kept, chosen)
    assert held_by(kept) is held
    assert_same(found, from_scratch(examples[:480], kept, chosen), examples[480:])


def test_a_part_whose_mail_and_labels_stay_is_asked_nothing_again() -> None:
    """One mail is moved to another folder: only its part learns, and answers anew."""
    examples, kept = mailbox(90), KeptRidge()
    fitted(examples, kept, IN_PARTS)
    before = [part.learnt for _, part in held_by(kept)]  # type: ignore[union-attr]
    moved = [*examples[:-1], replace(examples[-1], label="folder-0")]
    found = fitted(moved, kept, IN_PARTS)
    after = [part.learnt for _, part in held_by(kept)]  # type: ignore[union-attr]
    assert sum(one is not other for one, other in zip(before, after, strict=True)) == 1
    assert_same(found, from_scratch(moved, kept, IN_PARTS), examples[:9])


def test_one_new_mail_is_scored_as_by_a_head_from_scratch() -> None:
    """In the order of the examples, not in that of the rows."""
    examples, kept = mailbox(60), KeptRidge()
    fitted(examples[:50], kept, SETTINGS)
    changed = in_time_order(
        [*examples[:20], *examples[22:50], replace(examples[55], date=examples[3].date)]
    )
    head = kept.learner(SETTINGS)(changed, ())
    assert kept.space is not None
    plain = Head(changed, SETTINGS.ridge_lambda, space=kept.space)
    np.testing.assert_allclose(
        head.scores(examples[56].features), plain.scores(examples[56].features), atol=1e-4
    )
