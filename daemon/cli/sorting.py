"""status, history, why, undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.context import AccountOption, JsonOption, application, one_account, parse_since
from daemon.cli.output import console, percent, print_json, table, when

if TYPE_CHECKING:
    from daemon.use_cases.application import Application
    from daemon.use_cases.explain import Reasons
    from daemon.use_cases.history import Explanation
    from daemon.use_cases.similar import SimilarMail
    from daemon.use_cases.status import AccountState

KINDS = {
    "words": "word",
    "characters": "spelling",
    "sender": "sender",
    "recipients": "recipient",
    "list": "mailing list",
    "meta": "kind of mail",
    "meaning": "meaning (BERT)",
    "thread": "thread: last mail in",
}
"""What the kinds of reasons are called in tables."""

SinceOption = Annotated[
    str | None, typer.Option("--since", help="An age (30m, 2h, 3d) or a time (2026-03-01 14:30).")
]


def register(cli: typer.Typer) -> None:
    """Add this module's commands."""
    cli.command("status", epilog="Example: inboxd status --json")(status)
    cli.command("history", epilog="Example: inboxd history --since 2d --action suggested")(history)
    cli.command(
        "why",
        epilog="Examples: inboxd why 42 --words --similar · inboxd why '<id@example.org>'",
    )(why)
    cli.command(
        "undo", epilog="Examples: inboxd undo 42 43 · inboxd undo --last 5 · inboxd undo --since 1h"
    )(undo)


def status(account: AccountOption = None, as_json: JsonOption = False) -> None:
    """Show what inboxd did: per account, and per folder what it may do there."""
    from daemon.use_cases.status import status as read_status  # noqa: PLC0415

    with application() as app:
        names = app.names(account)
        state = read_status(app)
    chosen = [each for each in state.accounts if each.name in names]
    if as_json:
        print_json(
            {
                "running": state.process is not None,
                "process": state.process,
                "state_dir": state.state_dir,
                "database": state.database,
                "accounts": {each.name: each for each in chosen},
            }
        )
        return
    running = f"running (process {state.process})" if state.process else "not running"
    console.print(f"inboxd is {running}; state in {state.state_dir}", markup=False)
    console.print(f"Database: {state.database}", markup=False)
    table(
        "Accounts",
        ("account", "state", "mode", "#sorted", "#left", "#corrections", "#examples"),
        [(a.name, a.state, a.mode, a.sorted, a.left, a.corrections, a.examples) for a in chosen],
    )
    for each in chosen:
        console.print(
            f"{each.name}: model {each.model or 'none yet'}{_shared(each)}, "
            f"last pass {when(each.last_cycle)}",
            markup=False,
        )
        _print_folders(each)


def _shared(account: AccountState) -> str:
    """With whom, in a line about the account."""
    if account.shared_model is None:
        return ""
    others = ", ".join(account.shared_with) or "nobody yet"
    return f" ({account.shared_model}, shared with {others})"


def _print_folders(account: AccountState) -> None:
    unreadable = (
        f"{account.unreadable} mails could not be read and stay in the inbox. See: "
        "inboxd history --action unreadable"
        if account.unreadable
        else None
    )
    warnings = [(text, "yellow") for text in (account.notice, unreadable, *account.warnings)]
    for text, style in ((account.error, "red"), *warnings):
        if text:
            console.print(f"{account.name}: {text}", style=style, markup=False)
    if account.held:
        console.print(
            f"{account.name}: {account.held} of your moves came in a burst and wait for your "
            "word before they are learned from: inboxd held list",
            style="yellow",
            markup=False,
        )
    if account.folders:
        table(
            f"Folders of {account.name}",
            ("folder", "state", "#examples", "#mails", "#moves from", "#precision", "missing"),
            [
                (f.folder, f.state, f.examples, f.messages, percent(f.threshold),
                 percent(f.estimated_precision), f.missing or "")
                for f in account.folders
            ],
        )  # fmt: skip


def history(
    account: AccountOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 20,
    since: SinceOption = None,
    action: Annotated[
        str | None,
        typer.Option(help="moved, suggested, observed, left, undone, unreadable or planned."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the newest decisions. The first column is the number for why and undo."""
    from daemon.store.tables import Action  # noqa: PLC0415
    from daemon.use_cases.history import history as read_history  # noqa: PLC0415

    if action is not None and action not in set(Action):
        raise typer.BadParameter(f"Choose one of: {', '.join(Action)}.")
    with application() as app:
        entries = read_history(app, account, limit=limit, since=parse_since(since), action=action)
    if as_json:
        print_json(entries)
        return
    table(
        "Decisions, newest first",
        ("#mail", "time", "account", "action", "folder", "#probability", "#needed", "rule"),
        [
            (e.message, when(e.decided_at), e.account, e.action, e.folder,
             percent(e.probability), percent(e.threshold), e.rule or "")
            for e in entries
        ],
    )  # fmt: skip


def why(
    message: Annotated[str, typer.Argument(help="Number from history, or a Message-ID.")],
    words: Annotated[
        bool,
        typer.Option(
            "--words", help="Fetch the mail and name the words, senders and lists that counted."
        ),
    ] = False,
    similar: Annotated[
        bool,
        typer.Option(
            "--similar", help="Show the most similar past mails; fetches their subjects to show."
        ),
    ] = False,
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why a mail lies where it lies: probabilities, threshold, model, rule, your moves."""
    from daemon.use_cases.history import why as read_why  # noqa: PLC0415

    with application() as app:
        found = read_why(app, account, message)
        reasons = _reasons(app, found) if words else None
        alike = _similar(app, found) if similar else None
    if as_json:
        more = ({"reasons": reasons} if words else {}) | ({"similar": alike} if similar else {})
        print_json({"decision": found, **more} if more else found)
        return
    _print_explanation(found)
    if reasons is not None:
        table(
            f"What speaks for {reasons.folder} ({percent(reasons.probability)}), "
            f"model {reasons.model}",
            ("kind", "what", "#weight (logits)"),
            [
                (KINDS.get(r.kind, r.kind), r.name or "(as a whole)", f"{r.weight:+.2f}")
                for r in reasons.reasons
            ],
        )
    if alike is not None:
        _print_similar(alike)


def _print_similar(mails: list[SimilarMail]) -> None:
    table(
        "The most similar mails that you have filed",
        ("#mail", "#similarity", "date", "folder", "subject"),
        [
            (m.message, percent(m.similarity), f"{m.date.astimezone():%Y-%m-%d}", m.folder,
             "(gone)" if m.subject is None else m.subject or "(no subject)")
            for m in mails
        ],
    )  # fmt: skip


def _similar(app: Application, found: Explanation) -> list[SimilarMail]:
    from daemon.use_cases.similar import similar_mails  # noqa: PLC0415 - loads torch

    return similar_mails(app, found.account, str(found.message), subjects=True)


def _reasons(app: Application, found: Explanation) -> Reasons:
    from daemon.use_cases.explain import explain  # noqa: PLC0415 - loads torch

    return explain(app, found.account, str(found.message))


def _print_explanation(found: Explanation) -> None:
    lies_in = ", ".join(found.lies_in) or "nowhere that inboxd watches"
    console.print(f"Mail {found.message} lies in: {lies_in}", markup=False)
    entry = found.entry
    if entry is None:
        console.print("inboxd has not decided on it.")
    else:
        console.print(f"Decision: {entry.action} ({when(entry.decided_at)})", markup=False)
        console.print(f"Reason: {entry.reason}", markup=False)
        if entry.rule is not None:
            console.print(f"Rule: {entry.rule}; the model was not asked", markup=False)
        else:
            console.print(
                f"Model: {entry.model}; threshold: {percent(entry.threshold)}; rule: none",
                markup=False,
            )
            table(
                "Most probable folders",
                ("folder", "#probability"),
                [(name, percent(probability)) for name, probability in entry.ranked],
            )
    for move in found.person_moves:
        console.print(
            f"You moved it: {move.from_folder} → {move.to_folder} "
            f"({move.kind}, {when(move.noticed_at)})",
            markup=False,
        )
    if found.kept:
        console.print("inboxd will not move it again.")


def undo(
    messages: Annotated[
        list[str] | None, typer.Argument(help="Numbers from history, or Message-IDs.")
    ] = None,
    last: Annotated[int | None, typer.Option(min=1, help="The last N moves.")] = None,
    since: SinceOption = None,
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move mail back to the inbox that inboxd sorted, unless you have touched it since."""
    from daemon.use_cases.undo import undo_moves  # noqa: PLC0415

    if sum((bool(messages), last is not None, since is not None)) != 1:
        raise typer.BadParameter("Name messages, or --last N, or --since TIME.")
    with application() as app:
        outcomes = undo_moves(
            app,
            one_account(app, account),
            messages=tuple(messages or ()),
            last=last,
            since=parse_since(since),
        )
    if as_json:
        print_json(outcomes)
        return
    table(
        f"Undone: {sum(o.undone for o in outcomes)} of {len(outcomes)}",
        ("#mail", "folder", "undone", "reason"),
        [(o.message_id, o.folder, "yes" if o.undone else "no", o.reason) for o in outcomes],
    )
