"""What became of single mails, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.errors import NotFound
from daemon.sorting.rules import Rule, describe_rule
from daemon.sorting.threads import hash_message_id
from daemon.store import UnitOfWork
from daemon.store.tables import Account, Action, Correction, Decision, Message
from daemon.use_cases.application import Application


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One decision. `message` is the number by which `why` and `undo` know the mail. `rule` says
    which of the person's rules decided, with its patterns as they stand in the configuration."""

    account: str
    message: int
    decided_at: datetime
    action: str
    folder: str | None
    probability: float | None
    threshold: float | None
    model: str | None
    reason: str
    rule: str | None
    ranked: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class PersonMove:
    """One move that a person made."""

    noticed_at: datetime
    kind: str
    from_folder: str
    to_folder: str
    linked_by: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is known about one mail: where it lies, what was decided, what people did."""

    account: str
    entry: HistoryEntry | None
    message: int
    lies_in: tuple[str, ...]
    kept: bool
    person_moves: tuple[PersonMove, ...]


def history(
    app: Application,
    name: str | None,
    *,
    limit: int,
    since: datetime | None = None,
    action: str | None = None,
) -> list[HistoryEntry]:
    """The newest decisions of one account or of all, newest first."""
    entries: list[HistoryEntry] = []
    with app.store.read() as work:
        for account_name in app.names(name):
            account = work.accounts.get(account_name)
            if account is None:
                continue
            wanted = Action(action) if action is not None else None
            decisions = work.decisions.latest(account, limit, since=since, action=wanted)
            rules = app.rules(account_name)
            entries += [entry_of(account_name, decision, rules) for decision in decisions]
    entries.sort(key=lambda entry: (entry.decided_at, entry.message), reverse=True)
    return entries[:limit]


def entry_of(account_name: str, decision: Decision, rules: Sequence[Rule] = ()) -> HistoryEntry:
    """A decision as the doors show it; `rules` are those of the account today."""
    return HistoryEntry(
        account=account_name,
        message=decision.message_id,
        decided_at=decision.decided_at,
        action=decision.action.value,
        folder=decision.folder.name if decision.folder is not None else None,
        probability=decision.probability,
        threshold=decision.threshold,
        model=decision.model_version,
        reason=decision.reason,
        rule=describe_rule(decision.rule, rules) if decision.rule is not None else None,
        ranked=tuple((name, p) for name, p in decision.ranked),
    )


def find_message(work: UnitOfWork, account: Account, reference: str) -> Message | None:
    """By number (as `history` shows it) or by Message-ID, with or without angle brackets."""
    if reference.isdigit():
        message = work.messages.get(int(reference))
        return message if message is not None and message.account_id == account.id else None
    for spelling in (reference, f"<{reference.strip('<>')}>", reference.strip("<>")):
        found = work.messages.by_message_id_hash(account, hash_message_id(spelling))
        if found:
            return found[0]
    return None


def why(app: Application, name: str | None, reference: str) -> Explanation:
    """Everything known about one mail. Raises `NotFound`."""
    with app.store.read() as work:
        for account_name in app.names(name):
            account = work.accounts.get(account_name)
            message = find_message(work, account, reference) if account is not None else None
            if message is None:
                continue
            decision = work.decisions.of_message(message.id)
            placements = work.placements.of_message(message.id)
            return Explanation(
                account=account_name,
                entry=(
                    entry_of(account_name, decision, app.rules(account_name))
                    if decision is not None
                    else None
                ),
                message=message.id,
                lies_in=tuple(p.folder.name for p in placements),
                kept=message.kept,
                person_moves=tuple(
                    _person_move(c) for c in work.corrections.of_message(message.id)
                ),
            )
    raise NotFound(
        f"No message {reference!r} is known.",
        next_step="Take the number from the first column of: inboxd history",
    )


def _person_move(correction: Correction) -> PersonMove:
    return PersonMove(
        correction.noticed_at,
        correction.kind.value,
        correction.from_folder.name,
        correction.to_folder.name,
        correction.linked_by,
    )
