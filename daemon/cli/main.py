"""The `inboxd` command.

Exit codes: 0 all well, 1 unexpected, 2 configuration or usage, 3 no password, 4 state
directory, 5 mail server, 6 model or encoder, 7 not found, 8 service manager, 9 notice not sent, 130
interrupted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli import (
    accounts,
    examples,
    folders,
    held,
    learning,
    models,
    monitoring,
    notices,
    operations,
    replaying,
    rules,
    running,
    service,
    sign_in,
    sorting,
    tuning,
)
from daemon.cli.context import OPTIONS
from daemon.cli.output import errors
from daemon.errors import ConfigError, InboxdError

EPILOG = (
    "Exit codes: 0 all well · 1 unexpected · 2 configuration or usage · 3 no password · "
    "4 state directory · 5 mail server · 6 model or encoder · 7 not found · 8 service manager · "
    "9 notice not sent · 130 interrupted"
)

cli = typer.Typer(
    name="inboxd",
    help="Learns where your mail belongs, and sorts it there. Everything stays on this machine."
    "\n\nStart with: [bold]inboxd demo[/bold], or for your own mail [bold]inboxd init[/bold], "
    "[bold]inboxd check[/bold], [bold]inboxd learn[/bold], [bold]inboxd run[/bold].",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - only for this option

        typer.echo(f"inboxd {version('inboxd')}")
        raise typer.Exit


@cli.callback()
def options(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help="Configuration file. Default: $INBOXD_CONFIG, then "
            "~/.config/inboxd/config.toml, then /etc/inboxd/config.toml.",
        ),
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", help="debug, info, warning or error.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Options that stand before the command."""
    del version
    if log_level is not None and log_level not in {"debug", "info", "warning", "error"}:
        raise typer.BadParameter("Choose debug, info, warning or error.")
    OPTIONS.config = config
    OPTIONS.log_level = log_level


accounts.register(cli)
examples.register(cli)
folders.register(cli)
held.register(cli)
learning.register(cli)
models.register(cli)
monitoring.register(cli)
notices.register(cli)
operations.register(cli)
replaying.register(cli)
rules.register(cli)
running.register(cli)
service.register(cli)
sign_in.register(cli)
sorting.register(cli)
tuning.register(cli)


def main() -> None:
    """Entry point: run the command, turn expected errors into one message and an exit code."""
    try:
        cli(prog_name="inboxd")
    except ConfigError as error:
        errors.print(str(error), style="red", markup=False)
        for fault in error.faults:
            errors.print(f"  {fault.key}: {fault.problem}", markup=False)
            errors.print(f"    → {fault.mend}", markup=False)
        if not error.faults:
            errors.print(f"→ {error.next_step}", markup=False)
        sys.exit(error.exit_code)
    except InboxdError as error:
        errors.print(str(error), style="red", markup=False)
        errors.print(f"→ {error.next_step}", markup=False)
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - what nobody expected; its text may be mail
        from daemon.crash import trace  # noqa: PLC0415 - only when it is needed

        found = trace(error)
        errors.print(f"Unexpected {found['kind']}: a fault of inboxd.", style="red", markup=False)
        for place in found["where"]:
            errors.print(f"  {place}", markup=False)
        errors.print(
            "→ Report these lines; they hold nothing of your mail. Your mail is not affected.",
            markup=False,
        )
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("Interrupted.")
        sys.exit(130)
