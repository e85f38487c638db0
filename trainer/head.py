"""The head while it learns: feature space, similarities and ridge factor kept together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifier.features import Features, of_text
from classifier.labels import LEAVE
from classifier.space import BlockWeights, FeatureSpace
from trainer.calibration import Past
from trainer.errors import ModelNotTrainable
from trainer.examples import Example, parent_labels
from trainer.kernel import Design
from trainer.ridge import Ridge

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class HeadWeights:
    """The primal form: what a `MailClassifier` holds. `wide` [a, C], `deep` [C, hidden]."""

    space: FeatureSpace
    wide: Floats
    deep: Floats


class Head:
    """A ridge head over examples in time order, extendable one by one.

    The feature space (document frequencies, centre) is frozen at the start, so that appending
    gives exactly what learning everything at once in the same space would give.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        ridge_lambda: float = 0.03,
        weights: BlockWeights | None = None,
        space: FeatureSpace | None = None,
    ) -> None:
        """Learn `examples`, which must be in time order. Raises `ModelNotTrainable`.

        O(n³): about a second for 5,000 mails. `space` None: learnt from these examples.
        """
        check_trainable(examples)
        features = [one.features for one in examples]
        self.examples = list(examples)
        self.labels = list(dict.fromkeys(one.label for one in examples))
        self._numbers = {label: number for number, label in enumerate(self.labels)}
        self._space = space or FeatureSpace.learn(features, weights or BlockWeights())
        self._design = Design(self._space.rows(features), self._space.active)
        self._ridge = Ridge(
            self._design.gram(),
            self._numbered([one.label for one in examples]),
            np.array([one.weight for one in examples], dtype=np.float32),
            ridge_lambda,
        )

    def append(self, example: Example) -> Floats:
        """Learn one more mail; returns its scores [C] by the head before. O(n²)."""
        row = self._space.rows([example.features])
        number = self._numbers.setdefault(example.label, len(self.labels))
        if number == len(self.labels):
            self.labels.append(example.label)
        scores = self._ridge.append(
            self._design.against(row), float(row.square_norms()[0]), number, example.weight
        )
        self._design.append(row)
        self.examples.append(example)
        return scores

    def scores(self, features: Features) -> Floats:
        """[C] scores of one new mail, straight from the dual form."""
        row = self._space.rows([features])
        return np.asarray(self._ridge.scores(self._design.against(row)[None, :])[0])

    def prequential(self) -> Past:
        """Every mail as predicted from the earlier ones only."""
        parents = self._numbered(parent_labels(self.examples))
        return Past(self._ridge.prequential(), self._ridge.known(), self._ridge.classes, parents)

    def leave_one_out(self, newest: int | None = None) -> Past:
        """The `newest` (all) mails, each as predicted from all the others."""
        scores = self._ridge.leave_one_out(newest)
        last = slice(len(self.examples) - len(scores), None)
        classes = self._ridge.classes
        known = known_without_itself(classes, len(self.labels))
        parents = self._numbered(parent_labels(self.examples))
        return Past(scores, known[last], classes[last], parents[last])

    def weights(self, *, rare_words: bool = True) -> HeadWeights:
        """The primal weights, and the space with exactly their features active.

        Without `rare_words`, words and character n-grams that occur in one mail only get no
        weight. They are two thirds of all features and say little once there is much mail.
        """
        chosen = None if rare_words else self._is_repeated()
        keys, wide, deep = self._design.primal(self._by_row(self._ridge.alpha()), chosen)
        return HeadWeights(self._space.with_active(keys), wide, deep)

    def _is_repeated(self) -> npt.NDArray[np.bool_]:
        """[a] which features of the design, if of the text, occur in more than one mail."""
        return ~of_text(self._design.keys()) | (self._design.frequencies() > 1)

    def _by_row(self, alpha: Floats) -> Floats:
        """Values of the examples in the order of the design's rows."""
        return alpha

    def _numbered(self, labels: Sequence[str | None]) -> Integers:
        numbers = [-1 if label is None else self._numbers[label] for label in labels]
        return np.array(numbers, dtype=np.int64)


def known_without_itself(classes: Integers, count: int) -> npt.NDArray[np.bool_]:
    """[n, C] whether any other mail than this one is of the class."""
    sizes = np.bincount(classes, minlength=count)
    return np.asarray(sizes[None, :] - np.eye(count, dtype=np.int64)[classes] > 0)


def check_trainable(examples: Sequence[Example]) -> None:
    """Raise `ModelNotTrainable` unless there are at least two labels."""
    labels = {one.label for one in examples}
    if not labels:
        raise ModelNotTrainable("There is no filed mail to learn from.")
    if labels == {LEAVE}:
        raise ModelNotTrainable("All that is known is what should stay in the inbox.")
    if len(labels) == 1:
        raise ModelNotTrainable("All filed mail lies in the same place: nothing to tell apart.")
    if any(not one.weight > 0 for one in examples):
        raise ValueError("example weights must be positive")
