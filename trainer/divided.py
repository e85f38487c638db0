"""A ridge head over more examples than one factorisation can hold: divide and conquer.

The examples are dealt out in turn to a few parts of a few thousand, a head is learnt exactly on
each, and the heads' weights are averaged (Zhang, Duchi, Wainwright: Divide and Conquer Kernel
Ridge Regression, JMLR 16, 2015). Time and memory grow with the number of examples instead of its
cube and square, and the outcome is the same kind of linear head. Measured on 12,000 newsgroup
mails, predicting the next 2,000: exact 161 wrong, two parts 161, only the newest 6,000 177, a
Nyström approximation with 3,000 landmarks 203.

Each part lies in time order, so that its factor holds a model of every moment, and the
predictions of the newest mails from earlier mail only are those of the average, exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifier.features import Features, of_text
from classifier.space import FeatureSpace
from trainer.calibration import Past
from trainer.examples import Example, parent_labels
from trainer.head import HeadWeights, check_trainable, known_without_itself
from trainer.kernel import Design
from trainer.ridge import Ridge, known_before

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint32]


class DividedHead:
    """The average of ridge heads over parts of the examples (time order).

    `recent`: of how many of the newest mails the average is asked for honest predictions. An
    older mail is predicted by its own part alone: too low, but never with a look ahead.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        ridge_lambda: float,
        space: FeatureSpace,
        *,
        part_size: int = 5000,
        recent: int = 1000,
    ) -> None:
        """Learn `examples`, in parts of at most `part_size`. Raises `ModelNotTrainable`."""
        check_trainable(examples)
        self.examples = list(examples)
        self.labels = list(dict.fromkeys(one.label for one in examples))
        self._space = space
        self._ridge_lambda = ridge_lambda
        numbers = {label: number for number, label in enumerate(self.labels)}
        self._classes = np.array([numbers[one.label] for one in examples], dtype=np.int64)
        parents = [numbers.get(p, -1) if p else -1 for p in parent_labels(self.examples)]
        self._parents = np.array(parents, dtype=np.int64)
        self._known = known_before(self._classes, len(self.labels))
        shape = (len(self.examples), len(self.labels))
        self._recent = np.arange(max(shape[0] - recent, 0), shape[0])
        self._prequential = np.zeros(shape, dtype=np.float32)
        self._left_out = np.zeros((len(self._recent), shape[1]), dtype=np.float32)
        parts = self._parts(part_size)
        learnt = [self._learn(members) for members in parts]
        self._prequential[self._recent] /= len(parts)
        self._left_out /= len(parts)
        self._weights = _average(learnt)

    def scores(self, features: Features) -> Floats:
        """[C] scores of one new mail."""
        row = self._space.rows([features])
        at = np.searchsorted(self._weights.keys, row.keys)
        at = np.minimum(at, len(self._weights.keys) - 1)
        known = self._weights.keys[at] == row.keys
        wide = row.values[known] @ self._weights.wide[at[known]]
        return np.asarray(wide + self._weights.deep @ row.deep[0], dtype=np.float32)

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
        keys, wide, deep = self._weights.keys, self._weights.wide, self._weights.deep
        if not rare_words:
            kept = ~of_text(keys) | self._is_repeated(keys)
            keys, wide = keys[kept], wide[kept]
        return HeadWeights(self._space.with_active(keys), wide, deep)

    def _is_repeated(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Whether more than one mail has the feature, by its inverse document frequency."""
        once = self._space.unseen_idf - math.log(2.0)  # see `FeatureSpace.learn`
        return np.asarray(self._space.idf[self._space.positions(keys)] < once - 1e-3)

    def _parts(self, part_size: int) -> list[Integers]:
        """Positions of each part, ascending. Descriptions are few and belong to all parts."""
        described = sum(not one.is_mail for one in self.examples)
        count = -(-(len(self.examples) - described) // max(part_size - described, 1))
        everywhere = np.arange(described)
        mails = np.arange(described, len(self.examples))
        return [np.concatenate([everywhere, mails[turn::count]]) for turn in range(count)]

    def _learn(self, members: Integers) -> _PartWeights:
        """Learn one part, and let it say what it thinks of its own and of the other mails."""
        examples = [self.examples[at] for at in members]
        design = Design(self._space.rows([one.features for one in examples]), self._space.active)
        ridge = Ridge(
            design.gram(),
            self._classes[members],
            np.array([one.weight for one in examples], dtype=np.float32),
            self._ridge_lambda,
            len(self.labels),
        )
        counts = self._known.sum(axis=1)
        self._prequential[members] += ridge.prequential(counts[members])
        newest = members[members >= self._recent[0]]
        if len(newest):
            self._left_out[newest - self._recent[0]] += ridge.leave_one_out(len(newest))
        others = np.setdiff1d(self._recent, members)
        if len(others):
            rows = self._space.rows([self.examples[at].features for at in others])
            lengths = np.searchsorted(members, others)
            earlier, everything = ridge.scores_by_first(design.cross(rows), lengths, counts[others])
            self._prequential[others] += earlier
            self._left_out[others - self._recent[0]] += everything
        return _PartWeights(*design.primal(ridge.alpha()))


@dataclass(frozen=True, slots=True, eq=False)
class _PartWeights:
    """`keys` [a] ascending, `wide` [a, C], `deep` [C, hidden]."""

    keys: Keys
    wide: Floats
    deep: Floats


def _average(parts: Sequence[_PartWeights]) -> _PartWeights:
    """The mean; a feature that a part does not have counts as 0 there."""
    keys = np.unique(np.concatenate([one.keys for one in parts]))
    wide = np.zeros((len(keys), parts[0].wide.shape[1]), dtype=np.float32)
    for one in parts:
        wide[np.searchsorted(keys, one.keys)] += one.wide
    deep = np.mean([one.deep for one in parts], axis=0, dtype=np.float32)
    return _PartWeights(keys, wide / np.float32(len(parts)), np.asarray(deep))
