"""Whose thread a mail belongs to: the label of its nearest kin that is already known.

Message-IDs are opaque here (the callers pass hashes). A mail names its ancestors in
In-Reply-To and References (RFC 5322, section 3.6.4). Often the nearest ancestor is not among
the filed mail: it is the user's own answer, which lies in Sent, or it was deleted. Then another
mail that answered the same ancestor, or one after it, tells the thread just as well.
"""

from __future__ import annotations

from collections.abc import Sequence


class ThreadLabels:
    """Labels of known mail, found by the references of new mail."""

    def __init__(self) -> None:
        self._own: dict[str, str] = {}
        self._answers: dict[str, str] = {}

    def add(self, message_id: str, references: Sequence[str], label: str) -> None:
        """A mail whose label is known; a later one with the same references replaces it."""
        if message_id:
            self._own[message_id] = label
        self._answers.update(dict.fromkeys(references, label))

    def label_of(self, references: Sequence[str]) -> str | None:
        """Label of the nearest kin of a mail with these references, nearest ancestor first.

        Per ancestor: the ancestor itself, else the latest mail below it. None: no kin known.
        """
        for reference in references:
            label = self._own.get(reference) or self._answers.get(reference)
            if label is not None:
                return label
        return None
