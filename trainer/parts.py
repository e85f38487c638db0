"""All parts of a divided head, kept between two fits while mails come and go.

Which part a mail belongs to follows from its key (`trainer.divided`), so that a change touches one
part, and the others only compare their newest mail with the new one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from classifier.space import FeatureSpace
from trainer.divided import dealt
from trainer.examples import Example
from trainer.part import Part

Integers = npt.NDArray[np.int64]

_MET_BY_ONE = 64
"""Of so many new mails each is compared with the parts that do not hold it; when there are more,
the parts compare the newest mails anew as they are asked about them, which is faster."""


class Parts:
    """The examples (time order) in `count` parts, none of which is empty."""

    def __init__(
        self, examples: Sequence[Example], space: FeatureSpace, ridge_lambda: float, count: int
    ) -> None:
        """Compare and factorise each part. O(n³ / count²)."""
        self._members = dealt(examples, count)
        self._parts = [
            Part([examples[at] for at in members], space, ridge_lambda) for members in self._members
        ]

    def __iter__(self) -> Iterator[tuple[Integers, Part]]:
        """Each part, and which of the examples it holds."""
        return zip(self._members, self._parts, strict=True)

    @property
    def bytes(self) -> int:
        """What all this takes in memory, but for the examples."""
        return sum(part.bytes for part in self._parts)

    def changes(self, examples: Sequence[Example]) -> int:
        """How many mails come and go from what is here to `examples`."""
        members = dealt(examples, len(self._parts))
        return sum(
            part.changes([examples[at] for at in of_part])
            for part, of_part in zip(self._parts, members, strict=True)
        )

    def become(self, examples: Sequence[Example]) -> None:
        """Hold `examples` (time order) instead; see `Pairs.become`."""
        self._members = dealt(examples, len(self._parts))
        new = [
            (part, row, one)
            for part, of_part in zip(self._parts, self._members, strict=True)
            for row, one in part.become([examples[at] for at in of_part])
        ]
        if len(new) > _MET_BY_ONE:
            return
        for part, row, one in new:
            for other in self._parts:
                if other is not part and one.is_mail:
                    similar = other.against(one.features)
                    other.meet(one, similar)
                    part.extend(row, other.of_examples(similar))
