"""What the accounts that share a model have to learn from, together.

Only what was read already is taken: the features lie in the database, so an account whose server
is out of reach keeps nobody from learning, and its own lessons come in when it is back.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from classifier.costs import Costs
from classifier.labels import LEAVE
from daemon.learning.gather import (
    FeatureSource,
    TrainingSet,
    described_folders,
    has_unread,
    label_key,
    training_set,
)
from daemon.learning.kept import Memory
from daemon.learning.memo import FeatureMemo
from daemon.learning.share import Share, shared_labels, shown_name, trained_with
from daemon.store import Store, UnitOfWork
from daemon.store.tables import Account, Folder, Role
from trainer.descriptions import Description
from trainer.examples import Example, in_time_order


@dataclass(frozen=True, slots=True)
class Pool:
    """`data_hash` identifies `data`; `costs` by label; `facts` go into the model's report."""

    data: TrainingSet
    data_hash: str
    costs: Costs
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Member:
    """One account: its `labels` in the shared model by folder id."""

    name: str
    account: Account
    folders: Sequence[Folder]
    labels: Mapping[int, str]

    def label(self, own: str) -> str | None:
        """The shared label for one of the account's own (`label_key`)."""
        return LEAVE if own == LEAVE else self.labels.get(int(own))

    def shown(self) -> Mapping[str, str]:
        """What people call the labels."""
        spelt = {self.labels[f.id]: f.name for f in self.folders if f.id in self.labels}
        own = f"{self.name}\n"  # see `shared_labels`
        return {
            label: f"{name} ({self.name})" if label.startswith(own) else shown_name(name)
            for label, name in spelt.items()
        }


def pooled(
    store: Store,
    share: Share,
    source: FeatureSource,
    *,
    min_per_folder: int,
    unfiled: int,
    costs: Costs,
    memory: Memory,
) -> Pool:
    """The examples of all accounts that have features under the source's fingerprint.

    A folder takes part from `min_per_folder` examples of all accounts on. Needs no server. What
    stays as it was comes from `memory`.
    """
    with store.read() as work:
        members = list(_members(work, share))
        described = _described(work, share, members)
        by_label = _costs_by_label(members, costs)
        data_hash = _hash(work, share, members, described, by_label, source.fingerprint)
    asked = unfiled if described else 0
    parts = {
        member.name: _part(store, member, source.fingerprint, asked, memory.features(member.name))
        for member in members
    }
    wanted = {each.label for each in described}
    data = _joined(members, parts.values(), min_per_folder, wanted, unfiled)
    examples = memory.description_examples(described, source)
    taught = [name for name, part in parts.items() if part.examples or part.background]
    taught += [name for name in share.accounts if share.descriptions[name] and name not in taught]
    facts = {"name": share.name, "accounts": taught, "fingerprint": source.fingerprint}
    return Pool(data.with_descriptions(described, examples), data_hash, by_label, {"share": facts})


def is_pool_due(store: Store, share: Share, account: str, costs: Costs) -> bool:
    """Whether anything that the accounts were taught is not in the newest model: because it came
    since, because an account joined or left, or because `account` has not read it yet."""
    with store.read() as work:
        members = list(_members(work, share))
        described = _described(work, share, members)
        owner = work.accounts.get(share.owner)
        newest = work.models.newest(owner) if owner is not None else None
        if newest is None:
            taught = any(work.examples.count(member.account) for member in members)
            return taught or len(described) > 1
        fingerprint = newest.report["share"]["fingerprint"]
        by_label = _costs_by_label(members, costs)
        data_hash = _hash(work, share, members, described, by_label, fingerprint)
    if newest.data_hash != data_hash or trained_with(newest) - set(share.accounts):
        return True
    return has_unread(store, account, fingerprint)


@dataclass(frozen=True, slots=True)
class CommonMail:
    """The mail of the accounts that share a model, as `pooled` takes it, for whoever looks at it
    from one of them: every folder that has mail, by that account's own names where it has it.

    `own`: the labels of that account's folders. `descriptions` are no examples yet.
    """

    data: TrainingSet
    own: frozenset[str]
    descriptions: tuple[Description, ...]
    costs: Costs


def common_mail(
    store: Store, share: Share, account: str, fingerprint: str, costs: Costs
) -> CommonMail:
    """What was read already under this fingerprint. Of copies that several accounts filed alike,
    that of `account` stays. Needs no server and no encoder."""
    with store.read() as work:
        members = sorted(_members(work, share), key=lambda member: member.name != account)
        described = _described(work, share, members)
        by_label = _costs_by_label(members, costs)
    parts = [_part(store, member, fingerprint) for member in members]
    data = _joined(members, parts, 1, (), 0)
    spelt = {
        member.labels[f.id]: f.name
        for member in members
        if member.name == account
        for f in member.folders
        if f.id in member.labels
    }
    known = {each.label for each in described} | data.label_names.keys()
    names = {**data.label_names, **{label: spelt[label] for label in spelt.keys() & known}}
    return CommonMail(
        replace(data, label_names=names), frozenset(spelt), tuple(described), by_label
    )


def taught_by(one: Example) -> str:
    """The account whose mail it is, of an example of `CommonMail`."""
    return one.message_id.partition(" ")[0]


def _members(work: UnitOfWork, share: Share) -> Iterator[_Member]:
    """The accounts that inboxd has looked at."""
    for name in share.accounts:
        account = work.accounts.get(name)
        if account is not None:
            folders = work.folders.of(account)
            yield _Member(name, account, folders, shared_labels(name, folders))


def _described(work: UnitOfWork, share: Share, members: Iterable[_Member]) -> list[Description]:
    """One description per label: what different accounts say of a folder is put together."""
    sentences: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for member in members:
        own = described_folders(work, member.account, share.descriptions[member.name])
        for each in own:
            label = member.label(each.label)
            if label is not None and each.sentence not in sentences.setdefault(label, []):
                sentences[label].append(each.sentence)
        names = {**member.shown(), **names}
    return [Description(label, names[label], " ".join(said)) for label, said in sentences.items()]


def _costs_by_label(members: Iterable[_Member], costs: Costs) -> Costs:
    """By label, however the folder is spelt in the account that a line was written for."""
    labels: dict[str, str] = {}
    for member in members:
        labels |= {f.name: LEAVE for f in member.folders if f.role is Role.INBOX}
        labels |= {f.name: member.labels[f.id] for f in member.folders if f.id in member.labels}
    return costs.of_labels(labels)


def _hash(
    work: UnitOfWork,
    share: Share,
    members: Iterable[_Member],
    described: Sequence[Description],
    costs: Costs,
    fingerprint: str,
) -> str:
    """Identifies what a model under this fingerprint would be trained on."""
    digest = hashlib.blake2b(share.name.encode(), digest_size=16)
    for member in members:
        rows = work.examples.usable(member.account)
        unread = work.features.missing(fingerprint, [row.message_id for row in rows])
        for row in rows:
            if row.message_id not in unread:
                label = member.label(label_key(row.folder_id))
                digest.update(f"{row.message_id}:{label};".encode())
    texts = [(each.label, each.name, each.sentence) for each in described]
    digest.update(json.dumps([texts, costs.to_json()]).encode())
    return digest.hexdigest()


def _part(
    store: Store,
    member: _Member,
    fingerprint: str,
    unfiled: int = 0,
    memo: FeatureMemo | None = None,
) -> TrainingSet:
    """One account's examples under their shared labels.

    Threads stay within the account, as they do when its mail is judged.
    """
    own = training_set(
        store, member.name, fingerprint, min_per_folder=1, unfiled=unfiled, memo=memo
    )
    labelled = ((one, member.label(one.label)) for one in own.examples)
    return replace(
        own,
        examples=tuple(_shared(one, label, member.name) for one, label in labelled if label),
    )


def _shared(one: Example, label: str, account: str) -> Example:
    return replace(
        one,
        label=label,
        message_id=f"{account} {one.message_id}",
        references=tuple(f"{account} {each}" for each in one.references),
    )


def _without_copies(parts: Iterable[Sequence[Example]]) -> list[Example]:
    """All examples, but of a mail that several accounts got and filed alike only one.

    Its copy would be recognised instead of judged, and every figure would flatter.
    """
    seen: set[tuple[str, str, datetime]] = set()
    found: list[Example] = []
    for part in parts:
        copies = {one.key: (_hash_in(one.message_id), one.label, one.date) for one in part}
        found += [one for one in part if copies[one.key] not in seen]
        seen.update(copies.values())
    return found


def _hash_in(message_id: str) -> str:
    """Without the account, see `_shared`."""
    return message_id.partition(" ")[2]


def _joined(
    members: Sequence[_Member],
    parts: Iterable[TrainingSet],
    min_per_folder: int,
    described: Iterable[str],
    unfiled: int,
) -> TrainingSet:
    """All parts as one, without labels that have too few examples."""
    every = list(parts)
    examples = _without_copies(part.examples for part in every)
    counts = Counter(one.label for one in examples)
    enough = {LEAVE, *described, *(each for each, n in counts.items() if n >= min_per_folder)}
    kept = in_time_order(one for one in examples if one.label in enough)
    names: dict[str, str] = {}
    for member in members:
        names = {**member.shown(), **names}
    inbox = next((part.inbox_name for part in every), "INBOX")
    names[LEAVE] = inbox
    labels = {one.label for one in kept}
    names = {label: name for label, name in names.items() if label in labels}
    background = [features for part in every for features in part.background]
    waiting = max(unfiled - len(kept), 0)
    return TrainingSet(tuple(kept), names, inbox, tuple(background[:waiting]))
