"""One-sided folders: is there one feature that nearly all mails of a label share, and hardly
any other mail has? Then the head may have learnt that feature instead of the folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from classifier.features import HASH_BITS, Block

Keys = npt.NDArray[np.uint32]

BLOCKS = (Block.SENDER, Block.LIST, Block.RECIPIENTS, Block.WORDS)
"""Where such a feature is looked for; the first block that has one is named."""


def carriers(
    mails: Mapping[str, Sequence[Keys]], *, share: float, elsewhere: float, at_least: int
) -> dict[str, tuple[Block, float]]:
    """For each one-sided label the block of the feature, and the share of mails that have it.

    `mails` holds the feature indices of each label's mails, each ascending without repetition.
    A feature carries a label of `at_least` mails when at least `share` of them have it and at
    most `elsewhere` of the mails of all other labels.
    """
    total = sum(map(len, mails.values()))
    found: dict[str, tuple[Block, float]] = {}
    for block in BLOCKS:
        own = {label: _counted(rows, block) for label, rows in mails.items() if rows}
        every, everywhere = _sum(list(own.values()))
        for label, (keys, counts) in own.items():
            inside = len(mails[label])
            outside = total - inside
            if label in found or inside < at_least or not outside:
                continue
            others = everywhere[np.searchsorted(every, keys)] - counts
            carries = (counts >= share * inside) & (others <= elsewhere * outside)
            if carries.any():
                found[label] = (block, float(counts[carries].max()) / inside)
    return found


def _counted(rows: Sequence[Keys], block: Block) -> tuple[Keys, npt.NDArray[np.int64]]:
    """The features of a block and the number of mails that have each."""
    keys = np.concatenate(rows)
    found, counts = np.unique(keys[keys >> np.uint32(HASH_BITS) == block], return_counts=True)
    return found, counts


def _sum(
    parts: Sequence[tuple[Keys, npt.NDArray[np.int64]]],
) -> tuple[Keys, npt.NDArray[np.int64]]:
    """All features of all parts, and their counts added up."""
    if not parts:
        return np.empty(0, dtype=np.uint32), np.empty(0, dtype=np.int64)
    keys, positions = np.unique(np.concatenate([keys for keys, _ in parts]), return_inverse=True)
    counts = np.concatenate([counts for _, counts in parts])
    return keys, np.bincount(positions, weights=counts, minlength=len(keys)).astype(np.int64)
