"""The daemon's life: lock, start the workers, wait for a signal, stop within five seconds."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import structlog

from daemon.config.settings import Deep
from daemon.locks import instance_lock
from daemon.schedule import Schedule
from daemon.use_cases.application import Application
from daemon.use_cases.deep import has_unfinished
from daemon.worker import AccountWorker, DeepTuner, IdleWatcher, Task

log = structlog.get_logger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

SHUTDOWN_SECONDS = 3.0
"""How long the workers may take to finish the step they are in: with what comes before and after
it stays below the five seconds that are promised, on a busy machine too."""


class Service:
    """All workers of one state directory."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._stop = threading.Event()
        self._tuners: dict[str, DeepTuner] = {}
        if app.settings.training.deep is Deep.NIGHTLY:
            self._tuners = {n: DeepTuner(app, n, self._stop) for n in app.settings.accounts}
        self._workers = {
            name: AccountWorker(app, name, self._stop, self._learn_soon, self._tune_tonight)
            for name in app.settings.accounts
        }
        self._schedule = Schedule(
            {name: worker.tasks for name, worker in self._workers.items()},
            app.settings.training.debounce_seconds,
        )
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start every account's worker, its watcher and its schedule; returns at once."""
        for name, worker in self._workers.items():
            account = self._app.account(name)
            self._spawn(f"worker:{name}", worker.run)
            if account.idle:
                watcher = IdleWatcher(self._app, name, self._stop, worker.tasks)
                self._spawn(f"idle:{name}", watcher.run)
            if name in self._tuners:
                self._spawn(f"deep:{name}", self._tuners[name].run)
                if has_unfinished(self._app, name):
                    self._tune_tonight(name)
            self._schedule.poll_every(name, account.poll_seconds)
            self._schedule.nightly(name, self._app.settings.training.nightly_at)
        self._schedule.start()
        log.info("service.started", accounts=len(self._workers))

    def request_stop(self) -> None:
        """Ask everybody to stop after the step they are in."""
        self._stop.set()
        for worker in self._workers.values():
            worker.tasks.close()
        for tuner in self._tuners.values():
            tuner.tasks.close()

    def shut_down(self) -> bool:
        """Stop, and wait for the workers `SHUTDOWN_SECONDS` at most.

        Returns whether all of them finished. One that did not is in a step that may be killed
        at any point (moves are journalled, models are written to the side).
        """
        self.request_stop()
        self._schedule.stop()
        deadline = time.monotonic() + SHUTDOWN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        late = [thread.name for thread in self._threads if thread.is_alive()]
        log.info("service.stopped", unfinished=late)
        return not late

    def _spawn(self, name: str, body: Callable[[], None]) -> None:
        thread = threading.Thread(target=body, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _tune_tonight(self, name: str) -> None:
        if name in self._tuners:
            self._tuners[name].tasks.add(Task.NIGHTLY)

    def _learn_soon(self, name: str) -> None:
        if not self._stop.is_set():
            self._schedule.learn_soon(name)


def run_daemon(app: Application) -> int:
    """Run until SIGTERM or SIGINT; a second signal kills at once. Returns the exit code.

    Raises `AlreadyRunning` when another inboxd holds the state directory.
    """
    with instance_lock(app.state_dir), _stop_signals() as wait_for_signal:
        service = Service(app)
        service.start()
        received = wait_for_signal()
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        log.info("service.stopping", signal=received.name)
        if not service.shut_down():
            # A thread that is still encoding would keep the process alive for seconds more.
            app.store.close()
            os._exit(0)
    return 0


@contextmanager
def _stop_signals() -> Iterator[Callable[[], signal.Signals]]:
    """A function that waits for the first of `STOP_SIGNALS`.

    The kernel may hand a signal to any thread, also to one that a numeric library started
    before this. So it is not waited for: Python's own handler, in whatever thread, writes its
    number into a socket (`signal.set_wakeup_fd`), and no code of ours runs in between.
    """
    receiver, sender = socket.socketpair()
    with receiver, sender:
        sender.setblocking(False)
        former_descriptor = signal.set_wakeup_fd(sender.fileno())
        former = {number: signal.signal(number, _note) for number in STOP_SIGNALS}
        try:
            yield lambda: signal.Signals(receiver.recv(1)[0])
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(former_descriptor)


def _note(_number: int, _frame: FrameType | None) -> None:
    """Instead of the default, which would end the process; the socket tells the rest."""
