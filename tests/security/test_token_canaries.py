"""No token, client secret or key in any output, log, file or process, also in failures.

The same search as for passwords and mail (`test_canaries.py`), on a Dovecot that takes tokens.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.test_daemon import Daemon
from tests.security.test_canaries import look_at_processes
from tests.support.canaries import Canaries
from tests.support.command import Home
from tests.support.dovecot import Dovecot
from tests.support.identity_provider import IdentityProvider, configure_sign_in, visit

pytestmark = pytest.mark.dovecot

KEY = "Wmlsem9ua2V5LnJvdGthcHBlLmdpbXBlbC4zMjE1Nzc="
CANARIES = Canaries(
    {
        "token": "zaunammer7714schnee",
        "client secret": "kernbeisser.geheim.5512",
        "key": KEY,
    }
)


@dataclass
class Told:
    """Everything that inboxd told."""

    home: Home
    provider: IdentityProvider
    outputs: dict[str, str] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    processes: list[bytes] = field(default_factory=list)

    def run(self, label: str, *arguments: str, **variables: str) -> None:
        """Run a command at debug level."""
        done = self.home.run("--log-level", "debug", *arguments, **variables)
        self.outputs[label] = done.stdout + done.stderr
        self.codes[label] = done.returncode

    def sign_in(self) -> None:
        """As a person does it in the browser."""
        process = self.home.start("--log-level", "debug", "login")
        assert process.stdout is not None
        shown = ""
        for line in process.stdout:
            shown += line
            if found := re.search(r"http://localhost\S+", line):
                visit(found[0])
        self.outputs["login"], self.codes["login"] = shown, process.wait()

    def run_daemon(self) -> None:
        """Until it has signed in, then kill -9 while it runs."""
        process = self.home.start("--log-level", "debug", "run")
        daemon = Daemon(process)
        try:
            daemon.wait_for("sign_in.renewed")
            self.processes += look_at_processes(process.pid)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.outputs["run"] = daemon.log


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The whole story, once: all is well, then all goes wrong."""
    home = Home(tmp_path_factory.mktemp("tokens"))
    with (
        IdentityProvider("alice", client_secret=CANARIES.words["client secret"]) as provider,
        Dovecot(users={"alice": "unused"}, introspection=provider.introspection) as server,
    ):
        provider.prefix = CANARIES.words["token"]
        write_configuration(home, server, provider)
        story = Told(home, provider)
        story.run("nobody has signed in", "check")
        story.sign_in()
        story.run("all is well", "check")
        provider.expire()
        story.run_daemon()
        provider.down = True
        story.run("provider down", "check")
        provider.down = False
        provider.revoke_all()
        story.run("revoked", "check")
        story.run("status", "status")
        story.sign_in()
        (home.root / "key").write_text("no key at all\n")
        story.run("wrong key", "check")
        (home.root / "key").write_text(KEY + "\n")
        (home.root / "secret").write_text("wrong\n")
        provider.expire()
        story.run("wrong client secret", "check")
        yield story


def write_configuration(home: Home, server: Dovecot, provider: IdentityProvider) -> None:
    """Secrets in files of their own."""
    for name, content in (("key", KEY), ("secret", CANARIES.words["client secret"])):
        path = home.root / name
        path.touch(0o600)
        path.write_text(content + "\n")
    files = {"client_secret_file": home.root / "secret", "key_file": home.root / "key"}
    configure_sign_in(home, server.port, provider, **files)


def test_the_story_happened(told: Told) -> None:
    """Otherwise there would be nothing to find."""
    assert told.codes == {
        "nobody has signed in": 5,
        "login": 0,
        "all is well": 0,
        "provider down": 5,
        "revoked": 5,
        "status": 0,
        "wrong key": 3,
        "wrong client secret": 5,
    }
    assert any(CANARIES.words["token"] in token for token in told.provider.introspected)
    assert "sign_in.renewed" in told.outputs["run"]


def test_no_output_and_no_log_line_shows_a_token(told: Told) -> None:
    """At debug level, with four libraries that like to talk."""
    found = {label: CANARIES.found_in(output) for label, output in told.outputs.items()}
    assert {label: words for label, words in found.items() if words} == {}


def test_no_file_of_the_state_directory_holds_a_token_in_clear(told: Told) -> None:
    """Database, logs, locks, and the vault itself, which is encrypted."""
    assert (told.home.state_dir / "sign-in" / "private.tokens").exists()
    assert CANARIES.found_below(told.home.state_dir) == {}


def test_no_process_shows_a_token(told: Told) -> None:
    """Arguments and environment of the daemon and its children."""
    assert len(told.processes) >= 2
    assert b"inboxd" in told.processes[0]
    assert [CANARIES.found_in(each) for each in told.processes] == [set()] * len(told.processes)


def test_files_with_secrets_are_not_copied_anywhere(told: Told) -> None:
    """What holds them outside the state directory is what the user made."""
    files = [path for path in told.home.root.rglob("*") if path.is_file() and os.access(path, 4)]
    holders = {path.name for path in files if CANARIES.found_in(path.read_bytes())}
    assert holders <= {"key", "secret"}
    assert Path(told.home.root / "key").exists()
