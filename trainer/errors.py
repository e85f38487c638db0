"""What can keep a model from being trained."""

from __future__ import annotations


class ModelNotTrainable(Exception):
    """There is nothing to tell apart; `reason` says why in one plain sentence."""

    next_step = "File some mail into at least two folders, then run: inboxd learn"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
