"""What is wrong with a configuration, in plain words, all at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import get_origin

import pytest

from daemon.config.fields import Key, plain_type, sections_of
from daemon.config.settings import Settings
from daemon.config.toml import toml_value
from tests.config.conftest import Faults

ACCOUNT = """
[accounts.private]
host = "imap.example.org"
username = "alice@example.org"
"""

EVERY_KEY = [key for section in sections_of(Settings) for key in section.keys]

JARGON = ("input should", "validation", "pydantic", "dict", "instance", "nonetype", "str ", "enum",
          "literal", "extra", "tuple", "parse", "type=")  # fmt: skip


def test_all_faults_come_at_once(faults_in: Faults) -> None:
    """Nobody wants to mend, run, mend, run."""
    faults = faults_in(
        """
        colour = "blue"
        [model]
        device = "cude"
        target_precision = 97
        [accounts.private]
        port = 99999
        tls = "ssl"
        pol_seconds = 3
        [accounts.office]
        host = "mail.example.org"
        username = "bob"
        tls = "none"
        """
    )

    assert set(faults) == {
        "colour",
        "model.device",
        "model.target_precision",
        "accounts.private.host",
        "accounts.private.port",
        "accounts.private.tls",
        "accounts.private.username",
        "accounts.private.pol_seconds",
        "accounts.office.tls",
    }


def test_an_unknown_key_is_reported_with_the_one_that_was_meant(faults_in: Faults) -> None:
    """Both a slip of the fingers and a key in the wrong section."""
    faults = faults_in('[state]\ndri = "/x"\nidle = true\n[modle]\n' + ACCOUNT)

    assert faults["state.dri"].mend == "Did you mean dir?"
    assert faults["state.idle"].mend == "This key belongs into the section [accounts.NAME]."
    assert faults["modle"].mend == "Did you mean model?"


def test_a_misspelt_choice_is_reported_with_the_one_that_was_meant(faults_in: Faults) -> None:
    """All choices are named."""
    fault = faults_in(ACCOUNT + 'mode = "sorted"\n')["accounts.private.mode"]

    assert '"observe", "suggest", "sort"' in fault.problem
    assert "did you mean sort?" in fault.problem


def test_a_configuration_without_accounts_says_how_to_add_one(faults_in: Faults) -> None:
    """An empty file and an empty section of accounts."""
    assert "[accounts.private]" in faults_in("")["accounts"].mend
    assert "inboxd init" in faults_in("[accounts]\n")["accounts"].mend


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('password = "hunter2"\n' + ACCOUNT, "password"),
        ('[state]\npassword = "hunter2"\n' + ACCOUNT, "state.password"),
        ('[accounts]\npassword = "hunter2"\n' + ACCOUNT, "accounts.password"),
        (ACCOUNT + 'password = "hunter2"\n', "accounts.private.password"),
        (ACCOUNT + 'pasword = "hunter2"\n', "accounts.private.pasword"),
        (ACCOUNT + '[accounts.private.folders]\nPassword = "hunter2"\n',
         "accounts.private.folders.Password"),
    ],
)  # fmt: skip
def test_a_password_anywhere_is_refused_and_not_repeated(
    faults_in: Faults, text: str, key: str
) -> None:
    """The mend names the places where passwords belong."""
    fault = faults_in(text)[key]

    assert "not allowed" in fault.problem
    assert "password_file" in fault.mend
    assert "keyring" in fault.mend
    assert "hunter2" not in f"{fault}"


def test_clear_text_over_the_network_is_refused(faults_in: Faults) -> None:
    """Even when another value of the account is wrong too."""
    faults = faults_in(ACCOUNT + 'tls = "none"\nport = "x"\n')

    assert "unencrypted" in faults["accounts.private.tls"].problem
    assert "starttls" in faults["accounts.private.tls"].mend
    assert "accounts.private.port" in faults


@pytest.mark.parametrize(
    "host",
    ["imaps://imap.example.org", "alice:hunter2@imap.example.org", "imap.example.org:993",
     "[::1]", "imap example org", ""],
)  # fmt: skip
def test_a_host_is_a_name_and_nothing_else(faults_in: Faults, host: str) -> None:
    """What people paste there; a password in it is not repeated."""
    fault = faults_in(ACCOUNT.replace("imap.example.org", host, 1))["accounts.private.host"]

    assert "imap.example.org" in fault.mend or "port = 993" in fault.mend
    assert "hunter2" not in f"{fault}"


@pytest.mark.parametrize("name", ["bad name", "a.b", "-x", "ä", ""])
def test_account_names_are_letters_digits_hyphens_and_underscores(
    faults_in: Faults, name: str
) -> None:
    """They become part of file names, variables and credentials."""
    faults = faults_in(ACCOUNT.replace("private", f'"{name}"'))

    assert "letters, digits, - and _" in faults[f"accounts.{name}"].mend


@pytest.mark.parametrize("text", ["24:00", "3.30", "03:60", "", "03:30:10", "night"])
def test_a_time_of_day_has_hours_and_minutes(faults_in: Faults, text: str) -> None:
    """The mend shows one."""
    faults = faults_in(f'[training]\nnightly_at = "{text}"\n' + ACCOUNT)

    assert '"03:30"' in faults["training.nightly_at"].mend


def test_a_list_with_something_else_in_it_is_a_fault(faults_in: Faults) -> None:
    """The item is named, and an empty pattern is one too."""
    folders = '[accounts.private.folders]\nlabels = ["a", 3]\nneutral = [""]\n'

    faults = faults_in(ACCOUNT + folders)

    assert "holds 3" in faults["accounts.private.folders.labels"].problem
    assert "empty pattern" in faults["accounts.private.folders.neutral"].problem


def test_a_value_in_place_of_a_section_is_a_fault(faults_in: Faults) -> None:
    """At each level."""
    faults = faults_in('state = "/x"\naccounts = 3\n')

    assert faults["state"].mend == "Write a line [state] and its keys below it."
    assert faults["accounts"].mend == "Write a line [accounts.NAME] and its keys below it."
    assert "accounts.private.folders" in faults_in(ACCOUNT + "folders = true\n")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('"Verein" = ""', "without a word"),
        ('"Verein" = "12 - 3"', "without a word"),
        ('" " = "Post vom Verein"', "without a name"),
        ('"Verein" = ["Post"]', "must be a table of folders with a sentence each"),
    ],
)
def test_a_description_must_say_something_about_a_folder(
    faults_in: Faults, line: str, problem: str
) -> None:
    """An empty or wordless one would teach nothing, and nobody would notice."""
    faults = faults_in(ACCOUNT + f"[accounts.private.folders.descriptions]\n{line}\n")

    assert problem in faults["accounts.private.folders.descriptions"].problem


def fits(key: Key, value: str) -> bool:
    """Whether the value is one that the key may have."""
    kind = plain_type(key.info)
    if kind is time:
        return value == "07:32:00"
    if kind is bool:
        return value == "true"
    if kind is int:
        return value == "5" and key.path[-1] not in {"max_tokens", "max_examples"}
    if kind is float:
        is_wide = key.path[-1] == "ridge_lambda" or "blocks" in key.path
        return value == "0.5" or (value == "5" and is_wide)
    if kind is str or kind is Path:
        return value == '"text"'
    if get_origin(kind) is Mapping:
        return False
    return not isinstance(kind, type) and value == "[]"


VALUES = ["true", "5", "0.5", '"text"', '""', "[1]", "[]", "{a = 1}", "1979-05-27", "07:32:00",
          "nan", "-1"]  # fmt: skip
WRONG_VALUES = [
    pytest.param(key, value, id=f"{'.'.join(key.path)} = {value}")
    for key in EVERY_KEY
    for value in VALUES
    if not fits(key, value)
]


@pytest.mark.parametrize(("key", "value"), WRONG_VALUES)
def test_any_wrong_value_gives_a_fault_in_plain_words(
    faults_in: Faults, key: Key, value: str
) -> None:
    """Every wrong kind of value in every key gives a fault at that key."""
    table, name = ".".join(key.path[:-1]).replace("NAME", "private"), key.path[-1]

    faults = faults_in(f"[{table}]\n{name} = {value}\n")

    fault = faults[f"{table}.{name}"]
    assert not [word for word in JARGON if word in f"{fault.problem} {fault.mend}".lower()]
    assert fault.mend.startswith(("Write", "Leave out", "Remove"))


def test_blocks_that_leave_nothing_to_compare_by_are_a_fault(faults_in: Faults) -> None:
    """With all weights 0 every mail is like every other."""
    names = ("words", "characters", "sender", "recipients", "list", "meta", "deep")
    zeros = "".join(f"{name} = 0\n" for name in names)

    fault = faults_in(f"[model.blocks]\n{zeros}" + ACCOUNT)["model.blocks"]

    assert "nothing to compare" in fault.problem
    assert "above 0" in fault.mend


def test_long_values_are_cut(faults_in: Faults) -> None:
    """A fault stays one line."""
    text = toml_value("x" * 500)

    fault = faults_in(ACCOUNT + f"mode = {text}\n")["accounts.private.mode"]

    assert len(fault.problem) < 200


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('"Kündigungen" = 5', "two folders with an arrow"),
        ('"* -> *" = 5', "target_precision"),
        ('"A -> B" = 0.5', "a cost from 1 to 1000"),
        ('"A -> B" = "dear"', "a cost from 1 to 1000"),
    ],
)
def test_a_cost_that_makes_no_sense_is_a_fault(faults_in: Faults, line: str, problem: str) -> None:
    """In words that say how to write it."""
    fault = faults_in(f"[model.costs]\n{line}\n{ACCOUNT}")["model.costs"]

    assert problem in fault.problem
    assert "Schadensmeldungen -> Kündigungen" in fault.mend


def test_a_shared_model_needs_a_name_that_a_file_can_have(faults_in: Faults) -> None:
    """The mend shows one."""
    fault = faults_in(ACCOUNT + 'shared_model = "our team"\n')["accounts.private.shared_model"]

    assert fault.problem == "is not a name for a shared model"
    assert 'shared_model = "team"' in fault.mend
