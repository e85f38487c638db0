"""The past mails that are most like one, in the space in which the head compares mails."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from classifier.features import Features
from classifier.space import FeatureSpace, Floats, Rows

CHUNK = 500
"""Mails compared at a time: some ten megabytes."""


def similarities(space: FeatureSpace, mail: Features, others: Iterable[Features]) -> Floats:
    """[n] cosines between `mail` and each of the `others`, 1 for mail like itself.

    The inner product of two rows is the weighted sum of the blocks' cosines, see
    `classifier.space`; it is divided by both lengths.
    """
    # Adding keys changes no row; now every feature of the mail has a column of its own.
    new = mail.indices[space.positions(mail.indices) < 0]
    space = space.with_active(np.sort(np.concatenate([space.active, new])))
    one = space.rows([mail])
    found: list[Floats] = []
    waiting: list[Features] = []
    for each in others:
        waiting.append(each)
        if len(waiting) == CHUNK:
            found.append(_cosines(space, one, waiting))
            waiting = []
    if waiting:
        found.append(_cosines(space, one, waiting))
    return np.concatenate(found) if found else np.zeros(0, dtype=np.float32)


def _cosines(space: FeatureSpace, one: Rows, others: Sequence[Features]) -> Floats:
    """[n] inner products of one row with those of others, over their lengths."""
    rows = space.rows(others)
    # One more entry at the end, where −1 points to: what only the others have.
    weights = np.zeros(len(space.active) + 1, dtype=np.float32)
    weights[one.columns] = one.values
    products = np.bincount(
        rows.owners(), weights=rows.values * weights[rows.columns], minlength=len(rows)
    )
    products += rows.deep @ one.deep[0]
    lengths = np.sqrt(rows.square_norms() * one.square_norms()[0])
    return np.asarray(products / np.maximum(lengths, 1e-9), dtype=np.float32)


def strongest(scores: Sequence[float] | Floats, top: int) -> list[int]:
    """Positions of the `top` largest, largest first."""
    return [int(at) for at in np.argsort(-np.asarray(scores), kind="stable")[:top]]
