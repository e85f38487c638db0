"""Finding a configuration and reading it."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest

from daemon.config.load import load_config
from daemon.config.settings import Device, Mode, Tls
from daemon.errors import ConfigError

MINIMAL = """
[accounts.private]
host = "{host}"
username = "alice@example.org"
"""


def write(path: Path, text: str = MINIMAL, *, host: str = "imap.example.org") -> Path:
    """Write a configuration that differs by its host."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace("{host}", host), encoding="utf-8")
    return path


def test_the_smallest_configuration_gets_the_documented_defaults(
    tmp_path: Path, home: Path
) -> None:
    """Host and user name are all that has to be given."""
    config = load_config(write(tmp_path / "config.toml"))

    settings = config.settings
    account = settings.accounts["private"]
    assert config.path == tmp_path / "config.toml"
    assert settings.state.dir == home / ".local" / "state" / "inboxd"
    assert (settings.model.encoder, settings.model.device) == ("bundled", Device.AUTO)
    assert settings.model.target_precision == 0.97
    assert settings.training.nightly_at == time(3, 30)
    assert (account.tls, account.port, account.mode) == (Tls.IMPLICIT, 993, Mode.SUGGEST)
    assert (account.poll_seconds, account.idle) == (60, True)
    assert account.folders.labels == ("*",)
    assert account.folders.neutral == ()


def test_every_key_of_the_issue_is_understood(tmp_path: Path) -> None:
    """Others write files with these keys, so their names are a promise."""
    path = write(
        tmp_path / "config.toml",
        """
        [state]
        dir = "/var/lib/inboxd"
        [model]
        encoder = "bundled"
        device = "cpu"
        target_precision = 0.9
        [accounts.private]
        host = "imap.example.org"
        port = 143
        tls = "starttls"
        username = "alice@example.org"
        password_file = "/run/secrets/x"
        mode = "sort"
        poll_seconds = 5
        idle = false
        [accounts.private.folders]
        inbox = "INBOX"
        labels = ["*"]
        neutral = ["Archive/*"]
        """,
    )

    settings = load_config(path).settings

    account = settings.accounts["private"]
    assert settings.state.dir == Path("/var/lib/inboxd")
    assert settings.model.target_precision == 0.9
    assert (account.port, account.tls, account.mode) == (143, Tls.STARTTLS, Mode.SORT)
    assert account.password_file == Path("/run/secrets/x")
    assert account.folders.neutral == ("Archive/*",)


@pytest.mark.parametrize("tls", ["starttls", "none"])
def test_the_default_port_follows_the_encryption(tmp_path: Path, tls: str) -> None:
    """Connections that begin in clear text go to port 143."""
    path = write(tmp_path / "config.toml", MINIMAL + f'tls = "{tls}"\n', host="localhost")

    assert load_config(path).settings.accounts["private"].port == 143


@pytest.mark.parametrize("host", ["localhost", "mail.localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_no_encryption_is_fine_on_this_machine(tmp_path: Path, host: str) -> None:
    """Loopback addresses and names never leave the machine."""
    path = write(tmp_path / "config.toml", MINIMAL + 'tls = "none"\n', host=host)

    assert load_config(path).settings.accounts["private"].host == host


def test_relative_paths_count_from_the_file(tmp_path: Path, home: Path) -> None:
    """The working directory of a daemon says nothing."""
    path = write(
        tmp_path / "etc" / "config.toml",
        '[state]\ndir = "../state"\ndatabase_password_file = "db"\n'
        '[notices]\nurl_file = "url"\nca_file = "/etc/ca.pem"\n[model]\nencoder = "./bert"\n'
        + MINIMAL
        + 'password_file = "pw"\nca_file = "~/ca.pem"\n',
    )

    settings = load_config(path).settings

    account = settings.accounts["private"]
    assert settings.state.dir == tmp_path / "etc" / ".." / "state"
    assert settings.state.database_password_file == tmp_path / "etc" / "db"
    assert settings.notices.url_file == tmp_path / "etc" / "url"
    assert settings.notices.ca_file == Path("/etc/ca.pem")
    assert settings.model.encoder == str(tmp_path / "etc" / "bert")
    assert account.password_file == tmp_path / "etc" / "pw"
    assert account.ca_file == home / "ca.pem"


def test_a_hub_id_is_not_taken_for_a_path(tmp_path: Path) -> None:
    """An owner and a name with a slash between them stay as they are."""
    text = '[model]\nencoder = "intfloat/multilingual-e5-small"\n' + MINIMAL

    settings = load_config(write(tmp_path / "config.toml", text)).settings

    assert settings.model.encoder == "intfloat/multilingual-e5-small"


def test_settings_cannot_be_changed_after_loading(tmp_path: Path) -> None:
    """A setting is a value, not a variable."""
    settings = load_config(write(tmp_path / "config.toml")).settings

    with pytest.raises(ValueError, match="frozen"):
        settings.model.max_tokens = 5  # type: ignore[misc]


def test_the_option_wins_over_the_variable_and_the_variable_over_the_usual_places(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The four places are looked at in the documented order."""

    def chosen(named: Path | None = None) -> str:
        return load_config(named).settings.accounts["private"].host

    write(tmp_path / "etc" / "config.toml", host="system")
    assert chosen() == "system"

    write(home / ".config" / "inboxd" / "config.toml", host="home")
    assert chosen() == "home"

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    write(tmp_path / "xdg" / "inboxd" / "config.toml", host="xdg")
    assert chosen() == "xdg"

    monkeypatch.setenv("INBOXD_CONFIG", str(write(tmp_path / "variable.toml", host="variable")))
    assert chosen() == "variable"

    assert chosen(write(tmp_path / "option.toml", host="option")) == "option"


def test_without_any_configuration_the_places_and_init_are_named(
    tmp_path: Path, home: Path
) -> None:
    """Someone who just installed inboxd learns what to do next."""
    with pytest.raises(ConfigError) as caught:
        load_config()

    (fault,) = caught.value.faults
    assert str(home / ".config" / "inboxd" / "config.toml") in fault.problem
    assert str(tmp_path / "etc" / "config.toml") in fault.problem
    assert "inboxd init" in caught.value.next_step


@pytest.mark.parametrize("by_variable", [True, False])
def test_a_named_file_that_is_not_there_is_not_replaced_by_another(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, by_variable: bool
) -> None:
    """A typing error in the name must not silently run another configuration."""
    write(home / ".config" / "inboxd" / "config.toml")
    missing = tmp_path / "missing.toml"
    if by_variable:
        monkeypatch.setenv("INBOXD_CONFIG", str(missing))

    with pytest.raises(ConfigError) as caught:
        load_config(None if by_variable else missing)

    assert str(missing) in caught.value.faults[0].problem
    assert caught.value.faults[0].key == ("INBOXD_CONFIG" if by_variable else "--config")


def test_what_is_not_toml_is_reported_with_its_line(tmp_path: Path) -> None:
    """The third line lacks its quotes."""
    path = write(tmp_path / "config.toml", "[accounts.private]\nport = 993\nhost = imap\n")

    with pytest.raises(ConfigError) as caught:
        load_config(path)

    assert caught.value.faults[0].key.startswith("config.toml, line 3")
    assert "Invalid" not in caught.value.faults[0].problem
    assert "invalid value" in caught.value.faults[0].problem


def test_a_directory_and_a_binary_file_are_faults_too(tmp_path: Path) -> None:
    """Neither ends in a traceback."""
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigError, match="fault") as directory:
        load_config(tmp_path)
    with pytest.raises(ConfigError, match="fault") as text:
        load_config(binary)

    assert "cannot be read" in directory.value.faults[0].problem
    assert "UTF-8" in text.value.faults[0].problem


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    """Some editors put one in front of UTF-8 text."""
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())

    assert "private" in load_config(path).settings.accounts
