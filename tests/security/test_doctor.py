"""`inboxd doctor` on an account full of words that must not turn up in a bug report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.test_canaries import CANARIES, FOLDER, PASSWORD, WRONG, mail
from tests.support.canaries import Canaries
from tests.support.command import Home
from tests.support.dovecot import Dovecot
from tests.support.mail_user import MailUser
from tests.support.running import free_port
from tests.support.tiny_bert import tiny_bert_directory

pytestmark = pytest.mark.dovecot

LOGIN = "amselnutzer"
HERE = Canaries(
    {
        **CANARIES.words,
        "account": "buchfinkkonto",
        "other account": "rohrsaengerkonto",
        "host": "seidenschwanz.localhost",
        "other login": "kleiberin@wasseramsel.example",
        "directory": "eisvogelverzeichnis",
        "description": "Gebirgsstelzenbriefe",
        "label pattern": "Trauerschnäpper",
    }
)


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    """A folder of canaries and two plain ones."""
    with Dovecot(users={LOGIN: PASSWORD}) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, server: Dovecot) -> Home:
    """Two accounts with canaries in every text; one of them cannot be reached."""
    root = tmp_path / HERE.words["directory"]
    root.mkdir()
    home = Home(root)
    encoder = tiny_bert_directory(root / "encoder")
    home.configure(server.port, LOGIN, PASSWORD)
    wrong = root / "wrong"
    wrong.write_text(WRONG)
    wrong.chmod(0o600)
    text = home.config.read_text(encoding="utf-8")
    text = text.replace("[accounts.private]", f"[accounts.{HERE.words['account']}]")
    text = text.replace("[model]", f'[model]\nencoder = "{encoder}"')
    home.write_config(
        text
        + f"""
[accounts.{HERE.words["account"]}.folders.descriptions]
"{FOLDER}" = "{HERE.words["description"]}"

[accounts.{HERE.words["other account"]}]
host = "{HERE.words["host"]}"
port = {free_port()}
tls = "none"
username = "{HERE.words["other login"]}"
password_file = "{wrong}"

[accounts.{HERE.words["other account"]}.folders]
labels = ["{HERE.words["label pattern"]}/*"]

[model.costs]
"{FOLDER} -> Reisen" = 5
"""
    )
    return home


def test_a_bug_report_holds_nothing_personal(home: Home, server: Dovecot) -> None:
    """Neither as text nor as JSON, after learning, sorting and failing; what helps is there."""
    account = HERE.words["account"]
    user = MailUser(server.host, server.port, LOGIN, PASSWORD)
    for folder in (FOLDER, "Reisen", "Verein"):
        user.create(folder)
        for number in range(8):
            user.append(folder, mail(folder, number))
    user.append("INBOX", mail(FOLDER, 50))
    user.close()
    home.ok("learn", "--account", account)
    home.run("run", "--once")

    text, document = home.ok("doctor"), home.ok("doctor", "--json")
    home.write_config(home.config.read_text(encoding="utf-8").replace("poll_seconds", LOGIN))
    broken = home.ok("doctor")

    assert HERE.found_in(text) == set()
    assert HERE.found_in(document) == set()
    assert HERE.found_in(broken) == set()
    assert "software: Dovecot" in text
    assert "UIDPLUS" in text
    assert "MailboxUnreachable: 1, last " in text
    assert "folders that sort" in text
    good, bad = json.loads(document)["accounts"]
    assert good["model"]["examples"] >= 24
    assert bad["server"] == {"error": "MailboxUnreachable"}
    assert "kind: ConfigError" in broken
    assert "accounts.account 1.(unknown)" in broken
