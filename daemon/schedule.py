"""When things happen, never what: APScheduler asks the workers, and they do the work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from daemon.worker import Task, Tasks


class Schedule:
    """Polls, delayed learning after corrections, and the nightly round."""

    def __init__(self, tasks: Mapping[str, Tasks], debounce_seconds: float) -> None:
        self._tasks = tasks
        self._debounce = timedelta(seconds=debounce_seconds)
        # A late job is done once, not once for every time it was missed (a laptop that slept).
        self._scheduler = BackgroundScheduler(
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )

    def poll_every(self, account: str, seconds: float) -> None:
        """Ask for a pass at least this often."""
        self._scheduler.add_job(
            self._ask(account, Task.POLL),
            IntervalTrigger(seconds=int(seconds)),
            id=f"poll:{account}",
        )

    def nightly(self, account: str, at: time) -> None:
        """Train and keep house once a night."""
        self._scheduler.add_job(
            self._ask(account, Task.NIGHTLY),
            CronTrigger(hour=at.hour, minute=at.minute),
            id=f"nightly:{account}",
        )

    def learn_soon(self, account: str) -> None:
        """Ask for learning once the person has stopped moving mail for the debounce time."""
        at = datetime.now().astimezone() + self._debounce
        self._scheduler.add_job(
            self._ask(account, Task.LEARN),
            DateTrigger(run_date=at),
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

    def _ask(self, account: str, task: Task) -> Callable[[], None]:
        tasks = self._tasks[account]
        return lambda: tasks.add(task)
