"""From mail in folders to examples with features.

Examples are found first (cheap, from the stored inventory), then those without cached
features are fetched, encoded and cached batch by batch: a killed process goes on where it
stopped, and no mail is ever encoded twice under the same encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from classifier.costs import Costs
from classifier.features import Features
from classifier.labels import LEAVE
from classifier.mail import Mail
from daemon.errors import FolderChanged, FolderMissing
from daemon.learning.memo import FeatureMemo
from daemon.mail.parse import parse
from daemon.mailbox.port import Mailbox
from daemon.sorting.reading import MAX_ATTEMPTS, attempt, batches
from daemon.store import Store, UnitOfWork
from daemon.store.knowledge import Taught
from daemon.store.tables import Account, Placement, Role
from trainer.descriptions import Description
from trainer.examples import Example, Source, in_time_order

log = structlog.get_logger(__name__)

BATCH = 32
"""Mails fetched and encoded per transaction."""

CLOCK_SKEW = timedelta(days=1)
"""A Date header this much later than the server's own date is not believed."""

T = TypeVar("T")

Featurize = Callable[[Sequence[Mail]], list[bytes]]
Progress = Callable[[int, int], None]


def ignore(*_progress: object) -> None:
    """For callers that show no progress."""


def label_existing_mail(
    store: Store, account_name: str, newest_per_folder: int, now: datetime
) -> dict[str, int]:
    """Make examples of the newest mails that people put into the label folders.

    Returns the number of new examples per folder name. Mail that inboxd moved there itself
    teaches nothing unless a person has confirmed it.
    """
    counts: dict[str, int] = {}
    with store.write() as work:
        account = work.accounts.get_or_create(account_name, now)
        for folder in work.folders.of(account):
            if folder.role is not Role.LABEL:
                continue
            placements = work.placements.newest_unlabelled(folder, newest_per_folder)
            for placement in placements:
                work.examples.teach(
                    account,
                    placement.message_id,
                    folder,
                    Source.FOLDER,
                    placement.message.internal_date,
                )
            counts[folder.name] = len(placements)
        work.commit()
    return counts


@dataclass(frozen=True, slots=True)
class FeatureSource:
    """How features come about: the function, the fingerprint they are valid under, and how
    much of each mail it is given."""

    featurize: Featurize
    fingerprint: str
    max_bytes: int


def cache_features(
    store: Store,
    mailbox: Mailbox,
    account_name: str,
    source: FeatureSource,
    *,
    unfiled: int = 0,
    progress: Progress = ignore,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Fetch and encode every example that has no features yet; returns how many were made.

    `unfiled`: until there are so many examples, the newest mails of the inbox make up for them.
    """
    by_folder = _without_features(store, account_name, source.fingerprint, unfiled)
    total = sum(len(placements) for placements in by_folder.values())
    done = 0
    progress(0, total)
    for folder_name, placements in by_folder.items():
        for batch in batches(store, placements, BATCH):
            if stopped():
                return done
            done += _cache_batch(store, mailbox, folder_name, batch, source)
            progress(done, total)
    return done


def has_unread(store: Store, account_name: str, fingerprint: str) -> bool:
    """Whether an example has no features under this fingerprint, though it could have."""
    return bool(_without_features(store, account_name, fingerprint, unfiled=0))


def _without_features(
    store: Store, account_name: str, fingerprint: str, unfiled: int
) -> dict[str, list[Placement]]:
    """One present placement for each mail that should have features and has none, by folder."""
    with store.read() as work:
        account = work.accounts.get(account_name)
        if account is None:
            return {}
        ids = work.examples.usable_ids(account)
        ids += _unfiled(work, account, unfiled - len(ids))
        missing = work.features.missing(fingerprint, ids)
        tried = work.attempts.counts(missing)
        return _by_folder(work, [m for m in missing if tried.get(m, 0) < MAX_ATTEMPTS])


def _by_folder(work: UnitOfWork, message_ids: Collection[int]) -> dict[str, list[Placement]]:
    """One present placement of each mail, by folder; none of those that lie nowhere."""
    by_folder: dict[str, list[Placement]] = {}
    for message_id in sorted(message_ids):
        placements = work.placements.of_message(message_id)
        if placements:
            by_folder.setdefault(placements[0].folder.name, []).append(placements[0])
    return by_folder


def fetch_mails(
    store: Store,
    mailbox: Mailbox,
    message_ids: Collection[int],
    max_bytes: int,
    *,
    progress: Progress = ignore,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[int, Mail]:
    """The mails themselves by message id, as far as they can still be had; nothing is stored."""
    return fetch_read(
        store, mailbox, message_ids, max_bytes, parse, progress=progress, stopped=stopped
    )


def fetch_read(
    store: Store,
    mailbox: Mailbox,
    message_ids: Collection[int],
    max_bytes: int,
    read: Callable[[bytes], T],
    *,
    progress: Progress = ignore,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[int, T]:
    """What `read` makes of each message, by message id, as far as they can still be had."""
    with store.read() as work:
        by_folder = _by_folder(work, message_ids)
    mails: dict[int, T] = {}
    for folder_name, placements in by_folder.items():
        for start in range(0, len(placements), BATCH):
            if stopped():
                return mails
            batch = placements[start : start + BATCH]
            with _changed_folder_passed_over(batch):
                mails.update(_fetched(mailbox, folder_name, batch, max_bytes, read))
            progress(len(mails), len(message_ids))
    return mails


def _unfiled(work: UnitOfWork, account: Account, limit: int) -> list[int]:
    """Message ids of the newest mails of the inbox that are no examples."""
    inbox = work.folders.inbox(account)
    if inbox is None or limit <= 0:
        return []
    return [each.message_id for each in work.placements.newest_unlabelled(inbox, limit)]


def _cache_batch(
    store: Store,
    mailbox: Mailbox,
    folder_name: str,
    batch: Sequence[Placement],
    source: FeatureSource,
) -> int:
    mails: dict[int, Mail] = {}
    features: dict[int, bytes] = {}
    with (
        _changed_folder_passed_over(batch),
        attempt(store, {each.message_id for each in batch}) as read,
    ):
        mails = _fetched(mailbox, folder_name, batch, source.max_bytes, parse)
        features = dict(zip(mails, source.featurize(list(mails.values())), strict=True))
        read.update(features)
    with store.write() as work:
        work.features.put(source.fingerprint, features)
        for message_id, mail in mails.items():
            message = work.messages.get(message_id)
            if message is not None:
                message.sent_at = mail.date
        work.commit()
    return len(features)


def _fetched(
    mailbox: Mailbox,
    folder_name: str,
    batch: Sequence[Placement],
    max_bytes: int,
    read: Callable[[bytes], T],
) -> dict[int, T]:
    """Mails of one folder by message id."""
    message_ids = {p.uid: p.message_id for p in batch}
    fetched = mailbox.fetch(folder_name, batch[0].uid_validity, message_ids, max_bytes)
    return {message_ids[m.identity.uid]: read(m.content) for m in fetched}


@contextmanager
def _changed_folder_passed_over(batch: Sequence[Placement]) -> Iterator[None]:
    """A folder that was renamed or renumbered a moment ago: the next observation puts it right."""
    try:
        yield
    except (FolderMissing, FolderChanged) as error:
        log.warning("learn.folder_changed", mails=len(batch), error=type(error).__name__)


def label_key(folder_id: int | None) -> str:
    """The classifier's label for a folder: its row id, which survives a rename."""
    return LEAVE if folder_id is None else str(folder_id)


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Examples for the trainer, oldest first, and the present folder names of their labels.

    `background`: features of mail that nobody has filed; see `trainer.descriptions`.
    """

    examples: tuple[Example, ...]
    label_names: Mapping[str, str]
    inbox_name: str
    background: tuple[Features, ...] = ()

    def with_descriptions(
        self, descriptions: Sequence[Description], examples: Sequence[Example]
    ) -> TrainingSet:
        """The same with `descriptions`, which became `examples`, before all mail."""
        names = {each.label: each.name for each in descriptions}
        return replace(
            self,
            examples=tuple(in_time_order([*examples, *self.examples])),
            label_names={**self.label_names, **names},
        )


def training_set(
    store: Store,
    account_name: str,
    fingerprint: str,
    *,
    min_per_folder: int,
    described: Collection[str] = (),
    unfiled: int = 0,
    memo: FeatureMemo | None = None,
) -> TrainingSet:
    """All usable examples that have features; with a `memo` the same as before, if they are.

    A folder takes part from `min_per_folder` examples on, one whose label is in `described` at
    once. `unfiled`: until there are so many examples, mail of the inbox is the background.
    """
    with store.read() as work:
        account = work.accounts.get(account_name)
        if account is None:
            return TrainingSet((), {}, "INBOX")
        inbox = work.folders.inbox(account)
        inbox_name = inbox.name if inbox is not None else "INBOX"
        rows = work.examples.taught(account)
        counts: dict[int | None, int] = {}
        for row in rows:
            counts[row.folder_id] = counts.get(row.folder_id, 0) + 1
        enough = {None, *(i for i, count in counts.items() if count >= min_per_folder)}
        rows = [r for r in rows if r.folder_id in enough or label_key(r.folder_id) in described]
        examples = _with_features(work, rows, fingerprint, memo)
        waiting = _unfiled(work, account, unfiled - len(examples))
        background = work.features.get(fingerprint, waiting).values()
        names = {label_key(r.folder_id): r.folder or inbox_name for r in rows}
    examples.sort(key=lambda example: (example.date, example.key))
    return TrainingSet(
        tuple(examples), names, inbox_name, tuple(map(Features.from_bytes, background))
    )


def described_folders(
    work: UnitOfWork, account: Account, descriptions: Mapping[str, str]
) -> list[Description]:
    """The configured descriptions (by folder name) of label folders that exist."""
    return [
        Description(label_key(folder.id), folder.name, descriptions[folder.name])
        for folder in work.folders.of(account)
        if folder.role is Role.LABEL and folder.name in descriptions
    ]


def label_costs(work: UnitOfWork, account: Account, costs: Costs) -> Costs:
    """`costs` by folder name → by label, as far as the account has these folders.

    The inbox stands for mail that should stay there.
    """
    labels = {
        folder.name: label_key(folder.id if folder.role is Role.LABEL else None)
        for folder in work.folders.of(account)
        if folder.role in {Role.LABEL, Role.INBOX}
    }
    return costs.of_labels(labels)


def _with_features(
    work: UnitOfWork, rows: Sequence[Taught], fingerprint: str, memo: FeatureMemo | None
) -> list[Example]:
    ids = [row.message_id for row in rows]
    if memo is None:
        found = work.features.get(fingerprint, ids)
        cached = {message_id: Features.from_bytes(data) for message_id, data in found.items()}
    else:
        cached = memo.of(work, ids)
    return [
        Example(
            key=str(row.message_id),
            label=label_key(row.folder_id),
            features=cached[row.message_id],
            date=_date(row),
            message_id=row.message_id_hash,
            references=row.reference_hashes,
            source=row.source,
        )
        for row in rows
        if row.message_id in cached
    ]


def _date(taught: Taught) -> datetime:
    """When the mail was sent, as far as that can be believed: migrated mailboxes carry one
    INTERNALDATE for all, forged or broken mail a Date far off."""
    sent = taught.sent_at
    if sent is None or sent > taught.internal_date + CLOCK_SKEW:
        return taught.internal_date
    return sent
