"""Rules from the configuration to what the doors show of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import NotFound
from daemon.use_cases.application import Application
from daemon.use_cases.check import check
from daemon.use_cases.cycle import run_cycle_once
from daemon.use_cases.dry_run import dry_run
from daemon.use_cases.history import history, why
from daemon.use_cases.learn import learn
from daemon.use_cases.rules import list_rules, rule_warnings, run_rules
from daemon.use_cases.status import status
from tests.support.fake_mailbox import FakeServer
from tests.use_cases.apps import ACCOUNT, closing, filled_server, make_app, topical

RULES: Sequence[Mapping[str, Any]] = (
    {"sender": "buchung@reise.example", "folder": "Reisen"},
    {"domain": "verein.example", "folder": "Rechnungen"},
    {"sender": "*@verein.example", "folder": "Verein"},
    {"subject": "/^nie/", "leave": True},
    {"domain": "strom.example", "folder": "Fort"},
)


@pytest.fixture
def server() -> FakeServer:
    """Three label folders with six mails each."""
    return filled_server(6)


@pytest.fixture
def app(tmp_path: Path, encoder: Path, server: FakeServer) -> Iterator[Application]:
    """It has learned, and has `RULES`."""
    rules = {"rules": RULES}
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: server}, account=rules)) as found:
        learn(found, ACCOUNT)
        yield found


def test_past_mail_shows_what_each_rule_would_catch(app: Application, server: FakeServer) -> None:
    """How many fit, how many are left to it, how many lie there; which never decide, and why."""
    before = server.inventory()
    steps: list[tuple[str, int, int]] = []

    result = run_rules(app, ACCOUNT, progress=lambda *step: steps.append(step))

    first, second, third, fourth, fifth = result.rules
    assert (first.matched, first.decided, first.agree, first.lies_in) == (6, 6, 6, (("Reisen", 6),))
    assert (second.decided, second.agree, second.lies_in) == (6, 0, (("Verein", 6),))
    assert (third.matched, third.decided, third.remark) == (6, 0, "always preceded by rule 2")
    assert (fourth.matched, fourth.remark) == (0, "fits none of these mails")
    assert (fifth.decided, fifth.agree) == (6, 0)
    assert "no folder 'Fort'" in fifth.remark
    assert (result.mails, result.read, result.unmatched) == (18, 18, 0)
    assert steps[0] == ("fetch", 0, 18)
    assert steps[-1] == ("fetch", 18, 18)
    assert server.inventory() == before


def test_only_the_newest_mails_are_tried_where_that_is_asked(app: Application) -> None:
    """Of each folder so many."""
    assert run_rules(app, ACCOUNT, newest_per_folder=2).read == 6


def test_check_and_status_warn_of_a_folder_that_does_not_exist(app: Application) -> None:
    """By number and condition, without the pattern."""
    [checked], [state] = check(app, ACCOUNT), status(app).accounts
    for warnings in (checked.warnings, state.warnings):
        [warning] = [each for each in warnings if each.startswith("Rule")]
        assert warning == (
            "Rule 5 (domain) has no effect: there is no folder 'Fort', so such mail stays in the "
            "inbox."
        )


@pytest.mark.parametrize(
    ("folder", "problem"), [("Trash", "deletes no mail"), ("INBOX", "leave = true")]
)
def test_check_warns_of_a_folder_that_no_rule_may_fill(
    tmp_path: Path, encoder: Path, folder: str, problem: str
) -> None:
    """The trash, and the inbox itself."""
    rules = {"rules": [{"sender": "*", "folder": folder}]}
    servers = {ACCOUNT: FakeServer()}
    with closing(make_app(tmp_path / "state", encoder, servers, account=rules)) as app:
        [checked] = check(app, ACCOUNT)
        assert any(problem in warning for warning in checked.warnings)


def test_why_history_and_the_list_name_the_rule(app: Application, server: FakeServer) -> None:
    """With its pattern, which is taken from the configuration."""
    server.append("INBOX", topical("Reisen", 100))
    server.append("INBOX", topical("Rechnungen", 101))
    run_cycle_once(app, ACCOUNT)
    lost, moved = history(app, ACCOUNT, limit=5)
    assert (moved.action, moved.folder) == ("moved", "Reisen")
    assert moved.rule == 'rule 1: sender "buchung@reise.example"'
    assert (lost.action, lost.folder) == ("left", None)
    entry = why(app, ACCOUNT, str(moved.message)).entry
    assert entry == moved
    assert [rule.decided for rule in list_rules(app, None)] == [1, 0, 0, 0, 1]
    assert [bool(rule.remark) for rule in list_rules(app, None)] == [False] * 4 + [True]


def test_a_dry_run_asks_the_rules_too(app: Application, server: FakeServer) -> None:
    """And moves nothing."""
    server.append("INBOX", topical("Reisen", 100))
    before = server.inventory()
    [entry] = dry_run(app, ACCOUNT).decisions
    assert (entry.action, entry.folder) == ("observed", "Reisen")
    assert entry.rule is not None
    assert server.inventory() == before


def test_without_rules_the_next_step_is_named(
    tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """And before the first look at the account another one."""
    with closing(make_app(tmp_path / "a", encoder, {ACCOUNT: server})) as app:
        with pytest.raises(NotFound) as caught:
            run_rules(app, ACCOUNT)
        assert "[[accounts.private.rules]]" in caught.value.next_step
        assert rule_warnings(app, ACCOUNT, ["INBOX"]) == []
    rules = {"rules": RULES}
    with closing(make_app(tmp_path / "b", encoder, {ACCOUNT: server}, account=rules)) as app:
        with pytest.raises(NotFound) as caught:
            run_rules(app, ACCOUNT)
        assert "inboxd learn" in caught.value.next_step
        assert [rule.remark for rule in list_rules(app, ACCOUNT)] == [""] * 5


def test_mail_from_contacts_stays_where_that_is_wanted(
    tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """Through a whole pass: the sent mail is read, the mail stays, and `why` says so."""
    keep = {"keep_contacts": True}
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: server}, account=keep)) as app:
        learn(app, ACCOUNT)
        server.append("Sent", b"From: max@example.org\r\nTo: buchung@reise.example\r\n\r\nJa\r\n")
        server.append("INBOX", topical("Reisen", 100))
        server.append("INBOX", topical("Verein", 101))
        run_cycle_once(app, ACCOUNT)
        other, kept = history(app, ACCOUNT, limit=5)
        assert (kept.action, kept.rule) == ("left", "keep_contacts: you write to its sender")
        assert (other.action, other.folder) == ("moved", "Verein")
        assert not any("keep_contacts" in text for text in check(app, ACCOUNT)[0].warnings)
        server.remove("Sent")
        assert any("keep_contacts" in text for text in check(app, ACCOUNT)[0].warnings)
