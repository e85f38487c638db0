"""Everything that runs for one account: its worker, its watcher, its tuner, its times."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from daemon.config.settings import Deep
from daemon.schedule import Schedule
from daemon.use_cases.application import Application
from daemon.use_cases.deep import has_unfinished
from daemon.worker import AccountWorker, DeepTuner, IdleWatcher, Task


class AccountRunner:
    """The threads of one account.

    `predecessor` ran the same account with other settings and has been asked to stop: nothing
    begins here before it has ended.
    """

    def __init__(
        self,
        app: Application,
        name: str,
        schedule: Schedule,
        predecessor: AccountRunner | None = None,
    ) -> None:
        self.name = name
        self._app = app
        self._schedule = schedule
        self._predecessor = predecessor
        self._stop = threading.Event()
        self.worker = AccountWorker(app, name, self._stop, self._learn_soon, self._tune_tonight)
        self._watcher = (
            IdleWatcher(app, name, self._stop, self.worker.tasks)
            if app.account(name).idle
            else None
        )
        nightly = app.settings.training.deep is Deep.NIGHTLY and app.share(name) is None
        self._tuner = DeepTuner(app, name, self._stop) if nightly else None
        self.threads = [
            threading.Thread(target=self._after_predecessor, args=(body,), name=each, daemon=True)
            for each, body in self._bodies()
        ]

    def start(self) -> None:
        """Start the threads and the account's times in the schedule; returns at once."""
        if self._tuner is not None and has_unfinished(self._app, self.name):
            self._tuner.tasks.add(Task.NIGHTLY)
        for thread in self.threads:
            thread.start()
        self._schedule.add(
            self.name,
            self.worker.tasks,
            poll_seconds=self._app.account(self.name).poll_seconds,
            nightly_at=self._app.settings.training.nightly_at,
            debounce_seconds=self._app.settings.training.debounce_seconds,
        )

    def request_stop(self) -> None:
        """Ask for the end after the step that each thread is in; returns at once."""
        self._stop.set()
        self.worker.tasks.close()
        if self._tuner is not None:
            self._tuner.tasks.close()

    def unfinished(self, deadline: float) -> list[str]:
        """The names of the threads that still run at `deadline` (of `time.monotonic`)."""
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [thread.name for thread in self.threads if thread.is_alive()]

    def _bodies(self) -> Iterator[tuple[str, Callable[[], None]]]:
        yield f"worker:{self.name}", self.worker.run
        if self._watcher is not None:
            yield f"idle:{self.name}", self._watcher.run
        if self._tuner is not None:
            yield f"deep:{self.name}", self._tuner.run

    def _after_predecessor(self, body: Callable[[], None]) -> None:
        if self._predecessor is not None:
            for thread in self._predecessor.threads:
                thread.join()
            self._predecessor = None  # and with it all before it can be freed
        body()

    def _tune_tonight(self, _name: str) -> None:
        if self._tuner is not None:
            self._tuner.tasks.add(Task.NIGHTLY)

    def _learn_soon(self, name: str) -> None:
        if not self._stop.is_set():
            self._schedule.learn_soon(name)
