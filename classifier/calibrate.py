"""From the head's scores to probabilities that mean what they say.

The head's scores are regression values near 1 for the right folder. They become
probabilities by a softmax with three parameters, fitted on past predictions of mails that the
head had not seen (`trainer.calibration`):

    logit of a folder     = scale · score + thread_bonus · [the thread's parent lies there]
    logit of "none of these" = none_logit

`scale` is an inverse temperature (Guo et al., On Calibration of Modern Neural Networks, 2017).
"None of these" is a share of its own for mail that resembles no folder (first mail of a topic
that has no folder yet): without it a softmax must hand out 100 % to folders, however little
the mail resembles any of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """The three numbers; the defaults are typical of real mailboxes and serve as the prior."""

    scale: float = 8.0
    thread_bonus: float = 3.5
    none_logit: float = 1.0

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ValueError("scale must be positive")

    def logits(self, scores: Floats, parents: Integers) -> Floats:
        """[n, C] scores and [n] positions of the parents' folders (−1: none) → [n, C] logits."""
        logits = np.float32(self.scale) * scores
        rows = np.flatnonzero(parents >= 0)
        logits[rows, parents[rows]] += np.float32(self.thread_bonus)
        return logits

    def probabilities(self, logits: Floats) -> Floats:
        """[n, C] logits → [n, C] probabilities; what is missing to 1 is "none of these"."""
        none = np.float32(self.none_logit)
        highest = np.maximum(logits.max(axis=1, keepdims=True), none)
        shares = np.exp(logits - highest)
        rest = np.exp(none - highest)
        return np.asarray(shares / (shares.sum(axis=1, keepdims=True) + rest), dtype=np.float32)
