"""examples: what was taught, whether it can be trusted, and how to put it right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.context import AccountOption, JsonOption, application, one_account
from daemon.cli.output import console, percent, print_json, table, when
from daemon.cli.progress import progress_bar

if TYPE_CHECKING:
    from daemon.use_cases.example_files import Imported
    from daemon.use_cases.examples import Changed, CheckedAccount, CheckedExample
    from trainer.effect import Effect

examples = typer.Typer(
    help="Anchor points: judge what was taught, exclude or relabel it, take it elsewhere.",
    epilog="Examples: inboxd examples check · inboxd examples exclude 42",
    no_args_is_help=True,
)

Messages = Annotated[list[str], typer.Argument(help="Numbers from the first column, Message-IDs.")]

LIMITS = (
    "--mask finds addresses, telephone numbers, IBANs, customer and contract numbers, numbers of "
    "five digits and more by their form, and names by their place: sender, recipients, after a "
    "greeting or a title, below a closing. A name in the middle of a sentence, a postal address, "
    "or a person whom the story itself gives away is not found: read the file before you pass "
    "it on."
)


def register(cli: typer.Typer) -> None:
    """Add this module's commands."""
    examples.command(
        "check", epilog="Examples: inboxd examples check · inboxd examples check --effect"
    )(check)
    examples.command("list", epilog="Example: inboxd examples list --folder Reisen")(list_)
    examples.command("exclude", epilog="Example: inboxd examples exclude 17 23")(exclude)
    examples.command("relabel", epilog="Example: inboxd examples relabel 17 Reisen")(relabel)
    examples.command("restore", epilog="Example: inboxd examples restore 17")(restore)
    examples.command(
        "export", epilog=f"{LIMITS}\n\nExample: inboxd examples export mail.jsonl --mask"
    )(export)
    examples.command("import", epilog="Example: inboxd examples import mail.jsonl")(import_)
    cli.add_typer(examples, name="examples")


def check(
    account: AccountOption = None,
    limit: Annotated[int, typer.Option(min=0, help="How many examples to show.")] = 30,
    effect: Annotated[
        bool, typer.Option("--effect", help="Replay the mail with and without the bad ones.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Judge the examples: copies, contradictions, probable mislabels, one-sided folders.

    Of an account that shares a model they are judged among the examples of all that share it.
    """
    from daemon.use_cases.examples import check_examples  # noqa: PLC0415

    with application() as app, progress_bar(quiet=as_json or not effect) as progress:
        results = [
            check_examples(
                app,
                name,
                replayed=effect,
                progress=lambda done, total: progress("replay", done, total),
            )
            for name in app.names(account)
        ]
    if as_json:
        print_json(results)
        return
    for result in results:
        _print_checked(result, limit)
        if effect:
            _print_effect(result.effect)


def _print_checked(result: CheckedAccount, limit: int) -> None:
    from daemon.use_cases.shares import told_whose  # noqa: PLC0415 - SQLAlchemy

    whose = told_whose(result.mail_of)
    if whose is not None:
        console.print(f"{whose} Only mails of {result.account} are listed below.", markup=False)
    table(
        f"Examples of {', '.join(result.mail_of)}, by folder",
        ("folder", "verdict", "#mails", "#texts", "#good", "#suspect", "#bad", "why"),
        [
            (f.label, f.grade, f.examples, f.texts, f.good, f.suspect, f.bad,
             "\n".join(reason.sentence for reason in f.reasons) or None)
            for f in result.folders
        ],
    )  # fmt: skip
    doubtful = sorted(
        (each for each in result.examples if each.grade != "good"),
        key=lambda each: (each.grade != "bad", each.own if each.own is not None else 1.0),
    )
    if doubtful[:limit]:
        _print_doubtful(doubtful[:limit], len(doubtful))
    told = f"{result.account}: {result.judged} examples judged: {result.grade}."
    if result.not_judged:
        told += f" {result.not_judged} not judged: not read yet, or beyond max_examples."
    console.print(told, markup=False)
    for reason in result.reasons:
        console.print(f"  {reason.sentence}", markup=False)


def _print_effect(effect: Effect | None) -> None:
    if effect is None:
        console.print("No example is called bad, so there is nothing to replay without.")
        return
    rows = {
        "as it is": effect.as_it_is,
        f"without the {effect.bad} bad ones": effect.without,
        f"{effect.relabelled} of them with the better folder": effect.with_better,
    }
    table(
        f"To move by hand, of {effect.mails} mails that are not called bad",
        ("examples", "#each filed", "#only sure ones filed", "#fewer, each filed", "#95 %"),
        [
            (name, each.manual_moves_forced, each.manual_moves, f"{each.fewer:+d}",
             f"{each.low:+.0f} to {each.high:+.0f}")
            for name, each in rows.items()
        ],
    )  # fmt: skip


def _print_doubtful(shown: list[CheckedExample], total: int) -> None:
    table(
        f"Doubtful examples ({len(shown)} of {total}, the worst first)",
        ("#mail", "verdict", "folder", "#own", "better", "why"),
        [
            (each.message, each.grade, each.folder, percent(each.own), each.better,
             "\n".join(reason.sentence for reason in each.reasons))
            for each in shown
        ],
    )  # fmt: skip
    console.print(
        "Look at a mail with: inboxd why NUMBER; put it right by moving it, or with "
        "inboxd examples relabel or exclude."
    )


def list_(
    account: AccountOption = None,
    folder: Annotated[str | None, typer.Option("--folder", "-f", help="Only this folder.")] = None,
    excluded: Annotated[bool, typer.Option("--excluded", help="Only excluded ones.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """What was taught: message, folder, by what, when."""
    from daemon.use_cases.examples import list_examples  # noqa: PLC0415

    with application() as app:
        name = one_account(app, account)
        found = list_examples(app, name, folder=folder, excluded=excluded)
    if as_json:
        print_json(found[:limit])
        return
    table(
        f"Examples of {name} ({len(found[:limit])} of {len(found)})",
        ("#mail", "folder", "taught by", "taught", "mail of", "counts"),
        [
            (e.message, e.folder, e.source, when(e.labelled_at), when(e.sent_at),
             "yes" if e.counts else "excluded" if e.excluded_at else "no")
            for e in found[:limit]
        ],
    )  # fmt: skip


def exclude(messages: Messages, account: AccountOption = None, as_json: JsonOption = False) -> None:
    """Take examples out of learning, until you restore them or move the mail yourself."""
    from daemon.use_cases.examples import exclude as run  # noqa: PLC0415

    with application() as app:
        changed = run(app, one_account(app, account), messages)
    _print_changed(changed, as_json=as_json)


def restore(messages: Messages, account: AccountOption = None, as_json: JsonOption = False) -> None:
    """Let excluded examples count again."""
    from daemon.use_cases.examples import restore as run  # noqa: PLC0415

    with application() as app:
        changed = run(app, one_account(app, account), messages)
    _print_changed(changed, as_json=as_json)


def relabel(
    message: Annotated[str, typer.Argument(help="Number from the first column, or Message-ID.")],
    folder: Annotated[str, typer.Argument(help="A label folder, or the inbox: leave it there.")],
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say where a mail belongs without moving it; outranks everything said before."""
    from daemon.use_cases.examples import relabel as run  # noqa: PLC0415

    with application() as app:
        changed = run(app, one_account(app, account), message, folder)
    _print_changed([changed], as_json=as_json)


def _print_changed(changed: list[Changed], *, as_json: bool) -> None:
    if as_json:
        print_json(changed)
        return
    for each in changed:
        console.print(f"Mail {each.message} ({each.folder}): {each.outcome}", markup=False)
    console.print("It is learned with the next pass, or now with: inboxd train")


def export(
    file: Annotated[Path, typer.Argument(help="Where to; is replaced.", dir_okay=False)],
    masked: Annotated[
        bool, typer.Option("--mask", help="Replace what points to persons; limits below.")
    ] = False,
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write examples as JSON lines: text, label, source, date. The text is fetched again."""
    from daemon.use_cases.example_files import export_examples  # noqa: PLC0415

    with application() as app, progress_bar(quiet=as_json) as progress:
        name = one_account(app, account)
        result = export_examples(
            app,
            name,
            file,
            masked=masked,
            progress=lambda done, total: progress("inventory", done, total),
        )
    if as_json:
        print_json(result)
        return
    console.print(
        f"{name}: {result.written} examples written to {file}; {result.missing} left out: their "
        "mail is not in the mailbox.",
        markup=False,
    )
    if not masked:
        console.print("The file holds the full text of your mail: keep it as you keep the mail.")


def import_(
    file: Annotated[Path, typer.Argument(help="JSON lines with text and label.", dir_okay=False)],
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn from labelled texts; labels are names of your folders. No mail is created."""
    from daemon.use_cases.example_files import import_examples  # noqa: PLC0415

    with application() as app, progress_bar(quiet=as_json) as progress:
        name = one_account(app, account)
        result = import_examples(
            app, name, file, progress=lambda done, total: progress("encode", done, total)
        )
    if as_json:
        print_json(result)
    else:
        _print_imported(name, result)


def _print_imported(account: str, result: Imported) -> None:
    console.print(
        f"{account}: {sum(result.new.values())} new examples, {result.known} known already",
        markup=False,
    )
    for label, count in result.unknown_labels.items():
        console.print(f"  {count} skipped: there is no label folder {label!r}", markup=False)
    for fault in result.faults:
        console.print(f"  line {fault.line} skipped: {fault.problem}", markup=False)
    if result.new:
        console.print("They are learned with the next pass, or now with: inboxd train")
