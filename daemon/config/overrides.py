"""Files that change a few settings for a comparison: `inboxd train --compare A.toml B.toml`.

They hold what a configuration holds, but only the sections that decide what a model learns, and
only keys that can make a difference for mail that has been read already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from daemon.config.faults import faults_of, unknown_key
from daemon.config.fields import KeyPath
from daemon.config.load import config_error, read_document
from daemon.config.settings import ModelSettings, Section, Settings, TrainingSettings
from daemon.errors import ConfigFault

_NEEDS_READING = (
    "cannot be compared: all mail would have to be read again",
    "Compare encoders with inboxd replay DIRECTORY and one configuration for each.",
)
_NO_DIFFERENCE = (
    "makes no difference to what is learned from the mail that was read",
    "Remove it.",
)
_NOT_COMPARED = {
    ("model", "encoder"): _NEEDS_READING,
    ("model", "max_tokens"): _NEEDS_READING,
    ("model", "cache_dir"): _NO_DIFFERENCE,
    ("model", "device"): _NO_DIFFERENCE,
    ("model", "threads"): _NO_DIFFERENCE,
    ("model", "keep_models"): _NO_DIFFERENCE,
    ("training", "debounce_seconds"): _NO_DIFFERENCE,
    ("training", "nightly_at"): _NO_DIFFERENCE,
    ("training", "newest_per_folder"): _NO_DIFFERENCE,
}


class _Overridable(Section):
    """The sections that such a file may hold; the same models as in `Settings`."""

    model: ModelSettings = Field(default_factory=ModelSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)


def read_overrides(path: Path, settings: Settings) -> Settings:
    """`settings` with what the file at `path` changes.

    Raises `ConfigError` with every fault of the file, each with its mend.
    """
    document = read_document(path)
    faults = [*_foreign(document), *_without_effect(document)]
    changed = None
    try:
        changed = _Overridable.model_validate(
            {
                name: _merged(getattr(settings, name), document.get(name, {}))
                for name in _Overridable.model_fields
            }
        )
    except ValidationError as error:
        faults += faults_of(_Overridable, error, {})
    if changed is None or faults:
        raise config_error(path, faults)
    return settings.model_copy(update={"model": changed.model, "training": changed.training})


def changes(base: BaseModel, other: BaseModel, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """The keys below two sections of the same kind that differ, with the value in `other`."""
    for name in type(base).model_fields:
        before, after = getattr(base, name), getattr(other, name)
        if isinstance(before, BaseModel) and isinstance(after, BaseModel):
            yield from changes(before, after, (*path, name))
        elif before != after:
            yield (*path, name), after


def _foreign(document: Mapping[str, Any]) -> Iterator[ConfigFault]:
    known = ", ".join(f"[{name}]" for name in _Overridable.model_fields)
    for name in document:
        if name in _Overridable.model_fields:
            continue
        if name in Settings.model_fields:
            problem = "has no place in a file for comparing"
            yield ConfigFault(name, problem, f"Remove it. Known here: {known}.")
        else:
            yield unknown_key(_Overridable, (name,))


def _without_effect(document: Mapping[str, Any]) -> Iterator[ConfigFault]:
    for (section, key), (problem, mend) in _NOT_COMPARED.items():
        table = document.get(section)
        if isinstance(table, Mapping) and key in table:
            yield ConfigFault(f"{section}.{key}", problem, mend)


def _merged(base: BaseModel, given: Any) -> Any:
    """The values of `base` with those of a TOML table over them; no table stays what it is, and
    validation says so."""
    if not isinstance(given, Mapping):
        return given
    values = {name: getattr(base, name) for name in base.model_fields_set}
    for name, value in given.items():
        before = getattr(base, name, None)
        values[name] = _merged(before, value) if isinstance(before, BaseModel) else value
    return {
        name: value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value
        for name, value in values.items()
    }
