"""The unit, as systemd's own tools read it."""

from __future__ import annotations

import json
import os
import plistlib
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon.service_manager.launchd import render_plist
from daemon.service_manager.plan import Scope, ServicePlan
from daemon.service_manager.systemd import UNIT, learn_command, quote, render_unit

ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(
    ANALYZE is None, reason="needs systemd-analyze (on Debian: apt-get install systemd)"
)

HIGHEST_EXPOSURE = 3.0


def plan(directory: Path, scope: Scope, *, cuda: bool = False) -> ServicePlan:
    """A service all of whose paths need quoting."""
    program = directory / "100% my own; place" / "inboxd"
    program.parent.mkdir(exist_ok=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    credentials: tuple[tuple[str, Path], ...] = ()
    if scope is Scope.SYSTEM:
        credentials = (("inboxd.private.password", Path("/etc/in boxd/50%.password")),)
    return ServicePlan(
        scope=scope,
        program=program,
        config=Path("/etc/inboxd/my $config 100%.toml"),
        state_dir=Path("/var/lib/inboxd"),
        cache_dir=Path("/var/cache/inboxd"),
        credentials=credentials,
        uses_cuda=cuda,
    )


def analyze(directory: Path, scope: Scope, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze on the unit in a directory; systemd itself need not run."""
    runtime = directory / "runtime"
    runtime.mkdir(exist_ok=True, mode=0o700)
    return subprocess.run(
        [str(ANALYZE), f"--{scope}", *arguments, str(directory / UNIT)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime), "SYSTEMD_LOG_COLOR": "0"},
    )


@needs_systemd
@pytest.mark.parametrize("cuda", [False, True], ids=["cpu", "cuda"])
@pytest.mark.parametrize("scope", Scope)
def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path, scope: Scope, cuda: bool) -> None:
    """Not a word, also with blanks, percent and dollar signs in every path."""
    (tmp_path / UNIT).write_text(render_unit(plan(tmp_path, scope, cuda=cuda)))
    done = analyze(tmp_path, scope, "verify", "--man=no")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_systemd
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("WatchdogSec=", "WatchdogSek="),
        ('inboxd" --config', 'nobody" --config'),
        ("100%%", "100%b"),
    ],
)
def test_systemd_would_find_one(tmp_path: Path, right: str, wrong: str) -> None:
    """A misspelt option, a program that is not there, a percent sign that is not doubled."""
    text = render_unit(plan(tmp_path, Scope.SYSTEM))
    (tmp_path / UNIT).write_text(text.replace(right, wrong, 1))
    done = analyze(tmp_path, Scope.SYSTEM, "verify", "--man=no")
    assert done.stderr != ""


@needs_systemd
@pytest.mark.parametrize("cuda", [False, True], ids=["cpu", "cuda"])
def test_the_systems_service_is_hardly_exposed(tmp_path: Path, cuda: bool) -> None:
    """By systemd's own count, 0 to 10."""
    (tmp_path / UNIT).write_text(render_unit(plan(tmp_path, Scope.SYSTEM, cuda=cuda)))
    done = analyze(tmp_path, Scope.SYSTEM, "security", "--offline=true", "--no-pager")
    exposure = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert exposure is not None, done.stdout + done.stderr
    assert float(exposure[1]) < HIGHEST_EXPOSURE


@needs_systemd
def test_a_users_service_gives_away_what_it_can_without_privileges(tmp_path: Path) -> None:
    """The count takes a user's service for root's, so single points are looked at."""
    (tmp_path / UNIT).write_text(render_unit(plan(tmp_path, Scope.USER)))
    done = analyze(tmp_path, Scope.USER, "security", "--offline=true", "--json=short")
    assert done.stdout, done.stderr
    good = {
        point["json_field"]: point["exposure"] in {None, "0"} for point in json.loads(done.stdout)
    }
    wanted = (
        "NoNewPrivileges", "LockPersonality", "RestrictSUIDSGID", "RestrictRealtime",
        "SystemCallArchitectures", "RestrictNamespaces_user", "SystemCallFilter_privileged",
        "SystemCallFilter_mount", "SystemCallFilter_debug", "RestrictAddressFamilies_NETLINK",
    )  # fmt: skip
    found = {name: value for name, value in good.items() if name.startswith(wanted)}
    assert len(found) >= len(wanted) - 1, sorted(good)
    assert [name for name, value in found.items() if not value] == []


def test_a_users_unit_has_nothing_that_needs_privileges(tmp_path: Path) -> None:
    """On some systems it would not start with them."""
    text = render_unit(plan(tmp_path, Scope.USER))
    for option in ("DynamicUser", "ProtectSystem", "PrivateTmp", "PrivateUsers", "StateDirectory",
                   "CapabilityBoundingSet", "LoadCredential", "network-online"):  # fmt: skip
        assert f"\n{option}" not in text
        assert option not in text


def test_passwords_come_as_credentials(tmp_path: Path) -> None:
    """PID 1 reads the file; the path is no word, so it is not quoted."""
    text = render_unit(plan(tmp_path, Scope.SYSTEM))
    assert "LoadCredential=inboxd.private.password:/etc/in boxd/50%%.password\n" in text


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/usr/bin/inboxd", "/usr/bin/inboxd"),
        ("/my mail/x", '"/my mail/x"'),
        ("50%", '"50%%"'),
        ("$HOME", '"$$HOME"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("it's", '"it\'s"'),
        ("a;", '"a;"'),
        ("", '""'),
    ],
)
def test_words_stand_for_themselves(word: str, written: str) -> None:
    """Whatever systemd would take for something special."""
    assert quote(word) == written


def test_the_first_learning_is_a_command_that_a_shell_takes(tmp_path: Path) -> None:
    """As the service's user, with its password."""
    words = shlex.split(learn_command(plan(tmp_path, Scope.SYSTEM)))
    assert words[:2] == ["sudo", "systemd-run"]
    assert "--property=LoadCredential=inboxd.private.password:/etc/in boxd/50%.password" in words
    assert words[-3:] == ["--config", "/etc/inboxd/my $config 100%.toml", "learn"]


def test_the_property_list_says_the_same_to_launchd(tmp_path: Path) -> None:
    """Read back by plistlib."""
    service = plan(tmp_path, Scope.USER)
    content = plistlib.loads(render_plist(service, tmp_path).encode())
    assert content["ProgramArguments"] == list(service.command)
    assert content["KeepAlive"] == {"SuccessfulExit": False}
    assert content["RunAtLoad"] is True
    assert content["StandardErrorPath"] == str(tmp_path / "Library/Logs/inboxd.log")
