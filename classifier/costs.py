"""What mistakes cost: a claim filed under cancellations may be worse than most mistakes.

The unit is one mail left in the inbox, which is also what any other wrong move costs. Plain
values without torch or numpy, as `classifier.decision`, which asks them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

ANY = "*"
"""Stands for any folder on one side of a confusion."""
LOWEST, HIGHEST = 1.0, 1000.0
"""A cost below 1 would let mail through that is not sure enough; it can only hold back."""

_ARROW = re.compile(r"\s(?:->|→)\s")


@dataclass(frozen=True, slots=True)
class Costs:
    """Cost by (label where the mail belongs, label where it was wrongly filed).

    One of both may be `ANY`: an exact pair comes before it, and of two such lines the dearer
    counts. What is not listed costs 1.
    """

    by_confusion: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.by_confusion)

    def of(self, true: str | None, filed: str) -> float:
        """What a mail of `true` (None: of no known folder) costs when it is filed as `filed`."""
        if true is None:
            return self.by_confusion.get((ANY, filed), 1.0)
        exact = self.by_confusion.get((true, filed))
        if exact is not None:
            return exact
        return max(self.by_confusion.get(star, 1.0) for star in ((ANY, filed), (true, ANY)))

    def confidence(self, filed: str, shares: Iterable[tuple[str, float]]) -> float:
        """The share of being right among what filing the mail as `filed` gains and costs:

            p(A) / (p(A) + Σ_{B≠A} cost(B→A) · p(B) + cost(*→A) · p(none of these))

        `shares` holds each label's probability. Equal to p(A) when all costs are 1.
        """
        right, others, expected = 0.0, 0.0, 0.0
        for label, share in shares:
            if label == filed:
                right = share
            else:
                others += share
                expected += share * self.of(label, filed)
        none = max(1.0 - right - others, 0.0)
        total = right + expected + none * self.of(None, filed)
        return right / total if total else 0.0

    def dearest(
        self, filed: str, shares: Iterable[tuple[str, float]]
    ) -> tuple[str | None, float, float]:
        """Label (None: none of these), probability and cost of the mistake that weighs most."""
        known = list(shares)
        none = max(1.0 - sum(share for _, share in known), 0.0)
        mistakes: list[tuple[str | None, float]] = [m for m in known if m[0] != filed]
        return max(
            ((label, p, self.of(label, filed)) for label, p in [*mistakes, (None, none)]),
            key=lambda mistake: mistake[1] * (mistake[2] - 1.0),
        )

    def of_labels(self, names: Mapping[str, str]) -> Costs:
        """The same by other names: costs by folder name become costs by label.

        `names` gives the label of each folder; lines with a folder that is not there are left
        out.
        """
        everywhere = {**names, ANY: ANY}
        return Costs(
            {
                (everywhere[true], everywhere[filed]): cost
                for (true, filed), cost in self.by_confusion.items()
                if true in everywhere and filed in everywhere
            }
        )

    def to_json(self) -> list[tuple[str, str, float]]:
        """Rows of (true, filed, cost) in a fixed order."""
        return [(*pair, cost) for pair, cost in sorted(self.by_confusion.items())]

    @classmethod
    def from_json(cls, rows: Iterable[Iterable[object]]) -> Costs:
        """The inverse of `to_json`. Raises `ValueError` or `TypeError` for anything else."""
        found: dict[tuple[str, str], float] = {}
        for true, filed, cost in rows:
            found[str(true), str(filed)] = float(cost)  # type: ignore[arg-type]  # float raises
        return cls(found)

    @classmethod
    def from_lines(cls, lines: Mapping[str, float]) -> Costs:
        """From lines such as "Schadensmeldungen -> Kündigungen" = 5. Raises `ValueError`."""
        return cls({read_confusion(text): cost for text, cost in lines.items()})


NO_COSTS = Costs()
"""Every mistake costs what a mail left in the inbox does."""


def read_confusion(text: str) -> tuple[str, str]:
    """True folder and folder it is wrongly filed under, from "TRUE -> WRONG".

    Raises `ValueError` with what is wrong, in words that follow the name of a setting.
    """
    parts = tuple(part.strip() for part in _ARROW.split(f" {text} "))
    if len(parts) != 2 or not all(parts):
        raise ValueError("must name two folders with an arrow between them")
    if parts == (ANY, ANY):
        raise ValueError("makes every mistake dearer, which is what target_precision is for")
    if parts[0] == parts[1]:
        raise ValueError("names the same folder twice, which is no mistake")
    return parts[0], parts[1]
