"""run, reload, demo."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.context import AccountOption, JsonOption, application, reread
from daemon.cli.output import console, errors, percent, print_json, table
from daemon.errors import InboxdError

if TYPE_CHECKING:
    from daemon.use_cases.application import Application
    from daemon.use_cases.cycle import CycleReport


def register(cli: typer.Typer) -> None:
    """Add this module's commands."""
    cli.command("run", epilog="Examples: inboxd run · inboxd run --once · inboxd run --dry-run")(
        run
    )
    cli.command("reload", epilog="Example: inboxd reload")(reload)
    cli.command("demo", epilog="Example: inboxd demo")(demo)


def run(
    once: Annotated[bool, typer.Option("--once", help="One whole pass, then exit.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what a pass would do; change nothing.")
    ] = False,
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the daemon: watch the inboxes, sort new mail, learn from your moves.

    One pass notices your moves, learns from them and sorts what is new. Stop the daemon with
    Ctrl-C or SIGTERM; it finishes the step that it is in.
    """
    with application(quiet=once or dry_run) as app:
        if dry_run:
            _dry_run(app, account, as_json)
        elif once:
            _once(app, account, as_json)
        else:
            from daemon.service import run_daemon  # noqa: PLC0415 - APScheduler

            raise typer.Exit(run_daemon(app, reread))


def _once(app: Application, account: str | None, as_json: bool) -> None:
    """One pass for every account; one that fails does not keep the others from theirs."""
    from daemon.locks import instance_lock  # noqa: PLC0415
    from daemon.use_cases.cycle import failed_report, run_cycle_once  # noqa: PLC0415

    reports: list[CycleReport] = []
    failures: list[InboxdError] = []
    with instance_lock(app.state_dir):
        for name in app.names(account):
            try:
                reports.append(run_cycle_once(app, name))
            except InboxdError as error:
                failures.append(error)
                reports.append(failed_report(app, name, error))
    _print_reports(reports, as_json)
    if failures:
        raise typer.Exit(failures[0].exit_code)


def _print_reports(reports: list[CycleReport], as_json: bool) -> None:
    if as_json:
        print_json(reports)
        return
    for report in reports:
        _print_report(report)


def _print_report(report: CycleReport) -> None:
    if report.error:
        errors.print(f"{report.account}: {report.error}", style="red", markup=False)
        errors.print(f"→ {report.next_step}", markup=False)
        return
    if report.paused:
        console.print(f"{report.account}: paused; inboxd resume goes on", markup=False)
        return
    observation, sorted_, refit = report.observation, report.sorted, report.refit
    if observation is not None:
        console.print(
            f"{report.account}: {len(observation.noticed)} of your moves noticed, "
            f"{observation.lessons} teach something, {observation.delivered} new mails",
            markup=False,
        )
        if observation.held or observation.taken_back:
            console.print(
                f"  ! {observation.held + observation.taken_back} moves came in a burst and wait "
                "for your word: inboxd held list",
                style="yellow",
                markup=False,
            )
        for noticed in observation.noticed:
            console.print(
                f"  {noticed.kind.value}: {noticed.from_folder} → {noticed.to_folder}",
                markup=False,
            )
    if refit is not None:
        console.print(f"  learned: {refit.reason}", markup=False)
    for folder in report.reviewed.suspended:
        console.print(
            f"  ! {folder} was wrong more often than it promised and gets suggestions only: "
            "inboxd folders list",
            style="yellow",
            markup=False,
        )
    for folder in report.reviewed.trusted:
        console.print(f"  {folder} keeps its promise again and is sorted into", markup=False)
    if sorted_ is not None:
        counts = {"moved": sorted_.moved, "not moved": sorted_.failed}
        counts |= {action.value: number for action, number in sorted_.by_action.items()}
        outcome = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
        rate = sorted_.seen / report.seconds_sorting if report.seconds_sorting else 0.0
        console.print(
            f"  {sorted_.seen} mails judged: {outcome or 'nothing to do'} "
            f"({report.seconds_sorting:.1f} s, {rate:.0f} mails/s)",
            markup=False,
        )
    if report.note:
        console.print(f"  ! {report.note}", style="yellow", markup=False)


def _dry_run(app: Application, account: str | None, as_json: bool) -> None:
    from daemon.use_cases.dry_run import dry_run  # noqa: PLC0415

    results = [dry_run(app, name) for name in app.names(account)]
    if as_json:
        print_json(results)
        return
    for result in results:
        _print_report(result.report)
        table(
            f"What a pass would do for {result.report.account} (nothing was changed)",
            ("#mail", "action", "folder", "#probability", "reason"),
            [
                (e.message, e.action, e.folder, percent(e.probability), e.reason)
                for e in result.decisions
            ],
        )


def reload(as_json: JsonOption = False) -> None:
    """Have the running daemon read its configuration anew, without a restart.

    Accounts can be added, removed and changed; the others go on undisturbed. A configuration with
    faults is refused, and the one before stays in force. SIGHUP does the same.
    """
    from daemon.use_cases.reload import reload as ask  # noqa: PLC0415

    with application() as app:
        outcome = ask(app)
    if as_json:
        print_json(outcome)
    elif outcome.taken:
        for what, names in asdict(outcome.changes).items():
            if names:
                console.print(f"{what}: {', '.join(names)}", markup=False)
    else:
        errors.print(f"Refused, nothing has changed. {outcome.error}", style="red", markup=False)
        errors.print(f"→ {outcome.next_step}", markup=False)
    if not outcome.taken:
        raise typer.Exit(2)


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the temporary state directory for a look.")
    ] = False,
) -> None:
    """Watch inboxd work: a mail server of its own, 270 mails, corrections, learning."""
    from daemon.demo.show import run_demo  # noqa: PLC0415

    raise typer.Exit(run_demo(console, keep=keep))
