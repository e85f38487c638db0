"""Which words, senders and lists spoke for a folder: needs the mail itself, so it is fetched."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.errors import ModelError, NotFound
from daemon.mail.parse import parse
from daemon.sorting.threads import parent_folder
from daemon.store.tables import Message, Placement
from daemon.use_cases.application import Application
from daemon.use_cases.history import find_message


@dataclass(frozen=True, slots=True)
class Reason:
    """`weight` logits for the folder (negative: against it) by `name`, a word or an address,
    or "" for what has no name: the meaning as BERT sees it, the spelling as a whole."""

    kind: str
    name: str
    weight: float


@dataclass(frozen=True, slots=True)
class Reasons:
    """The strongest reasons of the model in use for its best folder of this mail; where it is
    shared, that may be a folder of another account."""

    message: int
    model: str
    folder: str
    probability: float
    reasons: tuple[Reason, ...]


def explain(app: Application, name: str, reference: str, *, top: int = 12) -> Reasons:
    """Judge a mail again with the model in use, and take the verdict apart.

    The contributions are exact: the head is linear. Raises `NotFound`, `ModelError`,
    `MailboxError`.
    """
    judge = app.models(name).judge()
    if judge is None:
        raise ModelError(f"Account {name} has no model yet.")
    message, placement, parent = _locate(app, name, reference)
    with app.mailbox(name) as mailbox:
        max_bytes = app.account(name).max_message_kb * 1024
        uids = [placement.uid]
        folder = placement.folder.name
        fetched = list(mailbox.fetch(folder, placement.uid_validity, uids, max_bytes))
    if not fetched:
        raise NotFound(f"Mail {message.id} is no longer in {folder}.")
    mail = parse(fetched[0].content)
    best, probability, reasons = judge.explain(mail, parent)
    return Reasons(
        message=message.id,
        model=judge.version,
        folder=best,
        probability=probability,
        reasons=tuple(Reason(*reason) for reason in reasons[:top]),
    )


def _locate(app: Application, name: str, reference: str) -> tuple[Message, Placement, int | None]:
    with app.store.read() as work:
        account = work.accounts.get(name)
        message = find_message(work, account, reference) if account is not None else None
        if account is None or message is None:
            raise NotFound(f"No message {reference!r} is known in account {name}.")
        placements = work.placements.of_message(message.id)
        if not placements:
            raise NotFound(f"Mail {message.id} lies in no folder that inboxd watches.")
        return message, placements[0], parent_folder(work, account, message)
