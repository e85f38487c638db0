"""Pausing an account: no connection, no moves, until it is resumed; survives restarts."""

from __future__ import annotations

from daemon.use_cases.application import Application


def set_paused(app: Application, names: list[str], *, paused: bool) -> list[str]:
    """Pause or resume accounts; returns those whose state changed."""
    changed = []
    with app.store.write() as work:
        for name in names:
            account = work.accounts.get_or_create(name, app.clock())
            if (account.paused_at is not None) != paused:
                account.paused_at = app.clock() if paused else None
                changed.append(name)
        work.commit()
    return changed
