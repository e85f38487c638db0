"""init, check, pause, resume."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.context import OPTIONS, AccountOption, JsonOption, application
from daemon.cli.output import console, errors, print_json, table

if TYPE_CHECKING:
    from rich.console import Console

    from daemon.config.secrets import Secret
    from daemon.config.settings import AccountSettings
    from daemon.use_cases.check import AccountCheck, FolderCheck


def register(cli: typer.Typer) -> None:
    """Add this module's commands."""
    cli.command(
        "init", epilog="Examples: inboxd init --host imap.example.org · inboxd init --json"
    )(init)
    cli.command("check", epilog="Example: inboxd check --json")(check)
    cli.command("pause", epilog="Example: inboxd pause --account private")(pause)
    cli.command("resume", epilog="Example: inboxd resume")(resume)


def init(
    host: Annotated[str | None, typer.Option(help="IMAP server; asked for if missing.")] = None,
    username: Annotated[str | None, typer.Option(help="Login name; asked for if missing.")] = None,
    name: Annotated[str, typer.Option(help="What to call the account.")] = "private",
    port: Annotated[int | None, typer.Option(help="Default: 993, or 143 without TLS.")] = None,
    tls: Annotated[str, typer.Option(help="implicit, starttls, or none (loopback).")] = "implicit",
    mode: Annotated[str, typer.Option(help="observe, suggest or sort.")] = "suggest",
    password_file: Annotated[
        Path | None, typer.Option(help="Read the password from this file, and keep it there.")
    ] = None,
    create_folder: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SENTENCE", help="Make a folder for such mail; repeatable."),
    ] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Where inboxd keeps its data.")] = None,
    output: Annotated[Path | None, typer.Option(help="The configuration file to write.")] = None,
    force: Annotated[bool, typer.Option(help="Replace an existing configuration.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Set up an account: asks, logs in, lists the folders, writes a commented config.toml.

    For an account that is opened with a password, app passwords too. One that signs in with
    Google, Microsoft or another provider is written by hand (docs/accounts.md), then signed in
    to with: inboxd login ACCOUNT
    """
    from daemon.bootstrap import open_mailbox  # noqa: PLC0415
    from daemon.config.load import user_config_path  # noqa: PLC0415
    from daemon.use_cases.init import create_folders, probe, write_config  # noqa: PLC0415

    path = output or OPTIONS.config or user_config_path()
    if path.exists() and not force:
        raise typer.BadParameter(f"{path} exists. Name another with --output, or add --force.")
    # With --json standard output is one document: questions and remarks go elsewhere.
    ask = partial(typer.prompt, err=as_json)
    remarks = errors if as_json else console
    answers: dict[str, object] = {
        "host": host or ask("IMAP server (for example imap.example.org)"),
        "tls": tls,
        "username": username or ask("User name (often the whole mail address)"),
        "mode": mode,
    }
    if port is not None:
        answers["port"] = port
    if create_folder:
        answers["folders"] = {"descriptions": dict(map(_folder_and_sentence, create_folder))}
    if password_file is not None:
        answers["password_file"] = password_file.absolute()
    account = _account(answers)
    password = _password(name, account, ask)
    remarks.print(f"Connecting to {account.host}:{account.port} …", markup=False)
    found = probe(open_mailbox, account, password)
    if not as_json:
        _print_folders(name, found.folders)
    may_ask = not create_folder and _may_ask_for_folders(found.folders)
    if may_ask and (asked := _ask_for_folders(ask, remarks)):
        answers["folders"] = {"descriptions": asked}
        account = _account(answers)
    if account.folders.descriptions:
        create_folders(open_mailbox, account, password, account.folders.descriptions)
        remarks.print(f"Folders: {', '.join(account.folders.descriptions)}", markup=False)
    if password_file is None:
        kept = _keep_password(name, password, path.absolute().parent, remarks)
        account = _account({**answers, **kept})
    write_config(path, name, account, state_dir=state_dir, force=force)
    if as_json:
        created = list(account.folders.descriptions)
        print_json({"config": path, "account": name, "probe": found, "created_folders": created})
        return
    console.print(f"Wrote {path}. Read it, then run:", markup=False)
    for command in ("inboxd check", "inboxd learn", "inboxd run"):
        console.print(f"  {command}")


def _password(name: str, account: AccountSettings, ask: Callable[..., str]) -> Secret:
    """From the file that was named, else asked for."""
    from daemon.config.secrets import Secret, find_password  # noqa: PLC0415

    if account.password_file is not None:
        return find_password(name, account)
    return Secret(ask("Password", hide_input=True))


def _keep_password(
    name: str, password: Secret, directory: Path, remarks: Console
) -> dict[str, object]:
    """Keep it, say where, and return what the configuration has to know of that."""
    from daemon.use_cases.init import keep_password  # noqa: PLC0415

    kept = keep_password(name, password, directory)
    if kept is None:
        remarks.print("The password is in the keyring.")
        return {}
    remarks.print(f"No usable keyring: the password is in {kept} (mode 0600).", markup=False)
    return {"password_file": kept}


def _folder_and_sentence(text: str) -> tuple[str, str]:
    name, equals, sentence = text.partition("=")
    if not equals:
        raise typer.BadParameter(f'Write --create-folder "{text}=A sentence about its mail".')
    return name.strip(), sentence.strip()


def _may_ask_for_folders(folders: tuple[FolderCheck, ...]) -> bool:
    """Only where there is none to sort into, and only a person at a terminal."""
    return sys.stdin.isatty() and not any(folder.role == "label" for folder in folders)


def _ask_for_folders(ask: Callable[..., str], remarks: Console) -> dict[str, str]:
    """Folders and sentences until an empty answer."""
    remarks.print("There is no folder to sort into yet. Name those you want; Enter ends.")
    found: dict[str, str] = {}
    while name := ask("Folder", default="", show_default=False).strip():
        found[name] = ask(f"What mail belongs into {name}? One sentence")
    return found


def _account(answers: dict[str, object]) -> AccountSettings:
    """The answers as settings; faults are reported as those of a file are."""
    from daemon.config.load import read_account  # noqa: PLC0415

    return read_account(answers)


def _print_folders(title: str, folders: tuple[FolderCheck, ...]) -> None:
    table(
        f"Folders of {title}",
        ("folder", "role", "special use", "#mails"),
        [(f.name, f.role, f.special_use, f.messages) for f in folders],
    )


def check(account: AccountOption = None, as_json: JsonOption = False) -> None:
    """Check configuration, logins, folders and models; non-zero if the daemon could not run."""
    from daemon.use_cases.check import check as run_check  # noqa: PLC0415

    with application() as app:
        results = run_check(app, account)
        path, database = app.config_path, app.store.place
    if as_json:
        print_json({"config": path, "database": database, "accounts": results})
    else:
        console.print(f"Configuration: {path or 'environment only'}", markup=False)
        console.print(f"Database: {database}", markup=False)
        for result in results:
            _print_check(result)
    failed = [result.exit_code for result in results if not result.ok]
    if failed:
        raise typer.Exit(failed[0])


def _print_check(result: AccountCheck) -> None:
    mark = "[green]✓[/green]" if result.ok else "[red]✗[/red]"
    way = "" if result.sign_in == "password" else f", signs in with {result.sign_in}"
    console.print(f"\n{mark} account [bold]{result.name}[/bold], mode {result.mode}{way}")
    if result.error is not None:
        errors.print(f"  {result.error}", style="red", markup=False)
        errors.print(f"  → {result.next_step}", markup=False)
    if result.folders:
        console.print(
            f"  moves by: {result.moves_by}; IDLE: {'yes' if result.idle else 'no'}; "
            f"message id: {result.server_id or 'by content'}"
        )
        console.print(f"  capabilities: {' '.join(result.capabilities)}", markup=False)
        console.print(f"  model: {result.model or 'none yet'}", markup=False)
        _print_folders(result.name, result.folders)
    for warning in result.warnings:
        console.print(f"  ! {warning}", style="yellow", markup=False)


def pause(account: AccountOption = None) -> None:
    """Stop looking at mail until resumed; holds across restarts."""
    _set_paused(account, paused=True)


def resume(account: AccountOption = None) -> None:
    """Go on after a pause."""
    _set_paused(account, paused=False)


def _set_paused(account: str | None, *, paused: bool) -> None:
    from daemon.use_cases.pause import set_paused  # noqa: PLC0415

    with application() as app:
        names = app.names(account)
        changed = set_paused(app, names, paused=paused)
    word = "paused" if paused else "running"
    for name in names:
        already = "" if name in changed else "already "
        console.print(f"{name}: {already}{word}", markup=False)
