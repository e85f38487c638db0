"""folders: how right inboxd is in each, and trusting one again."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.context import AccountOption, JsonOption, application, one_account
from daemon.cli.output import console, percent, print_json, table, when

folders = typer.Typer(
    help="How right inboxd's own moves are, by folder. One that breaks its promise is suspended: "
    "its mail stays in the inbox as a suggestion.",
    epilog="Examples: inboxd folders list · inboxd folders trust Reisen",
    no_args_is_help=True,
)


def register(cli: typer.Typer) -> None:
    """Add this module's commands."""
    folders.command("list", epilog="Example: inboxd folders list --json")(list_)
    folders.command("trust", epilog="Example: inboxd folders trust Reisen")(trust)
    cli.add_typer(folders, name="folders")


def list_(account: AccountOption = None, as_json: JsonOption = False) -> None:
    """Show how many of inboxd's last moves were right, beside what was promised.

    A move counts when you have overruled it, or left it alone for two days.
    """
    from daemon.use_cases.trust import list_folders  # noqa: PLC0415 - SQLAlchemy

    with application() as app:
        found = list_folders(app, account)
    if as_json:
        print_json(found)
        return
    table(
        "How right inboxd is",
        ("account", "folder", "#moves", "#wrong", "#precision", "#promised", "suspended since"),
        [
            (f.account, f.folder, f.moves, f.wrong, percent(f.precision), percent(f.promised),
             when(f.suspended_at) if f.suspended_at is not None else "")
            for f in found
        ],
    )  # fmt: skip


def trust(
    folder: Annotated[str, typer.Argument(help="Name of the suspended folder.")],
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let inboxd move mail into a suspended folder again. Its former mistakes no longer count."""
    from daemon.use_cases.trust import trust as trust_folder  # noqa: PLC0415 - SQLAlchemy

    with application() as app:
        ended = trust_folder(app, one_account(app, account), folder)
    if as_json:
        print_json(ended)
        return
    console.print(
        f"{ended.folder} is trusted again; it was suspended since {when(ended.broken_at)} "
        f"({ended.wrong} of {ended.moves} moves were wrong).",
        markup=False,
    )
