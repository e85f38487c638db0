"""When a week is over: a moment of local time, also where the clocks are changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo

WEEK = timedelta(days=7)


def at_local(day: date, moment: time, zone: tzinfo | None = None) -> datetime:
    """A time of day on a day, in UTC. `zone` None is the machine's.

    A time that is left out when the clocks go forward counts as the one an hour later; of one
    that comes twice the first counts (PEP 495, fold 0).
    """
    local = datetime.combine(day, moment, tzinfo=zone)
    return local.astimezone(UTC)


def last_slot(now: datetime, weekday: int, moment: time, zone: tzinfo | None = None) -> date:
    """The day of the latest summary that is due at `now` (aware); `weekday` 0 is Monday."""
    today = now.astimezone(zone).date()
    day = today - timedelta(days=(today.weekday() - weekday) % 7)
    return day if at_local(day, moment, zone) <= now else day - WEEK
