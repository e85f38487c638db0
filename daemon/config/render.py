"""Writing a configuration file that explains itself, for `inboxd init` and as the example."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from daemon.config.fields import KeyPath, example_of, item_model
from daemon.config.settings import (
    AccountSettings,
    ClassicHeadSettings,
    DeepTuningSettings,
    LoggingSettings,
    MetricsSettings,
    ModelSettings,
    NoticeSettings,
    Section,
    StateSettings,
    TrainingSettings,
)
from daemon.config.toml import toml_value

_WIDTH = 96

_HEADER = """\
Configuration of inboxd. The command `inboxd check` says whether it is right.

A line such as #key = value shows the default, or an example where there is no default worth
showing: remove the # to change it. Each key can also be set by an environment variable, which
wins over this file: INBOXD_STATE__DIR is the key dir in [state]. Passwords have no place here."""


def render_config(accounts: Mapping[str, AccountSettings], *, state_dir: Path | None = None) -> str:
    """A configuration file with these accounts, every option explained.

    Values that were given when an account was made are written as such, all others stand
    there as comments. Loading the text gives equal settings (as long as paths are absolute).
    """
    state = StateSettings(dir=state_dir) if state_dir is not None else StateSettings()
    lines = [*_comment(_HEADER)]
    lines += _section(("state",), state)
    lines += _section(("model",), ModelSettings())
    lines += _section(("training",), TrainingSettings())
    lines += _section(("classic_head",), ClassicHeadSettings())
    lines += _section(("deep_tuning",), DeepTuningSettings())
    lines += _section(("logging",), LoggingSettings())
    lines += _section(("metrics",), MetricsSettings())
    lines += _section(("notices",), NoticeSettings())
    for position, (name, account) in enumerate(accounts.items()):
        lines += _section(("accounts", name), account, explain=position == 0)
    return "\n".join(lines) + "\n"


def render_example() -> str:
    """The content of `config.example.toml`."""
    account = AccountSettings(host="imap.example.org", username="alice@example.org")
    return render_config({"private": account})


def _section(path: KeyPath, values: Section, *, explain: bool = True) -> Iterator[str]:
    yield ""
    yield ""
    if explain:
        yield from _comment(inspect.getdoc(type(values)) or "")
    yield f"[{'.'.join(path)}]"
    inner: list[tuple[str, Section]] = []
    tables: list[tuple[str, Mapping[str, str], str]] = []
    lists: list[tuple[str, tuple[Section, ...]]] = []
    for name, info in type(values).model_fields.items():
        value = getattr(values, name)
        if isinstance(value, Section):
            inner.append((name, value))
            continue
        given = name in values.model_fields_set and value is not None
        if given and isinstance(value, Mapping):
            tables.append((name, value, info.description or ""))
            continue
        if item_model(info) is not None and value:
            lists.append((name, value))
            continue
        if explain:
            yield ""
            yield from _comment(info.description or "")
        if given:
            yield f"{name} = {toml_value(value)}"
        elif explain:
            shown = example_of(info) if info.examples else value
            yield f"#{name} = {toml_value(shown)}"
    for name, table, meaning in tables:
        yield from _table((*path, name), table, meaning if explain else "")
    yield from (line for name, items in lists for line in _items((*path, name), items))
    for name, section in inner:
        if explain or section.model_fields_set:
            yield from _section((*path, name), section, explain=explain)


def _table(path: KeyPath, table: Mapping[str, str], meaning: str) -> Iterator[str]:
    yield ""
    if meaning:
        yield from _comment(meaning)
    yield f"[{'.'.join(path)}]"
    for name, value in table.items():
        yield f"{toml_value(name)} = {toml_value(value)}"


def _items(path: KeyPath, items: tuple[Section, ...]) -> Iterator[str]:
    for item in items:
        yield ""
        yield f"[[{'.'.join(path)}]]"
        for name in type(item).model_fields:
            value = getattr(item, name)
            if name in item.model_fields_set and value is not None:
                yield f"{name} = {toml_value(value)}"


def _comment(text: str) -> Iterator[str]:
    for position, paragraph in enumerate(text.split("\n\n")):
        if position:
            yield "#"
        yield from textwrap.wrap(
            " ".join(paragraph.split()),
            _WIDTH,
            initial_indent="# ",
            subsequent_indent="# ",
            break_on_hyphens=False,
            break_long_words=False,
        )
