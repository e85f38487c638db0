"""The similarity of every mail with every other: K = X Xᵀ, fast and extendable.

The wide part of X is sparse, but a sparse product costs the square of each feature's document
frequency, so that a few hundred frequent features cost more than all the rare ones. They go
through BLAS as dense columns instead, the rest through the sparse product.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.linalg import blas

from classifier.space import Rows

Floats = npt.NDArray[np.float32]
Keys = npt.NDArray[np.uint32]
Integers = npt.NDArray[np.int64]

DENSE_SHARE = 0.04
"""Document frequency (share of the mails) from which on a column is cheaper dense.

A dense column costs n²/2 multiplications at BLAS speed (about 10¹¹ per second), a sparse one
df² scattered additions (about 2·10⁸ per second): equal at df/n ≈ 0.03 to 0.05.
"""
_COLUMNS_AT_ONCE = 1024
_ROWS_AT_ONCE = 512
_TAIL = 128


class Design:
    """The rows of the training mail; rows can be appended, none is ever changed.

    `active` are the ascending keys of the space that the rows come from; they are the first
    columns. Features beyond them get the next columns as they are first seen. Appended rows
    wait in a list and join the big sparse matrix every 128 mails, because each join copies it.
    That matrix is kept by column: one mail has few of all features, so that only a small part
    of it is read to compare the mail with all others.
    """

    def __init__(self, rows: Rows, active: Keys) -> None:
        self._active = active
        self._later: dict[int, int] = {}
        self._deep: list[Floats] = [rows.deep]
        columns = self._columns(rows)
        self._base = _by_column(rows.values, columns, rows.offsets, self.column_count)
        self._tail: list[tuple[Integers, Floats]] = []

    def __len__(self) -> int:
        return int(self._base.shape[0]) + len(self._tail)

    @property
    def column_count(self) -> int:
        """Number of sparse features seen so far."""
        return len(self._active) + len(self._later)

    def gram(self) -> Floats:
        """[n, n] inner products of all rows, float32 in Fortran order, both triangles filled."""
        wide, deep = self._merged(), self._merged_deep()
        gram = np.asfortranarray(blas.ssyrk(1.0, deep, lower=1), dtype=np.float32)
        frequency = np.diff(wide.indptr)
        dense = self._is_dense(frequency)
        for block in _column_blocks(np.flatnonzero(dense)):
            columns = np.asfortranarray(wide[:, block].toarray())
            gram = blas.ssyrk(1.0, columns, beta=1.0, c=gram, lower=1, overwrite_c=1)
        rare = wide[:, np.flatnonzero(~dense & (frequency > 1))].tocsr()
        _add_sparse_gram(gram, rare)
        once = wide[:, np.flatnonzero(frequency == 1)]
        gram[np.diag_indices_from(gram)] += np.bincount(
            once.indices, weights=once.data**2, minlength=len(self)
        )
        _mirror(gram)
        return gram

    def against(self, row: Rows) -> Floats:
        """[n] inner products of one new row with all rows so far."""
        columns = self._columns(row, number=False)
        known = columns >= 0
        dense = np.zeros(self.column_count, dtype=np.float32)
        dense[columns[known]] = row.values[known]
        present = columns[known & (columns < self._base.shape[1])]
        base = self._base[:, present] @ dense[present]
        tail = np.array([dense[c] @ v for c, v in self._tail], dtype=np.float32)
        deep = np.concatenate([part @ row.deep[0] for part in self._deep])
        return np.asarray(np.concatenate([base, tail]) + deep, dtype=np.float32)

    def cross(self, rows: Rows) -> Floats:
        """[m, n] inner products of new rows with all rows so far."""
        own, deep = self._merged(), self._merged_deep()
        columns = self._columns(rows, number=False)
        known = columns >= 0
        kept = np.concatenate([[0], np.cumsum(known)])[rows.offsets]
        new = _by_column(rows.values[known], columns[known], kept, self.column_count)
        product = rows.deep @ deep.T
        frequency = np.diff(own.indptr)
        dense = self._is_dense(frequency)
        for block in _column_blocks(np.flatnonzero(dense)):
            product += new[:, block].toarray() @ own[:, block].toarray().T
        rare = np.flatnonzero(~dense & (frequency > 0) & (np.diff(new.indptr) > 0))
        transposed = own[:, rare].T.tocsr()
        few = new[:, rare].tocsr()
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            stop = start + _ROWS_AT_ONCE
            product[start:stop] += (few[start:stop] @ transposed).toarray()
        return np.asarray(product, dtype=np.float32)

    def append(self, row: Rows) -> None:
        """Add one row at the end."""
        self._tail.append((self._columns(row), row.values))
        self._deep.append(row.deep)
        if len(self._tail) >= _TAIL:
            self._merged()
            self._merged_deep()

    def frequencies(self, left_out: Integers | None = None) -> Integers:
        """[a] in how many rows each feature occurs, in the order of `primal`'s keys.

        The rows `left_out` do not count.
        """
        counts = np.zeros(self.column_count, dtype=np.int64)
        counts[: self._base.shape[1]] = np.diff(self._base.indptr)
        is_out = np.zeros(len(self), dtype=np.bool_)
        if left_out is not None and len(left_out):
            is_out[left_out] = True
            values = np.flatnonzero(is_out[self._base.indices])
            columns = np.searchsorted(self._base.indptr, values, side="right") - 1
            counts -= np.bincount(columns, minlength=len(counts))
        first = self._base.shape[0]
        for number, (columns, _) in enumerate(self._tail):
            counts[columns] += not is_out[first + number]
        return counts[self._order()]

    def primal(
        self, alpha: Floats, chosen: npt.NDArray[np.bool_] | None = None
    ) -> tuple[Keys, Floats, Floats]:
        """Xᵀα: ascending keys [a], wide weights [a, C], deep weights [C, hidden].

        `chosen`: which of the `keys` are wanted. Rows that wait are added one by one: joining them
        to the matrix would cost more.
        """
        first, width = self._base.shape
        wide = np.asarray(self._base.T @ alpha[:first], dtype=np.float32)
        if self.column_count > width:
            more = np.zeros((self.column_count - width, alpha.shape[1]), dtype=np.float32)
            wide = np.concatenate([wide, more])
        for (columns, values), weights in zip(self._tail, alpha[first:], strict=True):
            wide[columns] += values[:, None] * weights
        deep = np.zeros((alpha.shape[1], self._deep[0].shape[1]), dtype=np.float32)
        start = 0
        for part in self._deep:
            deep += alpha[start : start + len(part)].T @ part
            start += len(part)
        order = self._order() if chosen is None else self._order()[chosen]
        return self._keys()[order], wide[order], deep

    def keys(self) -> Keys:
        """[a] the features seen so far, ascending."""
        return self._keys()[self._order()]

    @property
    def bytes(self) -> int:
        """What the rows take in memory."""
        base = (self._base.data, self._base.indices, self._base.indptr, self._active)
        tail = (array for pair in self._tail for array in pair)
        return sum(array.nbytes for array in (*base, *tail, *self._deep)) + 100 * len(self._later)

    def _keys(self) -> Keys:
        """[a] keys in the order of the columns."""
        later = np.fromiter(self._later, dtype=np.uint32, count=len(self._later))
        return np.concatenate([self._active, later])

    def _order(self) -> Integers:
        """Columns by ascending key. The first ones are in order; the later ones come between."""
        first = np.arange(len(self._active))
        if not self._later:
            return first
        keys = self._keys()[len(first) :]
        by_key = np.argsort(keys)
        places = np.searchsorted(self._active, keys[by_key])
        return np.insert(first, places, len(first) + by_key)

    def _columns(self, rows: Rows, *, number: bool = True) -> Integers:
        """[nnz] column numbers. Features not seen so far: the next ones, or −1."""
        columns = rows.columns.copy()
        for position in np.flatnonzero(columns < 0).tolist():
            key = int(rows.keys[position])
            columns[position] = (
                self._later.setdefault(key, self.column_count)
                if number
                else self._later.get(key, -1)
            )
        return columns

    def _is_dense(self, frequency: Integers) -> npt.NDArray[np.bool_]:
        """Which columns, occurring in `frequency` mails, are cheaper dense."""
        return np.asarray(frequency > max(DENSE_SHARE * len(self), 16))

    def _merged(self) -> sparse.csc_array:
        """The whole sparse matrix [n, columns]; the waiting rows join it."""
        if self._tail:
            base = self._base.tocsr()
            lengths = np.cumsum([len(columns) for columns, _ in self._tail])
            self._base = _by_column(
                np.concatenate([base.data, *(values for _, values in self._tail)]),
                np.concatenate([base.indices, *(columns for columns, _ in self._tail)]),
                np.concatenate([base.indptr, base.indptr[-1] + lengths]),
                self.column_count,
            )
            self._tail = []
        return self._base

    def _merged_deep(self) -> Floats:
        if len(self._deep) > 1:
            self._deep = [np.concatenate(self._deep)]
        return self._deep[0]


def _by_column(
    values: Floats,
    columns: npt.NDArray[np.signedinteger],
    offsets: npt.NDArray[np.signedinteger],
    width: int,
) -> sparse.csc_array:
    """Rows in CSR parts → a matrix by columns, with 32-bit indices (half the memory).

    Six thousand mails have 16 million values, far from the two thousand million that fit.
    """
    rows: sparse.csr_array = sparse.csr_array(
        (values, columns.astype(np.int32), offsets.astype(np.int32)),
        shape=(len(offsets) - 1, width),
    )
    return rows.tocsc()


def _column_blocks(columns: Integers) -> Iterator[Integers]:
    for start in range(0, len(columns), _COLUMNS_AT_ONCE):
        yield columns[start : start + _COLUMNS_AT_ONCE]


def _mirror(gram: Floats) -> None:
    """Copy the lower triangle to the upper one, in strips that stay in the cache."""
    for start in range(0, len(gram), _ROWS_AT_ONCE):
        stop = start + _ROWS_AT_ONCE
        gram[start:stop, stop:] = gram[stop:, start:stop].T
        square = gram[start:stop, start:stop]
        square[:] = np.tril(square) + np.tril(square, -1).T


def _add_sparse_gram(gram: Floats, rows: sparse.csr_array) -> None:
    """Lower triangle of gram += rows rowsᵀ, in strips: the product never stands whole beside."""
    columns = rows.tocsc()
    for start in range(0, rows.shape[0], _ROWS_AT_ONCE):
        stop = min(start + _ROWS_AT_ONCE, rows.shape[0])
        transposed = columns[:stop].T  # of the rows up to this strip, now by row
        gram[start:stop, :stop] += (rows[start:stop] @ transposed).toarray()
