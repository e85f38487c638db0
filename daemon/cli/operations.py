"""backup, restore, forget."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.context import JsonOption, application, load
from daemon.cli.output import console, errors, print_json, table, when
from daemon.cli.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.use_cases.backup import AccountInBackup
    from daemon.use_cases.restore import Chosen


def register(cli: typer.Typer) -> None:
    """Add this module's commands."""
    cli.command(
        "backup",
        epilog="Examples: inboxd backup /backups/ · inboxd backup before-update.tar.gz",
    )(backup)
    cli.command(
        "restore",
        epilog="Examples: inboxd restore before-update.tar.gz · "
        "inboxd restore inboxd-20260301T120000Z.tar --account private=work --was-stopped",
    )(restore)
    cli.command(
        "forget",
        epilog="Examples: inboxd forget --account work --dry-run · "
        "inboxd forget --sender news@shop.example --yes",
    )(forget)


def backup(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|DIRECTORY",
            help="A file that does not exist yet (compressed if it ends in .gz), or a directory, "
            "in which it is named by the time.",
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Write database and models into one file, while inboxd runs.

    The file holds no password and no text of mail, but what your mail taught: guard it as you
    guard the mail. The configuration is not in it, nor the encoder, nor what can be made anew.
    """
    from daemon.use_cases.backup import back_up  # noqa: PLC0415 - SQLAlchemy

    with application() as app, progress_bar(quiet=as_json) as progress:
        result = back_up(app, target, progress=partial(progress, "backup"))
    if as_json:
        print_json(result)
        return
    _print_accounts("In the backup", result.accounts)
    console.print(
        f"{result.file}: {size(result.size)} (database {size(result.database_bytes)}, models "
        f"{size(result.models_bytes)}, {result.files} files). Back: inboxd restore {result.file}",
        markup=False,
        soft_wrap=True,
    )


def restore(
    archive: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="What inboxd backup wrote.")
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(
            "--account",
            "-a",
            metavar="NAME[=NEW]",
            help="Only this account of the backup, if wanted under a new name.",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Move an existing state aside; nothing is deleted.")
    ] = False,
    was_stopped: Annotated[
        bool,
        typer.Option(
            "--was-stopped",
            help="inboxd has not run since the backup: mail that came since is sorted, and your "
            "moves since are learned from.",
        ),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Finish a restore that was interrupted.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a backup the state of this inboxd, on this machine or on another.

    inboxd must not be running. Every file is checked before anything is touched. Unless
    --was-stopped is given, what moved since the backup is taken as it is found: nothing is
    learned from it, and mail that came since stays where it is, as nobody knows any more what
    you had put back.
    """
    from daemon.use_cases import restore as use_case  # noqa: PLC0415 - SQLAlchemy

    if (archive is None) == (not resume):
        raise typer.BadParameter("Name the backup's file, or else --resume.")
    from daemon.bootstrap import database_server, utc_now  # noqa: PLC0415

    settings = load(quiet=True).settings
    server = database_server(settings.state)
    if archive is None:
        replaced = use_case.resume(settings.state.dir, server)
        if as_json:
            print_json({"resumed": True, "replaced": replaced})
        else:
            console.print("The restore is finished.")
            _print_replaced(replaced)
        return

    with progress_bar(quiet=as_json) as progress:
        result = use_case.restore(
            settings.state.dir,
            archive,
            utc_now(),
            server=server,
            configured=settings.accounts,
            chosen=_chosen(account),
            replace=replace,
            was_stopped=was_stopped,
            progress=partial(progress, "restore"),
        )
    if as_json:
        print_json(result)
        return
    _print_accounts(f"Restored as of {when(result.created_at)}", result.accounts)
    _print_replaced(result.replaced)
    for name in result.left_out:
        console.print(
            f"The shared model {name!r} is not restored with one account: it holds what others "
            "were taught. A model is trained from this account's examples at the next pass.",
            markup=False,
        )
    for name in result.unknown:
        errors.print(
            f"! The configuration has no account {name!r}. Name it there, or restore again with "
            f"--replace --account {name}=NEW.",
            style="yellow",
            markup=False,
        )
    console.print("Next: inboxd check, then inboxd run")


def forget(
    account: Annotated[
        str | None,
        typer.Option("--account", "-a", help="Everything about this account, configured or not."),
    ] = None,
    sender: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="What was learned from this sender; with --account only in that account.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted; delete nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete for good what inboxd knows of an account, or what it learned from a sender.

    Your mail is not touched. For an account inboxd must not be running: rows, models and files go.
    For a sender the mails that inboxd has read are recognised, their features, examples and
    decisions go, and all models with them, since their weights may hold the sender's words; a new
    model is trained at once. What stays is which mail lay where, as numbers and hashes. Mail that
    comes from then on is learned from like any other. Backups are not touched.
    """
    if account is None and sender is None:
        raise typer.BadParameter("Name an --account, a --sender, or both.")
    if not (yes or dry_run):
        what = f"account {account}" if sender is None else f"sender {sender}"
        typer.confirm(f"Delete for good what is known of {what}?", abort=True, err=True)
    if sender is None:
        _forget_account(str(account), dry_run=dry_run, as_json=as_json)
    else:
        _forget_sender(sender, account, dry_run=dry_run, as_json=as_json)


def _forget_account(name: str, *, dry_run: bool, as_json: bool) -> None:
    from daemon.use_cases.forget import forget_account  # noqa: PLC0415 - SQLAlchemy

    with application() as app:
        found = forget_account(app, name, dry_run=dry_run)
    if as_json:
        print_json(found)
        return
    verb = "would be deleted" if dry_run else "are deleted"
    console.print(
        f"{name}: what is known of {found.messages} mails, {found.decisions} decisions and "
        f"{found.examples} examples {verb}",
        markup=False,
    )
    for path in found.directories:
        console.print(f"  and {path}", markup=False, soft_wrap=True)
    for shared in found.shared_models:
        console.print(
            f"  and the shared model {shared}, which was trained with its mail; the others get a "
            "new one when inboxd runs, or now with: inboxd train",
            markup=False,
        )
    if found.configured:
        console.print("It is still in the configuration: inboxd would begin anew with it.")
    for path in found.kept_elsewhere:
        console.print(f"! A former state is kept: {path}", markup=False, soft_wrap=True)
    _warn_of_wal(found.compacted)


def _forget_sender(sender: str, account: str | None, *, dry_run: bool, as_json: bool) -> None:
    from daemon.use_cases.forget import forget_sender  # noqa: PLC0415 - SQLAlchemy

    with application() as app:
        found = forget_sender(app, sender, account, dry_run=dry_run)
    if as_json:
        print_json(found)
        return
    table(
        "Would be forgotten" if dry_run else "Forgotten",
        ("account", "#mails", "#examples", "#decisions", "#models"),
        [(f.account, f.messages, f.examples, f.decisions, f.models) for f in found],
    )
    for each in found if not dry_run else ():
        new = f"model {each.model} was trained without them" if each.model else each.reason
        console.print(f"{each.account}: {new}", markup=False)
        _warn_of_wal(each.compacted)


def _warn_of_wal(compacted: bool) -> None:
    if not compacted:
        errors.print(
            "! Another program reads the database; traces may stay in its -wal until inboxd is "
            "stopped. Stop it and run any command, such as: inboxd status",
            style="yellow",
        )


def _chosen(text: str | None) -> Chosen | None:
    """ "private" or "private=work"."""
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

    from daemon.config.values import AccountName  # noqa: PLC0415
    from daemon.use_cases.restore import Chosen  # noqa: PLC0415

    if text is None:
        return None
    old, _, new = text.partition("=")
    try:
        return Chosen(old, TypeAdapter(AccountName).validate_python(new or old))
    except ValidationError:
        raise typer.BadParameter(
            "Write the name in the backup, or NAME=NEW; names have letters, digits, - and _."
        ) from None


def _print_accounts(title: str, accounts: Iterable[AccountInBackup]) -> None:
    table(
        title,
        ("account", "#examples", "#models", "in use"),
        [(each.name, each.examples, each.models, each.current) for each in accounts],
    )


def _print_replaced(directory: Path | None) -> None:
    if directory is not None:
        console.print(
            f"What was there before lies in {directory}; delete it when all is well.",
            markup=False,
            soft_wrap=True,
        )


def size(number: int) -> str:
    """1234567 → 1.2 MB."""
    value = float(number)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
