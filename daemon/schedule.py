"""When things happen, never what: APScheduler asks the workers, and they do the work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, time, timedelta

from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from daemon.worker import Task, Tasks


class Schedule:
    """Polls, delayed learning after corrections, and the nightly round, by account."""

    def __init__(self) -> None:
        self._tasks: dict[str, Tasks] = {}
        self._debounce: dict[str, timedelta] = {}
        # A late job is done once, not once for every time it was missed (a laptop that slept).
        self._scheduler = BackgroundScheduler(
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )

    def add(
        self,
        account: str,
        tasks: Tasks,
        *,
        poll_seconds: float,
        nightly_at: time,
        debounce_seconds: float,
    ) -> None:
        """Ask for a pass at least every `poll_seconds`, and once a night to train and keep house.

        In place of what was there for this account.
        """
        self.remove(account)
        self._tasks[account] = tasks
        self._debounce[account] = timedelta(seconds=debounce_seconds)
        self._scheduler.add_job(
            self._ask(tasks, Task.POLL),
            IntervalTrigger(seconds=int(poll_seconds)),
            id=f"poll:{account}",
        )
        self._scheduler.add_job(
            self._ask(tasks, Task.NIGHTLY),
            CronTrigger(hour=nightly_at.hour, minute=nightly_at.minute),
            id=f"nightly:{account}",
        )

    def add_notices(self, ask: Callable[[], None], seconds: float) -> None:
        """Ask for a look at what is to be told, every `seconds`."""
        self._scheduler.add_job(ask, IntervalTrigger(seconds=int(seconds)), id="notices")

    def remove(self, account: str) -> None:
        """Ask for nothing any more."""
        self._tasks.pop(account, None)
        for kind in ("poll", "nightly", "learn"):
            with suppress(JobLookupError):
                self._scheduler.remove_job(f"{kind}:{account}")

    def learn_soon(self, account: str) -> None:
        """Ask for learning once the person has stopped moving mail for the debounce time."""
        tasks = self._tasks.get(account)
        if tasks is None:  # taken out of the configuration meanwhile
            return
        self._scheduler.add_job(
            self._ask(tasks, Task.LEARN),
            DateTrigger(run_date=datetime.now().astimezone() + self._debounce[account]),
            id=f"learn:{account}",
            replace_existing=True,
        )

    def start(self) -> None:
        """From now on jobs are due."""
        self._scheduler.start()

    def stop(self) -> None:
        """No job is started any more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    @staticmethod
    def _ask(tasks: Tasks, task: Task) -> Callable[[], None]:
        return lambda: tasks.add(task)
