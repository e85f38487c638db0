"""health, doctor: for those who watch over the daemon, and for those who mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.context import JsonOption, application
from daemon.cli.output import console, print_json, table, when
from daemon.errors import InboxdError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.use_cases.doctor import Examination
    from daemon.use_cases.health import Health

UNHEALTHY = 1
"""Exit code of `inboxd health`; 1 is the one that Docker's HEALTHCHECK understands."""


def register(cli: typer.Typer) -> None:
    """Add this module's commands."""
    cli.command("health", epilog="Examples: inboxd health · inboxd health --json")(health)
    cli.command("doctor", epilog="Examples: inboxd doctor > report.txt · inboxd doctor --offline")(
        doctor
    )


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


def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Ask no mail server.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Collect what a bug report needs: versions, settings, servers, sizes, kinds of errors.

    Made to be read by strangers: hosts, users, folders and paths are numbered, errors are named by
    their kind, and nothing of any mail is in it. Look through it all the same before you send it.
    What is broken is part of the report and no error.
    """
    from daemon.use_cases.doctor import (  # noqa: PLC0415 - SQLAlchemy
        examine,
        examine_without_application,
    )

    try:
        with application() as app:
            found = examine(app, offline=offline)
    except InboxdError as error:
        found = examine_without_application(error)
    if as_json:
        print_json(found)
    else:
        typer.echo(_report(found))


def _report(found: Examination) -> str:
    """Plain text, without the width of a terminal: it is to be pasted."""
    parts = [
        "inboxd doctor: holds no personal data; look through it before you send it.",
        _chapter("Trouble", found.trouble),
        _chapter("Versions", found.versions),
        _chapter("System", found.system),
        _chapter("Configuration (what is set)", found.configuration),
        _chapter("State", found.state),
    ]
    for account in found.accounts:
        parts += [
            _chapter(account.name.capitalize(), account.health),
            _chapter(f"Server of {account.name}", account.server),
            _chapter(f"Failures of {account.name}", account.failures),
            _chapter(f"Notices of {account.name} that did not arrive", account.notices),
            _chapter(f"Model of {account.name}", account.model),
        ]
    return "\n\n".join(part for part in parts if part)


def _chapter(title: str, facts: Mapping[str, object]) -> str:
    """Nothing when there is nothing to tell."""
    if not facts:
        return ""
    return "\n".join([title, *(f"  {name}: {_plain(value)}" for name, value in facts.items())])


def _plain(value: object) -> object:
    if value is None:
        return "unknown"
    return ("yes" if value else "no") if isinstance(value, bool) else value
