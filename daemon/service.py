"""The daemon's life: lock, start the accounts, wait for a signal, stop within five seconds.

SIGHUP does not end it, but has it read its configuration anew.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType

import structlog

from daemon.account_runner import AccountRunner
from daemon.crash import trace
from daemon.errors import ConfigError, InboxdError
from daemon.locks import instance_lock
from daemon.metrics import served
from daemon.notify import Notifier, Supervisor
from daemon.pulse import Vital
from daemon.schedule import Schedule
from daemon.teller import SECONDS_BETWEEN_LOOKS, Teller
from daemon.use_cases.application import Application
from daemon.use_cases.reload import (
    NOTHING,
    RELOAD_SIGNAL,
    Changes,
    Reload,
    compare,
    note_reload,
)

log = structlog.get_logger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT, RELOAD_SIGNAL)

SHUTDOWN_SECONDS = 3.0
"""How long the workers may take to finish the step they are in: with what comes before and after
it stays below the five seconds that are promised, on a busy machine too."""


Reread = Callable[[Application], Application]
"""The program by the configuration as it is now, with the store of the one before. Raises
`ConfigError`."""


class Service:
    """All accounts of one state directory."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._schedule = Schedule()
        self._runners: dict[str, AccountRunner] = {}
        self._retiring: list[AccountRunner] = []
        self._teller = Teller(lambda: self._app)

    @property
    def app(self) -> Application:
        """The program by the configuration that is in force."""
        return self._app

    def start(self) -> None:
        """Start every account; returns at once."""
        for name in self._app.settings.accounts:
            self._run(name)
        self._teller.start()
        self._schedule.add_notices(self._teller.look_now, SECONDS_BETWEEN_LOOKS)
        self._schedule.start()
        log.info("service.started", accounts=len(self._runners))

    def reload(self, reread: Reread) -> Reload:
        """Go on by the configuration as it is now, or as before when it cannot be used.

        Accounts whose settings stay the same are not interrupted; one that changes ends the step
        it is in and begins anew. Leaves a note, see `daemon.use_cases.reload`.
        """
        try:
            app = reread(self._app)
            changes = compare(self._app.settings, app.settings)
        except InboxdError as error:
            log.warning("service.reload_refused", kind=type(error).__name__, error=str(error))
            return self._noted(
                taken=False, error=str(error) + _faults_of(error), next_step=error.next_step
            )
        except Exception as error:  # noqa: BLE001 - a bug in reading must not end the sorting
            log.warning("service.reload_unexpected", **trace(error))
            unexpected = f"Unexpected {type(error).__name__}, see the log."
            return self._noted(taken=False, error=unexpected, next_step=InboxdError.next_step)
        self._app = app
        for name in (*changes.removed, *changes.changed):
            runner = self._runners.pop(name)
            runner.request_stop()
            self._schedule.remove(name)
            self._retiring.append(runner)
        for name in (*changes.added, *changes.changed):
            self._run(name)
        self._teller.look_now()
        numbers = {kind: len(names) for kind, names in asdict(changes).items()}
        log.info("service.reloaded", **numbers)
        return self._noted(taken=True, changes=changes)

    def vitals(self) -> Sequence[Vital]:
        """How each account's worker is."""
        return [runner.worker.pulse.vital() for runner in list(self._runners.values())]

    def request_stop(self) -> None:
        """Ask everybody to stop after the step they are in."""
        for runner in self._runners.values():
            runner.request_stop()
        self._teller.request_stop()

    def shut_down(self) -> bool:
        """Stop, and wait for the workers `SHUTDOWN_SECONDS` at most.

        Returns whether all of them finished. One that did not is in a step that may be killed
        at any point (moves are journalled, models are written to the side).
        """
        self.request_stop()
        self._schedule.stop()
        deadline = time.monotonic() + SHUTDOWN_SECONDS
        everybody = (*self._retiring, *self._runners.values())
        late = [name for runner in everybody for name in runner.unfinished(deadline)]
        late += self._teller.unfinished(deadline)
        log.info("service.stopped", unfinished=late)
        return not late

    def _run(self, name: str) -> None:
        now = time.monotonic()
        self._retiring = [each for each in self._retiring if each.unfinished(now)]
        before = next((each for each in reversed(self._retiring) if each.name == name), None)
        self._runners[name] = AccountRunner(self._app, name, self._schedule, before)
        self._runners[name].start()

    def _noted(
        self, *, taken: bool, changes: Changes = NOTHING, error: str = "", next_step: str = ""
    ) -> Reload:
        outcome = Reload(taken, self._app.clock(), os.getpid(), changes, error, next_step)
        try:
            note_reload(self._app.state_dir, outcome)
        except OSError as trouble:  # a full disk; the log has it
            log.warning("service.reload_not_noted", error=trouble.strerror)
        return outcome


def run_daemon(app: Application, reread: Reread) -> int:
    """Run until SIGTERM or SIGINT; a second signal kills at once. Returns the exit code.

    SIGHUP reads the configuration anew, unless it came because the terminal was closed.
    Raises `AlreadyRunning` when another inboxd holds the state directory.
    """
    # Taken out of the environment before anything that could start a process.
    supervisor = Supervisor.from_environment(os.environ)
    # A watchdog ends the process with SIGABRT: every thread's place then goes to the log, as
    # names of files and functions.
    faulthandler.enable()
    had_terminal = sys.stderr.isatty()
    with (
        instance_lock(app.state_dir),
        served(app) as watched,
        _signals() as wait_for_signal,
    ):
        service = Service(watched.app)
        notifier = Notifier(supervisor, service.vitals)
        service.start()
        notifier.ready()
        received = wait_for_signal()
        while received is RELOAD_SIGNAL and not (had_terminal and not sys.stderr.isatty()):
            notifier.reloading()
            service.reload(reread)
            watched.app = service.app
            notifier.ready_again()
            received = wait_for_signal()
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        log.info("service.stopping", signal=received.name)
        notifier.stopping()
        if not service.shut_down():
            # A thread that is still encoding would keep the process alive for seconds more.
            app.store.close()
            os._exit(0)
    return 0


def _faults_of(error: InboxdError) -> str:
    """The single faults of a configuration, each on a line of its own."""
    faults = error.faults if isinstance(error, ConfigError) else ()
    return "".join(f"\n  {each.key}: {each.problem} → {each.mend}" for each in faults)


@contextmanager
def _signals() -> Iterator[Callable[[], signal.Signals]]:
    """A function that waits for the next of `SIGNALS`.

    The kernel may hand a signal to any thread, also to one that a numeric library started
    before this. So it is not waited for: Python's own handler, in whatever thread, writes its
    number into a socket (`signal.set_wakeup_fd`), and no code of ours runs in between.
    """
    receiver, sender = socket.socketpair()
    with receiver, sender:
        sender.setblocking(False)
        former_descriptor = signal.set_wakeup_fd(sender.fileno())
        former = {number: signal.signal(number, _note) for number in SIGNALS}
        try:
            yield lambda: signal.Signals(receiver.recv(1)[0])
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(former_descriptor)


def _note(_number: int, _frame: FrameType | None) -> None:
    """Instead of the default, which would end the process; the socket tells the rest."""
