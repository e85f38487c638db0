"""The replay: no look into the future, and figures that add up."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.trainer.mailboxes import mailbox
from trainer.replay import ReplaySettings, Step, replay, summarise

SETTINGS = ReplaySettings(skip=10, tune_every=5)


@pytest.mark.parametrize("cut", [30, 61, 90])
def test_the_past_does_not_depend_on_the_future(cut: int) -> None:
    """Shuffling the labels of all later mails leaves every earlier step as it was."""
    examples = mailbox(120)
    order = np.random.default_rng(1).permutation(np.arange(cut, len(examples)))
    future = [
        dataclasses.replace(examples[at], label=examples[other].label + " of the future")
        for at, other in zip(range(cut, len(examples)), order, strict=True)
    ]
    whole = replay(examples, SETTINGS)
    changed = replay([*examples[:cut], *future], SETTINGS)
    assert whole.steps[:cut] == changed.steps[:cut]
    assert whole.steps[cut:] != changed.steps[cut:]


def test_the_order_in_which_examples_are_given_does_not_matter() -> None:
    """Examples are brought into time order first."""
    examples = mailbox(60)
    assert replay(examples, SETTINGS).steps == replay(examples[::-1], SETTINGS).steps


def test_a_learnable_mailbox_is_learnt() -> None:
    """Accuracy rises over the quarters, well above chance among four folders."""
    report = replay(mailbox(200, noise=0.0), SETTINGS).report
    assert report.accuracy_by_quarter[-1] > 0.9
    assert report.accuracy_by_quarter[-1] >= report.accuracy_by_quarter[0]


def test_learning_after_every_mail_beats_learning_seldom() -> None:
    """With --every 50 the first half of a small mailbox is guesswork."""
    examples = mailbox(100, noise=0.0)
    often = replay(examples, SETTINGS).report.manual_moves_forced
    seldom = replay(examples, dataclasses.replace(SETTINGS, every=50)).report.manual_moves_forced
    assert often < seldom


def test_the_figures_add_up() -> None:
    """Moved, left and wrong moves are counts of the same scored mails."""
    result = replay(mailbox(150), SETTINGS)
    report = result.report
    assert report.messages == 150
    assert report.scored == 140
    assert report.manual_moves == report.wrong_moves + report.left
    assert report.coverage == pytest.approx(1 - report.left / report.scored)
    wrong = sum(not step.is_right for step in result.steps[10:])
    assert report.manual_moves_forced == wrong


def test_first_mails_of_a_folder_are_counted_and_wrong() -> None:
    """Nobody can file the first mail of a folder that was never seen."""
    steps = [
        Step("1", "a", None, 0.0, moves=False, known=False),
        Step("2", "a", "a", 0.9, moves=True, known=True),
        Step("3", "b", "a", 0.8, moves=True, known=False),
        Step("4", "b", "b", 0.7, moves=False, known=True),
    ]
    report = summarise(steps, 0, 0.97, 0.0, 1.0)
    assert report.unseen_folder_mails == 2
    assert report.wrong_moves == 1
    assert report.left == 2
    assert report.precision == pytest.approx(0.5)
    assert report.accuracy == pytest.approx(0.5)


def test_mails_before_the_first_model_say_nothing_about_calibration() -> None:
    """They have no probability; guessing the only folder, mostly rightly, is not a sure zero."""
    sure = [Step(str(n), "a", "a", 1.0, moves=True, known=True) for n in range(30)]
    early = [Step(f"e{n}", "a", "a", 0.0, moves=False, known=True) for n in range(30)]
    assert summarise([*early, *sure], 0, 0.97, 0.0, 1.0).ece == pytest.approx(0.0)
    assert summarise(early, 0, 0.97, 0.0, 1.0).ece == 0.0


def test_a_mailbox_with_one_folder_is_replayed_without_a_model() -> None:
    """There is nothing to tell apart, and nothing is moved."""
    examples = [dataclasses.replace(one, label="only") for one in mailbox(30)]
    report = replay(examples, SETTINGS).report
    assert report.coverage == 0.0
    assert report.accuracy == 1.0
