"""The report for strangers: it tells enough to mend something, and nothing of anybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config.settings import AccountSettings, Settings
from daemon.errors import ConfigError, ConfigFault, DatabaseBroken, LoginRefused
from daemon.mailbox.port import Mailbox
from daemon.use_cases.application import Application
from daemon.use_cases.cycle import record_failure, run_cycle_once
from daemon.use_cases.doctor import _software, examine, examine_without_application
from daemon.use_cases.learn import learn
from daemon.use_cases.notice_sending import send_by_webhook
from daemon.use_cases.notices import look
from daemon.use_cases.redacted import Names, key_alone, what_is_set
from tests.support.webhook_receiver import Receiver
from tests.use_cases.apps import ACCOUNT, closing, filled_server, make_app


@pytest.fixture
def app(tmp_path: Path, encoder: Path) -> Iterator[Application]:
    """Two accounts; one has learned, the other is refused."""
    good = filled_server()

    def connect(name: str, _account: AccountSettings) -> Mailbox:
        if name == "secret-name":
            raise LoginRefused("secret words")
        return good.connect()

    with closing(
        make_app(
            tmp_path / "state",
            encoder,
            {ACCOUNT: good, "secret-name": filled_server()},
            connect=connect,
        )
    ) as found:
        learn(found, ACCOUNT)
        run_cycle_once(found, ACCOUNT)
        record_failure(found, "secret-name", LoginRefused("secret words"))
        yield found


def test_a_failing_account_is_part_of_the_report(app: Application) -> None:
    """The other one is described as well, with its model's figures and without its folders."""
    found = examine(app)
    good, bad = found.accounts

    assert (good.name, bad.name) == ("account 1", "account 2")
    assert good.server["software"] == "FakeServer"
    assert "UIDPLUS" in str(good.server["capabilities"])
    assert good.server["folders, label"] == 3
    assert good.server["mails in the largest folder"] == 12
    assert good.model["examples"] == 36
    assert good.model["folders"] == good.model["folders that sort"] == 3
    assert isinstance(good.model["coverage"], float)
    assert bad.server == {"error": "LoginRefused"}
    assert bad.failures["LoginRefused"].startswith("1, last 2026-03-01")
    assert bad.model["state"] == "none"
    assert found.state["rows of examples"] == 36
    text = str(found)
    assert not [word for word in ("secret", "Reisen", "Verein", "max@", "/tmp") if word in text]


def test_notices_that_do_not_arrive_are_part_of_the_report(tmp_path: Path, encoder: Path) -> None:
    """How many, since when and why; neither the address nor what the notices say."""
    with (
        Receiver() as receiver,
        closing(
            make_app(
                tmp_path / "state",
                encoder,
                {"secret-name": filled_server()},
                notices={"webhook": "json", "url_file": receiver.url_file(tmp_path)},
            )
        ) as app,
    ):
        record_failure(app, "secret-name", LoginRefused("secret words"))
        look(app, "secret-name")
        receiver.answer(503)
        send_by_webhook(app)
        [account] = examine(app, offline=True).accounts

    assert account.notices == {
        "by webhook, http 503": "1 tried again, 0 given up, since 2026-03-01 12:00 UTC"
    }
    assert "secret" not in str(account)


def test_offline_asks_no_server(app: Application) -> None:
    """For machines whose server is the problem."""
    assert [account.server for account in examine(app, offline=True).accounts] == [{}, {}]


def test_a_broken_database_is_told_of(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not need it is told all the same."""

    def broken(_app: Application) -> None:
        raise DatabaseBroken("secret")

    monkeypatch.setattr("daemon.use_cases.doctor.health", broken)
    found = examine(app)

    assert found.trouble == {"kind": "DatabaseBroken"}
    assert found.configuration["accounts.account 1.mode"] == "sort"
    assert found.accounts == ()


def test_a_faulty_configuration_is_told_by_its_keys() -> None:
    """Neither by the values nor by names that the user chose."""
    error = ConfigError(
        "secret",
        (
            ConfigFault("accounts.amsel.port", "is 'secret'", ""),
            ConfigFault("accounts.amsel.zeisig", "secret", ""),
            ConfigFault("model.costs.account of Zeisig -> Amsel", "secret", ""),
            ConfigFault("metrics.listen", "secret", ""),
        ),
    )
    found = examine_without_application(error)

    assert found.trouble == {
        "kind": "ConfigError",
        "fault 1": "accounts.account 1.port",
        "fault 2": "accounts.account 1.(unknown)",
        "fault 3": "model.costs.(unknown)",
        "fault 4": "metrics.listen",
    }
    assert found.versions["python"]


def test_settings_are_shown_only_when_they_tell_of_nobody() -> None:
    """Numbers, switches and words of ours; of all else that it is set. The same name has the same
    placeholder everywhere."""
    account = {"username": "amsel", "tls": "none", "poll_seconds": 7, "idle": False}
    settings = Settings.model_validate(
        {
            "state": {"dir": "/home/amsel/state"},
            "model": {"encoder": "/home/amsel/bert", "costs": {"Amsel -> Zeisig": 5}},
            "training": {"nightly_at": "04:00"},
            "metrics": {"listen": "127.0.0.1:9464"},
            "accounts": {
                "drossel": {**account, "host": "localhost"},
                "fink": {**account, "host": "LOCALHOST", "folders": {"labels": ["Amsel/*"]}},
                "star": {"host": "imap.amsel.example", "username": "star"},
            },
        }
    )

    found = what_is_set(settings, Names())

    assert found == {
        "state.dir": "path 1",
        "model.encoder": "set",
        "model.costs": "1 entries",
        "training.nightly_at": "04:00",
        "metrics.listen": "loopback, port 9464",
        "accounts.account 1.host": "host 1, this machine",
        "accounts.account 1.tls": "none",
        "accounts.account 1.username": "user 1",
        "accounts.account 1.poll_seconds": 7,
        "accounts.account 1.idle": False,
        "accounts.account 2.host": "host 1, this machine",
        "accounts.account 2.tls": "none",
        "accounts.account 2.username": "user 1",
        "accounts.account 2.poll_seconds": 7,
        "accounts.account 2.idle": False,
        "accounts.account 2.folders.labels": "1 entries",
        "accounts.account 3.host": "host 2, elsewhere",
        "accounts.account 3.username": "user 2",
    }
    assert json.dumps(found)


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("Dovecot", "Dovecot"),
        ("Cyrus IMAP 3.8.1-Debian", "Cyrus IMAP 3.8.1-Debian"),
        ("Dovecot at mail.amsel.example", "Dovecot at"),
        ("GImap for amsel", "GImap for"),
        ("x@y <script>", "x y script"),
        ("", ""),
    ],
)
def test_a_server_name_is_cut_where_it_could_be_private(told: str, shown: str) -> None:
    """A word that shares a part with host, user, folder or account is left out."""
    assert _software(told, ("konto", "mail.amsel.example", "amsel", "Zeisig")) == shown


def test_a_key_that_is_none_of_ours_is_not_repeated() -> None:
    """It may be a password that was written into the wrong place."""
    assert key_alone("s3cret", Names()) == "(unknown)"
