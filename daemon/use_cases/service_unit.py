"""inboxd as a service: write its file, have it started, look at it, take it away again.

These take a `Config` and not an `Application`: an administrator who installs a service for
another user must not open, and thereby make, that user's database.
"""

from __future__ import annotations

import enum
import os
import shlex
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from daemon.config.load import Config, user_config_path
from daemon.config.secrets import (
    DATABASE_PASSWORD,
    TOKEN_KEY,
    WEBHOOK_URL,
    client_secret_credential,
    password_credential,
)
from daemon.config.settings import Deep, Device, SignIn, Webhook
from daemon.database_address import read_address
from daemon.errors import ConfigError, ConfigFault, ServiceError
from daemon.service_manager import files, launchd, systemd
from daemon.service_manager.control import Launchd, Manager, Running, Systemd
from daemon.service_manager.files import Ownership
from daemon.service_manager.plan import (
    CACHE_ROOT,
    PROGRAM_MB,
    STATE_ROOT,
    Scope,
    ServicePlan,
    is_hidden,
)


class Kind(enum.StrEnum):
    """Whose format the file has."""

    SYSTEMD = "systemd"
    LAUNCHD = "launchd"


@dataclass(frozen=True, slots=True)
class Machine:
    """What a service depends on outside the configuration. `prefixes` are the directories of the
    Python that runs inboxd: its environment and what that was made from."""

    kind: Kind
    program: Path
    prefixes: tuple[Path, ...]
    home: Path
    directories: Mapping[Scope, Path]
    manager: Callable[[Scope], Manager]

    def file(self, scope: Scope) -> Path:
        """Where the service's file belongs. Raises `ServiceError`."""
        if scope not in self.directories:
            raise ServiceError(
                "On macOS inboxd is installed for a user.", next_step="Leave out --system."
            )
        name = systemd.UNIT if self.kind is Kind.SYSTEMD else launchd.FILE
        return self.directories[scope] / name


def this_machine(kind: Kind | None = None) -> Machine:
    """The machine that runs this. Raises `ServiceError` when the `inboxd` command is missing."""
    chosen = kind or (Kind.LAUNCHD if sys.platform == "darwin" else Kind.SYSTEMD)
    home = Path(os.environ.get("HOME") or "/")
    if chosen is Kind.LAUNCHD:
        directories = {Scope.USER: launchd.agent_directory(home)}
    else:
        config_home = user_config_path().parents[1]
        directories = {scope: systemd.unit_directory(scope, config_home) for scope in Scope}
    return Machine(
        kind=chosen,
        program=_program(),
        prefixes=(Path(sys.prefix), Path(sys.base_prefix)),
        home=home,
        directories=directories,
        manager=lambda scope: Launchd(home) if chosen is Kind.LAUNCHD else Systemd(scope),
    )


def _program() -> Path:
    """The command of the environment that runs this, wherever the shell would look."""
    program = Path(sys.executable).parent / "inboxd"  # not resolved: that leads out of a venv
    if not os.access(program, os.X_OK):
        raise ServiceError(
            f"There is no inboxd command beside {sys.executable}.",
            next_step="Install inboxd, for instance with pipx, and run: inboxd service install",
        )
    return program


def plan_service(config: Config, scope: Scope, machine: Machine) -> ServicePlan:
    """What the service needs. Raises `ConfigError` with everything that keeps it from running."""
    if config.path is None:
        raise ConfigError(
            "A service does not see the environment of your shell, where the configuration is.",
            (ConfigFault("config.toml", "there is none", "Write one: inboxd init"),),
        )
    settings = config.settings
    secrets = _secrets(config) if scope is Scope.SYSTEM else []
    credentials = {each.credential: each.file for each in secrets if each.file is not None}
    tuning = settings.deep_tuning.memory_mb if settings.training.deep is Deep.NIGHTLY else 0
    plan = ServicePlan(
        scope=scope,
        program=machine.program,
        config=config.path.absolute(),
        state_dir=settings.state.dir,
        cache_dir=settings.model.cache_dir,
        credentials=tuple(credentials.items()),
        memory_mb=PROGRAM_MB + tuning,
        uses_cuda=settings.model.device is Device.CUDA,
    )
    faults = list(_odd_paths(plan))
    if scope is Scope.SYSTEM:
        faults += _hidden(plan, config, machine)
        faults += _directories(plan)
        faults += _missing_secrets(secrets)
    if faults:
        raise ConfigError(
            f"inboxd cannot run as a service of the {scope.value} like this:", tuple(faults)
        )
    return plan


def _odd_paths(plan: ServicePlan) -> Iterator[ConfigFault]:
    for path in (plan.program, plan.config, *(path for _, path in plan.credentials)):
        if any(not character.isprintable() for character in str(path)):
            yield ConfigFault(repr(str(path)), "cannot stand in a unit", "Rename it.")
    if any(character in "\"'\\$" for character in str(plan.program)):
        yield ConfigFault(
            str(plan.program),
            "systemd runs no program whose path holds a quotation mark, a backslash or a $",
            "Install inboxd in another directory.",
        )


def _hidden(plan: ServicePlan, config: Config, machine: Machine) -> Iterator[ConfigFault]:
    """What the service would not see, or not be allowed to read."""
    program = next((p for p in (plan.program, *machine.prefixes) if is_hidden(p)), None)
    if program is not None:
        yield ConfigFault(
            "inboxd",
            f"is installed in {program}, which a service of the system does not see",
            "Install it for everybody: sudo PIPX_HOME=/opt/pipx PIPX_BIN_DIR=/usr/local/bin "
            "pipx install inboxd",
        )
    if is_hidden(plan.config):
        yield ConfigFault(
            str(plan.config),
            "is in a place that a service of the system does not see",
            "Move it to /etc/inboxd/config.toml",
        )
    elif not _is_open_to_all(plan.config):
        yield ConfigFault(
            str(plan.config),
            "the service's own user may not read it",
            f"It holds no passwords: chmod o+rX {plan.config.parent} {plan.config}",
        )
    encoder = Path(config.settings.model.encoder)
    if encoder.is_absolute() and is_hidden(encoder):
        yield ConfigFault(
            "model.encoder", f"{encoder} is not seen by the service", "Move it to /var/lib or /opt."
        )
    database = config.settings.state.database
    authority = read_address(database).ca_file if database is not None else None
    if authority is not None and is_hidden(authority):
        yield ConfigFault(
            "state.database", f"{authority} is not seen by the service", "Move it to /etc/inboxd."
        )
    for name, account in config.settings.accounts.items():
        for key, path in (("ca_file", account.ca_file), ("oauth.ca_file", account.oauth.ca_file)):
            if path is not None and is_hidden(path):
                yield ConfigFault(
                    f"accounts.{name}.{key}",
                    f"{path} is not seen by the service",
                    "Move it to /etc/inboxd.",
                )


def _is_open_to_all(path: Path) -> bool:
    """Whether every user may read the file, and pass the directories above it."""
    real = path.resolve()
    return bool(real.stat().st_mode & stat.S_IROTH) and all(
        directory.stat().st_mode & stat.S_IXOTH for directory in real.parents
    )


def _directories(plan: ServicePlan) -> Iterator[ConfigFault]:
    """A user that exists only while the service runs can own nothing elsewhere."""
    for key, path, root, mend in (
        ("state.dir", plan.state_dir, STATE_ROOT, 'Write dir = "/var/lib/inboxd" into [state].'),
        ("model.cache_dir", plan.cache_dir, CACHE_ROOT,
         'Write cache_dir = "/var/cache/inboxd" into [model].'),
    ):  # fmt: skip
        if path == root or not path.is_relative_to(root) or ".." in path.parts:
            yield ConfigFault(key, f"is {path}; the service may write below {root} only", mend)


@dataclass(frozen=True, slots=True)
class _Secret:
    """A file that systemd hands over as a credential; without one the service has no other place
    to look at, unless the secret `may_be_missing`."""

    key: str
    credential: str
    file: Path | None
    mend: str
    may_be_missing: bool = False


def _secrets(config: Config) -> list[_Secret]:
    """What database and accounts are signed in to with, and where notices are posted."""
    found: list[_Secret] = []
    notices, state = config.settings.notices, config.settings.state
    if state.database is not None:
        found.append(
            _Secret(
                "state.database_password_file",
                DATABASE_PASSWORD,
                state.database_password_file,
                "Write the password into /etc/inboxd/database-password (chmod 600), and name it "
                "there.",
                may_be_missing=True,
            )
        )
    if notices.webhook is not Webhook.OFF:
        found.append(
            _Secret(
                "notices.url_file",
                WEBHOOK_URL,
                notices.url_file,
                "Write the address into /etc/inboxd/webhook-url (chmod 600), and name it there.",
            )
        )
    for name, account in config.settings.accounts.items():
        key = f"accounts.{name}"
        if account.sign_in is SignIn.PASSWORD:
            found.append(
                _Secret(
                    f"{key}.password_file",
                    password_credential(name),
                    account.password_file,
                    f"Write the password into /etc/inboxd/{name}.password (chmod 600), and name it "
                    "there.",
                )
            )
            continue
        client_secret = account.oauth.client_secret_file
        mend = "Write it, or leave the key out where the provider gives no secret."
        found += (
            _Secret(
                f"{key}.oauth.client_secret_file", client_secret_credential(name), client_secret,
                mend, may_be_missing=True,
            ),
            _Secret(
                f"{key}.oauth.key_file", TOKEN_KEY, account.oauth.key_file,
                "Run: openssl rand -base64 32 > /etc/inboxd/token-key (chmod 600), and name it "
                "there.",
            ),
        )  # fmt: skip
    return found


def _missing_secrets(secrets: list[_Secret]) -> Iterator[ConfigFault]:
    """systemd starts nothing when a credential is missing, and has one file for each name."""
    files_of: dict[str, Path] = {}
    for each in secrets:
        if each.file is None:
            if not each.may_be_missing:
                reason = "is not set, and a service of the system has no keyring"
                yield ConfigFault(each.key, reason, each.mend)
        elif not each.file.is_file():
            yield ConfigFault(each.key, f"there is no file {each.file}", each.mend)
        elif files_of.setdefault(each.credential, each.file) != each.file:
            other = files_of[each.credential]
            yield ConfigFault(
                each.key,
                f"is not {other}, as for another account",
                "A service has one key for all tokens: name the same file.",
            )


@dataclass(frozen=True, slots=True)
class Installed:
    """What was done. `to_run` is left to the person, `look` shows the service afterwards,
    `learn` teaches a service of the system for the first time, `hints` are worth a thought."""

    scope: Scope
    file: Path
    started: bool
    to_run: tuple[str, ...]
    look: tuple[str, ...]
    learn: str
    hints: tuple[str, ...] = ()


def render_service(config: Config, scope: Scope, machine: Machine) -> str:
    """The file's text, as `install_service` writes it. Raises `ConfigError`, `ServiceError`."""
    machine.file(scope)
    return _render(plan_service(config, scope, machine), machine)


def _render(plan: ServicePlan, machine: Machine) -> str:
    text = (
        systemd.render_unit(plan)
        if machine.kind is Kind.SYSTEMD
        else launchd.render_plist(plan, machine.home)
    )
    return files.signed(text)


def install_service(config: Config, scope: Scope, machine: Machine) -> Installed:
    """Write the file and have the service started, now and at every start of the machine.

    Raises `ConfigError`, and `ServiceError` when a file of somebody else lies there (nothing is
    changed) or the service manager refuses (the file stays, and says what it would be).
    """
    file = machine.file(scope)
    plan = plan_service(config, scope, machine)
    was = _ours(file)
    files.write(file, _render(plan, machine))
    manager = machine.manager(scope)
    commands = manager.start_commands(file)
    is_here = manager.is_here()
    if is_here:
        if manager.stops_before_start and was is Ownership.OURS:
            _stop(manager, file)
        for command in commands:
            manager.run(command)
    learn = (
        systemd.learn_command(plan)
        if scope is Scope.SYSTEM
        else shlex.join([*plan.command[:-1], "learn"])
    )
    return Installed(
        scope=scope,
        file=file,
        started=is_here,
        to_run=() if is_here else tuple(map(shlex.join, commands)),
        look=tuple(map(shlex.join, manager.look_commands())),
        learn=learn,
        hints=tuple(_hints(scope, machine)),
    )


def _hints(scope: Scope, machine: Machine) -> Iterator[str]:
    variables = sorted(name for name in os.environ if name.startswith("INBOXD_"))
    if variables:
        yield (
            f"The service does not see {', '.join(variables)} of your environment; what they say "
            "belongs into the configuration."
        )
    if machine.kind is Kind.SYSTEMD and scope is Scope.USER:
        yield "To have it run while you are not logged in: loginctl enable-linger"


def _ours(file: Path) -> Ownership:
    """`ABSENT` or `OURS`. Raises `ServiceError` for what a person wrote or changed."""
    found = files.ownership(file)
    if found is Ownership.FOREIGN:
        raise ServiceError(
            f"{file} was not written by inboxd, so it is left alone.",
            next_step=f"Look at it, and move it away if nobody needs it: {file}",
        )
    if found is Ownership.CHANGED:
        raise ServiceError(
            f"{file} was changed after inboxd wrote it, so it is left alone.",
            next_step="Keep your changes in a file of their own (systemctl edit inboxd, with "
            f"--user for your own service), then remove {file} and run the command again.",
        )
    return found


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One scope's service. `file_is`: absent, ours, changed or foreign. `outdated`: what would be
    installed now differs (None: that cannot be told). `running` is None where no service manager
    runs."""

    scope: Scope
    file: Path
    file_is: Ownership
    outdated: bool | None
    running: Running | None


def service_state(config: Config | None, scope: Scope, machine: Machine) -> ServiceState:
    """How the service is. Changes nothing. Raises `ServiceError`."""
    file = machine.file(scope)
    owner = files.ownership(file)
    outdated: bool | None = None
    if owner is Ownership.OURS and config is not None:
        try:
            outdated = files.read(file) != render_service(config, scope, machine)
        except ConfigError:
            outdated = None
    return ServiceState(
        scope=scope,
        file=file,
        file_is=owner,
        outdated=outdated,
        running=machine.manager(scope).running(),
    )


@dataclass(frozen=True, slots=True)
class Uninstalled:
    """`removed` is False when there was nothing; `to_run` is left to the person."""

    scope: Scope
    file: Path
    removed: bool
    to_run: tuple[str, ...] = ()


def uninstall_service(scope: Scope, machine: Machine) -> Uninstalled:
    """Stop the service and remove its file; configuration, state and mail stay as they are.

    Raises `ServiceError` when the file is not ours; nothing is stopped or removed then.
    """
    file = machine.file(scope)
    if _ours(file) is Ownership.ABSENT:
        return Uninstalled(scope, file, removed=False)
    manager = machine.manager(scope)
    if manager.is_here():
        _stop(manager, file)
        files.remove(file)
        for command in manager.after_removal():
            manager.run(command)
        return Uninstalled(scope, file, removed=True)
    files.remove(file)
    to_run = tuple(map(shlex.join, manager.after_removal()))
    return Uninstalled(scope, file, removed=True, to_run=to_run)


def _stop(manager: Manager, file: Path) -> None:
    """Unless there is nothing to stop, which a service manager may call an error."""
    running = manager.running()
    if running is not None and (running.enabled or running.state != "inactive"):
        for command in manager.stop_commands(file):
            manager.run(command)
