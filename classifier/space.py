"""From cached features to the rows that the linear head multiplies.

Per sparse block (words, characters, sender …): sublinear term frequency 1 + log(count), times
a smoothed inverse document frequency, normalised to unit length, times the square root of the
block's weight: so the inner product of two rows is the weighted sum of the blocks' cosines, and
no block dominates because it happens to have more features (Salton and Buckley, Term-Weighting
Approaches in Automatic Text Retrieval, 1988; block weights as in multiple kernel learning).
The encoder's vector is centred first, because sentence vectors lie in a narrow cone.

A feature that the training mail never had keeps its share of the length: a mail full of unknown
words gets a short known part, hence low scores, hence low confidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from classifier.features import HASH_BITS, Block, Features

Floats = npt.NDArray[np.float32]
Keys = npt.NDArray[np.uint32]
Integers = npt.NDArray[np.int64]

_Kind = TypeVar("_Kind", bound=np.generic)

BLOCK_COUNT = 8
MANY_KEYS = 200_000
"""From so many keys at once on, the features of some eighty mails, a table is worth making."""


@dataclass(frozen=True, slots=True)
class BlockWeights:
    """How much each block counts in the similarity of two mails."""

    words: float = 1.0
    characters: float = 2.0
    sender: float = 1.0
    recipients: float = 1.0
    list: float = 1.0
    meta: float = 0.25
    deep: float = 1.5

    def scales(self) -> Floats:
        """[8] square roots of the sparse blocks' weights, by block number."""
        scales = np.zeros(BLOCK_COUNT, dtype=np.float32)
        for block in Block:
            scales[block] = math.sqrt(getattr(self, block.name.lower()))
        return scales


@dataclass(frozen=True, slots=True)
class Rows:
    """n mails in the space: sparse part in CSR form, dense part beside it.

    `keys` [nnz], `columns` [nnz] (their positions in the space's `active`, −1 for features that
    it does not know) and `values` [nnz] belong to mail i from `offsets[i]` to `offsets[i + 1]`;
    `deep` is [n, hidden].
    """

    keys: Keys
    columns: Integers
    values: Floats
    offsets: Integers
    deep: Floats

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def square_norms(self) -> Floats:
        """[n] squared lengths, dense part included."""
        sparse = np.bincount(self.owners(), weights=self.values**2, minlength=len(self))
        return np.asarray(sparse + np.square(self.deep).sum(axis=1), dtype=np.float32)

    def owners(self) -> Integers:
        """[nnz] the mail that each sparse value belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))


class KeyTable:
    """Where each of many keys [a] stands, for looking up far more of them than there are.

    A hash table with one slot per key (multiplicative hashing: Knuth, The Art of Computer
    Programming 3, 6.4). Of two keys for one slot the later has it; the other, like a key that is
    not there, is found to be missing and then looked for by bisection. With a million keys three
    times as fast as bisection alone, for four bytes in each of four to eight slots per key.
    """

    _FACTOR = np.uint32(2_654_435_769)  # 2³² ÷ the golden ratio

    def __init__(self, ascending: Keys) -> None:
        self._keys = ascending
        bits = min((4 * len(ascending)).bit_length(), 31)
        self._shift = np.uint32(32 - bits)
        self._slots = np.zeros(1 << bits, dtype=np.int32)
        self._slots[self._slot(ascending)] = np.arange(len(ascending), dtype=np.int32)

    def positions(self, keys: Keys) -> Integers:
        """[k] positions, −1 for keys that are not there; as `bisected`."""
        found = self._slots[self._slot(keys)].astype(np.int64)
        missing = np.flatnonzero(self._keys[found] != keys)
        found[missing] = bisected(self._keys, keys[missing])
        return found

    def _slot(self, keys: Keys) -> Keys:
        return (keys * self._FACTOR) >> self._shift  # modulo 2³²


def bisected(ascending: Keys, keys: Keys) -> Integers:
    """[k] positions of `keys` in at least one ascending key, −1 for those that are not there."""
    positions = np.minimum(np.searchsorted(ascending, keys), len(ascending) - 1)
    return np.where(ascending[positions] == keys, positions, -1)


@dataclass(frozen=True, eq=False)  # no slots: the table is kept once it is made
class FeatureSpace:
    """What must be known of the training mail to turn features into rows.

    `active` [a] ascending keys of the features seen in training, `idf` [a] their weights,
    `unseen_idf` that of all others, `centre` [hidden] the mean encoder vector.
    """

    active: Keys
    idf: Floats
    unseen_idf: float
    centre: Floats
    weights: BlockWeights

    @classmethod
    def learn(cls, features: Sequence[Features], weights: BlockWeights) -> FeatureSpace:
        """Document frequencies and centre of at least one mail."""
        keys = np.concatenate([one.indices for one in features])
        active, counts = np.unique(keys, return_counts=True)
        total = len(features)
        idf = 1.0 + np.log((1.0 + total) / (1.0 + counts))
        centre = np.mean([one.vector.astype(np.float32) for one in features], axis=0)
        return cls(
            active=active.astype(np.uint32),
            idf=idf.astype(np.float32),
            unseen_idf=1.0 + math.log(1.0 + total),
            centre=centre.astype(np.float32),
            weights=weights,
        )

    def rows(self, features: Sequence[Features]) -> Rows:
        """Rows of any mails; features unknown to the space are kept at `unseen_idf`."""
        lengths = [len(one.indices) for one in features]
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        keys = _joined([one.indices for one in features], np.uint32)
        counts = _joined([one.values for one in features], np.float32)
        owners = np.repeat(np.arange(len(features)), lengths)
        columns = self.positions(keys)
        plain = (1.0 + np.log(np.maximum(counts, 1.0))) * self._idf_at(columns)
        values = plain * self._normalisers(keys, plain, owners, len(features))
        return Rows(keys, columns, values.astype(np.float32), offsets, self._deep(features))

    def positions(self, keys: Keys) -> Integers:
        """[k] positions of keys in `active`, −1 for those that are not there."""
        if not len(self.active):
            return np.full(len(keys), -1, dtype=np.int64)
        if len(keys) < MANY_KEYS:
            return bisected(self.active, keys)
        return self._table.positions(keys)

    @cached_property
    def _table(self) -> KeyTable:
        return KeyTable(self.active)

    def with_active(self, keys: Keys) -> FeatureSpace:
        """The same space with exactly `keys` (ascending) active.

        Adding keys changes no row; a key that is left out gets `unseen_idf`.
        """
        return replace(self, active=keys, idf=self._idf_at(self.positions(keys)))

    def _idf_at(self, columns: Integers) -> Floats:
        """[k] inverse document frequencies, `unseen_idf` for column −1."""
        # One more entry at the end, where −1 points to.
        return np.append(self.idf, np.float32(self.unseen_idf))[columns]

    def _normalisers(
        self, keys: Keys, values: npt.NDArray[np.floating], owners: Integers, total: int
    ) -> npt.NDArray[np.float64]:
        """[nnz] √weight of the block ÷ length of the mail's part in that block."""
        blocks = (keys >> np.uint32(HASH_BITS)).astype(np.int64)
        cells = owners * BLOCK_COUNT + blocks
        squares = np.bincount(cells, weights=values**2, minlength=total * BLOCK_COUNT)
        # Cells without any feature divide by zero, but no value ever looks at them.
        lengths = np.sqrt(np.where(squares > 0, squares, 1.0))
        scales = np.tile(self.weights.scales(), total)
        return np.asarray((scales / lengths)[cells], dtype=np.float64)

    def _deep(self, features: Sequence[Features]) -> Floats:
        """[n, hidden] centred vectors of length √weight; one equal to the centre stays zero."""
        if not features:
            return np.zeros((0, len(self.centre)), dtype=np.float32)
        vectors = np.stack([one.vector for one in features]).astype(np.float32) - self.centre
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        scale = np.float32(math.sqrt(self.weights.deep))
        return np.asarray(
            np.where(lengths > 1e-6, vectors * scale / np.maximum(lengths, 1e-6), 0.0),
            dtype=np.float32,
        )


def _joined(parts: Sequence[npt.NDArray[_Kind]], kind: type[_Kind]) -> npt.NDArray[_Kind]:
    """One array of all parts; an empty one of the right kind when there are none."""
    return np.concatenate(parts) if parts else np.empty(0, dtype=kind)
