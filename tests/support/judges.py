"""Judges that need no model: the subject says where a mail belongs.

"Rechnungen 12"     certainly Rechnungen
"Rechnungen? 12"    probably Rechnungen, not sure enough to move
anything else       stays in the inbox
"Re: …"             where the thread's nearest known ancestor lies
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from classifier.mail import Mail
from daemon.sorting.judge import Verdict

THRESHOLD = 0.9


class SubjectJudge:
    """`daemon.sorting.judge.Judge` by the first word of the subject.

    `folders` maps that word to a folder's row id. `seen` lists the subjects that were read
    (features that come from the cache are not), `parents` what was said of their threads.
    """

    version = "subject-1"
    fingerprint = "subject-features"

    def __init__(self, folders: Mapping[str, int]) -> None:
        self._folders = dict(folders)
        self.seen: list[str] = []
        self.parents: list[int | None] = []

    def features(self, mails: Sequence[Mail]) -> list[bytes]:
        """The subject itself."""
        self.seen += [mail.subject for mail in mails]
        return [mail.subject.encode() for mail in mails]

    def verdicts(self, features: Sequence[bytes], parents: Sequence[int | None]) -> list[Verdict]:
        """See the module's table."""
        self.parents += parents
        return [
            self._verdict(subject.decode(), parent)
            for subject, parent in zip(features, parents, strict=True)
        ]

    def _verdict(self, subject: str, parent: int | None) -> Verdict:
        word, _, _ = subject.partition(" ")
        folder = self._folders.get(word.rstrip("?"))
        if word == "Re:" and parent is not None and parent > 0:
            folder = parent
        if folder is None:
            return Verdict(((None, 0.99),), None, moves=False, reason="Nothing fits.")
        if word.endswith("?"):
            ranked = ((folder, 0.6), (None, 0.4))
            return Verdict(ranked, THRESHOLD, moves=False, reason="Only 60 % sure.")
        ranked = ((folder, 0.98), (None, 0.02))
        return Verdict(ranked, THRESHOLD, moves=True, reason="98 % sure.")
