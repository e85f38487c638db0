"""From the head's scores to probabilities that mean what they say.

The head's scores are regression values near 1 for the right folder. They become shares by a
softmax, whose parameters are fitted on predictions of mails that the head had not seen
(`trainer.calibration`):

    logit of a folder     = scale · score + thread_bonus · [the thread's parent lies there]
    logit of "none of these" = none_logit

`scale` is an inverse temperature (Guo et al., On Calibration of Modern Neural Networks, 2017).
"None of these" is a share of its own for mail that resembles no folder (first mail of a topic
that has no folder yet): without it a softmax must hand out 100 % to folders, however little
the mail resembles any of them.

A softmax with one temperature is right on average, but too sure in its middle and not sure
enough at its end. So the best folder's share p becomes its probability by Platt scaling (1999):

    log-odds of the best folder being right = offset + slope · log-odds of p

and the others share the rest in the old proportions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


_EDGE = np.float32(1e-6)
"""Shares are kept this far from 0 and 1, where the log-odds end."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The five numbers; the defaults are typical of real mailboxes and serve as the prior."""

    scale: float = 14.0
    thread_bonus: float = 3.5
    none_logit: float = 1.0
    slope: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if not (self.scale > 0 and self.slope > 0):
            raise ValueError("scale and slope must be positive")

    def logits(self, scores: Floats, parents: Integers) -> Floats:
        """[n, C] scores and [n] positions of the parents' folders (−1: none) → [n, C] logits."""
        logits = np.float32(self.scale) * scores
        rows = np.flatnonzero(parents >= 0)
        logits[rows, parents[rows]] += np.float32(self.thread_bonus)
        return logits

    def probabilities(self, logits: Floats) -> Floats:
        """[n, C] logits → [n, C] probabilities; what is missing to 1 is "none of these"."""
        shares = self.shares(logits)
        rows, best = np.arange(len(shares)), shares.argmax(axis=1)
        share = np.clip(shares[rows, best], _EDGE, 1.0 - _EDGE)
        sure = self.sureness(share)
        shares[rows, best] = 0.0
        second = np.maximum(shares.max(axis=1), _EDGE)
        # The best stays the best even when the doubt about it is larger than the softmax's.
        shares *= np.minimum((1.0 - sure) / (1.0 - share), sure / second)[:, None]
        shares[rows, best] = sure
        return shares

    def shares(self, logits: Floats) -> Floats:
        """[n, C] logits → [n, C] softmax shares beside "none of these"."""
        none = np.float32(self.none_logit)
        highest = np.maximum(logits.max(axis=1, keepdims=True), none)
        shares = np.exp(logits - highest)
        rest = np.exp(none - highest)
        return np.asarray(shares / (shares.sum(axis=1, keepdims=True) + rest), dtype=np.float32)

    def sureness(self, share: Floats) -> Floats:
        """[n] best shares, strictly between 0 and 1 → [n] probabilities of being right."""
        log_odds_right = self.offset + self.slope * log_odds(share)
        return np.asarray(1.0 / (1.0 + np.exp(-log_odds_right)), dtype=np.float32)


def log_odds(share: Floats) -> Floats:
    """log(p / (1 − p)), with p kept off 0 and 1."""
    inside = np.clip(share, _EDGE, 1.0 - _EDGE)
    return np.asarray(np.log(inside) - np.log1p(-inside), dtype=np.float32)
