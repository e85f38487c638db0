"""replay: how many mails would have been left to move by hand?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from classifier.costs import NO_COSTS, Costs
from daemon.cli.context import AccountOption, application, engine_without_account, one_account
from daemon.cli.output import console, percent, plain, table
from daemon.cli.progress import progress_bar
from daemon.errors import InboxdError

if TYPE_CHECKING:
    from daemon.use_cases.replay import FiledMail
    from trainer.examples import Example
    from trainer.replay import Replay


def register(cli: typer.Typer) -> None:
    """Add this module's commands."""
    cli.command(
        "replay",
        epilog="Examples: inboxd replay mailbox/ --baselines · inboxd replay --account private",
    )(replay)


def replay(
    directory: Annotated[
        Path | None, typer.Argument(help="A tree FOLDER/*.eml; or use --account.")
    ] = None,
    account: AccountOption = None,
    every: Annotated[int, typer.Option(min=1, help="Learn after so many mails.")] = 1,
    skip: Annotated[int, typer.Option(min=0, help="The first mails are not scored.")] = 20,
    target_precision: Annotated[
        float | None, typer.Option(min=0.5, max=0.999, help="Default: that of the configuration.")
    ] = None,
    descriptions: Annotated[
        Path | None,
        typer.Option(help="TOML file: a sentence for each folder, known from the start."),
    ] = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Also naive Bayes and TF-IDF + linear SVM.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--json", help="Write all figures to this file.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write the learning curve to this SVG file.")
    ] = None,
) -> None:
    """Live through a mailbox in time order: predict each mail, then learn where it went.

    Changes nothing. Says how many mails you would have had to move yourself. With --account it
    uses the mail that inboxd learn has read, of all accounts that share its model.
    """
    if (directory is None) == (account is None):
        raise typer.BadParameter("Name a directory, or an account with --account.")
    if account is not None and descriptions is not None:
        raise typer.BadParameter("An account has its descriptions in the configuration.")
    if account is not None and baselines:
        raise typer.BadParameter("--baselines needs a directory: inboxd keeps no text.")
    from daemon.use_cases.replay import read_tree  # noqa: PLC0415 - numpy

    with progress_bar(quiet=False) as progress:
        if directory is not None:
            how = (every, skip, target_precision)
            mails = read_tree(directory)
            figures, outcome = _of_tree(mails, descriptions, how, progress)
            if baselines:
                figures["baselines"] = _baselines(mails, skip, progress)
        else:
            figures, outcome = _of_account(account, (every, skip, target_precision), progress)
    if output is not None:
        output.write_text(json.dumps(plain(figures), indent=2) + "\n", encoding="utf-8")
    if plot is not None:
        from daemon.use_cases.learning_curve import learning_curve  # noqa: PLC0415

        plot.write_text(learning_curve(outcome.steps, skip), encoding="utf-8")
    _print(figures)


def _of_tree(
    mails: list[FiledMail],
    descriptions: Path | None,
    how: tuple[int, int, float | None],
    progress: Any,
) -> tuple[dict[str, Any], Replay]:
    import time  # noqa: PLC0415

    from daemon.use_cases.replay import (  # noqa: PLC0415 - numpy
        described_examples,
        examples_of_tree,
        read_descriptions,
    )

    sentences = read_descriptions(descriptions) if descriptions is not None else {}
    engine, target = engine_without_account()
    started = time.perf_counter()
    examples = examples_of_tree(engine.featurizer(), mails, lambda d, n: progress("encode", d, n))
    seconds = time.perf_counter() - started
    examples += described_examples(engine.featurizer(), mails, sentences)
    return _replayed(
        examples, how, target, progress, {"seconds_encode": seconds, "model": _model(engine)}
    )


def _of_account(
    account: str | None, how: tuple[int, int, float | None], progress: Any
) -> tuple[dict[str, Any], Replay]:
    from daemon.use_cases.replay import (  # noqa: PLC0415 - numpy
        costs_of_account,
        examples_of_account,
        honest_from,
    )
    from daemon.use_cases.shares import whose_mail  # noqa: PLC0415

    with application() as app:
        name = one_account(app, account)
        examples, _ = examples_of_account(app, name)
        target = app.settings.model.target_precision
        every, skip, asked = how
        how = (every, max(skip, honest_from(app, name, examples)), asked)
        model = app.models(name).encoder().fingerprint
        more = {"seconds_encode": 0.0, "model": model, "mail_of": list(whose_mail(app, name))}
        return _replayed(examples, how, target, progress, more, costs_of_account(app, name))


def _replayed(
    examples: list[Example],
    how: tuple[int, int, float | None],
    target: float,
    progress: Any,
    more: dict[str, Any],
    costs: Costs = NO_COSTS,
) -> tuple[dict[str, Any], Replay]:
    from trainer.replay import ReplaySettings  # noqa: PLC0415 - numpy
    from trainer.replay import replay as run_replay  # noqa: PLC0415

    every, skip, asked = how
    settings = ReplaySettings(every=every, skip=skip, target_precision=asked or target, costs=costs)
    outcome = run_replay(examples, settings, lambda d, n: progress("replay", d, n))
    return {**outcome.report.as_dict(), **more}, outcome


def _model(engine: Any) -> str:
    return str(engine.featurizer().fingerprint)


def _baselines(mails: list[FiledMail], skip: int, progress: Any) -> dict[str, Any]:
    from daemon.use_cases.replay import baseline_text  # noqa: PLC0415
    from trainer.baselines import baselines  # noqa: PLC0415

    texts = [baseline_text(each) for each in mails]
    labels = [each.folder for each in mails]
    try:
        reports = baselines(
            texts, labels, skip=skip, progress=lambda d, n: progress("baselines", d, n)
        )
    except ImportError as error:
        raise InboxdError(
            "The baselines need scikit-learn.", next_step="Run: pip install scikit-learn"
        ) from error
    return {name: report.as_dict() for name, report in reports.items()}


def _print(figures: dict[str, Any]) -> None:
    from daemon.use_cases.shares import told_whose  # noqa: PLC0415 - SQLAlchemy

    if (told := told_whose(figures.get("mail_of", ()))) is not None:
        console.print(told, markup=False)
    rows = [("inboxd", figures)]
    rows += list(figures.get("baselines", {}).items())
    table(
        f"{figures['messages']} mails, {figures['folders']} folders, {figures['scored']} scored, "
        f"{figures['unseen_folder_mails']} first of their folder",
        ("learner", "#to move by hand", "#accuracy", "#macro F1", "by quarter"),
        [
            (
                name,
                each["manual_moves_forced"],
                percent(each["accuracy"]),
                percent(each["macro_f1"]),
                " ".join(f"{value:.2f}" for value in each["accuracy_by_quarter"]),
            )
            for name, each in rows
        ],
    )
    console.print(
        f"Moving only when sure (target {percent(figures['target_precision'])}): "
        f"{percent(figures['coverage'])} moved, {percent(figures['precision'])} of these rightly; "
        f"{figures['wrong_moves']} wrong + {figures['left']} left = "
        f"{figures['manual_moves']} to move by hand",
        markup=False,
    )
    if figures["cost"] != figures["manual_moves"]:
        console.print(
            f"With the costs of mistakes it is as if {figures['cost']:g} mails were left",
            markup=False,
        )
    if figures["zero_shot_accuracy"] is not None:
        console.print(
            f"From the descriptions alone, without any filed mail: "
            f"{percent(figures['zero_shot_accuracy'])} right",
            markup=False,
        )
    console.print(
        f"Coverage at 95 %: {percent(figures['coverage_at_95'])}, at 98 %: "
        f"{percent(figures['coverage_at_98'])}; calibration error {figures['ece']:.3f} "
        f"({figures['ece_by_chance']:.3f} by chance alone); "
        f"encoding {figures['seconds_encode']:.0f} s, learning "
        f"{figures['seconds_refit_median'] * 1000:.0f} ms per mail",
        markup=False,
    )
