"""Wires the program: configuration, secrets, store, engine and mailboxes into one
`Application`. Nothing else constructs these."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from daemon.config.load import Config
from daemon.config.secrets import Secret, find_database_password, find_password
from daemon.config.settings import AccountSettings, ModelSettings, SignIn, StateSettings
from daemon.database_address import read_address
from daemon.learning.engine import Engine, EngineSettings
from daemon.mailbox.connection import Bearer, ConnectionSettings
from daemon.mailbox.imap import ImapMailbox
from daemon.mailbox.port import Mailbox
from daemon.sign_in.keeper import open_keeper
from daemon.store import Server, Store
from daemon.use_cases.application import Application


def utc_now() -> datetime:
    """The clock of the real program."""
    return datetime.now(UTC)


def build(config: Config, *, on_wait: Callable[[], None] = lambda: None) -> Application:
    """The wired program. Opens (and migrates) the database; connects to nothing.

    Raises `StateError` and its kinds, `SecretMissing` and `ExtraMissing`.
    """
    settings = config.settings
    state_dir = settings.state.dir
    return Application(
        settings=settings,
        config_path=config.path,
        store=Store.open(state_dir, database_server(settings.state)),
        engine=build_engine(settings.model, state_dir),
        clock=utc_now,
        connect=partial(connect, state_dir=state_dir),
        on_wait=on_wait,
    )


def database_server(state: StateSettings) -> Server | None:
    """The server that holds the database, None for the file in the state directory."""
    if state.database is None:
        return None

    def password() -> str | None:
        found = find_database_password(state)
        return found.reveal() if found is not None else None

    return Server(read_address(state.database), password)


def rebuild(app: Application, config: Config) -> Application:
    """The program by another configuration, with the store, and where nothing of it changed the
    engine, of the one before."""
    settings = config.settings
    engine = build_engine(settings.model, settings.state.dir)
    if engine.settings == app.engine.settings:
        engine = app.engine
    return replace(app, settings=settings, config_path=config.path, engine=engine)


def build_engine(model: ModelSettings, state_dir: Path) -> Engine:
    """The engine of one state directory; loads nothing yet."""
    # Read by OpenMP when torch is loaded, so before that. See docs/adr/0016.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return Engine(
        EngineSettings(
            encoder=model.encoder,
            device=model.device.value,
            max_tokens=model.max_tokens,
            threads=model.threads,
            cache_dir=model.cache_dir,
            models_dir=state_dir / "models",
        )
    )


def connect(name: str, account: AccountSettings, *, state_dir: Path) -> Mailbox:
    """Log in with the password or the tokens from wherever they are kept."""
    if account.sign_in is SignIn.PASSWORD:
        return open_mailbox(account, find_password(name, account))
    keeper = open_keeper(name, account, state_dir, utc_now)
    return open_mailbox(account, Bearer(keeper.access_token))


def open_mailbox(account: AccountSettings, password: Secret | Bearer) -> Mailbox:
    """Log in to one account. Raises `MailboxError` and its kinds."""
    return ImapMailbox.connect(
        ConnectionSettings(
            host=account.host,
            port=account.port,
            tls=account.tls.value,
            username=account.username,
            password=password if isinstance(password, Bearer) else password.reveal,
            timeout=float(account.timeout_seconds),
            ca_file=Path(account.ca_file) if account.ca_file is not None else None,
        )
    )
