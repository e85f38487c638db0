"""From mail in folders to examples with features."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from classifier.features import Features
from classifier.labels import LEAVE
from classifier.mail import Mail
from daemon.learning import gather
from daemon.learning.gather import (
    FeatureSource,
    cache_features,
    label_existing_mail,
    label_key,
    training_set,
)
from tests.sorting.world import ACCOUNT, World, mail
from tests.support.fake_mailbox import FakeServer

FINGERPRINT = "counting"


class CountingFeaturizer:
    """Features by the word count; remembers what it was asked for."""

    def __init__(self) -> None:
        self.subjects: list[str] = []

    def __call__(self, mails: Sequence[Mail]) -> list[bytes]:
        """One vector of two numbers per mail."""
        import numpy as np  # noqa: PLC0415 - as the daemon: not before it is needed

        self.subjects += [found.subject for found in mails]
        empty = np.array([], dtype=np.uint32)
        return [
            Features(np.ones(2, dtype=np.float16), empty, np.array([], dtype=np.uint16)).to_bytes()
            for _ in mails
        ]


@pytest.fixture
def featurize() -> CountingFeaturizer:
    """A featurizer that counts."""
    return CountingFeaturizer()


def source(featurize: CountingFeaturizer) -> FeatureSource:
    return FeatureSource(featurize, FINGERPRINT, 1024)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two label folders with three mails each."""
    found = World(tmp_path)
    for name in ("Rechnungen", "Reisen"):
        found.deliver(*(f"{name} {n}" for n in range(3)), folder=name)
    found.notice()
    return found


def test_only_label_folders_give_examples(world: World) -> None:
    """Not the inbox, not the trash."""
    world.deliver("Hallo 1")
    world.deliver("Hallo 2", folder="Trash")
    world.notice()
    counts = label_existing_mail(world.store, ACCOUNT, 10, world.now)
    assert counts == {"Bewerbungen": 0, "Rechnungen": 3, "Reisen": 3}


def test_inboxds_own_moves_give_no_examples_until_a_person_confirms(world: World) -> None:
    """Moved by inboxd: nothing. Moved on by a person: an example."""
    world.deliver("Rechnungen 7", "Rechnungen 8")
    world.cycle()
    assert label_existing_mail(world.store, ACCOUNT, 10, world.now)["Rechnungen"] == 3
    world.move("Rechnungen 7", "Reisen")
    world.notice()
    counts = label_existing_mail(world.store, ACCOUNT, 10, world.now)
    assert counts == {"Bewerbungen": 0, "Rechnungen": 0, "Reisen": 0}
    assert world.examples().count(("Reisen", "moved")) == 1


def test_the_limit_counts_the_newest_mails_of_the_folder(world: World) -> None:
    """Asked twice, the same newest mails are meant, not the next older ones."""
    assert label_existing_mail(world.store, ACCOUNT, 2, world.now)["Reisen"] == 2
    assert label_existing_mail(world.store, ACCOUNT, 2, world.now)["Reisen"] == 0
    world.deliver("Reisen 9", folder="Reisen")
    world.notice()
    assert label_existing_mail(world.store, ACCOUNT, 2, world.now)["Reisen"] == 1


def test_each_mail_is_encoded_once(world: World, featurize: CountingFeaturizer) -> None:
    """Cached under the fingerprint; another fingerprint means again."""
    label_existing_mail(world.store, ACCOUNT, 10, world.now)
    mailbox = world.server.connect()
    assert cache_features(world.store, mailbox, ACCOUNT, source(featurize)) == 6
    assert cache_features(world.store, mailbox, ACCOUNT, source(featurize)) == 0
    assert len(featurize.subjects) == 6
    other = FeatureSource(featurize, "another", 1024)
    assert cache_features(world.store, mailbox, ACCOUNT, other) == 6


def test_gathering_goes_on_where_it_was_stopped(
    world: World, featurize: CountingFeaturizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches that are done stay done."""
    monkeypatch.setattr(gather, "BATCH", 2)
    label_existing_mail(world.store, ACCOUNT, 10, world.now)
    mailbox = world.server.connect()
    answers = iter([False, True])
    done = cache_features(
        world.store, mailbox, ACCOUNT, source(featurize), stopped=lambda: next(answers)
    )
    assert done == 2
    told: list[tuple[int, int]] = []
    cache_features(
        world.store,
        mailbox,
        ACCOUNT,
        source(featurize),
        progress=lambda now, total: told.append((now, total)),
    )
    assert told[0] == (0, 4)
    assert told[-1] == (4, 4)
    assert len(set(featurize.subjects)) == len(featurize.subjects) == 6


def test_a_folder_that_changed_meanwhile_is_skipped(
    world: World, featurize: CountingFeaturizer
) -> None:
    """Renumbered between the observation and the fetch: the others are encoded."""
    label_existing_mail(world.store, ACCOUNT, 10, world.now)
    world.renumber("Reisen")
    done = cache_features(world.store, world.server.connect(), ACCOUNT, source(featurize))
    assert done == 3


def test_dates_without_a_zone_and_wild_dates_do_no_harm(
    world: World, featurize: CountingFeaturizer
) -> None:
    """Date headers are written by strangers."""
    world.server.start = world.now - timedelta(days=1)
    for number, date in enumerate(
        [
            "Sun, 1 Mar 2026 10:00:00 -0000",
            "Mon, 1 Jan 0001 00:00:00 +1400",
            "Fri, 31 Dec 9999 23:59:59 -1200",
            "gestern",
        ]
    ):
        content = mail(f"Datum {number}").replace(b"Sun, 1 Mar 2026 10:00:00 +0100", date.encode())
        world.server.append("Reisen", content)
    world.notice()
    label_existing_mail(world.store, ACCOUNT, 10, world.now)
    cache_features(world.store, world.server.connect(), ACCOUNT, source(featurize))
    found = training_set(world.store, ACCOUNT, FINGERPRINT, min_per_folder=1)
    assert len(found.examples) == 10
    strange = found.examples[:4]  # the others were dated by the clock, long after
    assert all(one.date < world.now for one in strange)


def test_a_folder_takes_part_from_its_third_mail_on(
    world: World, featurize: CountingFeaturizer
) -> None:
    """Two mails are no folder yet; "leave it" counts from the first."""
    world.deliver("Hallo 1", "Hallo 2", "Hallo 3")
    world.notice()
    label_existing_mail(world.store, ACCOUNT, 10, world.now)
    world.server.create("Neu")
    world.move("Hallo 1", "Neu")
    world.move("Hallo 2", "Neu")
    world.move("Reisen 0", "INBOX")
    world.notice()
    mailbox = world.server.connect()
    cache_features(world.store, mailbox, ACCOUNT, source(featurize))

    def labels() -> set[str]:
        found = training_set(world.store, ACCOUNT, FINGERPRINT, min_per_folder=3)
        return {found.label_names[one.label] for one in found.examples}

    assert labels() == {"Rechnungen", "INBOX"}
    world.move("Hallo 3", "Neu")
    world.notice()
    cache_features(world.store, mailbox, ACCOUNT, source(featurize))
    assert labels() == {"Rechnungen", "INBOX", "Neu"}


def test_labels_survive_a_rename(world: World, featurize: CountingFeaturizer) -> None:
    """The key is the row, the name is only shown."""
    label_existing_mail(world.store, ACCOUNT, 10, world.now)
    cache_features(world.store, world.server.connect(), ACCOUNT, source(featurize))
    before = training_set(world.store, ACCOUNT, FINGERPRINT, min_per_folder=1)
    world.server.rename("Reisen", "Urlaub")
    world.notice()
    after = training_set(world.store, ACCOUNT, FINGERPRINT, min_per_folder=1)
    assert {one.label for one in after.examples} == {one.label for one in before.examples}
    assert set(after.label_names.values()) == {"Rechnungen", "Urlaub"}


def test_the_inbox_has_a_label_of_its_own() -> None:
    """No folder is "leave it"."""
    assert label_key(None) == LEAVE
    assert label_key(7) == "7"


def test_a_mail_that_was_corrected_twice_counts_once(
    tmp_path: Path, featurize: CountingFeaturizer
) -> None:
    """The newest word of the person holds."""
    world = World(tmp_path, FakeServer())
    world.notice()
    world.deliver("Hallo 1")
    world.notice()
    for target in ("Reisen", "Rechnungen", "INBOX", "Reisen"):
        world.move("Hallo 1", target)
        world.notice()
    assert world.examples() == [("Reisen", "moved")]
    assert len(world.corrections()) == 4
