"""inboxd service, as a user types it, on a machine where no service manager runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import COMMAND, Home

pytestmark = pytest.mark.skipif(
    Path("/run/systemd/system").is_dir(), reason="systemd runs here and would start it"
)


def test_printing_changes_nothing(home: Home) -> None:
    """What is printed is what would be installed."""
    printed = home.ok("service", "install", "--user", "--print")

    assert f"ExecStart={COMMAND} --config {home.config} run" in printed
    assert not (home.config.parents[1] / "systemd").exists()
    home.ok("service", "install", "--user")
    assert (home.config.parents[1] / "systemd/user/inboxd.service").read_text() == printed


def test_installing_says_what_is_left_to_do(home: Home) -> None:
    """Exit code 0: the file is there, and starts with the next systemd."""
    said = home.ok("service", "install", "--user")

    assert f"Written: {home.config.parents[1] / 'systemd/user/inboxd.service'}" in said
    assert "The service manager does not run here; where it does, run:" in said
    for command in (
        "systemctl --user daemon-reload",
        "systemctl --user enable inboxd.service",
        "systemctl --user restart inboxd.service",
        f"{COMMAND} --config {home.config} learn",
        "journalctl --user --unit inboxd.service --follow",
        "loginctl enable-linger",
    ):
        assert command in said


def test_status_and_uninstall_follow(home: Home) -> None:
    """Installed, then not any more; a second time there is nothing to do."""
    home.ok("service", "install", "--user")
    [state] = home.json("service", "status", "--user")
    assert (state["file_is"], state["outdated"], state["running"]) == ("ours", False, None)
    assert "No service manager runs here" in home.ok("service", "status")

    assert "Removed" in home.ok("service", "uninstall", "--user")
    assert "nothing to do" in home.ok("service", "uninstall", "--user")
    [state] = home.json("service", "status", "--user")
    assert state["file_is"] == "absent"


def test_a_unit_of_somebody_else_ends_with_code_8(home: Home) -> None:
    """And with what to do about it."""
    file = home.config.parents[1] / "systemd/user/inboxd.service"
    file.parent.mkdir(parents=True)
    file.write_text("[Service]\nExecStart=/bin/true\n")
    for command in ("install", "uninstall"):
        done = home.run("service", command, "--user")
        assert done.returncode == 8
        assert "was not written by inboxd" in done.stderr
        assert "→ Look at it" in done.stderr
    assert file.read_text() == "[Service]\nExecStart=/bin/true\n"


def test_a_system_service_that_could_not_run_is_not_written(home: Home) -> None:
    """Every reason with its mend, and exit code 2."""
    done = home.run("service", "install", "--system")

    assert done.returncode == 2
    assert "state.dir" in done.stderr
    assert 'Write dir = "/var/lib/inboxd" into [state].' in done.stderr


def test_the_macs_file_can_be_looked_at_anywhere(home: Home) -> None:
    """But not installed."""
    assert "<key>ProgramArguments</key>" in home.ok(
        "service", "install", "--user", "--print", "--launchd"
    )
    done = home.run("service", "install", "--user", "--launchd")
    assert done.returncode == 2
    assert "--print" in done.stderr
