"""The one error of this package."""

from __future__ import annotations


class EncoderUnavailable(Exception):
    """The encoder cannot be found, read, converted or run on the wanted device.

    `next_step` is one sentence that tells the user what to do.
    """

    def __init__(self, message: str, *, next_step: str) -> None:
        super().__init__(message)
        self.next_step = next_step
