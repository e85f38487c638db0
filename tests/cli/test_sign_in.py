"""`inboxd login` and `logout`, run as their users run them, with a mail server that asks the
provider about every token."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.command import Home
from tests.support.dovecot import Dovecot
from tests.support.identity_provider import IdentityProvider, configure_sign_in, sign_in

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

pytestmark = pytest.mark.dovecot


@dataclass
class World:
    """A provider, a mail server that trusts it, and a user with a configuration for both."""

    provider: IdentityProvider
    server: Dovecot
    home: Home

    @property
    def tokens(self) -> Path:
        """Where they are kept."""
        return self.home.state_dir / "sign-in" / "private.tokens"

    def sign_in(self, *arguments: str) -> str:
        """See `identity_provider.sign_in`."""
        return sign_in(self.home, *arguments)

    def exit_code(self, *arguments: str) -> int:
        """How a command ends."""
        return self.home.run(*arguments).returncode


def configured(
    home: Home, server: Dovecot, provider: IdentityProvider, *, key: bool = True
) -> None:
    """A configuration that signs in at the provider; `key` keeps tokens without a keyring."""
    key_file = home.root / "token-key"
    key_file.write_text(KEY + "\n")
    key_file.chmod(0o600)
    configure_sign_in(home, server.port, provider, key_file=key_file if key else None)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Nobody has signed in yet; a used refresh token is accepted until its successor is used."""
    with (
        IdentityProvider("alice", grace=True) as provider,
        Dovecot(users={"alice": "unused"}, introspection=provider.introspection) as server,
    ):
        home = Home(tmp_path)
        configured(home, server, provider)
        yield World(provider, server, home)


def test_from_the_first_sign_in_to_the_last_sign_out(world: World) -> None:
    """check names the command, login does it, check is content, logout ends it."""
    before = world.home.run("check")
    assert before.returncode == 5
    assert "nobody has signed in yet" in before.stderr
    assert "inboxd login private" in before.stderr

    shown = world.sign_in("private")
    assert "BDWP-HQPK" in shown
    assert "the mail server accepts it" in shown
    [account] = world.home.json("check")["accounts"]
    assert account["ok"]
    assert account["sign_in"] == "oidc"
    assert "signs in with oidc" in world.home.ok("check")

    assert "Signed out" in world.home.ok("logout", "private")
    assert not world.tokens.exists()
    assert world.exit_code("check") == 5
    assert world.exit_code("logout", "private") == 5


def test_the_browser_flow_and_json(world: World) -> None:
    """A program is told what to do in a line of JSON, and gets one document at the end."""
    shown = world.sign_in("--flow", "browser", "--no-browser", "--json")
    told, _, document = shown.partition("\n")
    assert json.loads(told)["visit"]["port"] > 0
    done = json.loads(document)
    assert (done["account"], done["provider"], done["renewable"]) == ("private", "oidc", True)
    assert done["place"].startswith(str(world.tokens))
    assert world.exit_code("check") == 0


def test_an_ended_token_is_renewed_and_a_revoked_sign_in_is_reported(world: World) -> None:
    """The server refuses a token that our clock takes for fresh; then the grant itself ends."""
    world.sign_in()
    world.provider.expire()
    assert world.exit_code("check") == 0
    assert len(world.provider.grants("refresh_token")) == 1

    world.provider.revoke_all()
    revoked = world.home.run("check", "--json")
    [account] = json.loads(revoked.stdout)["accounts"]
    assert revoked.returncode == 5
    assert "invalid_grant" in account["error"]
    assert account["next_step"] == "Run: inboxd login private"

    world.sign_in()
    assert world.exit_code("check") == 0


def test_a_provider_that_is_down_asks_for_patience(world: World) -> None:
    """Not for a new sign-in: both when the mail server notices it and when we do."""
    world.sign_in()
    world.provider.down = True
    told = world.home.run("check")
    assert told.returncode == 5
    assert "inboxd login" not in told.stderr
    assert world.exit_code("login") == 5
    assert world.exit_code("logout") == 0, "tokens are forgotten even so"
    assert not world.tokens.exists()


def killed_while_renewing(world: World) -> bytes:
    """kill -9 when the provider has granted new tokens and they have not arrived yet. Returns
    what was kept before."""
    world.sign_in()
    kept = world.tokens.read_bytes()
    world.provider.expire()
    pids: list[int] = []
    world.provider.before_answer = lambda _kind, _form: os.kill(pids[0], signal.SIGKILL)
    # The command takes longer to start than `Popen` to return, so its process id is known.
    process = world.home.start("check")
    pids.append(process.pid)
    process.communicate()
    world.provider.before_answer = lambda _kind, _form: None
    assert process.returncode == -signal.SIGKILL
    return kept


def test_killed_between_the_grant_and_its_arrival_the_sign_in_survives(world: World) -> None:
    """The old refresh token is still kept, and this provider still takes it."""
    kept = killed_while_renewing(world)
    assert world.tokens.read_bytes() == kept
    assert world.exit_code("check") == 0
    assert world.tokens.read_bytes() != kept
    used = [form["refresh_token"] for form in world.provider.grants("refresh_token")]
    assert len(used) == 2
    assert len(set(used)) == 1
    world.provider.expire()
    assert world.exit_code("check") == 0


def test_a_strict_provider_wants_a_new_sign_in_after_that(tmp_path: Path) -> None:
    """It takes the second use for theft: nothing can be done but say so."""
    with (
        IdentityProvider("alice") as provider,
        Dovecot(users={"alice": "unused"}, introspection=provider.introspection) as server,
    ):
        world = World(provider, server, Home(tmp_path))
        configured(world.home, server, provider)
        killed_while_renewing(world)
        told = world.home.run("check")
        assert told.returncode == 5
        assert "inboxd login private" in told.stderr
        world.sign_in()
        assert world.exit_code("check") == 0


def test_without_a_keyring_nobody_is_sent_to_the_browser_in_vain(world: World) -> None:
    """The error names the two ways that work; the provider was not asked for anything."""
    configured(world.home, world.server, world.provider, key=False)
    done = world.home.run("login")
    assert done.returncode == 3
    assert "key_file" in done.stderr
    assert "LoadCredential=inboxd.token_key:" in done.stderr
    assert world.provider.requests == []


def test_an_account_with_a_password_has_nothing_to_sign_in_to(home: Home) -> None:
    """Said with what to do instead."""
    done = home.run("login", "private")
    assert done.returncode == 2
    assert "accounts.private.sign_in" in done.stderr


def test_only_accounts_with_something_to_sign_in_to_are_meant(world: World) -> None:
    """One of two is clear; of two such the name is asked for; an unknown one is told so."""
    other = world.home.config.read_text() + (
        '\n[accounts.other]\nhost = "mail.example.org"\nusername = "a"\n'
    )
    world.home.write_config(other)
    done = world.home.run("logout")
    assert "account private needs a person" in done.stderr
    world.home.write_config(
        other + 'sign_in = "microsoft"\n[accounts.other.oauth]\nclient_id = "x"\n'
    )
    done = world.home.run("logout")
    assert done.returncode == 2
    assert "other, private" in done.stderr
    assert world.exit_code("login", "third") == 7


def test_a_missing_package_is_named_with_its_command(world: World) -> None:
    """As after a plain `pip install inboxd`."""
    script = (
        "import sys\n"
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'authlib' "
        "else find(name, *rest)\n"
        "import daemon.cli.main as command\n"
        "sys.argv = ['inboxd', 'check']\n"
        "command.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=world.home.environment({}),
        check=False,
    )
    assert done.returncode == 2
    assert 'pip install "inboxd[oauth]"' in done.stderr
