"""What the commands share: global options, the wired program, and time arguments."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.output import errors

if TYPE_CHECKING:
    from daemon.config.load import Config
    from daemon.learning.engine import Engine
    from daemon.use_cases.application import Application

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
AccountOption = Annotated[
    str | None,
    typer.Option("--account", "-a", help="Only this account (default: all, or the only one)."),
]


@dataclass(slots=True)
class GlobalOptions:
    """Options that stand before the command."""

    config: Path | None = None
    log_level: str | None = None


OPTIONS = GlobalOptions()


def load(*, quiet: bool = False) -> Config:
    """The configuration, with logging set up by it; `quiet` as in `application`. Raises
    `ConfigError`."""
    from daemon.config.load import load_config  # noqa: PLC0415 - pydantic takes 0.2 s to import
    from daemon.logs import configure_logging  # noqa: PLC0415

    config = load_config(OPTIONS.config)
    logging = config.settings.logging
    level = "warning" if quiet else logging.level.value
    configure_logging(OPTIONS.log_level or level, logging.format.value)
    return config


@contextmanager
def application(*, quiet: bool = True) -> Iterator[Application]:
    """The wired program, closed afterwards.

    `quiet` keeps log lines below warnings out of interactive commands, unless --log-level
    asks for them.
    """
    from daemon.bootstrap import build  # noqa: PLC0415 - SQLAlchemy and imapclient

    config = load(quiet=quiet)
    app = build(
        config,
        on_wait=lambda: errors.print("Waiting for another inboxd that works on this account …"),
    )
    try:
        yield app
    finally:
        app.store.close()


def reread(app: Application) -> Application:
    """`app` by the configuration as it is now, logging included. Raises `ConfigError`."""
    from daemon.bootstrap import rebuild  # noqa: PLC0415 - SQLAlchemy and imapclient

    return rebuild(app, load())


def engine_without_account() -> tuple[Engine, float]:
    """An engine for work that needs no account, and the target precision.

    Uses the configuration where there is one, else the defaults.
    """
    from daemon.bootstrap import build_engine  # noqa: PLC0415
    from daemon.config.load import default_places  # noqa: PLC0415
    from daemon.config.settings import ModelSettings, StateSettings  # noqa: PLC0415
    from daemon.logs import configure_logging  # noqa: PLC0415

    configure_logging(OPTIONS.log_level or "warning", "console")
    named = OPTIONS.config is not None or "INBOXD_CONFIG" in os.environ
    if named or any(place.exists() for place in default_places()):
        settings = load().settings
        model, state = settings.model, settings.state
    else:
        model, state = ModelSettings(), StateSettings()
    return build_engine(model, state.dir), model.target_precision


def one_account(app: Application, name: str | None) -> str:
    """The chosen account, or the only one that is configured."""
    if name is not None:
        app.account(name)
        return name
    names = list(app.settings.accounts)
    if len(names) > 1:
        raise typer.BadParameter(f"Name one with --account: {', '.join(sorted(names))}.")
    return names[0]


_AGES = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_since(text: str | None) -> datetime | None:
    """ "2h", "3d", "2026-03-01" or "2026-03-01 14:30" (local time) as an aware time."""
    if text is None:
        return None
    age = re.fullmatch(r"(\d{1,6})([smhdw])", text.strip())
    if age is not None:
        return datetime.now(UTC) - timedelta(**{_AGES[age[2]]: int(age[1])})
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(
            "Write an age such as 30m, 2h or 3d, or a time such as 2026-03-01 14:30."
        ) from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.astimezone().astimezone(UTC)
