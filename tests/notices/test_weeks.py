"""When a summary is due, also where the clocks are changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from daemon.notices.weeks import at_local, last_slot

BERLIN = ZoneInfo("Europe/Berlin")
SUNDAY = 6


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (datetime(2026, 3, 30, 7, 59, tzinfo=BERLIN), date(2026, 3, 23)),
        (datetime(2026, 3, 30, 8, 0, tzinfo=BERLIN), date(2026, 3, 30)),
        (datetime(2026, 4, 5, 23, 59, tzinfo=BERLIN), date(2026, 3, 30)),
        (datetime(2026, 4, 6, 5, 59, tzinfo=UTC), date(2026, 3, 30)),
        (datetime(2026, 4, 6, 6, 0, tzinfo=UTC), date(2026, 4, 6)),
    ],
)
def test_the_last_slot_is_the_last_monday_at_eight(now: datetime, day: date) -> None:
    """By the clock on the wall."""
    assert last_slot(now, 0, time(8), BERLIN) == day


@pytest.mark.parametrize("moment", [time(2, 30), time(1, 59), time(3, 0)])
@pytest.mark.parametrize(
    "around", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)]
)
def test_a_change_of_the_clocks_gives_one_summary(moment: time, around: datetime) -> None:
    """The hour that is left out, and the one that comes twice: the slot changes once."""
    minutes = [around - timedelta(hours=12) + timedelta(minutes=n) for n in range(24 * 60)]
    days = [last_slot(now, SUNDAY, moment, BERLIN) for now in minutes]
    assert sorted(set(days)) == [around.date() - timedelta(days=7), around.date()]
    assert days == sorted(days)


def test_a_slot_is_a_moment() -> None:
    """In summer an hour earlier in UTC than in winter."""
    assert at_local(date(2026, 3, 23), time(8), BERLIN) == datetime(2026, 3, 23, 7, tzinfo=UTC)
    assert at_local(date(2026, 3, 30), time(8), BERLIN) == datetime(2026, 3, 30, 6, tzinfo=UTC)
