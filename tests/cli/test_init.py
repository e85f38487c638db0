"""Setting up an account: a configuration that check accepts, a password that nobody sees."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.support.command import COMMAND, TIMEOUT_SECONDS, Home
from tests.support.dovecot import Dovecot
from tests.support.running import free_port

pytestmark = pytest.mark.dovecot

KEYRING = """
import json, pathlib
from keyring.backend import KeyringBackend

class FileKeyring(KeyringBackend):
    priority = 1
    path = pathlib.Path(__file__).with_name("keyring.json")

    def get_password(self, service, username):
        entries = json.loads(self.path.read_text()) if self.path.exists() else {}
        return entries.get(f"{service}/{username}")

    def set_password(self, service, username, password):
        self.path.write_text(json.dumps({f"{service}/{username}": password}))
"""


def init(
    home: Home, server: Dovecot, *more: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Set up the account "private", the password typed in."""
    return home.run(
        *("init", "--host", "127.0.0.1", "--port", str(server.port), "--tls", "none"),
        *("--username", server.user, "--state-dir", str(home.state_dir), *more),
        typed=f"{server.password}\n",
        **variables,
    )


def all_text_below(root: Path, *, but: Path) -> str:
    """The content of every file, to look for what must not be there."""
    files = [path for path in root.rglob("*") if path.is_file() and path != but]
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in files)


def test_init_can_answer_in_json(bare_home: Home, server: Dovecot) -> None:
    """One document on standard output; the question for the password stands elsewhere."""
    done = init(bare_home, server, "--json")

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["config"], found["account"]) == (str(bare_home.config), "private")
    folders = {folder["name"]: folder["role"] for folder in found["probe"]["folders"]}
    assert folders["Rechnungen"] == "label"
    assert "Password" in done.stderr
    assert server.password not in done.stdout + done.stderr


def test_init_writes_a_configuration_that_check_accepts(bare_home: Home, server: Dovecot) -> None:
    """Commented, in its place, careful: the mode is suggest."""
    done = init(bare_home, server)

    assert done.returncode == 0, done.stderr
    assert bare_home.config.is_file()
    assert "# " in bare_home.config.read_text(encoding="utf-8")
    [account] = bare_home.json("check")["accounts"]
    assert (account["ok"], account["mode"]) == (True, "suggest")


def test_init_shows_the_folders_with_their_suggested_roles(
    bare_home: Home, server: Dovecot
) -> None:
    """And what to do next."""
    shown = init(bare_home, server).stdout

    for word in ("Rechnungen", "label", "Trash", "neutral", "inboxd check", "inboxd learn"):
        assert word in shown


def test_without_a_keyring_the_password_goes_into_a_file_of_its_own(
    bare_home: Home, server: Dovecot
) -> None:
    """Mode 0600, and nowhere else: not the configuration, not the state, not the screen."""
    done = init(bare_home, server)
    kept = bare_home.config.parent / "private.password"

    assert kept.read_text(encoding="utf-8") == f"{server.password}\n"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert server.password not in all_text_below(bare_home.root, but=kept)
    assert server.password not in done.stdout + done.stderr


def test_with_a_keyring_no_file_is_written(bare_home: Home, server: Dovecot) -> None:
    """And the next command finds the password there."""
    backends = bare_home.root / "backends"
    backends.mkdir()
    (backends / "file_keyring.py").write_text(KEYRING)
    keyring = {
        "PYTHONPATH": str(backends),
        "PYTHON_KEYRING_BACKEND": "file_keyring.FileKeyring",
    }

    done = init(bare_home, server, **keyring)

    assert done.returncode == 0, done.stderr
    assert "in the keyring" in done.stdout
    assert "\npassword_file" not in bare_home.config.read_text(encoding="utf-8")
    assert server.password not in all_text_below(bare_home.root, but=backends / "keyring.json")
    assert bare_home.run("check", **keyring).returncode == 0


def test_a_password_file_of_the_users_own_is_used_and_left_where_it_is(
    bare_home: Home, server: Dovecot
) -> None:
    """Nothing is asked, nothing copied."""
    bare_home.password_file.write_text(server.password)
    bare_home.password_file.chmod(0o600)

    done = init(bare_home, server, "--password-file", str(bare_home.password_file))

    assert done.returncode == 0, done.stderr
    assert "Password" not in done.stdout
    assert not list(bare_home.config.parent.glob("*.password"))
    assert str(bare_home.password_file) in bare_home.config.read_text(encoding="utf-8")
    assert bare_home.run("check").returncode == 0


def test_missing_answers_are_asked_for(bare_home: Home, server: Dovecot) -> None:
    """Host, user and password, in this order."""
    done = bare_home.run(
        *("init", "--port", str(server.port), "--tls", "none"),
        typed=f"127.0.0.1\n{server.user}\n{server.password}\n",
    )

    assert done.returncode == 0, done.stderr
    assert bare_home.json("check")["accounts"][0]["ok"] is True


def test_folders_are_made_and_described(bare_home: Home, server: Dovecot) -> None:
    """On the server, and in the configuration, where each has its sentence."""
    done = init(
        bare_home,
        server,
        *("--create-folder", "Kündigungen=Wer kündigt, schreibt: a = b"),
        *("--create-folder", "Rechnungen = Lieferanten wollen Geld"),
    )
    written = tomllib.loads(bare_home.config.read_text(encoding="utf-8"))
    [account] = bare_home.json("check")["accounts"]

    assert done.returncode == 0, done.stderr
    assert written["accounts"]["private"]["folders"]["descriptions"] == {
        "Kündigungen": "Wer kündigt, schreibt: a = b",
        "Rechnungen": "Lieferanten wollen Geld",
    }
    roles = {folder["name"]: folder["role"] for folder in account["folders"]}
    assert (roles["Kündigungen"], roles["Rechnungen"]) == ("label", "label")
    assert not [warning for warning in account["warnings"] if "description" in warning]


@pytest.mark.parametrize("folder", ["Rechnungen", "Rechnungen=", "=Lieferanten"])
def test_a_folder_to_make_needs_a_name_and_a_sentence(bare_home: Home, folder: str) -> None:
    """Said before anything is asked."""
    done = bare_home.run(
        *("init", "--host", "127.0.0.1", "--username", "alice", "--create-folder", folder),
        typed="secret\n",
    )

    assert done.returncode == 2
    assert "Password" not in done.stdout


def test_a_person_without_folders_is_asked_for_some(bare_home: Home) -> None:
    """At a terminal, a name and a sentence at a time, until an empty name."""
    with Dovecot(users={"bob": "s3cret"}) as empty:
        controller, terminal = pty.openpty()
        # What is typed ahead waits in the terminal; only a prompt for a password discards it.
        os.write(controller, b"Verein\nTraining und Spiele\n\n")
        bare_home.password_file.write_text("s3cret")
        bare_home.password_file.chmod(0o600)
        command = [str(COMMAND), "init", "--host", "127.0.0.1", "--port", str(empty.port)]
        command += ["--password-file", str(bare_home.password_file)]
        done = subprocess.run(
            [*command, "--tls", "none", "--username", "bob"],
            stdin=terminal,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=bare_home.environment({}),
            timeout=TIMEOUT_SECONDS,
            check=False,
            start_new_session=True,
        )
        os.close(controller)
        os.close(terminal)
        written = tomllib.loads(bare_home.config.read_text(encoding="utf-8"))
        listed = empty.doveadm("mailbox", "list", "-u", "bob")

    assert done.returncode == 0, done.stderr
    folders = written["accounts"]["private"]["folders"]
    assert folders["descriptions"] == {"Verein": "Training und Spiele"}
    assert "Verein" in listed


def test_an_existing_configuration_is_not_replaced(bare_home: Home, server: Dovecot) -> None:
    """Unless told to."""
    bare_home.write_config("# mine\n")

    refused = init(bare_home, server)
    kept = bare_home.config.read_text(encoding="utf-8")
    forced = init(bare_home, server, "--force")

    assert (refused.returncode, kept) == (2, "# mine\n")
    assert forced.returncode == 0
    assert bare_home.run("check").returncode == 0


def test_nothing_is_written_when_the_login_fails(bare_home: Home, server: Dovecot) -> None:
    """Neither a configuration nor the wrong password."""
    done = bare_home.run(
        *("init", "--host", "127.0.0.1", "--port", str(server.port), "--tls", "none"),
        *("--username", server.user),
        typed="wr0ng\n",
    )

    assert done.returncode == 5
    assert "Traceback" not in done.stderr
    assert not bare_home.config.parent.exists()


def test_unencrypted_connections_beyond_this_machine_are_refused(bare_home: Home) -> None:
    """With the mend, and before a password is asked for."""
    done = bare_home.run(
        "init", "--host", "imap.example.org", "--username", "a", "--tls", "none", typed="secret\n"
    )

    assert done.returncode == 2
    assert "starttls" in done.stderr
    assert "Password" not in done.stdout


def test_a_server_that_is_down_is_reported(bare_home: Home) -> None:
    """And nothing is written."""
    done = bare_home.run(
        *("init", "--host", "127.0.0.1", "--port", str(free_port()), "--tls", "none"),
        *("--username", "alice"),
        typed="secret\n",
    )

    assert done.returncode == 5
    assert not bare_home.config.parent.exists()
