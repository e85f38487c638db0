"""Settings from environment variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config.environment import variable_of
from daemon.config.load import load_config
from daemon.config.settings import Mode
from daemon.errors import ConfigError, ConfigFault
from tests.config.conftest import Faults

ACCOUNT = """
[accounts.private]
host = "imap.example.org"
username = "alice@example.org"
"""


def write(path: Path, text: str = ACCOUNT) -> Path:
    """Write a configuration."""
    path.write_text(text, encoding="utf-8")
    return path


def test_variables_win_over_the_file_key_by_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys that no variable names keep the file's value."""
    monkeypatch.setenv("INBOXD_STATE__DIR", "/srv/inboxd")
    monkeypatch.setenv("INBOXD_ACCOUNTS__PRIVATE__HOST", "mail.example.org")
    monkeypatch.setenv("INBOXD_ACCOUNTS__PRIVATE__POLL_SECONDS", "5")
    monkeypatch.setenv("INBOXD_ACCOUNTS__PRIVATE__IDLE", "false")
    monkeypatch.setenv("INBOXD_MODEL__TARGET_PRECISION", "0.9")

    settings = load_config(write(tmp_path / "config.toml")).settings

    account = settings.accounts["private"]
    assert settings.state.dir == Path("/srv/inboxd")
    assert settings.model.target_precision == 0.9
    assert (account.host, account.username) == ("mail.example.org", "alice@example.org")
    assert (account.poll_seconds, account.idle) == (5, False)


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("Archive/*", ("Archive/*",)),
        ("Archive/*, Old", ("Archive/*", "Old")),
        ('["a, b", "c"]', ("a, b", "c")),
    ],
)
def test_lists_have_commas_or_are_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, patterns: tuple[str, ...]
) -> None:
    """JSON is for folders with a comma in their name."""
    monkeypatch.setenv("INBOXD_ACCOUNTS__PRIVATE__FOLDERS__NEUTRAL", text)

    settings = load_config(write(tmp_path / "config.toml")).settings

    assert settings.accounts["private"].folders.neutral == patterns


def test_descriptions_are_a_json_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They join those of the file, and win where both describe a folder."""
    monkeypatch.setenv(
        "INBOXD_ACCOUNTS__PRIVATE__FOLDERS__DESCRIPTIONS",
        '{"Kündigungen": "Wer kündigt", "Verein": "Termine"}',
    )
    table = '[accounts.private.folders.descriptions]\n"Verein" = "Alt"\n"Reisen" = "Flüge"\n'

    settings = load_config(write(tmp_path / "config.toml", ACCOUNT + table)).settings

    assert settings.accounts["private"].folders.descriptions == {
        "Kündigungen": "Wer kündigt",
        "Verein": "Termine",
        "Reisen": "Flüge",
    }


def test_descriptions_that_are_no_json_are_a_fault(
    faults_in: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is named, and what to write into it."""
    variable = "INBOXD_ACCOUNTS__PRIVATE__FOLDERS__DESCRIPTIONS"
    monkeypatch.setenv(variable, "Verein: Termine")

    fault = faults_in(ACCOUNT)["accounts.private.folders.descriptions"]

    assert variable in fault.problem
    assert f'{variable}={{"' in fault.mend


@pytest.mark.parametrize("name", ["my-mail", "My_Mail", "my_mail"])
def test_a_variable_finds_the_account_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Variables have capitals and no hyphens; accounts may have both."""
    monkeypatch.setenv("INBOXD_ACCOUNTS__MY_MAIL__MODE", "sort")

    path = write(tmp_path / "config.toml", ACCOUNT.replace("private", name))
    accounts = load_config(path).settings.accounts

    assert list(accounts) == [name]
    assert accounts[name].mode is Mode.SORT


def test_a_container_needs_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables alone make a whole configuration."""
    monkeypatch.setenv("INBOXD_ACCOUNTS__PRIVATE__HOST", "imap.example.org")
    monkeypatch.setenv("INBOXD_ACCOUNTS__PRIVATE__USERNAME", "alice@example.org")

    config = load_config()

    assert config.path is None
    assert config.settings.accounts["private"].username == "alice@example.org"


def test_an_empty_variable_counts_as_not_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Container tools hand on empty values for what is not set."""
    monkeypatch.setenv("INBOXD_ACCOUNTS__PRIVATE__HOST", "")

    settings = load_config(write(tmp_path / "config.toml")).settings

    assert settings.accounts["private"].host == "imap.example.org"


@pytest.mark.parametrize(
    ("variable", "value", "key"),
    [
        ("INBOXD_ACCOUNTS__PRIVATE__PORT", "often", "accounts.private.port"),
        ("INBOXD_ACCOUNTS__PRIVATE__IDLE", "perhaps", "accounts.private.idle"),
        ("INBOXD_ACCOUNTS__PRIVATE__MODE", "sorted", "accounts.private.mode"),
        ("INBOXD_ACCOUNTS__PRIVATE__FOLDERS__LABELS", '["a', "accounts.private.folders.labels"),
        ("INBOXD_ACCOUNTS__PRIVATE__FOLDERS", "a", "accounts.private.folders"),
        ("INBOXD_STATE__DRI", "/x", "state.dri"),
        ("INBOXD_ACCOUNTS__PRIVATE__PASSWORD", "hunter2", "accounts.private.password"),
    ],
)
def test_a_fault_names_the_variable_it_comes_from(
    faults_in: Faults, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, key: str
) -> None:
    """Otherwise one looks for it in the file."""
    monkeypatch.setenv(variable, value)

    fault = faults_in(ACCOUNT)[key]

    assert variable in fault.problem
    assert "hunter2" not in f"{fault}"


@pytest.mark.parametrize(
    ("variable", "mend"),
    [
        ("INBOXD_STATE_DIR", "Rename it to INBOXD_STATE__DIR."),
        ("INBOXD_MODELS__DEVICE", "settings begin with"),
        ("INBOXD_STATE__DIR__X", "Remove"),
    ],
)
def test_a_variable_that_would_have_no_effect_is_a_fault(
    faults_in: Faults, monkeypatch: pytest.MonkeyPatch, variable: str, mend: str
) -> None:
    """A setting that is silently ignored is worse than an error."""
    monkeypatch.setenv("INBOXD_STATE__DIR", "/x")
    monkeypatch.setenv(variable, "x")

    assert mend in faults_in(ACCOUNT)[variable].mend


def test_variables_of_others_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every name that begins like ours is a setting."""
    monkeypatch.setenv("INBOXD_IMAGE_TAG", "1.2")

    assert load_config(write(tmp_path / "config.toml")).settings.accounts


def test_the_variable_of_a_key_is_the_documented_one() -> None:
    """Section and key in capitals with two underscores between them."""
    assert variable_of(("accounts", "my-mail", "port")) == "INBOXD_ACCOUNTS__MY_MAIL__PORT"


def test_two_accounts_that_sound_alike_are_not_guessed_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that could mean either names a third one, which then lacks its host."""
    monkeypatch.setenv("INBOXD_ACCOUNTS__A_B__MODE", "sort")
    path = write(
        tmp_path / "config.toml",
        ACCOUNT.replace("private", "a-b") + ACCOUNT.replace("private", "A_B"),
    )

    with pytest.raises(ConfigError) as caught:
        load_config(path)

    assert all(isinstance(fault, ConfigFault) for fault in caught.value.faults)
    assert caught.value.faults[0].key == "accounts.a_b.host"


@pytest.mark.parametrize(
    ("file", "variable", "value"),
    [
        ("", "INBOXD_ACCOUNTS__PRIVATE__TLS", "none"),
        ('tls = "none"\n', "INBOXD_ACCOUNTS__PRIVATE__HOST", "mail.example.org"),
        ('tls = "none"\n', "INBOXD_ACCOUNTS__PRIVATE__HOST", "::ffff:192.0.2.1"),
        ('tls = "none"\n', "INBOXD_ACCOUNTS__PRIVATE__HOST", "localhost.example.org"),
    ],
)
def test_no_variable_makes_a_plain_connection_to_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, variable: str, value: str
) -> None:
    """File and variables are judged together, whichever of them says host and tls."""
    text = ACCOUNT.replace("imap.example.org", "localhost") if file else ACCOUNT
    monkeypatch.setenv(variable, value)

    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path / "config.toml", text + file))

    assert any("unencrypted" in fault.problem for fault in caught.value.faults)
