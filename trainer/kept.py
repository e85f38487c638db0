"""A ridge head that is brought up to date instead of learnt anew, to the same result.

What takes long, comparing all mails and factorising, is kept between two fits of the same mailbox
(`trainer.pairs`, and of more mail than one factor holds `trainer.parts`); what depends on labels
is computed each time, from all of them. The feature space (how common each word is, where mail
lies on average) and the number of parts are those of the last fit from scratch, until so much mail
came or went that the space is learnt anew: the rule by which `trainer.replay` lives through a
mailbox. In that space the result is that of a fit from scratch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifier.features import Features, of_text
from classifier.space import FeatureSpace
from trainer.descriptions import blocks_for
from trainer.divided import parts_needed
from trainer.examples import Example
from trainer.fit import DividedTrained, FitSettings, RidgeTrained, ridge
from trainer.head import HeadWeights, check_trainable
from trainer.heads import Learner, TrainedHead
from trainer.pairs import Pairs
from trainer.parts import Parts
from trainer.ridge import Ridge

Floats = npt.NDArray[np.float32]

RELEARN_SHARE = 0.25
"""The space is learnt anew when so large a share of the mail that it comes from has come or gone
since. Also `ReplaySettings.relearn_at`: what a replay measures is what the daemon does."""


@dataclass(slots=True)
class _Kept:
    """Similarities and factor, the space that they hold in, and the settings that they suit."""

    held: Pairs | Parts
    space: FeatureSpace
    ridge_lambda: float
    learnt_from: int
    changed: int = 0

    def suits(self, examples: Sequence[Example], settings: FitSettings) -> bool:
        """Whether settings and number of examples are such that they could be learnt from this.

        Parts stay as many as they were: they grow by a quarter at most.
        """
        blocks = blocks_for(examples, settings.blocks)
        in_one_piece = len(examples) <= settings.exact_up_to
        return (
            self.space.weights == blocks
            and self.ridge_lambda == settings.ridge_lambda
            and isinstance(self.held, Pairs) == in_one_piece
        )

    def become(self, examples: Sequence[Example]) -> bool:
        """Hold `examples` instead, unless too much has changed since the space was learnt."""
        changes = self.held.changes(examples)
        if self.changed + changes >= RELEARN_SHARE * self.learnt_from:
            return False
        self.changed += changes
        self.held.become(examples)
        return True


class KeptRidge:
    """The memory of the fits of one mailbox; of use to one fit at a time.

    When a fit fails, nothing is kept, and the next one is from scratch.
    """

    def __init__(self) -> None:
        self._kept: _Kept | None = None

    @property
    def bytes(self) -> int:
        """What is kept takes so much memory, but for the examples."""
        if self._kept is None:
            return 0
        space = self._kept.space
        return self._kept.held.bytes + space.active.nbytes + space.idf.nbytes

    @property
    def space(self) -> FeatureSpace | None:
        """The feature space of the last fit, None without one."""
        return None if self._kept is None else self._kept.space

    def learner(self, settings: FitSettings, most_bytes: float = math.inf) -> Learner:
        """The ridge head as `trainer.fit.ridge` learns it, from what is kept where possible.

        Nothing is kept of a start that other mail helps (background), nor of parts that would take
        more than `most_bytes` together: those are made one by one, as there is no use in having
        all of them in memory.
        """

        def learn(examples: Sequence[Example], background: Sequence[Features]) -> TrainedHead:
            check_trainable(examples)
            kept, self._kept = self._kept, None
            if (
                background
                or kept is None
                or not kept.suits(examples, settings)
                or not kept.become(examples)
            ):
                del kept  # frees it before as much is needed again
                if background or _parts_bytes(examples, settings) > most_bytes:
                    return ridge(settings)(examples, background)
                kept = _from_scratch(examples, settings)
            self._kept = kept
            head: _KeptHead | DividedTrained
            if isinstance(kept.held, Pairs):
                head = _KeptHead(kept.held, kept.space, kept.ridge_lambda)
            else:
                head = DividedTrained(examples, kept.space, kept.held, recent=settings.recent)
            head.rare_words = len(examples) <= settings.rare_words_up_to
            return head

        return learn


def _from_scratch(examples: Sequence[Example], settings: FitSettings) -> _Kept:
    blocks = blocks_for(examples, settings.blocks)
    space = FeatureSpace.learn([one.features for one in examples], blocks)
    held: Pairs | Parts
    if len(examples) <= settings.exact_up_to:
        held = Pairs(examples, space, settings.ridge_lambda)
    else:
        count = parts_needed(examples, settings.part_size)
        held = Parts(examples, space, settings.ridge_lambda, count)
    return _Kept(held, space, settings.ridge_lambda, len(examples))


def _parts_bytes(examples: Sequence[Example], settings: FitSettings) -> int:
    """About what the parts take: squares, rows, similarities of the newest mail, and a third of it
    for weights; 0 in one piece."""
    size = len(examples)
    if size <= settings.exact_up_to:
        return 0
    squares = 4 * size * size // parts_needed(examples, settings.part_size)
    rows = 8 * sum(len(one.features.indices) for one in examples)
    return (squares + rows + 4 * size * settings.recent) * 4 // 3


class _KeptHead(RidgeTrained):
    """A ridge head over what is kept; good until the next fit changes that."""

    def __init__(self, pairs: Pairs, space: FeatureSpace, ridge_lambda: float) -> None:
        # All that the parent's constructor would compute is there.
        self._pairs = pairs
        self.examples = pairs.examples
        self.labels = list(dict.fromkeys(one.label for one in self.examples))
        self._numbers = {label: number for number, label in enumerate(self.labels)}
        self._space = space
        self._design = pairs.design
        self._ridge = Ridge(
            pairs.factor,
            self._numbered([one.label for one in self.examples]),
            np.array([one.weight for one in self.examples], dtype=np.float32),
            ridge_lambda,
            factorised=True,
        )

    def append(self, example: Example) -> Floats:
        """Not possible: what is kept learns by a new fit."""
        raise NotImplementedError

    def scores(self, features: Features) -> Floats:
        """[C] scores of one new mail, straight from the dual form."""
        similar = self._pairs.against(features)
        return np.asarray(self._ridge.scores(similar[None, :])[0])

    def weights(self, *, rare_words: bool = True) -> HeadWeights:
        """See `Head.weights`. What only mail had that has gone is no feature any more."""
        keys = self._design.keys()
        counts = self._design.frequencies(self._pairs.left_out)
        chosen = (counts > 0) | (self._space.positions(keys) >= 0)
        if not rare_words:
            chosen &= ~of_text(keys) | (counts > 1)
        found, wide, deep = self._design.primal(self._by_row(self._ridge.alpha()), chosen)
        return HeadWeights(self._space.with_active(found), wide, deep)

    def _by_row(self, alpha: Floats) -> Floats:
        return self._pairs.by_row(alpha)
