"""What a head is to whoever trains, judges or serves it, however it learns.

learner   examples → trained head     `trainer.fit.ridge`, `trainer.classic.classic`
fit       learner → calibrated model with thresholds, report and honest predictions
gate      candidate against the model in use, whatever their heads
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from classifier.features import Features
from classifier.labels import LabelSet
from classifier.model import MailClassifier
from trainer.calibration import Past
from trainer.curves import Curves
from trainer.examples import Example
from trainer.tune import Tuned

Floats = npt.NDArray[np.float32]


class TrainedHead(Protocol):
    """A head that has learnt `examples` (in time order); `labels` in the order of its scores."""

    @property
    def examples(self) -> Sequence[Example]:
        """What it learnt."""
        ...

    @property
    def labels(self) -> Sequence[str]:
        """Its classes."""
        ...

    @property
    def curves(self) -> Curves | None:
        """How it learnt, None when that was not in steps."""
        ...

    def scores(self, features: Features) -> Floats:
        """[C] scores of one new mail, before calibration."""
        ...

    def prequential(self) -> Past:
        """Each mail as predicted from earlier ones only (none known where there was no such)."""
        ...

    def leave_one_out(self, newest: int | None = None) -> Past:
        """The `newest` (all) mails, each as predicted without having learnt it."""
        ...

    def model(self, labels: LabelSet, tuned: Tuned, **facts: Any) -> MailClassifier:
        """The servable model; `facts` as in `trainer.fit.assemble`."""
        ...


Learner = Callable[[Sequence[Example], Sequence[Features]], TrainedHead]
"""Examples in time order, and features of mail that nobody has filed, to a trained head.

Raises `ModelNotTrainable`."""
