"""Settings from environment variables: INBOXD_ACCOUNTS__PRIVATE__HOST=imap.example.org.

Two underscores stand for the dot. Variables are text, so numbers, switches and lists are read
here; what cannot be read is handed on as it is, and the settings model says what is wrong with
it. An empty variable counts as not set, as container tools pass those on for unset ones.
"""

from __future__ import annotations

import json
import os
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from daemon.config.fields import KeyPath, field_at, plain_type, sections_of, takes_names
from daemon.errors import ConfigFault

PREFIX = "INBOXD_"
DELIMITER = "__"
CONFIG_VARIABLE = "INBOXD_CONFIG"

_SWITCH_WORDS = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Environment:
    """What the environment variables say.

    `values` has the shape of the configuration file; `origins` names the variable behind each
    key; `faults` are variables that look like settings and are none.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, str] = field(default_factory=dict)
    faults: list[ConfigFault] = field(default_factory=list)


def variable_of(path: KeyPath) -> str:
    """The variable that sets the key at `path`."""
    return PREFIX + DELIMITER.join(path).upper().replace("-", "_")


def read_environment(
    model: type[BaseModel], environ: Mapping[str, str], given: Mapping[str, Any]
) -> Environment:
    """Collect the settings for `model` in `environ`.

    `given` is the configuration file's content: the PRIVATE of a variable means the account that
    the file calls private or Private, and MY_MAIL means my-mail, if there is just one such.
    """
    found = Environment()
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable == CONFIG_VARIABLE or not text:
            continue
        path = tuple(part.lower() for part in variable.removeprefix(PREFIX).split(DELIMITER))
        if len(path) == 1:
            found.faults.extend(_single_underscores(model, variable))
        elif path[0] not in model.model_fields:
            found.faults.append(_unknown_section(model, variable))
        else:
            path = _with_given_names(model, path, given)
            _put(found, path, _read_value(field_at(model, path), text), variable)
    return found


def _put(found: Environment, path: KeyPath, value: Any, variable: str) -> None:
    table = found.values
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            found.faults.append(
                ConfigFault(variable, "is not a known setting", "Remove this environment variable.")
            )
            return
    table[path[-1]] = value
    found.origins[path] = variable


def _read_value(info: FieldInfo | None, text: str) -> Any:
    kind = plain_type(info) if info is not None else str
    if kind is bool:
        return _SWITCH_WORDS.get(text.strip().lower(), text)
    if kind is int or kind is float:
        try:
            return kind(text)
        except ValueError:
            return text
    if typing.get_origin(kind) is tuple:
        return _read_list(text)
    if typing.get_origin(kind) is Mapping:
        return _read_table(text)
    return text


def _read_list(text: str) -> Any:
    """A JSON list, or texts with commas between them."""
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    return [part.strip() for part in text.split(",")]


def _read_table(text: str) -> Any:
    """A JSON object."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _with_given_names(model: type[BaseModel], path: KeyPath, given: Mapping[str, Any]) -> KeyPath:
    table: Any = given
    result: KeyPath = ()
    for part in path:
        here = part
        if takes_names(model, result) and isinstance(table, Mapping):
            alike = [name for name in table if _folded(name) == _folded(part)]
            here = alike[0] if len(alike) == 1 else part
        table = table.get(here) if isinstance(table, Mapping) else None
        result = (*result, here)
    return result


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")


def _single_underscores(model: type[BaseModel], variable: str) -> Iterator[ConfigFault]:
    """INBOXD_STATE_DIR sets nothing; other INBOXD_ variables may belong to someone else."""
    for section in sections_of(model):
        for key in section.keys:
            if variable == variable_of(key.path).replace(DELIMITER, "_"):
                yield ConfigFault(
                    variable,
                    "has no effect: section and key are parted by two underscores",
                    f"Rename it to {variable_of(key.path)}.",
                )


def _unknown_section(model: type[BaseModel], variable: str) -> ConfigFault:
    known = ", ".join(PREFIX + name.upper() + DELIMITER for name in model.model_fields)
    return ConfigFault(
        variable, "is not a known setting", f"Remove it; settings begin with {known}."
    )


class EnvironmentSource(PydanticBaseSettingsSource):
    """`read_environment` as a source for pydantic-settings."""

    def __init__(self, settings_cls: type[BaseSettings], given: Mapping[str, Any]) -> None:
        super().__init__(settings_cls)
        self._given = given

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002  pydantic-settings' signature
        """The values of one top-level field."""
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """All values that the environment sets."""
        return read_environment(self.settings_cls, os.environ, self._given).values
