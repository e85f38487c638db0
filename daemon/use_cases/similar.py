"""The past mails most like one: found in the cached features, so nothing need be fetched.

Subjects are not kept. They are fetched from the mailbox when somebody asks to see them, and
never stored or logged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from daemon.errors import ModelError, NotFound
from daemon.store import UnitOfWork
from daemon.store.tables import Account
from daemon.use_cases.application import Application
from daemon.use_cases.history import find_message

if TYPE_CHECKING:
    from daemon.learning.engine import ModelJudge


@dataclass(frozen=True, slots=True)
class SimilarMail:
    """One past mail. `similarity`: 1 for the same mail, 0 for nothing in common. `subject` is
    None where it was not asked for or the mail is gone."""

    message: int
    similarity: float
    date: datetime
    folder: str
    subject: str | None = None


def similar_mails(
    app: Application, name: str, reference: str, *, top: int = 5, subjects: bool = False
) -> list[SimilarMail]:
    """The `top` examples that are most like a mail, in the eyes of the model in use.

    Raises `NotFound`, `ModelError`, and with `subjects` `MailboxError`.
    """
    judge = app.models(name).judge()
    if judge is None:
        raise ModelError(f"Account {name} has no model yet.")
    with app.store.read() as work:
        account = work.accounts.get(name)
        message = find_message(work, account, reference) if account is not None else None
        if account is None or message is None:
            raise NotFound(f"No message {reference!r} is known in account {name}.")
        found = _nearest(work, account, message.id, judge, top)
    return _with_subjects(app, name, found) if subjects and found else found


def _nearest(
    work: UnitOfWork, account: Account, message_id: int, judge: ModelJudge, top: int
) -> list[SimilarMail]:
    from classifier.features import Features  # noqa: PLC0415 - numpy
    from classifier.similar import similarities, strongest  # noqa: PLC0415

    own = work.features.get(judge.fingerprint, [message_id])
    if not own:
        raise NotFound(
            f"Mail {message_id} was never read by this model's encoder.",
            next_step=f"Run: inboxd why {message_id}",
        )
    inbox = work.folders.inbox(account)
    labels = {
        message: inbox.name if folder is None and inbox is not None else folder or "INBOX"
        for message, folder in work.examples.folders_by_message(account).items()
        if message != message_id
    }
    cached = work.features.get(judge.fingerprint, labels)
    ids = sorted(cached)
    scores = similarities(
        judge.model.space,
        Features.from_bytes(own[message_id]),
        (Features.from_bytes(cached[each]) for each in ids),
    )
    found = []
    for at in strongest(scores, top):
        message = work.messages.get(ids[at])
        if message is not None:
            date = message.sent_at or message.internal_date
            found.append(SimilarMail(ids[at], float(scores[at]), date, labels[ids[at]]))
    return found


def _with_subjects(app: Application, name: str, mails: Sequence[SimilarMail]) -> list[SimilarMail]:
    """The same mails with their subjects, as far as they can be found."""
    from daemon.learning.gather import fetch_mails  # noqa: PLC0415 - numpy

    with app.mailbox(name) as mailbox:
        found = fetch_mails(app.store, mailbox, [each.message for each in mails], max_bytes=0)
    subjects = {message: mail.subject for message, mail in found.items()}
    return [replace(each, subject=subjects.get(each.message)) for each in mails]
