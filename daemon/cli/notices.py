"""notices: what inboxd tells by itself, by mail or webhook."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from daemon.cli.context import AccountOption, JsonOption, application, one_account
from daemon.cli.output import console, print_json, table, when

notices = typer.Typer(
    help="What inboxd tells you by itself: the week, an account that needs you, a folder that "
    "broke its promise; as a mail to yourself or by webhook (section notices of the "
    "configuration).",
    epilog="Examples: inboxd notices test · inboxd notices list · inboxd notices preview weekly",
    no_args_is_help=True,
)


class By(enum.StrEnum):
    """The channels, as people name them."""

    MAIL = "mail"
    WEBHOOK = "webhook"


class What(enum.StrEnum):
    """What can be looked at before it is sent."""

    WEEKLY = "weekly"


ByOption = Annotated[
    By | None, typer.Option("--by", help="Only so (default: every way that is switched on).")
]


def register(cli: typer.Typer) -> None:
    """Add this module's commands."""
    notices.command("list", epilog="Examples: inboxd notices list · … list --json")(list_)
    notices.command(
        "preview",
        epilog="Examples: inboxd notices preview weekly · … preview weekly --by webhook",
    )(preview)
    notices.command("test", epilog="Examples: inboxd notices test · … test --by webhook")(send_one)
    notices.command("send", epilog="Example (cron): inboxd run --once && inboxd notices send")(send)
    cli.add_typer(notices, name="notices")


def list_(
    account: AccountOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Show what was told when, and what could not be told."""
    from daemon.use_cases.notices import list_told  # noqa: PLC0415 - SQLAlchemy

    with application() as app:
        found = list_told(app, account, limit)
    if as_json:
        print_json(found)
        return
    table(
        "Notices",
        ("account", "about", "by", "state", "when", "#attempts", "trouble", "title"),
        [
            (n.account, n.kind, n.channel, n.state, when(n.sent_at or n.created_at), n.attempts,
             n.error, n.title)
            for n in found
        ],
    )  # fmt: skip


def preview(
    what: Annotated[What, typer.Argument(help="weekly: the summary of the last seven days.")],
    account: AccountOption = None,
    by: Annotated[By, typer.Option("--by", help="As it would be told so.")] = By.MAIL,
    as_json: JsonOption = False,
) -> None:
    """Print what would be told now. Nothing is sent, and nothing has to be switched on.

    A webhook is told the names of folders only with folder_names = true.
    """
    from daemon.store.tables import Channel  # noqa: PLC0415 - SQLAlchemy
    from daemon.use_cases.notices import preview_week  # noqa: PLC0415

    del what  # there is one
    with application() as app:
        found = [preview_week(app, name, Channel(by.value)) for name in app.names(account)]
    if as_json:
        print_json(found)
        return
    for each in found:
        console.print(each.title, style="bold", markup=False)
        console.print(each.text + "\n", markup=False)


def send_one(
    account: AccountOption = None, by: ByOption = None, as_json: JsonOption = False
) -> None:
    """Send a notice now, to see whether it arrives."""
    from daemon.store.tables import Channel  # noqa: PLC0415 - SQLAlchemy
    from daemon.use_cases.notice_sending import send_test  # noqa: PLC0415

    channel = Channel(by.value) if by is not None else None
    with application() as app:
        told = send_test(app, one_account(app, account), channel)
    if as_json:
        print_json(told)
        return
    for each in told:
        console.print(f"Sent by {each.channel}: {each.title}", markup=False)


def send(account: AccountOption = None, as_json: JsonOption = False) -> None:
    """Look what there is to tell and send it, for those who run passes from cron.

    The daemon does this by itself.
    """
    from daemon.use_cases.notice_sending import send_now  # noqa: PLC0415 - SQLAlchemy

    with application() as app:
        sent = send_now(app, account)
    if as_json:
        print_json({"sent": sent})
    else:
        console.print(f"{sent} sent.", markup=False)
