"""Two ways of learning, compared on the same mail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from classifier.decision import Decision, FolderThreshold, Prediction, decide
from classifier.features import Features
from classifier.space import BlockWeights
from tests.trainer.mailboxes import mailbox, names_of
from trainer.compare import Learn, compare
from trainer.errors import ModelNotTrainable
from trainer.evaluate import learn_split
from trainer.examples import TimeSplit, time_split
from trainer.fit import FitSettings

MAILS = mailbox(300, noise=0.05)


def ridge(settings: FitSettings) -> Learn:
    """The ordinary head."""
    return lambda split: learn_split(split, names_of(MAILS), settings, target_precision=0.9)


@dataclass
class Stubborn:
    """Always says the same folder, and is always sure: a head of another kind."""

    label: str

    def predict(
        self, features: Sequence[Features], parents: Sequence[str | None]
    ) -> list[Prediction]:
        """The folder, for each mail."""
        return [Prediction(((self.label, 0.99),)) for _ in features]

    def decide(self, prediction: Prediction) -> Decision:
        """Moves everything."""
        return decide(prediction, {self.label: FolderThreshold(0.5, 0.9, 10)})


def test_the_same_way_of_learning_does_not_differ_from_itself() -> None:
    """All differences are exactly zero, and the sentence says that none can be told."""
    found = compare(time_split(MAILS), ridge(FitSettings()), ridge(FitSettings()))

    assert found.mails >= 20
    assert {(d.value, d.low, d.high) for d in found.differences.values()} <= {
        (0.0, 0.0, 0.0),
        (None, None, None),
    }
    assert "No difference" in found.verdict
    assert found.first.manual_moves_forced == found.second.manual_moves_forced


def test_any_head_that_predicts_can_be_compared_and_a_bad_one_loses() -> None:
    """The one that always says the same folder has more mail to move, beyond doubt."""
    found = compare(
        time_split(MAILS),
        ridge(FitSettings()),
        lambda _split: Stubborn("folder-0"),
        ("ridge", "stubborn"),
    )

    wrong = found.differences["manual_moves_forced"]
    assert wrong.low is not None
    assert wrong.low > 0
    assert found.verdict.startswith("ridge is better")
    assert found.second.coverage == 1.0
    assert found.second.manual_moves_forced == found.second.manual_moves
    accuracy = found.differences["accuracy"]
    assert accuracy.value == pytest.approx(found.second.accuracy - found.first.accuracy)


def test_weights_that_leave_the_words_out_change_the_outcome() -> None:
    """Block weights reach the head."""
    blind = BlockWeights(words=0, characters=0, sender=0, deep=0, meta=1.0)

    found = compare(time_split(MAILS), ridge(FitSettings()), ridge(FitSettings(blocks=blind)))

    assert found.second.accuracy < found.first.accuracy


def test_a_few_mails_are_not_enough_for_a_verdict() -> None:
    """Whatever the figures say."""
    found = compare(
        time_split(MAILS[:60]), ridge(FitSettings()), lambda _split: Stubborn("folder-0")
    )

    assert found.mails < 20
    assert "too few" in found.verdict


def test_without_test_mail_nothing_can_be_compared() -> None:
    """Said before anything is learnt."""
    split = TimeSplit(tuple(MAILS), (), (), 0)

    with pytest.raises(ModelNotTrainable, match="too little mail"):
        compare(split, ridge(FitSettings()), ridge(FitSettings()))
