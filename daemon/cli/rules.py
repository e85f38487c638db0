"""rules: what a person's own rules say, did, and would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.context import AccountOption, JsonOption, application
from daemon.cli.output import console, errors, print_json, table
from daemon.cli.progress import progress_bar

if TYPE_CHECKING:
    from daemon.use_cases.rules import RulesTested

rules = typer.Typer(
    help="Your own rules, which decide before the model does. They stand in the configuration, "
    "as tables [[accounts.NAME.rules]].",
    epilog="Examples: inboxd rules list · inboxd rules test --account private",
    no_args_is_help=True,
)

SHOWN_FOLDERS = 3
"""How many folders are named in the table; --json has them all."""


def register(cli: typer.Typer) -> None:
    """Add this module's commands."""
    rules.command("list", epilog="Example: inboxd rules list --json")(list_)
    rules.command("test", epilog="Examples: inboxd rules test · inboxd rules test --newest 100")(
        try_rules
    )
    cli.add_typer(rules, name="rules")


def list_(account: AccountOption = None, as_json: JsonOption = False) -> None:
    """Show the rules in their order, and on how many mails each has decided."""
    from daemon.use_cases.rules import list_rules  # noqa: PLC0415 - SQLAlchemy

    with application() as app:
        found = list_rules(app, account)
    if as_json:
        print_json(found)
        return
    table(
        "Rules, in the order in which they are tried",
        ("account", "#rule", "when", "then", "#decided", "remark"),
        [
            (r.account, r.number, r.conditions, _then(r.folder), r.decided, r.remark)
            for r in found
        ],
    )  # fmt: skip


def try_rules(
    account: AccountOption = None,
    newest: Annotated[
        int | None,
        typer.Option(min=1, help="So many mails of each folder. Default: newest_per_folder."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Try the rules on past mail: how many each would catch, and where those mails lie today.

    Fetches headers; moves and stores nothing.
    """
    from daemon.use_cases.rules import run_rules  # noqa: PLC0415 - SQLAlchemy

    results = []
    with application() as app:
        # Without a name, accounts that have no rules are passed over, unless none has any.
        names = [n for n in app.names(account) if account or app.rules(n)] or app.names(account)
        for name in names:
            with progress_bar(quiet=as_json or not errors.is_terminal) as progress:
                results.append(run_rules(app, name, newest_per_folder=newest, progress=progress))
    if as_json:
        print_json(results)
        return
    for result in results:
        _print_tested(result)


def _print_tested(result: RulesTested) -> None:
    table(
        f"The rules of {result.account} on {result.read} past mails",
        ("#rule", "when", "then", "#fit", "#decided", "#lie there", "lie today in", "remark"),
        [
            (r.number, r.conditions, _then(r.folder), r.matched, r.decided, r.agree,
             _places(r.lies_in), r.remark)
            for r in result.rules
        ],
    )  # fmt: skip
    gone = result.mails - result.read
    console.print(
        f"{result.unmatched} mails fit no rule and are left to the model."
        + (f" {gone} could not be fetched any more." if gone else ""),
        markup=False,
    )


def _places(lies_in: tuple[tuple[str, int], ...]) -> str:
    shown = [f"{name} {count}" for name, count in lies_in[:SHOWN_FOLDERS]]
    more = len(lies_in) - SHOWN_FOLDERS
    return ", ".join([*shown, *([f"{more} more"] if more > 0 else [])])


def _then(folder: str | None) -> str:
    return "stays in the inbox" if folder is None else f"→ {folder}"
