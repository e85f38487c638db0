"""One whole pass for one account: notice the user's moves, learn from them, sort what is new.

This is what the daemon does again and again, and what `inboxd run --once` does once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from daemon.errors import InboxdError, ModelError
from daemon.learning.refit import Refit, is_due, refit
from daemon.mailbox.port import Mailbox
from daemon.meter import MeteredJudge
from daemon.sorting.contacts import contacts_of, refresh_contacts
from daemon.sorting.observe import Observation
from daemon.sorting.rules import RuleBook
from daemon.sorting.sort import Sorted, SortSettings, is_mail_waiting, sort_new_mail
from daemon.use_cases.application import Application, never
from daemon.use_cases.catch_up import catch_up
from daemon.use_cases.trust import Reviewed, review_promises, suspensions

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class CycleReport:
    """What one pass did; `note` says why a part of it was left out."""

    account: str
    started_at: datetime
    paused: bool = False
    observation: Observation | None = None
    lessons: int = 0
    refit: Refit | None = None
    reviewed: Reviewed = field(default_factory=Reviewed)
    sorted: Sorted | None = None
    seconds_sorting: float = 0.0
    note: str = ""
    error: str = ""
    next_step: str = ""


def run_cycle(
    app: Application,
    name: str,
    mailbox: Mailbox,
    *,
    learn: bool = True,
    stopped: Callable[[], bool] = never,
) -> CycleReport:
    """One pass over an open connection. Raises `MailboxError` and `StateError`; whatever it
    finished before is recorded, and the next pass goes on from there.

    With `learn=False` lessons are recorded but not yet learned from (the daemon waits until
    the person has finished moving mail). `stopped` is asked between any two steps, also while
    another process is at work on the account, and so tells that the pass goes on.
    """
    report = CycleReport(name, app.clock())
    with app.locked(name, at_each_try=stopped):
        # Waiting for another process is no progress of this one.
        stopped = app.showing_progress(name, stopped)
        started = time.perf_counter()
        app.engine.kept.drop_overtaken(app.owner(name), app.store)
        if is_paused(app, name):
            report.paused = True
            return report
        report.observation = catch_up(app, name, mailbox)
        report.lessons = report.observation.lessons
        try:
            if learn and not stopped() and is_learning_due(app, name):
                report.refit = train_account(app, name, mailbox, stopped)
                if report.refit.version is not None:
                    app.meter.learned(name, report.refit.seconds)
            if report.observation.noticed or report.refit or is_mail_waiting(app.store, name):
                report.reviewed = review_promises(app, name)
            _sort(app, name, mailbox, report, stopped)
        except ModelError as error:
            # Without a usable model no mail is touched, but people's moves are still noticed.
            report.note = f"{error} {error.next_step}"
            log.warning("cycle.no_model", account=name, reason=str(error))
        _record_success(app, name, report)
        app.meter.cycle(name, time.perf_counter() - started)
    _log(report)
    return report


def run_cycle_once(app: Application, name: str) -> CycleReport:
    """Connect, do one pass, close. An error is recorded for `status` and raised."""
    if is_paused(app, name):
        return CycleReport(name, app.clock(), paused=True)
    try:
        with app.mailbox(name) as mailbox:
            return run_cycle(app, name, mailbox)
    except InboxdError as error:
        record_failure(app, name, error)
        raise


def failed_report(app: Application, name: str, error: InboxdError) -> CycleReport:
    """What is reported of a pass that could not be finished."""
    return CycleReport(name, app.clock(), error=str(error), next_step=error.next_step)


def train_account(
    app: Application, name: str, mailbox: Mailbox, stopped: Callable[[], bool] = never
) -> Refit:
    """Make missing features, re-fit, ask the gate. The caller holds the account's lock.

    Of the accounts that share a model, whoever comes second finds its lessons learned already.
    """
    return refit(
        app.store,
        app.engine,
        name,
        mailbox,
        app.refit_settings(name),
        app.clock,
        only_if_due=app.share(name) is not None,
        stopped=stopped,
    )


def is_learning_due(app: Application, name: str) -> bool:
    """Whether anything was taught, by moves or in the configuration, since the last model."""
    descriptions = app.account(name).folders.descriptions
    return is_due(app.store, name, descriptions, app.costs, app.share(name))


def is_paused(app: Application, name: str) -> bool:
    """Whether `inboxd pause` is in force for this account."""
    with app.store.read() as work:
        account = work.accounts.get(name)
        return account is not None and account.paused_at is not None


def record_failure(app: Application, name: str, error: InboxdError) -> None:
    """Keep the error for `status`, and its kind for `health` and the metrics."""
    with app.store.write() as work:
        now = app.clock()
        account = work.accounts.get_or_create(name, now)
        account.last_error = str(error)
        account.last_error_at = now
        work.failures.add(account, type(error).__name__, now)
        work.commit()


def _sort(
    app: Application,
    name: str,
    mailbox: Mailbox,
    report: CycleReport,
    stopped: Callable[[], bool],
) -> None:
    models = app.models(name)
    if models.current() is None:
        report.note = "No model yet. Run: inboxd learn"
        return
    if not is_mail_waiting(app.store, name):
        # Loading torch and the encoder takes seconds; most passes find nothing new.
        report.sorted = Sorted()
        report.note = models.warning
        return
    judge = models.judge()
    if judge is None:
        return
    report.note = models.warning
    account = app.account(name)
    started = app.clock()
    report.sorted = sort_new_mail(
        app.store,
        mailbox,
        name,
        MeteredJudge(judge, app.meter, name),
        SortSettings(
            account.mode,
            account.max_message_kb * 1024,
            _rule_book(app, name, mailbox, stopped),
            suspensions(app, name),
        ),
        app.clock,
        stopped,
    )
    report.seconds_sorting = (app.clock() - started).total_seconds()


def _rule_book(
    app: Application, name: str, mailbox: Mailbox, stopped: Callable[[], bool]
) -> RuleBook:
    """What decides before the model; contacts as of this moment."""
    if not app.account(name).keep_contacts:
        return RuleBook(app.rules(name))
    refresh_contacts(app.store, mailbox, name, app.clock(), stopped)
    return RuleBook(app.rules(name), contacts_of(app.store, name))


def _record_success(app: Application, name: str, report: CycleReport) -> None:
    with app.store.write() as work:
        account = work.accounts.get_or_create(name, app.clock())
        account.last_cycle_at = app.clock()
        account.last_error = None
        account.last_error_at = None
        account.notice = report.note or None
        work.commit()


def _log(report: CycleReport) -> None:
    observation, sorted_ = report.observation, report.sorted
    quiet = not (
        (observation and (observation.noticed or observation.delivered))
        or (sorted_ and sorted_.seen)
        or report.refit
    )
    (log.debug if quiet else log.info)(
        "cycle.done",
        account=report.account,
        lessons=report.lessons,
        delivered=observation.delivered if observation else 0,
        judged=sorted_.seen if sorted_ else 0,
        moved=sorted_.moved if sorted_ else 0,
        model=report.refit.version if report.refit else None,
    )
