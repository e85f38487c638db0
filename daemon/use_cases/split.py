"""How mail is divided into what is learnt and what is tested on. A module of its own, since the
command line needs it for its help, which must not wait for numpy."""

from __future__ import annotations

import enum


class Split(enum.StrEnum):
    """By time, as mail arrives; or at random, which flatters (see `trainer.splits`)."""

    TIME = "time"
    RANDOM = "random"
