"""One part of a divided head: a few thousand examples, and what it says of other parts' mail.

A part can be kept and become other examples (`trainer.pairs`). Whatever has not changed by then is
not computed again: its answers about other mail as long as neither its mail nor its labels have
changed, its similarities to that mail as long as the mail has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifier.features import Features
from classifier.space import FeatureSpace
from trainer.examples import Example
from trainer.pairs import Pairs
from trainer.ridge import Ridge, combined

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint32]

_ONE_BY_ONE = 16
"""Up to so many mails are compared each by itself; of more, all at once is faster."""


@dataclass(frozen=True, slots=True, eq=False)
class PartWeights:
    """Of the features that the part's mail has: `keys` [a] ascending, `counts` [a] in how many
    mails each occurs, `wide` [a, C] in half precision, as a model stores them; `deep` [C, hidden].
    """

    keys: Keys
    counts: npt.NDArray[np.int32]
    wide: npt.NDArray[np.float16]
    deep: Floats

    @property
    def bytes(self) -> int:
        """What they take in memory."""
        return sum(each.nbytes for each in (self.keys, self.counts, self.wide, self.deep))


@dataclass(slots=True, eq=False)
class _Asked:
    """A mail of another part. `similar`: with each row of the design, as far as there were any;
    `said`: by the `length` earlier ones of the part's mails, and by all, [C + 1] each."""

    features: Features
    similar: Floats
    length: int = -1
    said: tuple[Floats, Floats] | None = None


class Part:
    """Some examples in time order, their head, and the mails that it was asked about."""

    def __init__(
        self, examples: Sequence[Example], space: FeatureSpace, ridge_lambda: float
    ) -> None:
        """Compare and factorise everything. O(n³)."""
        self._pairs = Pairs(examples, space, ridge_lambda)
        self._space = space
        self._ridge_lambda = ridge_lambda
        self._asked: dict[str, _Asked] = {}
        self._head: Ridge | None = None
        self._weights: PartWeights | None = None

    @property
    def examples(self) -> Sequence[Example]:
        """What it holds."""
        return self._pairs.examples

    @property
    def bytes(self) -> int:
        """What is kept takes so much memory, but for the examples."""
        asked = sum(one.similar.nbytes for one in self._asked.values())
        head = 0 if self._head is None else self._head.bytes
        weights = 0 if self._weights is None else self._weights.bytes
        return self._pairs.bytes + asked + head + weights

    @property
    def learnt(self) -> Ridge:
        """The head; another object when something had to be learnt. See `learn`."""
        if self._head is None:
            raise ValueError("the part has learnt no labels")
        return self._head

    def changes(self, examples: Sequence[Example]) -> int:
        """How many mails come and go from what is here to `examples`."""
        return self._pairs.changes(examples)

    def become(self, examples: Sequence[Example]) -> list[tuple[int, Example]]:
        """Hold `examples` (time order) instead; returns those that are new, by their row in the
        design."""
        before, known = self._pairs.revision, len(self._pairs.design)
        self._pairs.become(examples)
        if self._pairs.revision != before:
            self._head = None
        rows = self._pairs.rows
        new = np.flatnonzero(rows >= known)
        return sorted((int(rows[at]), examples[at]) for at in new.tolist())

    def learn(self, classes: Integers, class_count: int) -> None:
        """Learn class numbers [n] for the examples. O(n² C), nothing when they are the same."""
        head = self._head
        if (
            head is not None
            and head.class_count == class_count
            and np.array_equal(head.classes, classes)
        ):
            return
        weights = np.array([one.weight for one in self.examples], dtype=np.float32)
        self._head = Ridge(
            self._pairs.factor, classes, weights, self._ridge_lambda, class_count, factorised=True
        )
        self._weights = None
        for one in self._asked.values():
            one.said = None

    def prequential(self, counts: Integers) -> Floats:
        """[n, C] see `Ridge.prequential`."""
        return self.learnt.prequential(counts)

    def leave_one_out(self, newest: int) -> Floats:
        """[newest, C] see `Ridge.leave_one_out`."""
        return self.learnt.leave_one_out(newest)

    def ask(
        self, others: Sequence[Example], lengths: Integers, counts: Integers
    ) -> tuple[Floats, Floats]:
        """What the part says of m mails that it does not hold, [m, C] each: by its first
        `lengths` [m] mails with the targets of `counts` [m] classes, and by all of them.

        All other mails that it was asked about are forgotten. O(n² m), but for what it said
        before.
        """
        self._compare(others)
        asked = [self._asked[one.key] for one in others]
        self._asked = {one.key: each for one, each in zip(others, asked, strict=True)}
        self._answer(
            [
                (one, length)
                for one, length in zip(asked, lengths.tolist(), strict=True)
                if one.said is None or one.length != length
            ]
        )
        said = [one.said for one in asked if one.said is not None]  # all of them, by now
        earlier = combined(np.array([one for one, _ in said]), np.maximum(counts, 2)[:, None])
        return earlier, combined(np.array([one for _, one in said]), self.learnt.class_count)

    def against(self, features: Features) -> Floats:
        """Similarities of a mail with all rows of the design, for `meet`."""
        return self._pairs.design.against(self._space.rows([features]))

    def meet(self, one: Example, similar: Floats) -> None:
        """Know a mail's similarities (`against`) before it is asked about."""
        self._asked[one.key] = _Asked(one.features, similar)

    def of_examples(self, similar: Floats) -> dict[str, float]:
        """Similarities by row (`against`) → by the key of the example."""
        found = similar[self._pairs.rows].tolist()
        return {one.key: value for one, value in zip(self.examples, found, strict=True)}

    def extend(self, row: int, similar: dict[str, float]) -> None:
        """Know what the mail in a new `row` has in common with mails of other parts, by key."""
        for key, one in self._asked.items():
            if len(one.similar) == row and key in similar:
                one.similar = np.append(one.similar, np.float32(similar[key]))

    def weights(self) -> PartWeights:
        """The primal weights of the features that its mail has."""
        if self._weights is None:
            self._weights = self._primal()
        return self._weights

    def _primal(self) -> PartWeights:
        design = self._pairs.design
        counts = design.frequencies(self._pairs.left_out)
        chosen = counts > 0
        by_row = self._pairs.by_row(self.learnt.alpha())
        keys, wide, deep = design.primal(by_row, chosen)
        return PartWeights(keys, counts[chosen].astype(np.int32), wide.astype(np.float16), deep)

    def _compare(self, others: Sequence[Example]) -> None:
        """Have the similarities of `others` with every row of the design."""
        size = len(self._pairs.design)
        missing = []
        for one in others:
            known = self._asked.get(one.key)
            if known is None or known.features is not one.features or len(known.similar) != size:
                missing.append(one)
        if len(missing) <= _ONE_BY_ONE:
            for one in missing:
                self.meet(one, self.against(one.features))
        else:
            rows = self._space.rows([one.features for one in missing])
            for one, similar in zip(missing, self._pairs.design.cross(rows), strict=True):
                self.meet(one, similar)

    def _answer(self, asked: Sequence[tuple[_Asked, int]]) -> None:
        """Say what the first so many mails, and all of them, say of each of these."""
        if not asked:
            return
        rows = self._pairs.rows
        similarities = np.array([one.similar[rows] for one, _ in asked], dtype=np.float32)
        lengths = np.array([length for _, length in asked], dtype=np.int64)
        said = self.learnt.plain_by_first(similarities, lengths)
        for (one, length), earlier, everything in zip(asked, *said, strict=True):
            one.length, one.said = length, (earlier, everything)
