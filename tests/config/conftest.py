"""An environment without any inboxd of the person who runs the tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.config.load import load_config
from daemon.errors import ConfigError, ConfigFault

Faults = Callable[[str], dict[str, ConfigFault]]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory, and no variable that inboxd looks at."""
    for name in list(os.environ):
        if name.startswith("INBOXD_") or name in {"XDG_CONFIG_HOME", "XDG_STATE_HOME"}:
            monkeypatch.delenv(name)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setattr("daemon.config.load.SYSTEM_CONFIG", tmp_path / "etc" / "config.toml")
    directory = tmp_path / "home"
    directory.mkdir()
    monkeypatch.setenv("HOME", str(directory))
    return directory


@pytest.fixture
def faults_in(tmp_path: Path) -> Faults:
    """Loads a text as configuration and returns its faults by key."""

    def load(text: str) -> dict[str, ConfigFault]:
        path = tmp_path / "faulty.toml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            load_config(path)
        return {fault.key: fault for fault in caught.value.faults}

    return load
