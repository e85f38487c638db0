"""Settings without what tells of a person, by allowing and not by blacking out.

A setting is shown when it is a number, a switch or a word that inboxd itself knows; of all others,
also of those that are still to be invented, it is only said that they are set. Names are replaced
by a kind and a number, the same name always by the same one.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from daemon.config.fields import sections_of
from daemon.config.settings import Settings
from daemon.config.values import is_loopback, read_listen

Fact = str | int | float | bool | None
Facts = dict[str, Fact]


class Names:
    """Placeholders: the same name always gets the same one."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}
        self._count: Counter[str] = Counter()

    def of(self, kind: str, name: str) -> str:
        """`name` as "account 1"."""
        if (kind, name) not in self._known:
            self._count[kind] += 1
            self._known[kind, name] = f"{kind} {self._count[kind]}"
        return self._known[kind, name]


def what_is_set(settings: Settings, names: Names) -> Facts:
    """By dotted key; what is left at its default is not told."""
    return dict(_set_in(settings, (), names))


def key_alone(key: str, names: Names) -> str:
    """The dotted key of a fault, as far as it is a key of ours."""
    known = set(Settings.model_fields)
    known.update(key.path[-1] for section in sections_of(Settings) for key in section.keys)
    known.update(name for section in sections_of(Settings) for name in section.path)
    parts = key.split(".")
    told = [part if part in known else "(unknown)" for part in parts]
    if parts[0] == "accounts" and len(parts) > 1:
        told[1] = names.of("account", parts[1])
    return ".".join(told)


def _set_in(section: BaseModel, path: tuple[str, ...], names: Names) -> Iterator[tuple[str, Fact]]:
    for key in type(section).model_fields:
        if key not in section.model_fields_set:
            continue
        value = getattr(section, key)
        if isinstance(value, BaseModel):
            yield from _set_in(value, (*path, key), names)
        elif key == "accounts":
            for name, account in value.items():
                yield from _set_in(account, (*path, key, names.of("account", name)), names)
        else:
            yield ".".join((*path, key)), _shown(key, value, names)


def _shown(key: str, value: Any, names: Names) -> Fact:
    """The value itself where it cannot tell of anybody, else what may be said of it."""
    if isinstance(value, enum.Enum):
        return str(value.value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, time):
        return value.isoformat(timespec="minutes")
    if isinstance(value, Path):
        return names.of("path", str(value))
    if isinstance(value, Mapping | tuple | list | set | frozenset):
        return f"{len(value)} entries"
    return _text(key, str(value), names)


def _text(key: str, value: str, names: Names) -> str:
    if key == "host":
        where = "this machine" if is_loopback(value) else "elsewhere"
        return f"{names.of('host', value.lower())}, {where}"
    if key == "username":
        return names.of("user", value)
    if key == "listen":
        host, port = read_listen(value)
        return f"{'loopback' if is_loopback(host) else 'open'}, port {port}"
    if key == "encoder" and value == "bundled":
        return value
    return "set"
