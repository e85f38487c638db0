"""A ridge head over more examples than one factorisation can hold: divide and conquer.

The examples are dealt out to a few parts of a few thousand, a head is learnt exactly on each, and
the heads' weights are averaged (Zhang, Duchi, Wainwright: Divide and Conquer Kernel Ridge
Regression, JMLR 16, 2015). Time and memory grow with the number of examples instead of its cube
and square, and the outcome is the same kind of linear head. Measured on 12,000 newsgroup mails,
predicting the next 2,000: exact 161 wrong, two parts 161, only the newest 6,000 177, a Nyström
approximation with 3,000 landmarks 203.

Which part a mail belongs to follows from its key alone, so that no mail moves to another part
when some come or go. Each part lies in time order, so that its factor holds a model of every
moment, and the predictions of the newest mails from earlier mail only are those of the average,
exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from classifier.features import Features, of_text
from classifier.space import FeatureSpace
from trainer.calibration import Past
from trainer.examples import Example, parent_labels
from trainer.head import HeadWeights, check_trainable, known_without_itself
from trainer.part import Part, PartWeights
from trainer.ridge import known_before

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint32]

RECENT = 1000


def parts_needed(examples: Sequence[Example], part_size: int) -> int:
    """How many parts of about `part_size` hold the examples."""
    described = sum(not one.is_mail for one in examples)
    return -(-(len(examples) - described) // max(part_size - described, 1))


def dealt(examples: Sequence[Example], count: int) -> list[Integers]:
    """Positions of the members of each of `count` parts, ascending.

    Descriptions are few and belong to all parts.
    """
    turns = np.array([_turn(one.key, count) if one.is_mail else -1 for one in examples])
    return [np.flatnonzero((turns == part) | (turns < 0)) for part in range(count)]


def _turn(key: str, count: int) -> int:
    digest = blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % count


def made_one_by_one(
    examples: Sequence[Example], ridge_lambda: float, space: FeatureSpace, count: int
) -> Iterator[tuple[Integers, Part]]:
    """The parts, each made when it is asked for: one of them is in memory at a time."""
    for members in dealt(examples, count):
        if len(members):
            yield members, Part([examples[at] for at in members], space, ridge_lambda)


class DividedHead:
    """The average of ridge heads over parts of the examples (time order).

    `recent`: of how many of the newest mails the average is asked for honest predictions. An
    older mail is predicted by its own part alone: too low, but never with a look ahead.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        space: FeatureSpace,
        parts: Iterable[tuple[Integers, Part]],
        *,
        recent: int = RECENT,
    ) -> None:
        """Learn `examples`; `parts`: positions among them, ascending, and the part of them.

        Raises `ModelNotTrainable`.
        """
        check_trainable(examples)
        self.examples = list(examples)
        self.labels = list(dict.fromkeys(one.label for one in examples))
        self._space = space
        numbers = {label: number for number, label in enumerate(self.labels)}
        self._classes = np.array([numbers[one.label] for one in examples], dtype=np.int64)
        parents = [numbers.get(p, -1) if p else -1 for p in parent_labels(self.examples)]
        self._parents = np.array(parents, dtype=np.int64)
        self._known = known_before(self._classes, len(self.labels))
        self._counts = self._known.sum(axis=1)
        shape = (len(self.examples), len(self.labels))
        self._recent = np.arange(max(shape[0] - recent, 0), shape[0])
        self._prequential = np.zeros(shape, dtype=np.float32)
        self._left_out = np.zeros((len(self._recent), shape[1]), dtype=np.float32)
        self._parts: list[PartWeights] = []
        for members, part in parts:
            self._parts.append(self._learn(members, part))
            del part  # its memory, before the next one is made
        self._prequential[self._recent] /= len(self._parts)
        self._left_out /= len(self._parts)

    def scores(self, features: Features) -> Floats:
        """[C] scores of one new mail: the mean of what the parts say."""
        row = self._space.rows([features])
        said = np.zeros(len(self.labels), dtype=np.float32)
        for one in self._parts:
            at = np.minimum(np.searchsorted(one.keys, row.keys), len(one.keys) - 1)
            known = one.keys[at] == row.keys
            wide = one.wide[at[known]].astype(np.float32)
            said += row.values[known] @ wide + one.deep @ row.deep[0]
        return said / np.float32(len(self._parts))

    def prequential(self) -> Past:
        """Every mail as predicted from earlier ones only; see `recent`."""
        return Past(self._prequential, self._known, self._classes, self._parents)

    def leave_one_out(self, newest: int | None = None) -> Past:
        """The `newest` mails, each as predicted from all the others.

        Raises `ValueError` for more than `recent`.
        """
        count = len(self.examples) if newest is None else newest
        if count > len(self._recent):
            raise ValueError(f"only the newest {len(self._recent)} mails can be left out")
        known = known_without_itself(self._classes, len(self.labels))
        last = slice(len(self.examples) - count, None)
        scores = self._left_out[len(self._recent) - count :]
        return Past(scores, known[last], self._classes[last], self._parents[last])

    def weights(self, *, rare_words: bool = True) -> HeadWeights:
        """The primal weights; see `Head.weights`."""
        keys, counts = _all_keys(self._parts)
        if not rare_words:
            # A description stands in each part, so that its words count as repeated.
            keys = keys[~of_text(keys) | (counts > 1)]
        wide, deep = _average(self._parts, keys)
        return HeadWeights(self._space.with_active(keys), wide, deep)

    def _learn(self, members: Integers, part: Part) -> PartWeights:
        """Teach one part, and let it say what it thinks of its own and of the other mails."""
        part.learn(self._classes[members], len(self.labels))
        self._prequential[members] += part.prequential(self._counts[members])
        newest = members[members >= self._recent[0]]
        if len(newest):
            self._left_out[newest - self._recent[0]] += part.leave_one_out(len(newest))
        others = np.setdiff1d(self._recent, members)
        if len(others):
            earlier, everything = part.ask(
                [self.examples[at] for at in others],
                np.searchsorted(members, others),
                self._counts[others],
            )
            self._prequential[others] += earlier
            self._left_out[others - self._recent[0]] += everything
        return part.weights()


def _all_keys(parts: Sequence[PartWeights]) -> tuple[Keys, Integers]:
    """The features of all parts, ascending, and in how many mails each occurs."""
    keys = np.sort(np.concatenate([one.keys for one in parts]))  # np.unique takes ten times as long
    keys = keys[np.append(True, keys[1:] != keys[:-1])]
    counts = np.zeros(len(keys), dtype=np.int64)
    for one in parts:
        counts[np.searchsorted(keys, one.keys)] += one.counts
    return keys, counts


def _average(parts: Sequence[PartWeights], keys: Keys) -> tuple[Floats, Floats]:
    """The mean weights of `keys`, and those of the vector; what a part does not have is 0 there."""
    wide = np.zeros((len(keys), parts[0].wide.shape[1]), dtype=np.float32)
    for one in parts:
        at = np.minimum(np.searchsorted(keys, one.keys), len(keys) - 1)
        asked = keys[at] == one.keys
        wide[at[asked]] += one.wide[asked]
    wide /= np.float32(len(parts))
    deep = np.mean([one.deep for one in parts], axis=0, dtype=np.float32)
    return wide, np.asarray(deep)
