"""Finding the configuration, reading it, and reporting all its faults at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from daemon.config.environment import (
    CONFIG_VARIABLE,
    DELIMITER,
    PREFIX,
    Environment,
    read_environment,
)
from daemon.config.faults import faults_of, unknown_key
from daemon.config.settings import AccountSettings, Section, Settings
from daemon.errors import ConfigError, ConfigFault

SYSTEM_CONFIG = Path("/etc/inboxd/config.toml")

_RUN_INIT = "Run: inboxd init"


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration without faults. `path` is None when all of it is in the environment.

    Paths in `settings` are absolute: relative ones count from the file's directory.
    """

    settings: Settings
    path: Path | None


def load_config(path: Path | None = None) -> Config:
    """The configuration in `path`, or else in the first place where there is one.

    Raises `ConfigError` with every fault, each with its mend.
    """
    found = find_config(path)
    document = read_document(found) if found is not None else {}
    environment = read_environment(Settings, os.environ, document)
    known = {name: table for name, table in document.items() if name in Settings.model_fields}
    faults = [unknown_key(Settings, (name,)) for name in document if name not in known]
    faults += environment.faults
    settings = _validated(known, environment, faults)
    if settings is None or faults:
        raise config_error(found, faults)
    base = found.parent if found is not None else Path.cwd()
    return Config(_with_absolute_paths(settings, base.absolute()), found)


def read_account(answers: Mapping[str, Any]) -> AccountSettings:
    """One account's settings from values such as the answers to `inboxd init`.

    Raises `ConfigError` with every fault in them.
    """
    try:
        return AccountSettings(**answers)
    except ValidationError as error:
        raise config_error(None, faults_of(AccountSettings, error, {})) from error


def find_config(path: Path | None = None) -> Path | None:
    """`path`, $INBOXD_CONFIG, or the first of `default_places` that exists.

    None when there is no file, but environment variables that may be all that is needed.
    Raises `ConfigError` when a file that the user named does not exist, or when there is
    nothing at all.
    """
    named = path if path is not None else os.environ.get(CONFIG_VARIABLE)
    if named:
        asked_by = "--config" if path is not None else CONFIG_VARIABLE
        chosen = Path(named).expanduser()
        if not _exists(chosen):
            fault = ConfigFault(
                asked_by,
                f"there is no file {chosen}",
                "Write the path of a configuration, or make one with: inboxd init",
            )
            raise config_error(None, [fault])
        return chosen
    for place in default_places():
        if _exists(place):
            return place
    if any(name.startswith(PREFIX) and DELIMITER in name for name in os.environ):
        return None
    places = ", ".join(str(place) for place in default_places())
    fault = ConfigFault("config.toml", f"there is no configuration; looked at {places}", _RUN_INIT)
    error = ConfigError("There is no configuration yet.", (fault,))
    error.next_step = _RUN_INIT
    raise error


def default_places() -> tuple[Path, ...]:
    """Where a configuration is looked for when none is named, most important first."""
    return user_config_path(), SYSTEM_CONFIG


def user_config_path() -> Path:
    """`$XDG_CONFIG_HOME/inboxd/config.toml`, by default in `~/.config`; `init` writes it."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    root = Path(base) if Path(base).is_absolute() else Path("~/.config")
    return _expand_home(root) / "inboxd" / "config.toml"


def _exists(path: Path) -> bool:
    """Also true for a file in a directory that we may not enter: reading it gives the reason."""
    try:
        return path.exists()
    except PermissionError:
        return True


def _expand_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such home directory, so nothing is found there either
        return path


def read_document(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises `ConfigError`."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        reason = error.strerror or str(error)
        fault = ConfigFault(
            str(path),
            f"cannot be read: {reason}",
            "Name a file that the user who runs inboxd may read.",
        )
        raise config_error(path, [fault]) from error
    except UnicodeDecodeError as error:
        fault = ConfigFault(str(path), "is not UTF-8 text", "Save the file as UTF-8.")
        raise config_error(path, [fault]) from error
    except tomllib.TOMLDecodeError as error:
        raise config_error(path, [_syntax_fault(path, error)]) from error


def _syntax_fault(path: Path, error: tomllib.TOMLDecodeError) -> ConfigFault:
    """tomllib writes "Invalid value (at line 3, column 8)"; the place goes to the front."""
    what, found, place = str(error).rpartition(" (at ")
    what, place = (what, place.removesuffix(")")) if found else (str(error), "")
    return ConfigFault(
        f"{path.name}, {place}" if place else path.name,
        f"is not valid TOML: {what[:1].lower()}{what[1:]}",
        'Each key stands once, on a line of its own, texts in double quotes: key = "value"',
    )


def _validated(
    document: Mapping[str, Any], environment: Environment, faults: list[ConfigFault]
) -> Settings | None:
    try:
        return Settings(**document)
    except ValidationError as error:
        faults += faults_of(Settings, error, environment.origins)
        return None


def _with_absolute_paths(settings: Settings, base: Path) -> Settings:
    accounts = {
        name: account.model_copy(
            update={
                **_absolute(account, ("password_file", "ca_file"), base),
                "oauth": account.oauth.model_copy(
                    update=_absolute(
                        account.oauth, ("client_secret_file", "key_file", "ca_file"), base
                    )
                ),
            }
        )
        for name, account in settings.accounts.items()
    }
    state = settings.state.model_copy(
        update=_absolute(settings.state, ("dir", "database_password_file"), base)
    )
    notices = settings.notices.model_copy(
        update=_absolute(settings.notices, ("url_file", "ca_file"), base)
    )
    model = settings.model.model_copy(
        update={
            "encoder": _encoder(settings.model.encoder, base),
            "cache_dir": base / settings.model.cache_dir,
        }
    )
    return settings.model_copy(
        update={"state": state, "notices": notices, "model": model, "accounts": accounts}
    )


def _absolute(section: Section, keys: tuple[str, ...], base: Path) -> dict[str, Path]:
    """Those of the paths that are set, counted from `base`."""
    paths = ((key, getattr(section, key)) for key in keys)
    return {key: base / path for key, path in paths if path is not None}


def _encoder(encoder: str, base: Path) -> str:
    """A directory is told from a hub id by how it begins, as a hub id may contain a slash."""
    if encoder.startswith("~"):
        return str(_expand_home(Path(encoder)))
    if encoder in {".", ".."} or encoder.startswith(("./", "../")):
        return str((base / encoder).resolve())
    return encoder


def config_error(path: Path | None, faults: list[ConfigFault]) -> ConfigError:
    """The error that reports all `faults` of a file (None: of the environment)."""
    count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
    where = f"The configuration {path}" if path is not None else "The configuration"
    return ConfigError(f"{where} has {count}.", tuple(faults))
