"""held: moves that came in a burst and wait for the person's word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.context import AccountOption, JsonOption, application, one_account
from daemon.cli.output import console, print_json, table, when

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.use_cases.application import Application
    from daemon.use_cases.held import Chosen, HeldMoves

held = typer.Typer(
    help="Moves that came in a burst: recorded, but not learned from until you confirm them.",
    epilog="Examples: inboxd held list · inboxd held confirm · inboxd held discard --to Reisen",
    no_args_is_help=True,
)

FromOption = Annotated[
    str | None, typer.Option("--from", help="Only moves out of this folder.", metavar="FOLDER")
]
ToOption = Annotated[
    str | None, typer.Option("--to", help="Only moves into this folder.", metavar="FOLDER")
]

REASONS = {
    "many": "many moves within an hour",
    "folder": "a large part of the folder at once",
}


def register(cli: typer.Typer) -> None:
    """Add this module's commands."""
    held.command("list", epilog="Example: inboxd held list --json")(list_)
    held.command("confirm", epilog="Examples: inboxd held confirm · … confirm --to Reisen")(confirm)
    held.command("discard", epilog="Examples: inboxd held discard · … discard --from Reisen")(
        discard
    )
    cli.add_typer(held, name="held")


def list_(account: AccountOption = None, as_json: JsonOption = False) -> None:
    """Show the moves that wait for your word, by where from and where to."""
    from daemon.use_cases.held import list_held  # noqa: PLC0415 - SQLAlchemy

    with application() as app:
        found = list_held(app, account)
    _show("Moves that wait for your word", found, as_json)


def confirm(
    from_folder: FromOption = None,
    to_folder: ToOption = None,
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """These moves were meant: learn from them. Without --from and --to: all that are held."""
    from daemon.use_cases.held import Chosen, confirm_held  # noqa: PLC0415 - SQLAlchemy

    ended = _end(confirm_held, Chosen(from_folder, to_folder), account)
    _show("Confirmed", ended, as_json)
    if not as_json:
        console.print("They are learned with the nightly training, or now with: inboxd train")


def discard(
    from_folder: FromOption = None,
    to_folder: ToOption = None,
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """These moves were not meant as lessons: never learn from them. No mail is moved."""
    from daemon.use_cases.held import Chosen, discard_held  # noqa: PLC0415 - SQLAlchemy

    ended = _end(discard_held, Chosen(from_folder, to_folder), account)
    _show("Discarded", ended, as_json)


def _end(
    end: Callable[[Application, str, Chosen], list[HeldMoves]],
    chosen: Chosen,
    account: str | None,
) -> list[HeldMoves]:
    with application() as app:
        return end(app, one_account(app, account), chosen)


def _show(title: str, found: list[HeldMoves], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    table(
        title,
        ("account", "from", "to", "#mails", "held because of", "first", "last"),
        [
            (h.account, h.from_folder, h.to_folder, h.mails, REASONS.get(h.reason, h.reason),
             when(h.first), when(h.last))
            for h in found
        ],
    )  # fmt: skip
