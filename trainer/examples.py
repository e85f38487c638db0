"""Examples: mail whose folder a person chose, and how a set of them is put in order.

Nothing here reads a mail's text; an example holds features, hashes and a date.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from classifier.features import HASH_BITS, Block, Features
from classifier.threads import ThreadLabels

NEAR_DUPLICATE = 0.9
"""Jaccard similarity of the word sets from which on two mails count as one text."""
_HASHES = 32
_BAND = 4  # 8 bands of 4: a pair at 0.9 is found with probability 1 − (1 − 0.9⁴)⁸ = 0.9998
_MERSENNE = (1 << 31) - 1  # prime; the products below need 29 + 31 bits, so nothing overflows


class Source(enum.StrEnum):
    """Where an example comes from."""

    FOLDER = "folder"
    """Found lying in the folder."""
    MOVED = "moved"
    """The user moved it there."""
    PUT_BACK = "put-back"
    """The user put it back into the inbox."""
    CONFIRMED = "confirmed"
    """The user agreed with a suggestion or a move."""
    DESCRIPTION = "description"
    """No mail at all: the folder's name and description as a pseudo-mail. Learnt from, but
    never counted as a prediction."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One mail and the label that a person gave it.

    `key` identifies the mail in the caller's store; `message_id` and `references` (nearest
    ancestor first) are hashes, good for finding threads; `weight` is how much the example
    counts (1: as one mail); `source` one of `Source`.
    """

    key: str
    label: str
    features: Features
    date: datetime
    message_id: str
    references: tuple[str, ...] = ()
    weight: float = 1.0
    source: str = Source.FOLDER

    @property
    def is_mail(self) -> bool:
        """Whether it can be predicted (a description cannot)."""
        return self.source != Source.DESCRIPTION


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """Three parts in time order; `straddling` were left out, see `time_split`."""

    train: tuple[Example, ...]
    calibrate: tuple[Example, ...]
    test: tuple[Example, ...]
    straddling: int


def in_time_order(examples: Iterable[Example]) -> list[Example]:
    """Descriptions first, then by date; equal dates by key, so that the order is one."""
    return sorted(examples, key=lambda one: (one.is_mail, one.date, one.key))


def newest_per_key(examples: Iterable[Example]) -> list[Example]:
    """One example per key, in time order: the last one given wins."""
    return in_time_order({one.key: one for one in examples}.values())


def parent_labels(examples: Sequence[Example]) -> list[str | None]:
    """For each mail the label of its nearest kin that occurs earlier in the sequence."""
    known = ThreadLabels()
    parents: list[str | None] = []
    for one in examples:
        parents.append(known.label_of(one.references))
        known.add(one.message_id, one.references, one.label)
    return parents


def select(examples: Sequence[Example], limit: int) -> list[Example]:
    """At most `limit` mails in time order: balanced over the labels, newest first.

    Every label may keep the same number, and what small labels do not need goes to the others.
    Descriptions are few and always stay.
    """
    ordered = in_time_order(examples)
    mails = [one for one in ordered if one.is_mail]
    quota = _quota(Counter(one.label for one in mails), limit)
    kept = [one for one in ordered if not one.is_mail]
    taken: Counter[str] = Counter()
    for one in reversed(mails):
        if taken[one.label] < quota:
            taken[one.label] += 1
            kept.append(one)
    return in_time_order(kept)


def deduplicate(examples: Sequence[Example]) -> list[Example]:
    """In time order, without earlier copies and near-copies of the same label.

    The newest copy stays. Copies under different labels all stay: they are a disagreement of
    the user with himself, not a duplicate.
    """
    ordered = in_time_order(examples)
    groups = near_duplicates(ordered)
    seen: set[tuple[int, str]] = set()
    kept: list[Example] = []
    for one, group in zip(reversed(ordered), reversed(groups), strict=True):
        if (group, one.label) not in seen:
            seen.add((group, one.label))
            kept.append(one)
    return kept[::-1]


def near_duplicates(examples: Sequence[Example]) -> list[int]:
    """A group number per example: same number, nearly the same text.

    MinHash signatures of the word sets with banding (Broder 1997), each candidate pair
    verified; a mail without any word is alone in its group.
    """
    groups = _Groups(len(examples))
    words = [_words(one.features) for one in examples]
    signatures = [_signature(one) for one in words]
    buckets: dict[tuple[int, bytes], int] = {}
    for number, signature in enumerate(signatures):
        if not len(words[number]):
            continue
        for band in range(0, _HASHES, _BAND):
            slot = (band, signature[band : band + _BAND].tobytes())
            other = buckets.setdefault(slot, number)
            if groups.root(other) != groups.root(number) and (
                _jaccard(words[other], words[number]) >= NEAR_DUPLICATE
            ):
                groups.join(other, number)
    return groups.numbers()


def threads(examples: Sequence[Example]) -> list[int]:
    """A group number per example: same number, same thread (linked by References)."""
    groups = _Groups(len(examples))
    first: dict[str, int] = {}
    for number, one in enumerate(examples):
        for reference in (one.message_id, *one.references):
            if reference:
                groups.join(first.setdefault(reference, number), number)
    return groups.numbers()


def time_split(
    examples: Sequence[Example], train: float = 0.8, calibrate: float = 0.1
) -> TimeSplit:
    """Oldest mail to learn from, then some to calibrate on, the newest to test on.

    Descriptions are there from the start, so they belong to the first part and take no share.

    A thread or a family of near-duplicates that began in an earlier part is left out of the
    later ones: its mails would be recognised, not classified.
    """
    ordered = in_time_order(examples)
    described = sum(not one.is_mail for one in ordered)
    mails = len(ordered) - described
    bounds = [described + round(mails * train), described + round(mails * (train + calibrate))]
    part_of = np.searchsorted(bounds, np.arange(len(ordered)), side="right").tolist()
    families = (near_duplicates(ordered), threads(ordered))
    earliest: dict[tuple[int, int], int] = {}
    parts: tuple[list[Example], ...] = ([], [], [])
    for number, (one, part) in enumerate(zip(ordered, part_of, strict=True)):
        keys = [(kind, groups[number]) for kind, groups in enumerate(families)]
        if all(earliest.setdefault(key, part) == part for key in keys):
            parts[part].append(one)
    left_out = len(ordered) - sum(map(len, parts))
    return TimeSplit(tuple(parts[0]), tuple(parts[1]), tuple(parts[2]), left_out)


class _Groups:
    """Union-find over the numbers 0 … n − 1."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def root(self, number: int) -> int:
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number

    def join(self, one: int, other: int) -> None:
        self._parent[self.root(other)] = self.root(one)

    def numbers(self) -> list[int]:
        return [self.root(number) for number in range(len(self._parent))]


def _quota(sizes: Counter[str], limit: int) -> int:
    """The largest number per label with which all labels together stay within `limit`."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(size, middle) for size in sizes.values()) <= limit:
            low = middle
        else:
            high = middle - 1
    return low


def _words(features: Features) -> npt.NDArray[np.uint32]:
    blocks = features.indices >> np.uint32(HASH_BITS)
    return np.asarray(features.indices[blocks == Block.WORDS])


def _signature(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
    """[32] smallest hash of the set under each of 32 random linear functions modulo 2³¹ − 1."""
    if not len(words):
        return np.zeros(_HASHES, dtype=np.uint64)
    factors, summands = _functions()
    low = (words & np.uint32((1 << HASH_BITS) - 1)).astype(np.uint64)
    values = (low[None, :] * factors[:, None] + summands[:, None]) % np.uint64(_MERSENNE)
    return np.asarray(values.min(axis=1))


def _functions() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    random = np.random.RandomState(17)  # its stream never changes (NEP 19)
    factors = random.randint(1, _MERSENNE, _HASHES).astype(np.uint64)
    summands = random.randint(0, _MERSENNE, _HASHES).astype(np.uint64)
    return factors, summands


def _jaccard(one: npt.NDArray[np.uint32], other: npt.NDArray[np.uint32]) -> float:
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)
