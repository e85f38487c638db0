"""Rules in the configuration: read, written, and refused in plain words."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config.load import load_config
from daemon.config.render import render_config
from daemon.config.settings import AccountSettings, RuleSettings
from tests.config.conftest import Faults

ACCOUNT = """
[accounts.private]
host = "imap.example.org"
username = "alice@example.org"
"""


def test_rules_are_read_in_their_order(tmp_path: Path) -> None:
    """As tables of their own, with every kind of condition."""
    path = tmp_path / "config.toml"
    path.write_text(
        ACCOUNT
        + """
        [[accounts.private.rules]]
        sender = "*@bank.example"
        subject = '/^Kontoauszug \\d+/'
        folder = "Bank"

        [[accounts.private.rules]]
        header = { "X-Spam-Flag" = "YES" }
        leave = true
        """
    )

    first, second = load_config(path).settings.accounts["private"].rules

    assert (first.sender, first.subject, first.folder) == (
        "*@bank.example",
        "/^Kontoauszug \\d+/",
        "Bank",
    )
    assert (dict(second.header), second.leave, second.folder) == (
        {"X-Spam-Flag": "YES"},
        True,
        None,
    )


def test_written_rules_load_equal(tmp_path: Path) -> None:
    """Through the same writer that `inboxd init` uses."""
    rules = (
        RuleSettings(sender='"o\'brien"@example.org', folder='Bank/"A" [b]'),
        RuleSettings(domain="bank.example", header={"X-B": "/\\d/"}, leave=True),
    )
    account = AccountSettings(host="imap.example.org", username="bob", rules=rules)
    path = tmp_path / "config.toml"

    path.write_text(render_config({"private": account}), encoding="utf-8")

    assert load_config(path).settings.accounts["private"].rules == rules


@pytest.mark.parametrize(
    ("rule", "key", "problem"),
    [
        ('folder = "Bank"', "", "no condition"),
        ('sender = "*"', "", "either where the mail goes or that it stays"),
        ('sender = "*"\nfolder = "A"\nleave = true', "", "either where"),
        ('sender = "/(/"\nfolder = "A"', ".sender", "missing )"),
        ('sender = "/(?=a)/"\nfolder = "A"', ".sender", "cannot be used"),
        ('sender = ""\nfolder = "A"', ".sender", "it is empty"),
        ('sender = 3\nfolder = "A"', ".sender", "must be a text"),
        ('header = { "X Y" = "a" }\nfolder = "A"', ".header", "cannot exist"),
        ('header = { "X-Y" = "/[/" }\nfolder = "A"', ".header", "cannot be used"),
        ('header = "X"\nfolder = "A"', ".header", "a table of header fields"),
        ('absender = "*"\nfolder = "A"', ".absender", "not a known setting"),
        ('senders = "*"\nfolder = "A"', ".senders", "not a known setting"),
        ('sender = "*"\nleave = 1', ".leave", "must be true or false"),
        ('sender = "*"\nfolder = ""', ".folder", "empty"),
    ],
)
def test_a_faulty_rule_is_named_by_its_number(
    faults_in: Faults, rule: str, key: str, problem: str
) -> None:
    """The second of two rules is the faulty one, and its key is named."""
    table = "[[accounts.private.rules]]\n"
    good = f'{table}subject = "x"\nfolder = "A"\n'

    faults = faults_in(f"{ACCOUNT}{good}{table}{rule}\n")

    assert problem in faults[f"accounts.private.rules[2]{key}"].problem


def test_a_misspelt_condition_is_reported_with_the_one_that_was_meant(faults_in: Faults) -> None:
    """As everywhere in the configuration."""
    rule = '[[accounts.private.rules]]\nsendr = "*"\nfolder = "A"\n'

    assert faults_in(ACCOUNT + rule)["accounts.private.rules[1].sendr"].mend == (
        "Did you mean sender?"
    )


def test_rules_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As JSON, like all that is no plain text."""
    path = tmp_path / "config.toml"
    path.write_text(ACCOUNT)
    monkeypatch.setenv(
        "INBOXD_ACCOUNTS__PRIVATE__RULES", '[{"list": "*.example.org", "folder": "Listen"}]'
    )

    [rule] = load_config(path).settings.accounts["private"].rules

    assert (rule.list, rule.folder) == ("*.example.org", "Listen")
