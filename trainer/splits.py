"""A random split, for comparison with what others report. Mail is split by time otherwise.

It flatters: mail of the same weeks, campaigns and conversations lies on both sides, so that the
model is asked about what it half knows (Bekkerman, McCallum, Huang 2004).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from trainer.examples import Example, TimeSplit, in_time_order, near_duplicates, threads

WARNING = (
    "A random split flatters: the model has seen mail of the same days that it is tested on. "
    "What it will do with tomorrow's mail shows the split by time."
)


def families(examples: Sequence[Example]) -> list[int]:
    """A group number per example: the same for one thread, one text, and what these link."""
    count = len(examples)
    rows = np.tile(np.arange(count), 2)
    columns = np.array([*near_duplicates(examples), *threads(examples)], dtype=np.int64)
    links = coo_array((np.ones(2 * count), (rows, columns)), shape=(count, count))
    _, numbers = connected_components(links, directed=False)
    return [int(number) for number in numbers]


def random_split(
    examples: Sequence[Example], train: float = 0.8, calibrate: float = 0.1, seed: int = 17
) -> TimeSplit:
    """Stratified by label and random; threads and near-duplicates stay together.

    Descriptions are learnt from. Of families with several labels the first mail's counts.
    """
    ordered = in_time_order(examples)
    members: defaultdict[int, list[Example]] = defaultdict(list)
    for one, number in zip(ordered, families(ordered), strict=True):
        members[number].append(one)
    by_label: defaultdict[str, list[list[Example]]] = defaultdict(list)
    for family in members.values():
        by_label[family[0].label].append(family)
    parts: tuple[list[Example], ...] = ([], [], [])
    random = np.random.default_rng(seed)
    for some in by_label.values():
        total = sum(map(len, some))
        bounds = (train * total, (train + calibrate) * total)
        placed = 0
        for at in random.permutation(len(some)).tolist():
            middle = placed + len(some[at]) / 2
            part = 0 if middle <= bounds[0] else 1 if middle <= bounds[1] else 2
            parts[part if all(one.is_mail for one in some[at]) else 0].extend(some[at])
            placed += len(some[at])
    learnt, calibrated, tested = (tuple(in_time_order(part)) for part in parts)
    return TimeSplit(learnt, calibrated, tested, straddling=0)
