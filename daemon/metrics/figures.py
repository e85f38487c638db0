"""What the store tells about each account, as families of numbers with labels.

Read anew at each scrape, so that the numbers survive restarts and are those of `inboxd status`.
Names and labels follow Prometheus' conventions (prometheus.io/docs/practices/naming): base
units, `_total` for what only grows, `_ratio` for shares of one.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from daemon.errors import ModelError
from daemon.store import UnitOfWork
from daemon.store.tables import (
    Account,
    Action,
    Channel,
    CorrectionKind,
    Folder,
    ModelRow,
    Role,
)
from daemon.use_cases.application import Application
from daemon.use_cases.health import AccountHealth, health
from daemon.use_cases.notice_channels import channels_of
from daemon.use_cases.notice_failures import MAX_ATTEMPTS, undelivered


class Kind(enum.Enum):
    """What Prometheus may do with a number: counters only grow."""

    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Family:
    """Numbers under one name. `samples`: the values of `labels` → number."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...]
    samples: dict[tuple[str, ...], float] = field(default_factory=dict)

    def add(self, *labels: str, value: float = 1.0) -> None:
        """More of it, under these values of the labels."""
        assert len(labels) == len(self.labels)
        self.samples[labels] = self.samples.get(labels, 0.0) + value


def _counter(name: str, meaning: str, *labels: str) -> Callable[[], Family]:
    return lambda: Family(f"inboxd_{name}_total", Kind.COUNTER, meaning, ("account", *labels))


def _gauge(name: str, meaning: str, *labels: str) -> Callable[[], Family]:
    return lambda: Family(f"inboxd_{name}", Kind.GAUGE, meaning, ("account", *labels))


@dataclass(frozen=True, slots=True)
class Families:
    """All that the store tells."""

    mails: Family = field(
        default_factory=_counter(
            "mails",
            "New mails that inboxd decided on: moved, suggested (mode suggest), observed (mode "
            "observe), left in the inbox, or unreadable.",
            "action",
        )
    )
    undone: Family = field(
        default_factory=_counter("undone", "Moves that were taken back with inboxd undo.")
    )
    corrections: Family = field(
        default_factory=_counter(
            "corrections", "Moves that people made in any client, by what they mean.", "kind"
        )
    )
    failures: Family = field(
        default_factory=_counter(
            "failures", "Passes that ended in an error, by kind: MailboxUnreachable, …", "kind"
        )
    )
    folder_moved: Family = field(
        default_factory=_counter("folder_moved", "Mails that inboxd moved there.", "folder")
    )
    folder_corrections: Family = field(
        default_factory=_counter(
            "folder_corrections", "Mails that people moved there, as a lesson.", "folder"
        )
    )
    folder_overruled: Family = field(
        default_factory=_counter(
            "folder_overruled", "Mails that inboxd moved there and people moved on.", "folder"
        )
    )
    folder_mails: Family = field(
        default_factory=_gauge("folder_mails", "Mails that lie in the folder.", "folder")
    )
    folder_examples: Family = field(
        default_factory=_gauge("folder_examples", "Mails that teach what belongs there.", "folder")
    )
    folder_precision: Family = field(
        default_factory=_gauge(
            "folder_precision_ratio",
            "How often the model in use is expected to be right when it moves mail there.",
            "folder",
        )
    )
    folder_sorts: Family = field(
        default_factory=_gauge(
            "folder_sorts",
            "1 when the model in use may move mail there by itself, and has kept its promise.",
            "folder",
        )
    )
    queue: Family = field(
        default_factory=_gauge("queue_mails", "Mails in the inbox that wait for a decision.")
    )
    planned: Family = field(
        default_factory=_gauge("planned_moves", "Moves whose outcome is not known yet.")
    )
    held: Family = field(
        default_factory=_gauge(
            "held_moves", "Moves by people that came in a burst: see inboxd held."
        )
    )
    last_cycle: Family = field(
        default_factory=_gauge(
            "last_cycle_timestamp_seconds", "When the last good pass ended (0: never)."
        )
    )
    overdue: Family = field(
        default_factory=_gauge("account_overdue", "1 when there was no good pass for too long.")
    )
    paused: Family = field(default_factory=_gauge("account_paused", "1 after inboxd pause."))
    notices: Family = field(
        default_factory=_counter(
            "notices", "Notices that arrived, or were given up.", "channel", "outcome"
        )
    )
    undelivered: Family = field(
        default_factory=_gauge(
            "notices_undelivered",
            "Notices that did not arrive, by kind of the last error: tried again, or given up "
            "since anything last arrived over the channel.",
            "channel",
            "error",
        )
    )
    undelivered_since: Family = field(
        default_factory=_gauge(
            "notices_undelivered_since_timestamp_seconds",
            "When the oldest of them was written down; only while there are any.",
            "channel",
        )
    )
    model: Family = field(
        default_factory=_gauge("model_info", "1; the version of the model in use.", "version")
    )
    model_created: Family = field(
        default_factory=_gauge("model_created_timestamp_seconds", "When it was trained.")
    )
    model_examples: Family = field(
        default_factory=_gauge("model_examples", "Mails that it was trained on.")
    )
    model_accuracy: Family = field(
        default_factory=_gauge("model_accuracy_ratio", "Share of mails with the right folder.")
    )
    model_precision: Family = field(
        default_factory=_gauge("model_precision_ratio", "Share of the moved mails moved rightly.")
    )
    model_target: Family = field(
        default_factory=_gauge("model_target_precision_ratio", "The precision asked for.")
    )
    model_coverage: Family = field(
        default_factory=_gauge("model_coverage_ratio", "Share of mails moved without anybody.")
    )
    model_calibration: Family = field(
        default_factory=_gauge(
            "model_calibration_error_ratio", "How far stated probabilities are off (ECE)."
        )
    )

    def every(self) -> Iterable[Family]:
        """In the order in which they are declared."""
        return (getattr(self, name) for name in self.__slots__)


def read_figures(app: Application) -> Families:
    """The present numbers of all configured accounts. Raises `StateError`."""
    found = Families()
    accounts = health(app).accounts
    with app.store.read() as work:
        for each in accounts:
            _look(app, work, each, found)
    return found


def _look(app: Application, work: UnitOfWork, state: AccountHealth, found: Families) -> None:
    name = state.name
    last = state.last_cycle.timestamp() if state.last_cycle is not None else 0.0
    found.last_cycle.add(name, value=last)
    found.overdue.add(name, value=float(state.overdue))
    found.paused.add(name, value=float(state.state == "paused"))
    _begin(found, name)
    account = work.accounts.get(name)
    if account is None:
        return
    every = [*work.folders.of(account), *work.folders.of(account, retired=True)]
    folders = {folder.id: folder for folder in every}
    names = {
        key: folder.name if app.settings.metrics.folder_names else f"#{key}"
        for key, folder in folders.items()
    }
    for failure in work.failures.of(account):
        found.failures.add(name, failure.kind, value=failure.count)
    _decisions(work, account, names, found)
    _corrections(work, account, names, found)
    _waiting(work, account, found)
    _notices(app, work, account, found)
    labels = {
        key: names[key]
        for key, folder in folders.items()
        if folder.role is Role.LABEL and folder.retired_at is None
    }
    _begin(found, name, labels.values())
    _model(app, work, account, labels, found)
    _contents(work, account, [folders[key] for key in labels], labels, found)


_DONE = frozenset({Action.MOVED, Action.UNDONE})
"""An undone move was a move: what only grows must not shrink by it."""


def _begin(found: Families, name: str, folders: Iterable[str] = ()) -> None:
    """Zeros: Prometheus does not see a counter grow that begins with its first event."""
    found.undone.add(name, value=0)
    for action in set(Action) - {Action.PLANNED, Action.UNDONE}:
        found.mails.add(name, action.value, value=0)
    for kind in CorrectionKind:
        found.corrections.add(name, kind.value, value=0)
    for folder in folders:
        for family in (found.folder_moved, found.folder_corrections, found.folder_overruled):
            family.add(name, folder, value=0)


def _decisions(
    work: UnitOfWork, account: Account, names: Mapping[int, str], found: Families
) -> None:
    for (folder, action), count in work.decisions.counts_by_folder(account).items():
        if action is Action.PLANNED:
            continue  # becomes something else in a moment
        told = Action.MOVED if action in _DONE else action
        found.mails.add(account.name, told.value, value=count)
        if action is Action.UNDONE:
            found.undone.add(account.name, value=count)
        if action in _DONE and folder is not None:
            found.folder_moved.add(account.name, names[folder], value=count)


def _corrections(
    work: UnitOfWork, account: Account, names: Mapping[int, str], found: Families
) -> None:
    for each in work.corrections.counts(account):
        found.corrections.add(account.name, each.kind.value, value=each.mails)
        if each.kind in {CorrectionKind.FILED, CorrectionKind.RELABELLED}:
            found.folder_corrections.add(account.name, names[each.to_folder], value=each.mails)
        if each.overrules:
            found.folder_overruled.add(account.name, names[each.from_folder], value=each.mails)


def _waiting(work: UnitOfWork, account: Account, found: Families) -> None:
    inbox = work.folders.inbox(account)
    waiting = work.placements.count_to_sort(inbox) if inbox is not None else 0
    found.queue.add(account.name, value=waiting)
    found.planned.add(account.name, value=len(work.moves.planned(account)))
    found.held.add(account.name, value=work.corrections.count_held(account))


def _notices(app: Application, work: UnitOfWork, account: Account, found: Families) -> None:
    name, in_use = account.name, channels_of(app, account.name)
    for channel in Channel:
        sent = work.notices.count_sent(account, channel)
        given_up = len(work.notices.given_up(account, channel, MAX_ATTEMPTS))
        if channel in in_use or sent or given_up:
            found.notices.add(name, channel.value, "sent", value=sent)
            found.notices.add(name, channel.value, "given_up", value=given_up)
    for each in undelivered(app, work, account):
        found.undelivered.add(name, each.channel, each.error, value=each.waiting + each.given_up)
        key, since = (name, each.channel), each.since.timestamp()
        oldest = found.undelivered_since.samples.get(key, since)
        found.undelivered_since.samples[key] = min(oldest, since)


def _contents(
    work: UnitOfWork,
    account: Account,
    folders: list[Folder],
    names: Mapping[int, str],
    found: Families,
) -> None:
    examples = work.examples.counts_by_folder(account)
    mails = work.placements.counts(folders)
    for key, folder in names.items():
        found.folder_mails.add(account.name, folder, value=mails.get(key, 0))
        found.folder_examples.add(account.name, folder, value=examples.get(key, 0))


def _model(
    app: Application,
    work: UnitOfWork,
    account: Account,
    names: Mapping[int, str],
    found: Families,
) -> None:
    """Figures of the model in use; none while nobody can tell which that is."""
    try:
        version = app.models(account.name).current()
    except ModelError:
        return
    owner = work.accounts.get(app.owner(account.name))
    row = work.models.get(owner, version) if owner is not None and version is not None else None
    if row is None:
        return
    found.model.add(account.name, row.version)
    found.model_created.add(account.name, value=row.created_at.timestamp())
    found.model_examples.add(account.name, value=row.examples)
    _measured(account.name, row, found)
    suspended = {promise.folder_id for promise in work.promises.broken(account)}
    labels = app.labels(account.name, work.folders.of(account))
    for key, folder in names.items():
        threshold = row.report.get("thresholds", {}).get(labels.get(key), {})
        found.folder_sorts.add(
            account.name,
            folder,
            value=float(threshold.get("threshold") is not None and key not in suspended),
        )
        if threshold.get("estimated_precision") is not None:
            found.folder_precision.samples[account.name, folder] = threshold["estimated_precision"]


def _measured(name: str, row: ModelRow, found: Families) -> None:
    """What was measured when it was trained; see `trainer.scores.Report`."""
    if "target_precision" in row.report:
        found.model_target.add(name, value=row.report["target_precision"])
    recent: Mapping[str, Any] = row.report.get("recent") or row.report.get("evaluation") or {}
    for family, figure in (
        (found.model_accuracy, "accuracy"),
        (found.model_precision, "moved_precision"),
        (found.model_coverage, "coverage"),
    ):
        if recent.get(figure) is not None:
            family.add(name, value=recent[figure]["value"])
    if recent.get("ece") is not None:
        found.model_calibration.add(name, value=recent["ece"])
