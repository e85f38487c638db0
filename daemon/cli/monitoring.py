"""health: for those who watch over the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from daemon.cli.context import JsonOption, application
from daemon.cli.output import console, print_json, table, when

if TYPE_CHECKING:
    from daemon.use_cases.health import Health

UNHEALTHY = 1
"""Exit code of `inboxd health`; 1 is the one that Docker's HEALTHCHECK understands."""


def register(cli: typer.Typer) -> None:
    """Add this module's commands."""
    cli.command("health", epilog="Examples: inboxd health · inboxd health --json")(health)


def health(as_json: JsonOption = False) -> None:
    """Does the daemon do its work? Exit code 0: yes; 1: it does not run, or an account is overdue.

    Asks no server and takes a second: made for a container's HEALTHCHECK and for cron. An account
    is overdue when its last good pass is older than two polls and ten minutes; not while it is
    paused, has just been started, or is busy with a long pass that goes on (the first learning).
    """
    from daemon.use_cases.health import health as look  # noqa: PLC0415 - SQLAlchemy

    with application() as app:
        found = look(app)
    if as_json:
        print_json(found)
    else:
        _show(found)
    if not found.healthy:
        raise typer.Exit(UNHEALTHY)


def _show(found: Health) -> None:
    if found.process is None:
        console.print("inboxd does not run. Start it with: inboxd run", style="red")
    else:
        since = when(found.running_since)
        console.print(f"inboxd runs as process {found.process} since {since}.", markup=False)
    table(
        "Accounts",
        ("account", "state", "last good pass", "#seconds ago", "#allowed", "error"),
        [
            (a.name, a.state, when(a.last_cycle), _whole(a.age_seconds), _whole(a.allowed_seconds),
             a.error)
            for a in found.accounts
        ],
    )  # fmt: skip


def _whole(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:.0f}"
