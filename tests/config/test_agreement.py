"""The settings model, config.example.toml and docs/configuration.md say the same."""

from __future__ import annotations

import re
import tomllib
from datetime import time
from pathlib import Path
from typing import Any

import pytest

from daemon.config.docs import render_tables
from daemon.config.fields import Key, sections_of
from daemon.config.load import load_config
from daemon.config.render import render_config, render_example
from daemon.config.settings import (
    AccountSettings,
    FolderSettings,
    Mode,
    Settings,
    Tls,
)

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLE = (CHECKOUT / "config.example.toml").read_text(encoding="utf-8")
PAGE = (CHECKOUT / "docs" / "configuration.md").read_text(encoding="utf-8")
EVERY_KEY = [key for section in sections_of(Settings) for key in section.keys]


def uncommented(text: str) -> str:
    """The example with every option switched on; explanations have a space after the #."""
    return re.sub(r"^#(\w+ = )", r"\1", text, flags=re.MULTILINE)


def value_at(document: dict[str, Any], key: Key) -> Any:
    """The value of a key in the example, whose account is called private."""
    value: Any = document
    for part in key.path:
        value = value["private" if part == "NAME" else part]
    return value


def test_the_example_is_the_one_that_the_model_gives() -> None:
    """Mend with: python -m daemon.config.docs --write."""
    assert render_example() == EXAMPLE


def test_the_tables_are_those_that_the_model_gives() -> None:
    """Mend with: python -m daemon.config.docs --write."""
    assert render_tables() in PAGE


@pytest.mark.parametrize("key", EVERY_KEY, ids=lambda key: ".".join(key.path))
def test_every_option_is_explained_in_the_model_the_example_and_the_page(key: Key) -> None:
    """Explained means a sentence, directly above it in the example and in its row."""
    description = " ".join((key.info.description or "").split())
    name = key.path[-1]

    assert len(description) > 20
    assert description.endswith(".")
    assert f"| `{name}` |" in PAGE
    assert description in PAGE
    words = " ".join(EXAMPLE.replace("\n# ", " ").split())
    assert re.search(re.escape(description) + rf" #?{name} = ", words)


@pytest.mark.parametrize("key", EVERY_KEY, ids=lambda key: ".".join(key.path))
def test_the_example_shows_the_default_of_every_option(key: Key) -> None:
    """Options without a default worth showing show the example that the model gives."""
    shown = value_at(tomllib.loads(uncommented(EXAMPLE)), key)

    if key.info.examples:
        assert shown == key.info.examples[0]
    elif key.path[-1] == "port":
        assert shown == 993
    elif isinstance(key.info.default, time):
        assert shown == key.info.default.strftime("%H:%M")
    elif isinstance(key.info.default, tuple):
        assert tuple(shown) == key.info.default
    else:
        assert shown == key.info.default


def test_the_example_has_no_option_that_the_model_lacks() -> None:
    """And none twice, or TOML would refuse it."""
    names = re.findall(r"^#?(\w+) = ", EXAMPLE, flags=re.MULTILINE)

    assert sorted(names) == sorted(key.path[-1] for key in EVERY_KEY)


@pytest.mark.parametrize("change", [str, uncommented], ids=["as it is", "uncommented"])
def test_the_example_loads(tmp_path: Path, change: Any) -> None:
    """With its options as comments, and with all of them switched on."""
    path = tmp_path / "config.toml"
    path.write_text(change(EXAMPLE), encoding="utf-8")

    assert load_config(path).settings.accounts["private"].host == "imap.example.org"


def test_only_what_is_required_is_switched_on_in_the_example() -> None:
    """Optional options are comments."""
    assert set(re.findall(r"^(\w+) = ", EXAMPLE, flags=re.MULTILINE)) == {"host", "username"}


def test_the_smallest_file_of_the_page_loads(tmp_path: Path) -> None:
    """What the page calls enough is enough."""
    path = tmp_path / "config.toml"
    path.write_text(PAGE.split("```toml\n")[1].split("```")[0], encoding="utf-8")

    assert load_config(path).settings.accounts["private"].mode is Mode.SUGGEST


def test_a_written_configuration_loads_equal(tmp_path: Path) -> None:
    """`inboxd init` writes what it was told, however odd the folders' names are."""
    accounts = {
        "private": AccountSettings(
            host="imap.example.org",
            username='o"brien\\@example.org',
            password_file=Path("/etc/inboxd/mein passwort"),
            mode=Mode.SORT,
            folders=FolderSettings(
                labels=("Rechnungen/*", 'a"b', "tab\there", "\x7f", "Kündigungen 💌"),
                neutral=("Archive/*",),
                descriptions={'Kunden/"A". [b] 💌': "Wer kündigt,\nschreibt #hierher", "2": "zwei"},
            ),
        ),
        "work-2": AccountSettings(host="127.0.0.1", tls=Tls.NONE, port=10143, username="bob"),
    }
    path = tmp_path / "config.toml"

    path.write_text(render_config(accounts, state_dir=Path("/srv/inboxd state")), encoding="utf-8")
    settings = load_config(path).settings

    assert settings.state.dir == Path("/srv/inboxd state")
    assert dict(settings.accounts) == accounts
