"""Order, duplicates, threads and splits of examples."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import numpy as np

from classifier.features import Features
from tests.trainer.mailboxes import START, example, features, mailbox
from trainer.examples import (
    Source,
    deduplicate,
    in_time_order,
    near_duplicates,
    newest_per_key,
    parent_labels,
    select,
    threads,
    time_split,
)

RANDOM = np.random.default_rng(0)


def nearly(one: Features) -> Features:
    """The same mail with one word less."""
    return Features(one.vector, np.delete(one.indices, 0), np.delete(one.values, 0))


def test_time_order_puts_descriptions_first_and_breaks_ties_by_key() -> None:
    """One order for one set, whatever order it was given in."""
    content = features(RANDOM, 0)
    late = example(5, "a", content)
    same = replace(late, key="key-00004")
    described = replace(late, key="description", source=Source.DESCRIPTION)
    assert in_time_order([late, described, same]) == [described, same, late]


def test_the_last_example_given_for_a_key_wins() -> None:
    """A mail that was moved again has one label: the newest."""
    first = example(1, "a", features(RANDOM, 0))
    moved = replace(first, label="b")
    assert [one.label for one in newest_per_key([first, moved])] == ["b"]


def test_parent_is_the_nearest_kin_seen_earlier() -> None:
    """References are walked from the nearest; what comes later does not count."""
    content = features(RANDOM, 0)
    mails = [
        example(0, "a", content),
        example(1, "b", content, references=("id-0",)),
        example(2, "c", content, references=("id-1", "id-0")),
        example(3, "d", content, references=("id-9", "id-4", "id-0")),
        example(4, "e", content, references=("id-unknown",)),
        example(5, "f", content, references=("id-unknown",)),
    ]
    assert parent_labels(mails) == [None, "a", "b", "a", None, "e"]


def test_selection_is_balanced_newest_first_and_keeps_descriptions() -> None:
    """A small folder keeps all of its mail, a large one its newest."""
    content = features(RANDOM, 0)
    mails = [example(number, "large", content) for number in range(50)]
    mails += [example(number, "small", content, key=f"s{number}") for number in range(4)]
    mails.append(example(0, "large", content, key="d", source=Source.DESCRIPTION))
    kept = select(mails, 14)
    assert Counter(one.label for one in kept if one.is_mail) == {"large": 10, "small": 4}
    newest = [one.key for one in kept if one.label == "large" and one.is_mail]
    assert newest == [f"key-{number:05d}" for number in range(40, 50)]
    assert kept == in_time_order(kept)
    assert any(not one.is_mail for one in kept)


def test_selection_of_few_keeps_all_in_time_order() -> None:
    """No limit reached, nothing lost."""
    mails = mailbox(30)
    assert select(mails[::-1], 30) == mails


def test_near_duplicates_are_found_and_different_mails_are_not() -> None:
    """One word more or less is the same text; another mail is not."""
    mails = mailbox(60, seed=3)
    copies = [replace(one, key=f"copy-{one.key}", features=nearly(one.features)) for one in mails]
    groups = near_duplicates([*mails, *copies])
    assert groups[:60] == groups[60:]
    assert len(set(groups[:60])) == 60


def test_deduplication_keeps_the_newest_copy_per_label() -> None:
    """Copies under different labels are a disagreement, not a duplicate."""
    content = features(RANDOM, 0)
    first, second = example(0, "a", content), example(1, "a", nearly(content))
    other = example(2, "b", content)
    assert deduplicate([other, first, second]) == [second, other]


def test_mails_without_words_are_no_duplicates_of_each_other() -> None:
    """Nothing in common is not the same as the same."""
    empty = Features(
        np.full(4, 0.5, dtype=np.float16), np.empty(0, np.uint32), np.empty(0, np.float32)
    )
    assert len(set(near_duplicates([example(0, "a", empty), example(1, "a", empty)]))) == 2


def test_threads_are_linked_through_mails_that_are_missing() -> None:
    """Two answers to a mail that is not there belong together."""
    content = features(RANDOM, 0)
    mails = [
        example(0, "a", content, references=("gone",)),
        example(1, "a", content),
        example(2, "a", content, references=("gone",)),
    ]
    groups = threads(mails)
    assert groups[0] == groups[2] != groups[1]


def test_split_is_by_time_and_nothing_straddles() -> None:
    """Later parts hold only later mail, and no thread or text of an earlier part."""
    mails = mailbox(200, seed=5)
    answer = replace(mails[195], references=(mails[10].message_id,))
    copy = replace(mails[185], features=nearly(mails[20].features))
    mails[195], mails[185] = answer, copy
    split = time_split(mails)
    assert len(split.train) == 160
    assert len(split.calibrate) == 20
    assert len(split.test) == 18
    assert split.straddling == 2
    assert split.train[-1].date < split.calibrate[0].date < split.test[0].date
    assert answer not in split.test
    assert copy not in split.test


def test_dates_decide_not_the_order_given() -> None:
    """A shuffled mailbox gives the same split."""
    mails = mailbox(50)
    shuffled = [mails[number] for number in np.random.default_rng(1).permutation(50)]
    assert time_split(shuffled) == time_split(mails)
    assert time_split(mails).train[0].date == START + timedelta(hours=0)
