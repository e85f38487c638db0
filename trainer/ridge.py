"""Ridge regression on one-hot targets in the dual, with honest predictions for free.

Minimise ‖XW − Y‖² (weighted) + λ‖W‖². With K = XXᵀ and Λ = diag(λ / wᵢ) the solution is
W = Xᵀα, (K + Λ)α = Y (Saunders, Gammerman, Vovk: Ridge Regression Learning Algorithm in Dual
Variables, 1998). With the Cholesky factor K + Λ = LLᵀ and Z = L⁻¹Y:

* The leading block of L is the factor of the first mails alone, so l·Z with l = L⁻¹k is what
  a model of only the earlier mails says about the next one. For the mails within it:

      prequential scores = tril(L, −1) Z = Y − diag(L) ∘ Z

  One factorisation predicts a whole history in time order, each mail from earlier ones only
  (Dawid, The Prequential Approach, 1984, for the idea of judging forecasts that way).
* Leave-one-out scores are yᵢ − αᵢ / [(K + Λ)⁻¹]ᵢᵢ (Allen's PRESS, 1974; for kernels:
  Cawley and Talbot 2008).
* A new mail is one triangular solve, and one more row of L: exact, in O(n²).

Targets are 1 for the right class and −1/(C−1) for the others (Lee, Lin, Wahba 2004), which is
an affine function of the one-hot matrix H. Z is kept for H and for the vector of ones, so the
number of classes can be that of any moment.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

_SPARE_ROWS = 256
"""Room for appended rows; the factor is copied when it is used up."""


class Ridge:
    """The factor L, the solved targets Z, and what follows from them.

    `classes` [n] holds class numbers from 0; classes may be added at any time. All matrices
    are float32: with λ = 0.03 the scores agree with float64 to about four digits.
    """

    def __init__(
        self,
        gram: Floats,
        classes: Integers,
        weights: Floats,
        ridge: float,
        class_count: int | None = None,
        *,
        factorised: bool = False,
    ) -> None:
        """Factorise [n, n] `gram`, which is overwritten. O(n³/3).

        `weights` [n]: how much each mail counts, positive. `ridge` is λ. `class_count`: when
        there are more classes than occur here. `factorised`: L is there already, as the lower
        triangle of the first [n, n] of `gram`, which is [capacity, capacity] in Fortran order and
        neither copied nor changed: O(n² C), and nothing may be appended.
        """
        self._ridge = ridge
        self._size = len(classes)
        self._factor: Floats = gram if factorised else _factorised(gram, weights, ridge)
        self._classes = classes.astype(np.int64)
        self._solved = self._forward(_one_hot(self._classes, class_count))  # [n, C + 1]
        self._dual: Floats | None = None

    def __len__(self) -> int:
        return self._size

    @property
    def class_count(self) -> int:
        """Number of classes so far."""
        return int(self._solved.shape[1]) - 1

    @property
    def classes(self) -> Integers:
        """[n] class of each mail."""
        return self._classes

    @property
    def bytes(self) -> int:
        """What this takes in memory beside the factor."""
        dual = 0 if self._dual is None else self._dual.nbytes
        return self._solved.nbytes + self._classes.nbytes + dual

    def append(self, similarities: Floats, square: float, label: int, weight: float) -> Floats:
        """Learn one more mail; returns its scores [C] from before it was learnt. O(n²).

        `similarities` [n] with the earlier mails, `square` with itself. `label` may be a new
        class (the next number).
        """
        if label > self.class_count:
            raise ValueError("classes are numbered without gaps")
        row = self._forward(similarities[:, None])[:, 0]
        scores = combined(row @ self._solved, self.class_count)
        # What the earlier mails leave unexplained is never negative, but for rounding.
        pivot = np.sqrt(max(square - float(row @ row), 0.0) + self._ridge / weight)
        self._grow()
        self._factor[self._size, : self._size] = row
        self._factor[self._size, self._size] = pivot
        if label == self.class_count:
            self._solved = np.insert(self._solved, label, 0.0, axis=1)
        target = np.zeros(self.class_count + 1, dtype=np.float32)
        target[[label, -1]] = 1.0
        self._solved = np.vstack([self._solved, (target - row @ self._solved) / pivot])
        self._classes = np.append(self._classes, label)
        self._size += 1
        self._dual = None
        return scores

    def scores(self, similarities: Floats) -> Floats:
        """[m, C] scores of new mails from their [m, n] similarities with the learnt ones."""
        rows = self._forward(np.asfortranarray(similarities.T)).T
        return combined(rows @ self._solved, self.class_count)

    def prequential(self, counts: Integers | None = None) -> Floats:
        """[n, C] scores of each mail by a model of the earlier ones only.

        Targets use the number of classes known at that time (at least two), `counts` [n] where
        others know more; the scores of classes not known then mean nothing: see `known`.
        """
        pivots = np.diagonal(self._factor)[: self._size, None]
        plain = _one_hot(self._classes, self.class_count) - pivots * self._solved
        known = self.known().sum(axis=1) if counts is None else counts
        return combined(plain, np.maximum(known, 2)[:, None])

    def plain_by_first(self, similarities: Floats, lengths: Integers) -> tuple[Floats, Floats]:
        """What models of only the first `lengths` [m] mails say of new mails, and what the model
        of all mails does: [m, C + 1] each, to be `combined`. Exact, because the first entries of
        L⁻¹k depend on the first mails alone. O(n² m)."""
        rows = self._forward(np.asfortranarray(similarities.T)).T
        everything = rows @ self._solved
        rows[np.arange(len(self))[None, :] >= lengths[:, None]] = 0.0
        return rows @ self._solved, everything

    def known(self) -> npt.NDArray[np.bool_]:
        """See `known_before`."""
        return known_before(self._classes, self.class_count)

    def leave_one_out(self, newest: int | None = None) -> Floats:
        """[k, C] scores of each of the `newest` (all) mails by a model of all others. O(k³/3).

        L⁻¹ is lower triangular, so that its last columns, whose squared lengths are the
        diagonal of (K + Λ)⁻¹, follow from the last rows of L alone.
        """
        start = 0 if newest is None else max(self._size - newest, 0)
        last = slice(start, self._size)
        corner = np.asfortranarray(np.tril(self._factor[last, last]))
        inverse, info = lapack.strtri(corner, lower=1)
        if info != 0:
            raise ValueError("the factor is singular")
        diagonal = np.einsum("ij,ij->j", inverse, inverse)[:, None]
        targets = _one_hot(self._classes[last], self.class_count)
        return combined(targets - self._backward()[last] / diagonal, self.class_count)

    def alpha(self) -> Floats:
        """[n, C] dual weights: W = Xᵀα."""
        return combined(self._backward(), self.class_count)

    def _forward(self, right: Floats) -> Floats:
        """L⁻¹ right. LAPACK reads the used corner in place; a numpy slice would be copied."""
        return self._solve(right, transposed=0)

    def _backward(self) -> Floats:
        """L⁻ᵀ Z, for the one-hot columns and the ones; computed once."""
        if self._dual is None:
            self._dual = self._solve(self._solved, transposed=1)
        return self._dual

    def _solve(self, right: Floats, transposed: int) -> Floats:
        return solve_triangle(self._factor, right, transposed=transposed)

    def _grow(self) -> None:
        if self._size < len(self._factor):
            return
        capacity = self._size + _SPARE_ROWS
        larger = np.zeros((capacity, capacity), dtype=np.float32, order="F")
        larger[: self._size, : self._size] = self._factor
        self._factor = larger


def _factorised(gram: Floats, weights: Floats, ridge: float) -> Floats:
    """L of K + Λ, in place of `gram`: [capacity, capacity] Fortran order."""
    gram[np.diag_indices_from(gram)] += np.float32(ridge) / weights
    factor, info = lapack.spotrf(gram, lower=1, clean=1, overwrite_a=1)
    if info != 0:
        raise ValueError(f"the Gram matrix is not positive definite (minor {info})")
    return np.asarray(factor)


def solve_triangle(factor: Floats, right: Floats, *, transposed: int = 0) -> Floats:
    """L⁻¹ (or L⁻ᵀ) times `right` [n, k], L the lower triangle of the first [n, n] of `factor`."""
    size, count = right.shape
    padded = np.zeros((len(factor), count), dtype=np.float32, order="F")
    padded[:size] = right
    solved, info = lapack.strtrs(factor[:, :size], padded, lower=1, trans=transposed, overwrite_b=1)
    if info != 0:
        raise ValueError("the factor is singular")
    return np.ascontiguousarray(solved[:size])


def _one_hot(classes: Integers, count: int | None = None) -> Floats:
    """[n, C + 1] one-hot rows and a last column of ones."""
    total = int(classes.max(initial=-1)) + 1 if count is None else count
    matrix = np.zeros((len(classes), total + 1), dtype=np.float32)
    matrix[np.arange(len(classes)), classes] = 1.0
    matrix[:, -1] = 1.0
    return matrix


def known_before(classes: Integers, count: int) -> npt.NDArray[np.bool_]:
    """[n, C] whether the class had occurred before the mail."""
    first = np.full(count, len(classes))
    np.minimum.at(first, classes, np.arange(len(classes)))
    return np.asarray(first[None, :] < np.arange(len(classes))[:, None])


def combined(plain: Floats, count: int | npt.NDArray[np.int64]) -> Floats:
    """[…, C + 1] results for H and 1 → […, C] for targets 1 and −1/(C−1); linear, so exact."""
    if np.min(count) < 2:
        raise ValueError("at least two classes are needed")
    other = 1.0 / (np.asarray(count, dtype=np.float32) - 1.0)
    return np.asarray(plain[..., :-1] * (1.0 + other) - plain[..., -1:] * other, dtype=np.float32)
