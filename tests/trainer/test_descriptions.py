"""Folders that are known by a sentence before they hold any mail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from classifier.encoder import load_encoder
from classifier.features import Features
from classifier.featurizer import Featurizer
from classifier.mail import Mail
from classifier.space import BlockWeights
from tests.support.tiny_bert import tiny_bert_directory
from tests.trainer.mailboxes import example, features, mailbox, names_of
from trainer.descriptions import Description, blocks_for, description_examples
from trainer.examples import Example, Source, in_time_order, time_split
from trainer.fit import fit
from trainer.replay import ReplaySettings, replay

SENTENCES = {
    "1": ("Rechnungen", "Rechnung und Zahlung, Betrag fällig, Überweisung vom Konto"),
    "2": ("Reisen", "Flug, Hotel, Buchung einer Reise"),
    "3": ("Verein", "Training und Spiel, Fußball im Verein"),
}


@pytest.fixture(scope="module")
def featurizer(tmp_path_factory: pytest.TempPathFactory) -> Featurizer:
    """A tiny but real BERT and the features that go with it."""
    path = tmp_path_factory.mktemp("encoder")
    return Featurizer(load_encoder(str(tiny_bert_directory(path / "tiny")), path / "cache", "cpu"))


@pytest.fixture
def described(featurizer: Featurizer) -> list[Example]:
    """One pseudo-example for each of `SENTENCES`."""
    found = [Description(label, *texts) for label, texts in SENTENCES.items()]
    return description_examples(found, featurizer.features)


def sentences_for(examples: Sequence[Example]) -> list[Example]:
    """What descriptions of the topics of a made-up mailbox look like to the head."""
    random = np.random.default_rng(7)
    return [
        example(
            0,
            label,
            features(random, int(label.removeprefix("folder-")), words=30),
            key=f"description {label}",
            message_id="",
            source=Source.DESCRIPTION,
        )
        for label in sorted({one.label for one in examples})
    ]


@pytest.mark.parametrize(
    ("name", "subject"), [("Kündigungen", "Kündigungen"), ("31", ""), ("Q4/2024", "Q4/2024")]
)
def test_a_description_reads_as_a_mail(name: str, subject: str) -> None:
    """A name that is a mere number says nothing and is left out."""
    mail = Description("7", name, "Kunden beenden ihr Abo").mail()

    assert (mail.subject, mail.plain) == (subject, "Kunden beenden ihr Abo")


def test_descriptions_come_before_all_mail_and_are_none(described: list[Example]) -> None:
    """Whatever date a mail claims."""
    early = replace(mailbox(1)[0], date=described[0].date.replace(year=1969))

    assert in_time_order([early, *described])[-1] is early
    assert not [one for one in described if one.is_mail]


def test_a_model_of_descriptions_alone_names_folders_and_moves_nothing(
    featurizer: Featurizer, described: list[Example]
) -> None:
    """All classes are there before the first mail; there is no evidence yet to move by."""
    names = {label: name for label, (name, _) in SENTENCES.items()}
    fitted = fit(described, names, featurizer_fingerprint=featurizer.fingerprint)
    mails = [
        Mail(plain="Zahlung fällig: Betrag der Rechnung und Überweisung vom Konto"),
        Mail(plain="Buchung für Hotel und Flug einer Reise"),
        Mail(plain="Fußball, Training, Spiel und Verein"),
    ]
    predictions = fitted.model.predict(featurizer.features(mails), [None] * 3)

    assert [one.label for one in predictions] == ["1", "2", "3"]
    assert not any(fitted.model.decide(one).moves for one in predictions)
    assert {each.threshold for each in fitted.model.thresholds.values()} == {None}
    assert set(fitted.model.thresholds) == set(SENTENCES)


def test_the_vector_weighs_less_until_there_is_mail(described: list[Example]) -> None:
    """Sentences share words with mail rather than its tone; whoever wants it lower gets that."""
    mail = mailbox(1)
    model = fit(described, {}, featurizer_fingerprint="f").model
    assert model.config.block_weights["deep"] == 1.0
    assert blocks_for([*described, *mail], BlockWeights()) == BlockWeights()
    assert blocks_for(described, BlockWeights(deep=0.5)) == BlockWeights(deep=0.5)


def test_descriptions_count_neither_as_predictions_nor_as_examples_of_a_folder() -> None:
    """Figures and thresholds belong to mail."""
    mails = mailbox(60)
    fitted = fit([*sentences_for(mails), *mails], names_of(mails), featurizer_fingerprint="f")

    assert set(fitted.report.held_out) == {one.key for one in mails}
    assert sum(one.examples for one in fitted.report.per_label.values()) == 60


def test_unfiled_mail_tells_how_common_words_are_and_nothing_else(
    described: list[Example], featurizer: Featurizer
) -> None:
    """Document frequencies and the centre change; no label comes from it."""
    unfiled = featurizer.features([Mail(plain=f"Hallo, und danke {n}") for n in range(9)])
    alone = fit(described, {}, featurizer_fingerprint="f").model
    helped = fit(described, {}, featurizer_fingerprint="f", background=unfiled).model

    assert helped.label_set.keys == alone.label_set.keys
    assert helped.config.active_features > alone.config.active_features
    assert helped.config.training["examples"] == 3


def test_a_split_by_time_puts_descriptions_into_the_first_part() -> None:
    """They were there before the oldest mail, and are never what is tested on."""
    mails = mailbox(50)
    split = time_split([*mails, *sentences_for(mails)])
    only = time_split(sentences_for(mails))

    assert [one.is_mail for one in split.train[:4]] == [False] * 4
    assert all(one.is_mail for one in (*split.calibrate, *split.test))
    assert (len(only.train), only.calibrate, only.test) == (4, (), ())


def test_a_replay_with_descriptions_leaves_fewer_mails_to_move() -> None:
    """No folder is unknown at its first mail, and the first mails are mostly right."""
    mails = mailbox(60, folders=8, noise=0.0)
    settings = ReplaySettings(skip=0)
    plain = replay(mails, settings).report
    helped = replay([*mails, *sentences_for(mails)], settings).report

    assert plain.zero_shot_accuracy is None
    assert helped.zero_shot_accuracy is not None
    assert helped.zero_shot_accuracy > 0.8
    assert helped.manual_moves_forced < 0.7 * plain.manual_moves_forced
    assert (helped.messages, helped.unseen_folder_mails) == (60, 0)


def test_the_zero_shot_figure_is_told_no_label() -> None:
    """With every label of the mailbox turned round by one, all that was right is wrong."""
    mails = mailbox(40, noise=0.0)
    sentences = sentences_for(mails)
    turned = [
        replace(one, label=f"folder-{(int(one.label.removeprefix('folder-')) + 1) % 4}")
        for one in mails
    ]
    right = replay([*mails, *sentences]).report.zero_shot_accuracy
    wrong = replay([*turned, *sentences]).report.zero_shot_accuracy

    assert right is not None
    assert wrong is not None
    assert right + wrong <= 1.0


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_can_be_named_from_fewer_than_two_descriptions(count: int) -> None:
    """The replay itself goes on as without."""
    mails = mailbox(30)
    report = replay([*mails, *sentences_for(mails)[:count]]).report

    assert report.zero_shot_accuracy is None
    assert report.messages == 30


def test_the_text_of_a_description_goes_through_the_featurizer_it_is_given() -> None:
    """As one batch, in the order of the descriptions."""
    seen: list[Sequence[Mail]] = []
    content = features(np.random.default_rng(0), 1)

    def remember(mails: Sequence[Mail]) -> list[Features]:
        seen.append(mails)
        return [content for _ in mails]

    featurize: Callable[[Sequence[Mail]], list[Features]] = remember
    found = description_examples(
        [Description("a", "A", "eins"), Description("b", "B", "zwei")], featurize
    )

    assert [[mail.plain for mail in batch] for batch in seen] == [["eins", "zwei"]]
    assert [one.label for one in found] == ["a", "b"]
