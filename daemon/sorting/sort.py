"""Sorting new mail: fetch, parse, ask the rules, judge, decide, plan, move."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from classifier.mail import Mail
from daemon.config.settings import Mode
from daemon.mail.letterhead import letterhead
from daemon.mail.parse import parse
from daemon.mailbox.port import FolderStatus, Mailbox, SpecialUse
from daemon.sorting.deciding import KnownFolders, decide_by_model, decide_by_rule, decide_unread
from daemon.sorting.judge import Judge, Verdict
from daemon.sorting.mover import IMPOSSIBLE, Clock, MoveRequest, execute, look_at_targets, plan
from daemon.sorting.reading import attempt, batches, hopeless
from daemon.sorting.rules import RuleBook, Ruling
from daemon.sorting.threads import parent_folder
from daemon.store import Store
from daemon.store.tables import (
    Action,
    Decision,
    MoveKind,
    Placement,
    Role,
)

log = structlog.get_logger(__name__)

BATCH = 32
"""Mails per round: small enough that the first are moved while the rest wait."""


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
    """How mail is fetched and what may be done with it.

    `rules` decide before the model. `suspended`: folder ids into which the model moves nothing
    for now, each with the sentence that says why.
    """

    mode: Mode
    max_bytes: int
    rules: RuleBook = field(default_factory=RuleBook)
    suspended: Mapping[int, str] = field(default_factory=dict)


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
            work.decisions.add(decide_unread(account, placement, judge.version, now))
            result.seen += 1
            result.count(Action.UNREADABLE)
        work.commit()
    log.warning("sort.unreadable", account=account_name, mails=len(given_up))
    return [p for p in waiting if p.message_id not in given_up]


@dataclass(frozen=True, slots=True)
class _Judged:
    """One mail and the word on it: a rule's, else the model's. `sent_at` and `features` are set
    when they are new."""

    placement: Placement
    word: Verdict | Ruling
    sent_at: datetime | None
    features: bytes | None


@dataclass(frozen=True, slots=True)
class _Read:
    """One mail as it was fetched, and what the rules say of it."""

    mail: Mail
    ruling: Ruling | None


def _judge(
    store: Store,
    mailbox: Mailbox,
    account_name: str,
    judge: Judge,
    settings: SortSettings,
    waiting: Sequence[Placement],
) -> list[_Judged]:
    """Fetch one round, ask the rules, encode and judge the rest; mail that vanished meanwhile is
    left out."""
    with store.read() as work:
        cached = work.features.get(judge.fingerprint, [p.message_id for p in waiting])
    ids = {p.message_id for p in waiting}
    wanted = ids if settings.rules else ids - cached.keys()
    with attempt(store, wanted) as read:
        mails = _fetch(mailbox, waiting, settings, wanted)
        unruled = [key for key, each in mails.items() if each.ruling is None and key not in cached]
        fresh = dict(zip(unruled, judge.features([mails[i].mail for i in unruled]), strict=True))
        read.update(mails)
    words: dict[int, Verdict | Ruling] = {
        key: each.ruling for key, each in mails.items() if each.ruling is not None
    }
    there = [p for p in waiting if p.message_id in mails or p.message_id not in wanted]
    left = [p for p in there if p.message_id not in words]
    with store.read() as work:
        account = work.accounts.get(account_name)
        parents = [parent_folder(work, account, p.message) for p in left if account]
    features = {**cached, **fresh}
    verdicts = judge.verdicts([features[p.message_id] for p in left], parents)
    words.update(zip((p.message_id for p in left), verdicts, strict=True))
    return [
        _Judged(
            placement,
            words[placement.message_id],
            mails[placement.message_id].mail.date if placement.message_id in mails else None,
            fresh.get(placement.message_id),
        )
        for placement in there
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
    judged = _judge(store, mailbox, account_name, judge, settings, waiting)
    with store.read() as work:
        known = work.accounts.get(account_name)
        before = KnownFolders.of(work.folders.of(known) if known is not None else ())
    targets = look_at_targets(mailbox, before.targets(each.word for each in judged))
    trash = _trash(mailbox, before, judged)
    with store.write() as work:
        account = work.accounts.get_or_create(account_name, now)
        folders = KnownFolders.of(work.folders.of(account), trash)
        by_id = {p.id: p for p in work.placements.by_ids([j.placement.id for j in judged])}
        new = {j.placement.message_id: j.features for j in judged if j.features is not None}
        work.features.put(judge.fingerprint, new)
        requests: list[MoveRequest] = []
        for each in judged:
            placement = by_id[each.placement.id]
            if each.sent_at is not None:
                placement.message.sent_at = each.sent_at
            decision = (
                decide_by_rule(account, placement, each.word, folders, settings.mode, now)
                if isinstance(each.word, Ruling)
                else decide_by_model(
                    account,
                    placement,
                    each.word,
                    folders,
                    judge.version,
                    settings.mode,
                    settings.suspended,
                    now,
                )
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
    log.info(
        "sort.round",
        account=account_name,
        judged=len(judged),
        ruled=sum(isinstance(each.word, Ruling) for each in judged),
        planned=len(requests),
    )
    return len(requests)


def _trash(mailbox: Mailbox, folders: KnownFolders, judged: Sequence[_Judged]) -> set[str]:
    """Names of folders that the server empties by itself, as far as a rule may mean one."""
    meant = (folders.meant_by(each.word) for each in judged)
    if not any(folder is not None and folder.role is Role.NEUTRAL for folder in meant):
        return set()
    return {info.name for info in mailbox.folders() if info.special_use is SpecialUse.TRASH}


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
    mailbox: Mailbox, waiting: Sequence[Placement], settings: SortSettings, ids: Collection[int]
) -> dict[int, _Read]:
    """Those of the mails by message id. Mail that vanished is left out."""
    wanted = {p.uid: p.message_id for p in waiting if p.message_id in ids}
    if not wanted:
        return {}
    folder, uid_validity = waiting[0].folder.name, waiting[0].uid_validity
    found: dict[int, _Read] = {}
    for message in mailbox.fetch(folder, uid_validity, wanted, settings.max_bytes):
        mail = parse(message.content)
        ruling = None
        if settings.rules:
            ruling = settings.rules.ruling(letterhead(mail, message.content))
        found[wanted[message.identity.uid]] = _Read(mail, ruling)
    return found
