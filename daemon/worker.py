"""One supervised worker per account, and the watcher that wakes it.

The worker owns one connection and does one thing at a time: it waits for a task, does one
pass, waits again. The watcher owns a second connection that sits in IDLE and only ever says
"look now"; when it fails, polling goes on without it.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable

import structlog

from daemon.crash import trace
from daemon.errors import (
    CapabilityMissing,
    InboxdError,
    LoginRefused,
    MailboxError,
    SecretMissing,
    SignInNeeded,
    StateError,
    Throttled,
)
from daemon.mailbox.port import Mailbox
from daemon.pulse import LONGEST_STEP, Pulse
from daemon.use_cases.application import Application
from daemon.use_cases.cycle import is_learning_due, is_paused, record_failure, run_cycle
from daemon.use_cases.deep import is_deep_due, train_deep
from daemon.use_cases.housekeeping import keep_house
from daemon.use_cases.notice_sending import send_by_mail
from daemon.use_cases.sign_in import stay_signed_in

log = structlog.get_logger(__name__)

FIRST_BACK_OFF = 2.0
LONGEST_BACK_OFF = 300.0
"""Seconds to wait after failures: doubled each time between these bounds."""

IDLE_SECONDS = 25 * 60.0
"""RFC 2177 wants IDLE renewed at least every 29 minutes."""


class Task(enum.Enum):
    """What a worker can be asked to do."""

    POLL = "poll"
    LEARN = "learn"
    NIGHTLY = "nightly"


class Tasks:
    """Tasks that wait for the worker. Asking twice for the same is asking once."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: set[Task] = set()
        self._closed = False

    def add(self, task: Task) -> None:
        """Ask for `task`; wakes the worker."""
        self.put_back({task})

    def put_back(self, tasks: set[Task]) -> None:
        """Ask for `tasks`, for instance because they could not be done."""
        with self._condition:
            self._waiting |= tasks
            self._condition.notify_all()

    def close(self) -> None:
        """No more tasks: whoever waits gets nothing."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def take(self) -> set[Task]:
        """All waiting tasks, as soon as there is one; empty when closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or self._closed)
            taken, self._waiting = self._waiting, set()
            return set() if self._closed else taken


class BackOff:
    """Growing pauses between attempts."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._seconds = FIRST_BACK_OFF

    def reset(self) -> None:
        """The last attempt went well."""
        self._seconds = FIRST_BACK_OFF

    def wait(self, at_least: float = 0.0) -> float:
        """Wait (until stopped), and longer the next time; returns the seconds."""
        seconds = max(self._seconds, at_least)
        self._stop.wait(seconds)
        self._seconds = min(self._seconds * 2, LONGEST_BACK_OFF)
        return seconds


def shortest_pause(error: InboxdError) -> float:
    """Seconds to wait after this error, however few attempts have failed so far."""
    if isinstance(error, Throttled):
        return error.seconds
    hopeless = isinstance(error, LoginRefused | SecretMissing | SignInNeeded)
    return LONGEST_BACK_OFF if hopeless else 0.0


class AccountWorker:
    """Runs the passes of one account until stopped."""

    def __init__(
        self,
        app: Application,
        name: str,
        stop: threading.Event,
        learn_later: Callable[[str], None],
        tune_tonight: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self.tasks = Tasks()
        account = app.account(name)
        self.pulse = Pulse(name, LONGEST_STEP + account.timeout_seconds)
        self._poll_seconds = float(account.poll_seconds)
        self._app = app
        self._name = name
        self._stop = stop
        self._learn_later = learn_later
        self._tune_tonight = tune_tonight
        self._back_off = BackOff(stop)
        self._is_first_pass = True

    def run(self) -> None:
        """The thread's body: connect, work, and after a failure wait and connect again."""
        with self.pulse.living():
            self._live()

    def _live(self) -> None:
        self.tasks.add(Task.POLL)
        while not self._stop.is_set():
            try:
                self._wait_while_paused()
                if not self._stopped():
                    with self._app.mailbox(self._name) as mailbox:
                        self._work(mailbox)
            except InboxdError as error:
                self._failed(error)
            except Exception as error:  # noqa: BLE001 - one account's bug must not end others
                log.warning("worker.unexpected", account=self._name, **trace(error))
                self._failed(InboxdError(f"Unexpected {type(error).__name__}, see the log."))

    def _work(self, mailbox: Mailbox) -> None:
        """Pass after pass over one connection, until it fails or inboxd stops."""
        while tasks := self._next_tasks():
            try:
                self._pass(mailbox, tasks)
            except MailboxError:
                # What was asked for once (to learn) is not asked for again.
                self.tasks.put_back(tasks)
                raise
            self._back_off.reset()
            self.pulse.passed()
            if is_paused(self._app, self._name):
                return

    def _next_tasks(self) -> set[Task]:
        # The schedule asks for a poll this often; if it does not, something is wrong with it.
        self.pulse.wait(self._poll_seconds)
        tasks = self.tasks.take()
        self.pulse.step()
        return tasks

    def _stopped(self) -> bool:
        """Asked between any two steps of a pass, which makes it the sign that it goes on."""
        self.pulse.step()
        return self._stop.is_set()

    def _pass(self, mailbox: Mailbox, tasks: set[Task]) -> None:
        learn = bool(tasks & {Task.LEARN, Task.NIGHTLY})
        stopped = self._stopped
        report = run_cycle(self._app, self._name, mailbox, learn=learn, stopped=stopped)
        if report.observation is not None and not learn:
            # An earlier process may have ended between a lesson and its learning.
            is_left_over = self._is_first_pass and is_learning_due(self._app, self._name)
            found = report.observation.lessons or report.observation.taken_back
            if found or is_left_over:
                self._learn_later(self._name)
            self._is_first_pass = False
        if not report.paused:
            send_by_mail(self._app, self._name, mailbox, stopped)
        if Task.NIGHTLY in tasks and not stopped():
            with self._app.locked(self._name, at_each_try=stopped):
                keep_house(self._app, self._name)
            self._tune_tonight(self._name)
            stay_signed_in(self._app, self._name)

    def _failed(self, error: InboxdError) -> None:
        log.warning(
            "worker.failed", account=self._name, kind=type(error).__name__, error=str(error)
        )
        try:
            record_failure(self._app, self._name, error)
        except StateError as trouble:
            # A full disk, a lock that is held for ever: the log has to do, the worker goes on.
            log.warning("worker.failure_not_recorded", account=self._name, error=str(trouble))
        self.pulse.failed()
        at_least = shortest_pause(error)
        self.pulse.wait(max(LONGEST_BACK_OFF, at_least))
        self._back_off.wait(at_least)
        self.tasks.add(Task.POLL)

    def _wait_while_paused(self) -> None:
        while not self._stop.is_set() and is_paused(self._app, self._name):
            self.pulse.wait(1.0)
            self._stop.wait(1.0)


class DeepTuner:
    """Tunes the encoder of an account when it is asked to, beside the worker, which goes on
    sorting with the model in use."""

    def __init__(self, app: Application, name: str, stop: threading.Event) -> None:
        self.tasks = Tasks()
        self._app = app
        self._name = name
        self._stop = stop

    def run(self) -> None:
        """The thread's body: wait for the night, tune if it is due; a failure waits for another."""
        while self.tasks.take():
            try:
                if is_deep_due(self._app, self._name) and not is_paused(self._app, self._name):
                    train_deep(self._app, self._name, stopped=self._stop.is_set)
            except InboxdError as error:
                kind = type(error).__name__
                log.warning("deep.failed", account=self._name, kind=kind, error=str(error))
            except Exception as error:  # noqa: BLE001 - tuning is a luxury, sorting must go on
                log.warning("deep.unexpected", account=self._name, **trace(error))


class IdleWatcher:
    """Sits in IDLE on the inbox and asks the worker to look when something changes."""

    def __init__(self, app: Application, name: str, stop: threading.Event, tasks: Tasks) -> None:
        self._app = app
        self._name = name
        self._stop = stop
        self._tasks = tasks
        self._back_off = BackOff(stop)

    def run(self) -> None:
        """The thread's body. Ends for good only when the server has no IDLE."""
        while not self._stop.is_set():
            try:
                if is_paused(self._app, self._name):
                    self._stop.wait(1.0)
                    continue
                with self._app.mailbox(self._name) as mailbox:
                    self._watch(mailbox)
            except CapabilityMissing:
                log.info("idle.not_offered", account=self._name)
                return
            except InboxdError as error:
                # The worker meets the same trouble and reports it; here it only costs speed.
                log.info("idle.lost", account=self._name, kind=type(error).__name__)
                self._back_off.wait(error.seconds if isinstance(error, Throttled) else 0.0)
            except Exception as error:  # noqa: BLE001 - a bug must not end the watching for good
                log.warning("idle.unexpected", account=self._name, **trace(error))
                self._back_off.wait()

    def _watch(self, mailbox: Mailbox) -> None:
        account = self._app.account(self._name)
        # No longer than a poll at a time: `inboxd pause` is to close this connection too.
        seconds = min(IDLE_SECONDS, float(account.poll_seconds))
        # Whatever came while nobody watched is seen by one look.
        changed = True
        while not self._stop.is_set() and not is_paused(self._app, self._name):
            if changed:
                # `wait` counts every change since this STATUS: none falls between two waits.
                mailbox.status(account.folders.inbox)
                self._tasks.add(Task.POLL)
            changed = mailbox.wait(account.folders.inbox, seconds, self._stop.is_set)
            self._back_off.reset()
