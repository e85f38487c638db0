"""Looking around in a settings model: which keys there are and what each one takes."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Any

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from classifier.costs import HIGHEST, LOWEST
from daemon.config.values import HeaderName

KeyPath = tuple[str, ...]
"""Where a key stands: ("accounts", "private", "port"). What stands in the second table of a list
is below "rules[2]"."""

_TABLE_OF_COSTS = f"a table of confusions with a cost from {LOWEST:g} to {HIGHEST:g} each"

NAME = "NAME"
"""Stands in a `KeyPath` for a name that the user chooses."""


@dataclass(frozen=True, slots=True)
class Key:
    """One option (a leaf, not a section)."""

    path: KeyPath
    info: FieldInfo


@dataclass(frozen=True, slots=True)
class SectionOfKeys:
    """One section with its own options, in the order of the model."""

    path: KeyPath
    model: type[BaseModel]
    keys: tuple[Key, ...]


def sections_of(model: type[BaseModel], path: KeyPath = ()) -> Iterator[SectionOfKeys]:
    """All sections below `model`, parents before children."""
    keys = tuple(
        Key((*path, name), info)
        for name, info in model.model_fields.items()
        if _section_behind(info) is None
    )
    if keys:
        yield SectionOfKeys(path, model, keys)
    for name, info in model.model_fields.items():
        behind = _section_behind(info)
        if behind is not None:
            named = (*path, name, NAME) if _is_mapping(info) else (*path, name)
            yield from sections_of(behind, named)


def section_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    """The section that stands at `path`; None when there is a key, a table of names or nothing."""
    if not path:
        return model
    name, bracket, _ = path[0].partition("[")
    info = model.model_fields.get(name)
    if bracket:
        item = item_model(info) if info is not None else None
        return section_at(item, path[1:]) if item is not None else None
    behind = _section_behind(info) if info is not None else None
    if info is None or behind is None:
        return None
    rest = path[2:] if _is_mapping(info) else path[1:]
    if _is_mapping(info) and len(path) < 2:
        return None
    return section_at(behind, rest)


def field_at(model: type[BaseModel], path: KeyPath) -> FieldInfo | None:
    """The option that stands at `path`, or None."""
    section = section_at(model, path[:-1]) if path else None
    info = section.model_fields.get(path[-1]) if section is not None else None
    return info if info is not None and _section_behind(info) is None else None


def item_model(info: FieldInfo) -> type[BaseModel] | None:
    """What the tables of an option are that is a list of tables, None for any other."""
    kind = plain_type(info)
    item = typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else None
    return item if isinstance(item, type) and issubclass(item, BaseModel) else None


def takes_names(model: type[BaseModel], path: KeyPath) -> bool:
    """Whether the keys below `path` are names that the user chooses."""
    section = section_at(model, path[:-1]) if path else None
    info = section.model_fields.get(path[-1]) if section is not None else None
    return info is not None and _is_mapping(info)


def plain_type(info: FieldInfo) -> Any:
    """The type of an option without `Annotated` and `| None`."""
    annotation = _unwrapped(info.annotation)
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        some = [part for part in typing.get_args(annotation) if part is not type(None)]
        return _unwrapped(some[0])
    return annotation


def describe(info: FieldInfo) -> str:
    """What an option takes, in words: "a whole number from 1 to 65535"."""
    kind = plain_type(info)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return "one of " + ", ".join(f'"{member.value}"' for member in kind)
    if typing.get_origin(kind) is tuple:
        return "a list of texts" if item_model(info) is None else "a list of tables"
    if typing.get_origin(kind) is Mapping:
        key, value = typing.get_args(kind)
        if key == HeaderName:
            return "a table of header fields with a pattern each"
        costs = _unwrapped(value) is float
        return _TABLE_OF_COSTS if costs else "a table of folders with a sentence each"
    words = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a text",
        Path: "a path",
        time: "a time of day",
    }
    return words[kind] + _range(info)


def example_of(info: FieldInfo) -> Any:
    """A value to show for an option: its first example, else its default."""
    if info.examples:
        return info.examples[0]
    return info.get_default(call_default_factory=True, validated_data={})


def _range(info: FieldInfo) -> str:
    lowest = next((part.ge for part in info.metadata if isinstance(part, annotated_types.Ge)), None)
    highest = next(
        (part.le for part in info.metadata if isinstance(part, annotated_types.Le)), None
    )
    return f" from {lowest} to {highest}" if lowest is not None and highest is not None else ""


def _unwrapped(annotation: Any) -> Any:
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation


def _is_mapping(info: FieldInfo) -> bool:
    return typing.get_origin(info.annotation) is Mapping


def _section_behind(info: FieldInfo) -> type[BaseModel] | None:
    kind = typing.get_args(info.annotation)[1] if _is_mapping(info) else info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
