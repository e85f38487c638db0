"""train --compare and tune: which settings learn better?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon.cli.context import AccountOption, JsonOption, application, one_account
from daemon.cli.output import console, percent, print_json, table
from daemon.cli.progress import progress_bar
from daemon.use_cases.split import Split

if TYPE_CHECKING:
    from daemon.use_cases.compare import Compared
    from daemon.use_cases.tune import Tuned
    from trainer.compare import Comparison, Difference, Side


def register(cli: typer.Typer) -> None:
    """Add this module's commands."""
    cli.command(
        "tune",
        epilog="Examples: inboxd tune --trials 50 · inboxd tune --trials 100 --output better.toml",
    )(tune)


def run_compare(
    account: str | None, files: tuple[Path, Path], split: Split, *, as_json: bool
) -> None:
    """`inboxd train --compare`."""
    from daemon.use_cases.compare import compare_files  # noqa: PLC0415 - numpy

    with application() as app, progress_bar(quiet=as_json) as progress:
        results = [
            compare_files(
                app,
                name,
                files,
                split=split,
                progress=lambda done, total: progress("compare", done, total),
            )
            for name in app.names(account)
        ]
    if as_json:
        print_json(results)
        return
    for result in results:
        _print_compared(result)


def _print_compared(result: Compared) -> None:
    for letter, file, changed in zip("AB", result.files, result.changed, strict=True):
        told = ", ".join(f"{key} = {value}" for key, value in changed.items())
        console.print(f"{letter}  {file}: {told or 'as configured'}", markup=False)
    _print_whose(result.mail_of)
    which = "the newest" if result.split == Split.TIME else "at random"
    title = f"{result.account}: {which} {result.result.mails} mails, learnt from {{}} others"
    print_comparison(title, result.result, ("A", "B"))


def _print_whose(accounts: Sequence[str]) -> None:
    from daemon.use_cases.shares import told_whose  # noqa: PLC0415 - SQLAlchemy

    if (told := told_whose(accounts)) is not None:
        console.print(told, markup=False)


def print_comparison(title: str, result: Comparison, names: tuple[str, str]) -> None:
    """The figures of both sides, their difference, and the verdict."""
    table(
        title.format(result.train),
        ("figure", f"#{names[0]}", f"#{names[1]}", "#difference", "#95 % interval"),
        [
            (
                told,
                _value(result.first, name),
                _value(result.second, name),
                *_difference(name, result.differences[name]),
            )
            for name, told in FIGURES.items()
        ],
    )
    if result.left_out:
        console.print(
            f"{result.left_out} mails left out: their thread or a copy stands in an earlier part.",
            markup=False,
        )
    console.print(result.verdict, markup=False)


FIGURES: Mapping[str, str] = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "coverage": "would move by itself",
    "moved_precision": "of these rightly",
    "manual_moves_forced": "to move by hand, each mail filed",
    "manual_moves": "to move by hand, only sure ones filed",
}


def _value(side: Side, name: str) -> str:
    value: Any = getattr(side, name)
    return str(value) if isinstance(value, int) else percent(value)


def _difference(name: str, found: Difference) -> tuple[str, str]:
    if found.value is None or found.low is None or found.high is None:
        return "–", "–"
    if name.startswith("manual"):
        return f"{found.value:+.0f}", f"{found.low:+.0f} to {found.high:+.0f}"
    value, low, high = (100 * each for each in (found.value, found.low, found.high))
    return f"{value:+.1f} %", f"{low:+.1f} to {high:+.1f} %"


def tune(
    trials: Annotated[
        int, typer.Option(min=1, help="How many more settings to try; a second call goes on.")
    ] = 30,
    account: AccountOption = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the TOML lines to this file.", dir_okay=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look for better settings of the classifier on the mail that was read.

    Tries λ and the weights of the blocks on validation mail, then compares the best with the
    present settings on newer mail that the search never saw. Changes no configuration and no
    model. Needs the extra "tune".
    """
    from daemon.use_cases.tune import tune as run_tune  # noqa: PLC0415 - numpy
    from daemon.use_cases.tune import write_toml  # noqa: PLC0415

    with application() as app, progress_bar(quiet=as_json) as progress:
        name = one_account(app, account)
        found = run_tune(
            app, name, trials, progress=lambda done, total: progress("tune", done, total)
        )
    if output is not None:
        write_toml(output, found.toml)
    if as_json:
        print_json(found)
    else:
        _print_tuned(found, output)


def _print_tuned(found: Tuned, output: Path | None) -> None:
    _print_whose(found.mail_of)
    sides = (found.present, found.best)
    table(
        f"{found.account}: {found.trials} trials ({found.new} new), "
        f"{found.validation_mails} validation mails",
        ("", "#present", "#best"),
        [
            ("log loss on validation mail", *(f"{each.log_loss:.3f}" for each in sides)),
            ("accuracy on validation mail", *(percent(each.accuracy) for each in sides)),
            ("ridge_lambda", *(f"{each.ridge_lambda:g}" for each in sides)),
            *(
                (f"blocks.{name}", *(f"{each.blocks[name]:g}" for each in sides))
                for name in found.best.blocks
            ),
        ],
    )
    title = f"Test on {found.test.mails} newer mails that the search never saw"
    print_comparison(title, found.test, ("present", "best"))
    console.print(found.advice, markup=False)
    console.print(found.toml, markup=False)
    if output is not None:
        console.print(f"Written to {output}", markup=False)
