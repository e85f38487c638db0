"""Installing, looking and removing; what belongs to others is never touched."""

from __future__ import annotations

import plistlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.config.load import Config
from daemon.errors import ConfigError, ServiceError
from daemon.service_manager import files
from daemon.service_manager.control import Running
from daemon.service_manager.files import Ownership
from daemon.service_manager.plan import PROGRAM_MB, Scope
from daemon.use_cases.service_unit import (
    Kind,
    Machine,
    install_service,
    plan_service,
    render_service,
    service_state,
    uninstall_service,
)
from tests.service_manager.conftest import FakeManager, config_in, machine_in


def user_file(machine: Machine) -> Path:
    """Where the user's unit belongs."""
    return machine.file(Scope.USER)


def test_a_service_is_written_and_started(
    config: Config, machine: Machine, manager: FakeManager
) -> None:
    """And the person is told how to look at it; a second time is as good as once."""
    for _ in range(2):
        done = install_service(config, Scope.USER, machine)
        assert done.started
        assert done.to_run == ()
        assert done.look == ("manage status",)
    file = user_file(machine)
    assert file.read_text() == render_service(config, Scope.USER, machine)
    assert f"ExecStart={machine.program} --config {config.path} run\n" in file.read_text()
    assert manager.told == [*manager.start_commands(file)] * 2
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_without_a_running_manager_the_person_is_told_what_to_run(
    config: Config, machine: Machine, manager: FakeManager
) -> None:
    """In a container, while an image is built, on another init."""
    manager.here = False
    done = install_service(config, Scope.USER, machine)
    assert not done.started
    assert manager.told == []
    assert done.to_run == (f"manage enable {done.file}", "manage restart inboxd.service")
    assert done.file.exists()


def test_a_file_of_somebody_else_is_left_alone(
    config: Config, machine: Machine, manager: FakeManager, tmp_path: Path
) -> None:
    """Written by hand or by a package; the same for a link, with which units are masked."""
    file = user_file(machine)
    file.parent.mkdir(parents=True)
    file.write_text("[Service]\nExecStart=/bin/true\n")
    for act in (
        lambda: install_service(config, Scope.USER, machine),
        lambda: uninstall_service(Scope.USER, machine),
    ):
        with pytest.raises(ServiceError, match="not written by inboxd"):
            act()
    assert file.read_text() == "[Service]\nExecStart=/bin/true\n"
    file.unlink()
    file.symlink_to("/dev/null")
    with pytest.raises(ServiceError, match="not written by inboxd"):
        install_service(config, Scope.USER, machine)
    assert file.is_symlink()
    assert manager.told == []


def test_what_a_person_changed_in_our_file_is_not_lost(
    config: Config, machine: Machine, manager: FakeManager
) -> None:
    """Neither by a new installation nor by removing; the next step names the drop-in."""
    file = install_service(config, Scope.USER, machine).file
    file.write_text(file.read_text().replace("Nice=10", "Nice=5"))
    manager.told.clear()
    for act in (
        lambda: install_service(config, Scope.USER, machine),
        lambda: uninstall_service(Scope.USER, machine),
    ):
        with pytest.raises(ServiceError, match="was changed") as caught:
            act()
        assert "systemctl edit inboxd" in caught.value.next_step
    assert "Nice=5" in file.read_text()
    assert manager.told == []
    assert service_state(config, Scope.USER, machine).file_is is Ownership.CHANGED


def test_a_failure_half_way_leaves_no_half_file(
    config: Config, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old file is there in full, and nothing lies beside it."""
    file = install_service(config, Scope.USER, machine).file
    before = file.read_text()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("daemon.service_manager.files.os.fsync", full)
    changed = config_in(machine.home, training={"deep": "nightly"})
    with pytest.raises(ServiceError, match="No space left"):
        install_service(changed, Scope.USER, machine)
    assert file.read_text() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_manager_that_refuses_is_quoted(
    config: Config, machine: Machine, manager: FakeManager
) -> None:
    """The file is there; trying again is right."""
    manager.refuses = "restart"
    with pytest.raises(ServiceError, match=r"manage restart inboxd\.service: no"):
        install_service(config, Scope.USER, machine)
    manager.refuses = ""
    assert install_service(config, Scope.USER, machine).started


def test_removing_stops_first_and_takes_only_the_file(
    config: Config, machine: Machine, manager: FakeManager
) -> None:
    """Configuration and passwords stay; a second time there is nothing to do."""
    file = install_service(config, Scope.USER, machine).file
    manager.told.clear()
    manager.state = Running(enabled=True, state="active")
    assert uninstall_service(Scope.USER, machine).removed
    assert manager.told == [("manage", "stop", file.name), ("manage", "reload")]
    assert not file.exists()
    assert config.path is not None
    assert config.path.exists()
    assert not uninstall_service(Scope.USER, machine).removed


def test_a_service_that_cannot_be_stopped_is_not_removed(
    config: Config, machine: Machine, manager: FakeManager
) -> None:
    """Otherwise it would run on without anybody's knowledge."""
    file = install_service(config, Scope.USER, machine).file
    manager.state, manager.refuses = Running(enabled=True, state="active"), "stop"
    with pytest.raises(ServiceError):
        uninstall_service(Scope.USER, machine)
    assert file.exists()


def test_the_state_says_what_an_installation_would_change(
    config: Config, machine: Machine, manager: FakeManager
) -> None:
    """Absent, up to date, outdated, and what the daemon says of itself."""
    assert service_state(config, Scope.USER, machine).file_is is Ownership.ABSENT
    install_service(config, Scope.USER, machine)
    manager.state = Running(True, "active", 4711, "3 accounts, last cycle 12 s ago")
    state = service_state(config, Scope.USER, machine)
    assert (state.file_is, state.outdated, state.running) == (
        Ownership.OURS, False, manager.state,
    )  # fmt: skip
    other = config_in(machine.home, training={"deep": "nightly"})
    assert service_state(other, Scope.USER, machine).outdated
    assert service_state(None, Scope.USER, machine).outdated is None


def test_tuning_at_night_gets_memory_of_its_own(tmp_path: Path, machine: Machine) -> None:
    """It runs in the service's control group."""
    tuned = config_in(tmp_path, training={"deep": "nightly"}, deep_tuning={"memory_mb": 3000})
    assert plan_service(tuned, Scope.USER, machine).memory_mb == PROGRAM_MB + 3000


def test_everything_that_keeps_a_system_service_from_running_is_told_at_once(
    tmp_path: Path, machine: Machine
) -> None:
    """Places that it does not see or may not write, and a password that nobody could hand over."""
    config = config_in(tmp_path, account={"password_file": None}, state={"dir": "/srv/inboxd"})
    hidden = replace(machine, program=Path("/home/alice/.local/bin/inboxd"))
    config.path.chmod(0o600)  # type: ignore[union-attr]
    with pytest.raises(ConfigError) as caught:
        plan_service(config, Scope.SYSTEM, hidden)
    keys = [fault.key for fault in caught.value.faults]
    assert keys == [
        "inboxd",
        str(config.path),
        "state.dir",
        "accounts.private.password_file",
    ]
    assert "pipx" in caught.value.faults[0].mend


def test_an_account_with_oauth_gets_its_key_and_its_client_secret(
    tmp_path: Path, machine: Machine
) -> None:
    """Under the names that the daemon looks for; without a key nobody could keep the tokens."""
    key, secret = tmp_path / "key", tmp_path / "client-secret"
    for file in (key, secret):
        file.write_text("secret")
    oauth = {"client_id": "inboxd", "client_secret_file": secret}
    account = {"sign_in": "google", "password_file": None}
    with pytest.raises(ConfigError) as caught:
        plan_service(
            config_in(tmp_path, account={**account, "oauth": oauth}), Scope.SYSTEM, machine
        )
    assert "accounts.private.oauth.key_file" in [fault.key for fault in caught.value.faults]
    config = config_in(tmp_path, account={**account, "oauth": {**oauth, "key_file": key}})
    assert secrets_faults(config, machine) == []
    assert plan_service(config, Scope.USER, machine).credentials == ()


def secrets_faults(config: Config, machine: Machine) -> list[str]:
    """The faults that concern secrets; the places of a test are hidden from a service anyway."""
    with pytest.raises(ConfigError) as caught:
        plan_service(config, Scope.SYSTEM, machine)
    return [fault.key for fault in caught.value.faults if fault.key.startswith("accounts.")]


@pytest.fixture
def passable() -> Iterator[Path]:
    """A directory through which everybody may pass, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o711)
        yield directory


def test_a_system_service_is_planned_with_every_credential(
    passable: Path, manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine where the test's places are not hidden."""
    monkeypatch.setattr("daemon.service_manager.plan.HIDDEN", (Path("/home"),))
    machine = machine_in(passable, manager)
    key, secret = passable / "key", passable / "client-secret"
    for file in (key, secret):
        file.write_text("secret")
    oauth = {"client_id": "inboxd", "client_secret_file": secret, "key_file": key}
    with_password = plan_service(config_in(passable), Scope.SYSTEM, machine)
    assert with_password.credentials == (("inboxd.private.password", passable / "password"),)
    account = {"sign_in": "google", "password_file": None, "oauth": oauth}
    with_oauth = plan_service(config_in(passable, account=account), Scope.SYSTEM, machine)
    assert with_oauth.credentials == (
        ("inboxd.private.client_secret", secret),
        ("inboxd.token_key", key),
    )
    notices = {"webhook": "ntfy", "url_file": secret}
    with_webhook = plan_service(config_in(passable, notices=notices), Scope.SYSTEM, machine)
    assert ("inboxd.notices_url", secret) in with_webhook.credentials
    state = {
        "dir": "/var/lib/inboxd",
        "database": "postgresql://a@db/b",
        "database_password_file": secret,
    }
    with_database = plan_service(config_in(passable, state=state), Scope.SYSTEM, machine)
    assert ("inboxd.database_password", secret) in with_database.credentials


def test_an_authority_of_the_database_that_the_service_cannot_see_is_told(
    tmp_path: Path, machine: Machine
) -> None:
    """Else it would fail at its first connection."""
    state = {"database": "postgresql://a@db/b?sslrootcert=/home/anna/ca.pem"}
    with pytest.raises(ConfigError) as caught:
        plan_service(config_in(tmp_path, state=state), Scope.SYSTEM, machine)
    assert "state.database" in [fault.key for fault in caught.value.faults]


def test_a_password_file_that_is_missing_is_told_before_systemd_fails(
    tmp_path: Path, machine: Machine
) -> None:
    """systemd would start nothing, and say 243/CREDENTIALS."""
    config = config_in(tmp_path, account={"password_file": tmp_path / "nothing"})
    with pytest.raises(ConfigError) as caught:
        plan_service(config, Scope.SYSTEM, machine)
    assert "accounts.private.password_file" in [fault.key for fault in caught.value.faults]


@pytest.mark.parametrize("name", ['in"boxd', "in'boxd", "in\\boxd", "in$boxd", "in\nboxd"])
def test_a_program_that_systemd_cannot_start_is_refused(
    tmp_path: Path, config: Config, manager: FakeManager, name: str
) -> None:
    """Before anything is written."""
    machine = machine_in(tmp_path, manager, program=name)
    with pytest.raises(ConfigError):
        install_service(config, Scope.USER, machine)
    assert not (tmp_path / "units").exists()


def test_a_configuration_in_the_environment_is_no_configuration_for_a_service(
    config: Config, machine: Machine
) -> None:
    """The service would not see it."""
    with pytest.raises(ConfigError, match="environment"):
        plan_service(replace(config, path=None), Scope.USER, machine)


def test_an_agent_of_launchd_is_stopped_before_it_takes_a_new_file(
    tmp_path: Path, config: Config, manager: FakeManager
) -> None:
    """launchctl bootstrap refuses what it has already; the file is known as ours again."""
    manager.stops_before_start = True
    mac = machine_in(tmp_path, manager, Kind.LAUNCHD)
    file = install_service(config, Scope.USER, mac).file
    assert plistlib.loads(file.read_bytes())["Label"] == "org.inboxd.inboxd"
    assert files.ownership(file) is Ownership.OURS
    manager.state = Running(enabled=True, state="active")
    manager.told.clear()
    install_service(config, Scope.USER, mac)
    assert [command[1] for command in manager.told] == ["stop", "enable", "restart"]
