"""Where the demo plays: a temporary directory with a configuration, and the wired program."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.bootstrap import build
from daemon.config.environment import DELIMITER, PREFIX
from daemon.config.load import load_config
from daemon.demo.server import MailServer
from daemon.errors import StateError
from daemon.use_cases.application import Application

ACCOUNT = "demo"
CONFIG_NAME = "config.toml"

_MODEL_VARIABLES = f"{PREFIX}MODEL{DELIMITER}"
_PASSWORD_NAME = "password"  # noqa: S105 - the name of a file
_CONFIG = """\
# Written by inboxd demo. The mail server behind it ended with the demo.
[state]
dir = "state"

[training]
debounce_seconds = 2

[accounts.{account}]
host = "{host}"
port = {port}
tls = "none"
username = "{user}"
password_file = "{password_file}"
mode = "sort"
poll_seconds = 1
"""


@contextmanager
def temporary_directory(*, keep: bool) -> Iterator[Path]:
    """A directory that only this user may read, removed afterwards unless it is to be kept."""
    try:
        directory = Path(tempfile.mkdtemp(prefix="inboxd-demo-"))
    except OSError as error:
        raise StateError(
            f"There is no place for the demo's files: {error.strerror}.",
            next_step="Set TMPDIR to a directory that this user may write.",
        ) from error
    try:
        yield directory
    finally:
        if not keep:
            # A thread of the daemon that did not stop in time may still hold a file open.
            shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def application(directory: Path, server: MailServer) -> Iterator[Application]:
    """The program as `inboxd run` would get it from a configuration for the demo's account."""
    password = directory / _PASSWORD_NAME
    password.touch(mode=0o600)
    password.write_text(server.password)
    config = directory / CONFIG_NAME
    config.write_text(
        _CONFIG.format(
            account=ACCOUNT,
            host=server.host,
            port=server.port,
            user=server.user,
            password_file=_PASSWORD_NAME,
        )
    )
    with _other_accounts_hidden():
        loaded = load_config(config)
    app = build(loaded)
    try:
        yield app
    finally:
        app.store.close()


@contextmanager
def _other_accounts_hidden() -> Iterator[None]:
    """Leave only INBOXD_MODEL__… of the environment: it wins over the file, and the demo must
    touch neither the person's own accounts nor their state directory."""
    hidden = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name.startswith(PREFIX) and not name.startswith(_MODEL_VARIABLES)
    }
    try:
        yield
    finally:
        os.environ.update(hidden)
