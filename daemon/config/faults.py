"""From validation errors to faults in plain words: what is wrong, where, how to mend it.

No value is repeated whose key is unknown: it may be a password in the wrong place.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from datetime import date, time
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from daemon.config.fields import (
    NAME,
    KeyPath,
    describe,
    example_of,
    field_at,
    item_model,
    plain_type,
    section_at,
    sections_of,
    takes_names,
)
from daemon.config.toml import toml_value
from daemon.errors import ConfigFault

PASSWORD_KEYS = frozenset({"pass", "passphrase", "passwd", "password", "secret"})

_FOLLOW_UP_ERRORS = frozenset({"default_factory_not_called"})
"""Errors that only say that another value, already reported, was wrong."""


def faults_of(
    model: type[BaseModel], error: ValidationError, origins: Mapping[KeyPath, str]
) -> list[ConfigFault]:
    """One fault for each error; `origins` names the environment variable behind a key."""
    return [
        _fault_of(model, details, origins)
        for details in error.errors(include_url=False)
        if details["type"] not in _FOLLOW_UP_ERRORS
    ]


def unknown_key(model: type[BaseModel], path: KeyPath, variable: str | None = None) -> ConfigFault:
    """The fault for a key that does not exist, with the one that was probably meant."""
    key = ".".join(path)
    if _means_password(path[-1]):
        return _password_fault(key, variable)
    section = section_at(model, path[:-1])
    near = difflib.get_close_matches(
        path[-1].lower(), section.model_fields if section is not None else (), n=1
    )
    if near:
        mend = f"Did you mean {near[0]}?"
    elif (home := _section_with(model, path[-1])) is not None:
        mend = f"This key belongs into the section [{'.'.join(home)}]."
    else:
        mend = f"Remove it. Known here: {', '.join(section.model_fields if section else ())}."
    return ConfigFault(key, "is not a known setting" + _set_by(variable), mend)


def _fault_of(
    model: type[BaseModel], details: ErrorDetails, origins: Mapping[KeyPath, str]
) -> ConfigFault:
    path, info = _key_of(model, details["loc"])
    variable = origins.get(path)
    key = ".".join(path)
    kind = details["type"]
    if path == ("accounts",) and kind in {"missing", "too_short"}:
        return ConfigFault(
            key,
            "there is no account",
            "Add a section such as [accounts.private] with host and username, or run: inboxd init",
        )
    if kind == "inboxd":
        context = details["ctx"]
        return ConfigFault(key, context["problem"] + _set_by(variable), context["mend"])
    if kind == "extra_forbidden":
        return unknown_key(model, path, variable)
    if path[-1].endswith("]"):  # an item of a list of tables that is no table
        path = (*path[:-1], path[-1].partition("[")[0])
        key, info = ".".join(path), field_at(model, path)
    if info is None:
        return _not_a_section(model, path, variable)
    if kind == "missing":
        return ConfigFault(key, "is missing", _example(path, info, None))
    is_item = len(details["loc"]) > len(path)
    problem = f"must be {describe(info)}" + (
        f", but holds {_shown(details['input'])}" if is_item else _instead(details["input"], info)
    )
    return ConfigFault(key, problem + _set_by(variable), _example(path, info, variable))


def _key_of(
    model: type[BaseModel], location: Iterable[int | str]
) -> tuple[KeyPath, FieldInfo | None]:
    """The key behind pydantic's location, which may go on into list items and mapping keys."""
    path: KeyPath = ()
    found: FieldInfo | None = None
    for part in location:
        if found is not None:
            if not isinstance(part, int) or item_model(found) is None:
                break
            path = (*path[:-1], f"{path[-1]}[{part + 1}]")
            found = None
        elif not isinstance(part, str) or part == "[key]":
            break
        else:
            path = (*path, part)
            found = field_at(model, path)
    return path, found


def _not_a_section(model: type[BaseModel], path: KeyPath, variable: str | None) -> ConfigFault:
    key = ".".join(path)
    if _means_password(path[-1]):
        return _password_fault(key, variable)
    shown = f"{key}.{NAME}" if takes_names(model, path) else key
    return ConfigFault(
        key,
        "must be a section with keys of its own, not a single value" + _set_by(variable),
        f"Write a line [{shown}] and its keys below it.",
    )


def _means_password(name: str) -> bool:
    """Also for a misspelt one, "pasword", but not for password_file."""
    return bool(difflib.get_close_matches(name.lower(), PASSWORD_KEYS, n=1, cutoff=0.85))


def _password_fault(key: str, variable: str | None) -> ConfigFault:
    return ConfigFault(
        key,
        "passwords are not allowed in the configuration" + _set_by(variable),
        "Remove it. Put the password into a file and write its path as password_file, or into "
        "a systemd credential, or into the keyring (inboxd init does that). If others could "
        "read this file, change the password.",
    )


def _section_with(model: type[BaseModel], name: str) -> KeyPath | None:
    homes = [section.path for section in sections_of(model) if name in section.model.model_fields]
    return homes[0] if len(homes) == 1 else None


def _example(path: KeyPath, info: FieldInfo, variable: str | None) -> str:
    value = example_of(info)
    if variable is None:
        return f"Write for example: {path[-1]} = {toml_value(value)}"
    is_json = isinstance(value, list | tuple | dict)
    text = json.dumps(value, ensure_ascii=False) if is_json else toml_value(value).strip('"')
    return f"Set for example: {variable}={text}"


def _instead(value: Any, info: FieldInfo) -> str:
    shown = _shown(value)
    if isinstance(value, str):
        choices = [str(getattr(m, "value", m)) for m in _members(info)]
        near = difflib.get_close_matches(value.lower(), choices, n=1)
        return f", not {shown}" + (f" (did you mean {near[0]}?)" if near else "")
    return f", not {shown}"


def _members(info: FieldInfo) -> Iterable[Any]:
    return getattr(plain_type(info), "__members__", {}).values()


def _shown(value: Any) -> str:
    if value == "":
        return "empty"
    if isinstance(value, bool | int | float | str):
        shown = toml_value(value)
        return shown if len(shown) <= 60 else shown[:56] + '…"'
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, date | time):
        return f"the date or time {value}"
    return "a section"


def _set_by(variable: str | None) -> str:
    return f" (set by the environment variable {variable})" if variable is not None else ""
