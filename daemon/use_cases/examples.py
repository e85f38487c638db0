"""Anchor points: what was taught, whether it can be trusted, and how a person puts it right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from daemon.errors import NotFound
from daemon.learning.gather import Progress, ignore, label_key, training_set
from daemon.learning.pool import common_mail, taught_by
from daemon.store import UnitOfWork
from daemon.store.tables import Account, Example, Folder, Message, Role
from daemon.use_cases.application import Application
from daemon.use_cases.catch_up import up_to_date
from daemon.use_cases.history import find_message
from daemon.use_cases.shares import whose_mail
from trainer.effect import Effect, effect
from trainer.examples import Example as LearntExample
from trainer.examples import select
from trainer.quality import (
    RELABELLED,
    ExampleVerdict,
    FolderVerdict,
    Grade,
    QualityReport,
    QualitySettings,
    Reason,
    judge,
)
from trainer.replay import ReplaySettings


@dataclass(frozen=True, slots=True)
class CheckedExample:
    """One example's verdict. `message` is the number that `exclude` and `relabel` take; `own`
    the probability of its folder by the rest of the mail, `better` the folder that is more
    probable, if there is one."""

    message: int
    folder: str
    grade: Grade
    reasons: tuple[Reason, ...]
    own: float | None
    better: str | None


@dataclass(frozen=True, slots=True)
class CheckedAccount:
    """The verdict on an account's examples. `not_judged` of the usable ones have no features
    yet, or are more than a model learns from. `effect`: what the bad ones cost in a replay, where
    that was asked for and there are any.

    `mail_of`: the accounts whose mail the model learns from. Where there are several, the account's
    examples are judged beside those of the others; the figures of `folders` (of those that the
    account has), the grade of the whole and `effect` are about all of them."""

    account: str
    judged: int
    not_judged: int
    grade: Grade
    reasons: tuple[Reason, ...]
    imbalance: float
    mislabels: float
    folders: tuple[FolderVerdict, ...]
    examples: tuple[CheckedExample, ...]
    effect: Effect | None = None
    mail_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListedExample:
    """One example. `counts`: a model learns from it (not excluded, its folder still there)."""

    message: int
    folder: str
    source: str
    labelled_at: datetime
    sent_at: datetime
    excluded_at: datetime | None
    counts: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of one example."""

    message: int
    folder: str
    outcome: str


def check_examples(
    app: Application, name: str, *, replayed: bool = False, progress: Progress = ignore
) -> CheckedAccount:
    """Judge the usable examples of an account from their cached features, among all that its
    model learns from.

    With `replayed`, three replays tell what the bad ones cost (minutes for thousands of mails).
    Needs no server, and the encoder only to know which features are valid. Raises `ModelError`.
    """
    with app.store.read() as work:
        account = work.accounts.get(name)
        usable = work.examples.count(account) if account is not None else 0
    known = _known(app, name) if usable else _Known((), {}, frozenset())
    judged = select(known.examples, app.settings.training.max_examples)
    settings = QualitySettings(
        min_per_folder=app.settings.training.min_examples_per_folder,
        ridge_lambda=app.settings.model.ridge_lambda,
    )
    report = judge(judged, known.names, app.clock(), settings)
    found = replace(_named(name, report, known, usable), mail_of=whose_mail(app, name))
    if not replayed:
        return found
    return replace(found, effect=effect(judged, report, _as_configured(app, name), progress))


@dataclass(frozen=True, slots=True)
class _Known:
    """What the account's model learns from. `own`: the labels of the account's folders. The keys of
    the account's examples are message numbers, those of others say whose they are, too."""

    examples: tuple[LearntExample, ...]
    names: Mapping[str, str]
    own: frozenset[str]


def _known(app: Application, name: str) -> _Known:
    fingerprint = app.models(name).encoder().fingerprint
    share = app.share(name)
    if share is None:
        data = training_set(app.store, name, fingerprint, min_per_folder=1)
        names = {**data.label_names, label_key(None): data.inbox_name}
        return _Known(data.examples, names, frozenset(names))
    common = common_mail(app.store, share, name, fingerprint, app.costs)
    names = {**common.data.label_names, label_key(None): common.data.inbox_name}
    examples = tuple(
        one if taught_by(one) == name else replace(one, key=f"{one.key} of {taught_by(one)}")
        for one in common.data.examples
    )
    return _Known(examples, names, common.own | {label_key(None)})


def _as_configured(app: Application, name: str) -> ReplaySettings:
    """A replay with the account's own settings of the classifier."""
    how = app.refit_settings(name)
    return ReplaySettings(target_precision=how.target_precision, fit=how.for_fit())


def _named(account: str, report: QualityReport, known: _Known, usable: int) -> CheckedAccount:
    """The report in terms of message numbers and folder names."""
    own = [verdict for verdict in report.examples if verdict.key.isdecimal()]
    return CheckedAccount(
        account=account,
        judged=len(own),
        not_judged=max(usable - len(own), 0),
        grade=report.grade,
        reasons=report.reasons,
        imbalance=report.imbalance,
        mislabels=report.mislabels,
        folders=tuple(
            replace(folder, label=known.names[folder.label])
            for folder in report.folders
            if folder.label in known.own
        ),
        examples=tuple(_checked(verdict, known) for verdict in own),
    )


def _checked(verdict: ExampleVerdict, known: _Known) -> CheckedExample:
    better = known.names[verdict.better] if verdict.better is not None else None
    if better is not None and verdict.better not in known.own:
        better += " (not in this account)"
    return CheckedExample(
        message=int(verdict.key),
        folder=known.names[verdict.label],
        grade=verdict.grade,
        reasons=verdict.reasons,
        own=verdict.own,
        better=better,
    )


def list_examples(
    app: Application, name: str, *, folder: str | None = None, excluded: bool = False
) -> list[ListedExample]:
    """Examples of an account (with `excluded` only the excluded ones), newest word first."""
    with app.store.read() as work:
        account = work.accounts.get(name)
        if account is None:
            return []
        inbox = inbox_name(work, account)
        listed = [_listed(example, inbox) for example in work.examples.every(account)]
    return [
        each
        for each in listed
        if (folder is None or each.folder == folder)
        and (not excluded or each.excluded_at is not None)
    ]


def _listed(example: Example, inbox: str) -> ListedExample:
    place = example.folder
    is_learnable = place is None or (place.role is Role.LABEL and place.retired_at is None)
    return ListedExample(
        message=example.message_id,
        folder=place.name if place is not None else inbox,
        source=example.source,
        labelled_at=example.labelled_at,
        sent_at=example.message.sent_at or example.message.internal_date,
        excluded_at=example.excluded_at,
        counts=is_learnable and example.excluded_at is None,
    )


def exclude(app: Application, name: str, references: Sequence[str]) -> list[Changed]:
    """Take examples out of learning, until `restore` or until the person moves the mail again.

    Raises `NotFound` (then nothing is changed), `MailboxError`.
    """
    return _set_excluded(app, name, references, excluded=True)


def restore(app: Application, name: str, references: Sequence[str]) -> list[Changed]:
    """Let excluded examples count again. Raises as `exclude` does."""
    return _set_excluded(app, name, references, excluded=False)


def _set_excluded(
    app: Application, name: str, references: Sequence[str], *, excluded: bool
) -> list[Changed]:
    changed = []
    with up_to_date(app, name), app.store.write() as work:
        account = work.accounts.get_or_create(name, app.clock())
        inbox = inbox_name(work, account)
        for reference in references:
            example = _example_of(work, account, reference)
            if (example.excluded_at is not None) == excluded:
                outcome = "was excluded already" if excluded else "was not excluded"
            else:
                example.excluded_at = app.clock() if excluded else None
                outcome = "excluded" if excluded else "counts again"
            folder = example.folder.name if example.folder is not None else inbox
            changed.append(Changed(example.message_id, folder, outcome))
        work.commit()
    return changed


def relabel(app: Application, name: str, reference: str, folder_name: str) -> Changed:
    """This mail belongs into that folder; the inbox's name means: leave it there.

    A person's word like a move: it outranks what was known, an exclusion too. The mail itself
    stays where it is. Raises `NotFound`, `MailboxError`.
    """
    with up_to_date(app, name), app.store.write() as work:
        account = work.accounts.get_or_create(name, app.clock())
        message = _message(work, account, reference)
        folders = label_folders(work, account)
        if folder_name not in folders:
            known = ", ".join(folders)
            raise NotFound(
                f"There is no label folder {folder_name!r} in account {name}.",
                next_step=f"Choose one of: {known}.",
            )
        folder = folders[folder_name]
        work.examples.teach(account, message.id, folder, RELABELLED, app.clock())
        if folder is None:
            # As after a put-back: what a person leaves in the inbox stays there.
            message.kept = True
        work.commit()
    return Changed(message.id, folder_name, "relabelled")


def inbox_name(work: UnitOfWork, account: Account) -> str:
    """The name of the folder in the role of the inbox."""
    inbox = work.folders.inbox(account)
    return inbox.name if inbox is not None else "INBOX"


def label_folders(work: UnitOfWork, account: Account) -> dict[str, Folder | None]:
    """The label folders by name, and the inbox's name with None: leave it there."""
    labels: dict[str, Folder | None] = {
        folder.name: folder for folder in work.folders.of(account) if folder.role is Role.LABEL
    }
    return {**labels, inbox_name(work, account): None}


def _message(work: UnitOfWork, account: Account, reference: str) -> Message:
    message = find_message(work, account, reference)
    if message is None:
        raise NotFound(
            f"No message {reference!r} is known in account {account.name}.",
            next_step="Take the number from the first column of: inboxd examples list",
        )
    return message


def _example_of(work: UnitOfWork, account: Account, reference: str) -> Example:
    message = _message(work, account, reference)
    example = work.examples.of_message(message.id)
    if example is None:
        raise NotFound(
            f"Message {message.id} is no example: nobody taught anything about it.",
            next_step="Take the number from the first column of: inboxd examples list",
        )
    return example
