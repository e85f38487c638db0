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
    one = space.rows([mail])
    found: list[Floats] = []
    waiting: list[Features] = []
    for each in others:
        waiting.append(each)
        if len(waiting) == CHUNK:
            found.append(_cosines(one, space.rows(waiting)))
            waiting = []
    if waiting:
        found.append(_cosines(one, space.rows(waiting)))
    return np.concatenate(found) if found else np.zeros(0, dtype=np.float32)


def _cosines(one: Rows, others: Rows) -> Floats:
    """[n] inner products of one sparse and dense row with many, over their lengths."""
    order = np.argsort(one.keys)
    keys, values = one.keys[order], one.values[order]
    products = others.deep @ one.deep[0]
    if len(keys):
        at = np.minimum(np.searchsorted(keys, others.keys), len(keys) - 1)
        shared = keys[at] == others.keys
        weights = others.values[shared] * values[at[shared]]
        owners = others.owners()[shared]
        products = products + np.bincount(owners, weights=weights, minlength=len(others))
    lengths = np.sqrt(others.square_norms() * one.square_norms()[0])
    return np.asarray(products / np.maximum(lengths, 1e-9), dtype=np.float32)


def strongest(scores: Sequence[float] | Floats, top: int) -> list[int]:
    """Positions of the `top` largest, largest first."""
    return [int(at) for at in np.argsort(-np.asarray(scores), kind="stable")[:top]]
