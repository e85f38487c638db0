"""Sorting new mail: fetch, parse, judge, decide, plan, move."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from classifier.mail import Mail
from daemon.config.settings import Mode
from daemon.mail.parse import parse
from daemon.mailbox.port import FolderStatus, Mailbox
from daemon.sorting.judge import Judge, Verdict
from daemon.sorting.mover import IMPOSSIBLE, Clock, MoveRequest, execute, look_at_targets, plan
from daemon.sorting.reading import attempt, batches, hopeless
from daemon.sorting.threads import parent_folder
from daemon.store import Store
from daemon.store.tables import (
    Account,
    Action,
    Decision,
    Folder,
    MoveKind,
    Placement,
    Role,
)

log = structlog.get_logger(__name__)

BATCH = 32
"""Mails per round: small enough that the first are moved while the rest wait."""

UNREADABLE = "It could not be read, and is left in the inbox."

KEEP_RANKED = 5
"""How many of the probable folders are stored with a decision."""


@dataclass(slots=True)
class Sorted:
    """What one pass over the inbox did: `seen` mails were judged, `moved` of them moved,
    `failed` planned moves did not happen, the rest are counted `by_action`."""

    seen: int = 0
    moved: int = 0
    failed: int = 0
    by_action: dict[Action, int] = field(default_factory=dict)

    def count(self, action: Action) -> None:
        """Count one decision."""
        self.by_action[action] = self.by_action.get(action, 0) + 1


@dataclass(frozen=True, slots=True)
class SortSettings:
    """How mail is fetched and what may be done with it."""

    mode: Mode
    max_bytes: int


def sort_new_mail(
    store: Store,
    mailbox: Mailbox,
    account_name: str,
    judge: Judge,
    settings: SortSettings,
    clock: Clock,
    stopped: Callable[[], bool],
) -> Sorted:
    """Judge every mail of the inbox that nobody decided on yet; move what may be moved.

    Works in rounds of `BATCH` mails, each finished before the next begins, so that stopping
    is possible between any two without half-done work.
    """
    result = Sorted()
    waiting = _without_unreadable(store, account_name, judge, result, clock())
    for round_ in batches(store, waiting, BATCH):
        if stopped():
            break
        planned = _decide_round(
            store, mailbox, account_name, judge, settings, round_, result, clock()
        )
        if planned:
            report = execute(store, mailbox, account_name, clock)
            result.moved += len(report.moved)
            result.failed += len(report.failed)
    return result


def is_mail_waiting(store: Store, account_name: str) -> bool:
    """Whether there is mail that nobody decided on yet."""
    return bool(_undecided(store, account_name, limit=1))


def _undecided(store: Store, account_name: str, limit: int | None = None) -> list[Placement]:
    with store.read() as work:
        account = work.accounts.get(account_name)
        inbox = work.folders.inbox(account) if account is not None else None
        return [] if inbox is None else work.placements.to_sort(inbox, limit)


def _waiting(store: Store, account_name: str) -> list[Placement]:
    """What is to be judged, each message once even if it lies there twice."""
    placements = _undecided(store, account_name)
    return list({p.message_id: p for p in reversed(placements)}.values())[::-1]


def _without_unreadable(
    store: Store, account_name: str, judge: Judge, result: Sorted, now: datetime
) -> list[Placement]:
    """What is to be judged; mail that was tried often enough is decided on unread."""
    waiting = _waiting(store, account_name)
    given_up = hopeless(store, [p.message_id for p in waiting])
    if not given_up:
        return waiting
    with store.write() as work:
        account = work.accounts.get_or_create(account_name, now)
        for placement in work.placements.by_ids(
            [p.id for p in waiting if p.message_id in given_up]
        ):
            work.decisions.add(_unreadable(account, placement, judge.version, now))
            result.seen += 1
            result.count(Action.UNREADABLE)
        work.commit()
    log.warning("sort.unreadable", account=account_name, mails=len(given_up))
    return [p for p in waiting if p.message_id not in given_up]


def _unreadable(
    account: Account, placement: Placement, model_version: str, now: datetime
) -> Decision:
    return Decision(
        account_id=account.id,
        message=placement.message,
        folder=None,
        probability=None,
        threshold=None,
        ranked=[],
        action=Action.UNREADABLE,
        reason=UNREADABLE,
        model_version=model_version,
        decided_at=now,
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """One mail and the verdict on it; `sent_at` and `features` are set when they are new."""

    placement: Placement
    verdict: Verdict
    sent_at: datetime | None
    features: bytes | None


def _judge(
    store: Store,
    mailbox: Mailbox,
    account_name: str,
    judge: Judge,
    max_bytes: int,
    waiting: Sequence[Placement],
) -> list[_Judged]:
    """Fetch, encode and judge one round; mail that vanished meanwhile is left out."""
    with store.read() as work:
        cached = work.features.get(judge.fingerprint, [p.message_id for p in waiting])
    with attempt(store, {p.message_id for p in waiting} - cached.keys()) as read:
        mails = _fetch(mailbox, waiting, max_bytes, set(cached))
        fresh = dict(zip(mails, judge.features(list(mails.values())), strict=True))
        read.update(fresh)
    features = {**cached, **fresh}
    readable = [p for p in waiting if p.message_id in features]
    with store.read() as work:
        account = work.accounts.get(account_name)
        parents = [parent_folder(work, account, p.message) for p in readable if account]
    verdicts = judge.verdicts([features[p.message_id] for p in readable], parents)
    return [
        _Judged(
            placement,
            verdict,
            mails[placement.message_id].date if placement.message_id in mails else None,
            fresh.get(placement.message_id),
        )
        for placement, verdict in zip(readable, verdicts, strict=True)
    ]


def _decide_round(
    store: Store,
    mailbox: Mailbox,
    account_name: str,
    judge: Judge,
    settings: SortSettings,
    waiting: Sequence[Placement],
    result: Sorted,
    now: datetime,
) -> int:
    """Decide one round and plan its moves; returns how many moves are planned."""
    judged = _judge(store, mailbox, account_name, judge, settings.max_bytes, waiting)
    with store.read() as work:
        known = work.accounts.get(account_name)
        folders = {f.id: f for f in work.folders.of(known)} if known is not None else {}
    wanted = {each.verdict.folder_id for each in judged if each.verdict.moves}
    targets = look_at_targets(mailbox, [folders[key] for key in wanted if key in folders])
    with store.write() as work:
        account = work.accounts.get_or_create(account_name, now)
        folders = {f.id: f for f in work.folders.of(account)}
        by_id = {p.id: p for p in work.placements.by_ids([j.placement.id for j in judged])}
        new = {j.placement.message_id: j.features for j in judged if j.features is not None}
        work.features.put(judge.fingerprint, new)
        requests: list[MoveRequest] = []
        for each in judged:
            placement = by_id[each.placement.id]
            if each.sent_at is not None:
                placement.message.sent_at = each.sent_at
            decision = _decision(
                account, placement, each.verdict, folders, judge.version, settings.mode, now
            )
            _stay_if_impossible(decision, targets, mailbox)
            work.decisions.add(decision)
            result.seen += 1
            if decision.action is Action.PLANNED and decision.folder is not None:
                requests.append(MoveRequest(placement, decision.folder, decision, MoveKind.SORT))
            else:
                result.count(decision.action)
        work.flush()
        plan(work, account, requests, targets, now)
        work.commit()
    log.info("sort.round", account=account_name, judged=len(judged), planned=len(requests))
    return len(requests)


def _stay_if_impossible(
    decision: Decision, targets: Mapping[int, FolderStatus], mailbox: Mailbox
) -> None:
    """A mail that cannot be moved safely stays where it is, and the reason is written down."""
    if decision.action is not Action.PLANNED:
        return
    if not mailbox.capabilities.can_move_safely:
        decision.action = Action.SUGGESTED
        decision.reason = IMPOSSIBLE
    elif decision.folder is None or decision.folder.id not in targets:
        decision.action = Action.LEFT
        decision.reason = "The folder has just disappeared."


def _fetch(
    mailbox: Mailbox, waiting: Sequence[Placement], max_bytes: int, cached: set[int]
) -> dict[int, Mail]:
    """The mails without cached features, by message id. Mail that vanished is left out."""
    wanted = {p.uid: p.message_id for p in waiting if p.message_id not in cached}
    if not wanted:
        return {}
    folder, uid_validity = waiting[0].folder.name, waiting[0].uid_validity
    fetched = mailbox.fetch(folder, uid_validity, wanted, max_bytes)
    return {wanted[m.identity.uid]: parse(m.content) for m in fetched}


def _decision(
    account: Account,
    placement: Placement,
    verdict: Verdict,
    folders: Mapping[int, Folder],
    model_version: str,
    mode: Mode,
    now: datetime,
) -> Decision:
    folder = folders.get(verdict.folder_id) if verdict.folder_id is not None else None
    action, reason = _action(verdict, folder, mode)
    names = [
        (folders[key].name if key is not None and key in folders else placement.folder.name, p)
        for key, p in verdict.ranked[:KEEP_RANKED]
    ]
    return Decision(
        account_id=account.id,
        message=placement.message,
        folder=folder,
        probability=verdict.probability,
        threshold=verdict.threshold,
        ranked=names,
        action=action,
        reason=reason,
        model_version=model_version,
        decided_at=now,
    )


def _action(verdict: Verdict, folder: Folder | None, mode: Mode) -> tuple[Action, str]:
    """What to do about a verdict, and why."""
    if not verdict.moves:
        return Action.LEFT, verdict.reason
    if folder is None or folder.role is not Role.LABEL:
        return Action.LEFT, "The folder is no longer a label folder."
    if mode is Mode.OBSERVE:
        return Action.OBSERVED, f"{verdict.reason} Mode observe only records."
    if mode is Mode.SUGGEST:
        return Action.SUGGESTED, f"{verdict.reason} Mode suggest moves nothing."
    return Action.PLANNED, verdict.reason
