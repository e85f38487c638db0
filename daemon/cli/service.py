"""service: inboxd as a service of systemd or launchd."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.context import JsonOption, load
from daemon.cli.output import console, print_json, table
from daemon.errors import ConfigError

if TYPE_CHECKING:
    from daemon.config.load import Config
    from daemon.service_manager.plan import Scope
    from daemon.use_cases.service_unit import Installed, ServiceState

service = typer.Typer(
    help="inboxd as a service that starts with the machine or with your session.",
    epilog="Examples: inboxd service install --print · inboxd service install --user · "
    "inboxd service status",
    no_args_is_help=True,
)

SystemOption = Annotated[
    bool | None,
    typer.Option(
        "--system/--user",
        help="The machine's service, or your own. Default: --system for root, else --user.",
    ),
]
LaunchdOption = Annotated[
    bool, typer.Option("--launchd", help="For macOS; chosen by itself there.")
]


def register(cli: typer.Typer) -> None:
    """Add this module's commands."""
    service.command(
        "install",
        epilog="Examples: inboxd service install · … install --print · sudo inboxd --config "
        "/etc/inboxd/config.toml service install --system",
    )(install)
    service.command("status", epilog="Example: inboxd service status --json")(status)
    service.command("uninstall", epilog="Examples: inboxd service uninstall · … uninstall --user")(
        uninstall
    )
    cli.add_typer(service, name="service")


def install(
    system: SystemOption = None,
    print_only: Annotated[
        bool, typer.Option("--print", help="Print the file instead; change nothing.")
    ] = False,
    for_launchd: LaunchdOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a restricted systemd unit (on macOS a launchd agent) and start it.

    It runs this inboxd with this configuration. A file that inboxd did not write, or that you
    changed, is left alone. Install anew after a change of the state directory or of a password
    file's place.
    """
    from daemon.use_cases.service_unit import (  # noqa: PLC0415 - pydantic
        Kind,
        install_service,
        render_service,
        this_machine,
    )

    machine, scope = this_machine(Kind.LAUNCHD if for_launchd else None), _scope(system)
    if machine.kind is not this_machine().kind and not print_only:
        raise typer.BadParameter("Elsewhere than on macOS, --launchd goes with --print.")
    config = load()
    if print_only:
        typer.echo(render_service(config, scope, machine), nl=False)
        return
    done = install_service(config, scope, machine)
    if as_json:
        print_json(done)
    else:
        _show_installed(done)


def status(system: SystemOption = None, as_json: JsonOption = False) -> None:
    """Show whether inboxd is installed as a service, and how it runs. Without --system and
    --user: both."""
    from daemon.service_manager.plan import Scope  # noqa: PLC0415
    from daemon.use_cases.service_unit import service_state, this_machine  # noqa: PLC0415

    machine = this_machine()
    scopes = list(machine.directories) if system is None else [_scope(system)]
    config = _configuration()
    states = [service_state(config, scope, machine) for scope in scopes]
    if as_json:
        print_json(states)
        return
    table(
        "inboxd as a service",
        ("whose", "file", "installed", "state", "#process", "says"),
        [_row(state) for state in states],
    )
    if any(state.outdated for state in states):
        console.print("An outdated file is renewed by: inboxd service install", markup=False)
    if Scope.USER in scopes and all(state.running is None for state in states):
        console.print("No service manager runs here.", markup=False)


def uninstall(system: SystemOption = None, as_json: JsonOption = False) -> None:
    """Stop the service and remove its file. Configuration, state and mail stay as they are."""
    from daemon.use_cases.service_unit import this_machine, uninstall_service  # noqa: PLC0415

    done = uninstall_service(_scope(system), this_machine())
    if as_json:
        print_json(done)
        return
    if not done.removed:
        console.print(f"There is no {done.file}: nothing to do.", markup=False)
        return
    console.print(f"Removed {done.file}", markup=False, soft_wrap=True)
    console.print("Configuration, state and mail are as before.")
    _show_commands("The service manager does not run here; where it does, run:", done.to_run)


def _scope(system: bool | None) -> Scope:
    from daemon.service_manager.plan import Scope  # noqa: PLC0415

    if system is None:
        system = os.geteuid() == 0 and os.uname().sysname != "Darwin"
    return Scope.SYSTEM if system else Scope.USER


def _configuration() -> Config | None:
    """Its faults are shown by other commands; the service can be looked at nevertheless."""
    try:
        return load()
    except ConfigError:
        return None


def _show_installed(done: Installed) -> None:
    console.print(f"Written: {done.file}", markup=False, soft_wrap=True)
    if done.started:
        whole = "the machine" if done.scope == "system" else "your session"
        console.print(f"inboxd runs, and from now on starts with {whole}.", markup=False)
    _show_commands("The service manager does not run here; where it does, run:", done.to_run)
    _show_commands("Once, if it has not learned yet:", (done.learn,))
    _show_commands("To look at it:", done.look)
    for hint in done.hints:
        console.print(hint, markup=False, soft_wrap=True)


def _show_commands(title: str, commands: tuple[str, ...]) -> None:
    """Unbroken lines, to be copied."""
    if not commands:
        return
    console.print(title, markup=False)
    for command in commands:
        console.print(f"  {command}", markup=False, soft_wrap=True)


_INSTALLED = {"absent": "no", "ours": "yes", "changed": "yes, but changed since",
              "foreign": "a file of somebody else"}  # fmt: skip


def _row(state: ServiceState) -> tuple[object, ...]:
    installed = _INSTALLED[state.file_is.value] + (", outdated" if state.outdated else "")
    running = state.running
    return (
        state.scope.value,
        state.file,
        installed,
        running.state if running is not None else None,
        running.process if running is not None else None,
        running.status if running is not None else None,
    )
