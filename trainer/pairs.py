"""Every mail compared with every other, and the factor over it, kept while mails come and go.

One square of floats holds both: above the diagonal the similarities, from the diagonal down the
Cholesky factor L of K + Λ (see `trainer.ridge`); the similarities of mails with themselves stand
beside it. So n mails take 4 n² bytes, no more than the factor alone.

Rows lie in time order. Whatever changes at position p leaves the first p rows of L as they are,
and of the later rows their first p entries; only the corner after p is factorised anew, from what
is kept. New labels change nothing here at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.linalg import blas, lapack

from classifier.features import Features
from classifier.space import FeatureSpace
from trainer.examples import Example
from trainer.kernel import Design
from trainer.ridge import solve_triangle

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

_SPARE_ROWS = 256
"""Room for further mails; the square is copied when it is used up."""
_ONE_BY_ONE = 16
"""Up to so many new mails each is compared by itself; of more, all at once is faster."""


class Pairs:
    """The rows, similarities and factor of some examples in time order."""

    def __init__(
        self, examples: Sequence[Example], space: FeatureSpace, ridge_lambda: float
    ) -> None:
        """Compare and factorise everything. O(n³)."""
        self.examples = list(examples)
        self._space = space
        self._ridge_lambda = np.float32(ridge_lambda)
        self._design = Design(space.rows([one.features for one in examples]), space.active)
        self._rows = np.arange(len(examples))  # [n] row of each example in the design
        square = self._design.gram()
        self._squares = np.diagonal(square).copy()  # [n] similarity with itself
        square[np.diag_indices_from(square)] += self._penalties()
        factor, info = lapack.spotrf(square, lower=1, clean=0, overwrite_a=1)
        _check(info)
        self._square: Floats = factor  # [capacity, capacity] in Fortran order
        self.revision = 0
        """Grows whenever similarities or factor change."""

    @property
    def factor(self) -> Floats:
        """L is the lower triangle of its first [n, n]; what is above is something else."""
        return self._square

    @property
    def bytes(self) -> int:
        """What all this takes in memory, but for the examples."""
        return self._square.nbytes + self._design.bytes + self._squares.nbytes + self._rows.nbytes

    def changes(self, examples: Sequence[Example]) -> int:
        """How many mails come and go from what is here to `examples`."""
        return _changes(self._came_from(examples), len(self.examples))

    def become(self, examples: Sequence[Example]) -> int:
        """Hold `examples` (time order) instead; returns how many came and went.

        An example is the same as before when it has the same key, date and features, these as the
        very same object (of a description: equal ones). O(n k²) when the first change is k mails
        from the end; what is new has to be compared with all others as well.
        """
        came_from = self._came_from(examples)
        changes = _changes(came_from, len(self.examples))
        first = self._first_change(examples, came_from)
        if first < max(len(examples), len(self.examples)):
            self._change(examples, came_from, first)
            self.revision += 1
        self.examples = list(examples)
        return changes

    def against(self, features: Features) -> Floats:
        """[n] similarities of a mail with all of these."""
        return np.asarray(self._design.against(self._space.rows([features]))[self._rows])

    def by_row(self, values: Floats) -> Floats:
        """[n, C] values of the examples → those of the rows of `design`, 0 for rows left out."""
        spread = np.zeros((len(self._design), values.shape[1]), dtype=np.float32)
        spread[self._rows] = values
        return spread

    @property
    def design(self) -> Design:
        """The rows of all mails that are or were here; see `left_out`."""
        return self._design

    @property
    def rows(self) -> Integers:
        """[n] row of each example in `design`."""
        return self._rows

    @property
    def left_out(self) -> Integers:
        """Rows of the design that belong to none of the examples any more."""
        return np.setdiff1d(np.arange(len(self._design)), self._rows)

    def _came_from(self, examples: Sequence[Example]) -> Integers:
        """[m] former position of each example, −1 for what is new."""
        known = {one.key: at for at, one in enumerate(self.examples)}
        found = np.full(len(examples), -1, dtype=np.int64)
        for at, one in enumerate(examples):
            before = known.get(one.key)
            if before is not None and _is_same(one, self.examples[before]):
                found[at] = before
        return found

    def _first_change(self, examples: Sequence[Example], came_from: Integers) -> int:
        """The first position at which not all is as it was."""
        for at, (one, before) in enumerate(zip(examples, came_from.tolist(), strict=True)):
            if before != at or one.weight != self.examples[at].weight:
                return at
        return len(examples)

    def _change(self, examples: Sequence[Example], came_from: Integers, first: int) -> None:
        """Bring everything from position `first` on up to date."""
        stayed = np.flatnonzero(came_from >= 0)
        rows = np.full(len(examples), -1, dtype=np.int64)
        rows[stayed] = self._rows[came_from[stayed]]
        squares = np.zeros(len(examples), dtype=np.float32)
        squares[stayed] = self._squares[came_from[stayed]]
        columns = self._moved_columns(came_from, first)
        lower = np.zeros((len(examples) - first, first), dtype=np.float32, order="F")
        later = stayed[stayed >= first]
        lower[later - first] = self._square[came_from[later], :first]
        new = np.flatnonzero(came_from < 0)
        for at, similar, square in self._compared(examples, new):
            rows[at], squares[at] = len(similar), square
            self._put(columns, rows, at, first, similar)
        if first and len(new):
            lower[new - first] = solve_triangle(self._square, columns[:first, new - first]).T
        self.examples, self._rows, self._squares = list(examples), rows, squares
        self._refactorise(columns, lower, first)

    def _moved_columns(self, came_from: Integers, first: int) -> Floats:
        """[m, m − first] similarities above the diagonal of the columns from `first` on, as far as
        they are known; what is below the diagonal means nothing."""
        size = len(came_from)
        columns = np.zeros((size, size - first), dtype=np.float32, order="F")
        later = first + np.flatnonzero(came_from[first:] >= 0)
        former = came_from[later]
        columns[:first, later - first] = self._square[:first, former]
        if len(later):
            columns[np.ix_(later, later - first)] = self._square[np.ix_(former, former)]
        return columns

    def _compared(
        self, examples: Sequence[Example], new: Integers
    ) -> list[tuple[int, Floats, np.float32]]:
        """Per new example its position, similarities with the rows before it, and with itself.

        They become rows of the design in this order.
        """
        found = []
        if len(new) > _ONE_BY_ONE:
            before = len(self._design)
            together = self._space.rows([examples[at].features for at in new])
            for at in new:
                self._design.append(self._space.rows([examples[at].features]))
            products = self._design.cross(together)
            norms = together.square_norms()
            for number, at in enumerate(new.tolist()):
                found.append((at, products[number, : before + number], norms[number]))
            return found
        for at in new.tolist():
            row = self._space.rows([examples[at].features])
            found.append((at, self._design.against(row), row.square_norms()[0]))
            self._design.append(row)
        return found

    def _put(self, columns: Floats, rows: Integers, at: int, first: int, similar: Floats) -> None:
        """Write the similarities of the mail at `at` with those whose rows come before its own."""
        known = np.flatnonzero((rows >= 0) & (rows < len(similar)))
        earlier, later = known[known < at], known[known > at]
        columns[earlier, at - first] = similar[rows[earlier]]
        columns[at, later - first] = similar[rows[later]]

    def _refactorise(self, columns: Floats, lower: Floats, first: int) -> None:
        """Write the columns from `first` on, and the factor's rows from `first` on."""
        size = len(columns)
        if first == size:
            return
        corner = np.array(columns[first:], order="F")  # a copy even where it is all of them
        np.fill_diagonal(corner, (self._squares + self._penalties())[first:])
        if first:
            # Upper triangles: the similarities are there.
            corner = blas.ssyrk(-1.0, lower, beta=1.0, c=corner, lower=0, overwrite_c=1)
        upper, info = lapack.spotrf(corner, lower=0, clean=1, overwrite_a=1)
        _check(info)
        self._grow(size, first)
        self._square[:first, first:size] = columns[:first]
        self._square[first:size, :first] = lower
        self._square[first:size, first:size] = np.triu(columns[first:], 1)
        self._square[first:size, first:size] += upper.T

    def _grow(self, size: int, first: int) -> None:
        """Make room for `size` mails, keeping the corner before `first`."""
        if size <= len(self._square):
            return
        capacity = size + _SPARE_ROWS
        larger = np.zeros((capacity, capacity), dtype=np.float32, order="F")
        larger[:first, :first] = self._square[:first, :first]
        self._square = larger

    def _penalties(self) -> Floats:
        """[n] the diagonal of Λ: λ over how much each mail counts."""
        weights = np.array([one.weight for one in self.examples], dtype=np.float32)
        return np.asarray(self._ridge_lambda / weights, dtype=np.float32)


def _changes(came_from: Integers, before: int) -> int:
    """How many mails came and went, when there were so many `before`."""
    stayed = int((came_from >= 0).sum())
    return len(came_from) - stayed + before - stayed


def _is_same(one: Example, before: Example) -> bool:
    """Whether its row and its place among the others are as they were."""
    if one.date != before.date or one.is_mail != before.is_mail:
        return False
    return one.features is before.features or (not one.is_mail and one.features == before.features)


def _check(info: int) -> None:
    if info != 0:
        raise ValueError(f"the similarities are not positive definite (minor {info})")
