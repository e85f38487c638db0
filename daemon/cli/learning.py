"""learn, train, classify."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon.cli.context import AccountOption, JsonOption, application, one_account
from daemon.cli.output import console, errors, json_line, percent, print_json, table
from daemon.cli.progress import progress_bar
from daemon.cli.reports import draw_curves, print_autonomy
from daemon.cli.tuning import run_compare
from daemon.use_cases.split import Split

if TYPE_CHECKING:
    from daemon.learning.refit import Refit
    from daemon.use_cases.classify import Classification
    from daemon.use_cases.deep import Deep
    from daemon.use_cases.learn import Learned, Progress


def register(cli: typer.Typer) -> None:
    """Add this module's commands."""
    cli.command("learn", epilog="Example: inboxd learn --account private --newest 200")(learn)
    cli.command(
        "train",
        epilog="Examples: inboxd train · inboxd train --deep --account private · "
        "inboxd train --compare mild.toml strict.toml",
    )(train)
    cli.command("classify", epilog="Examples: inboxd classify mail.eml · inboxd classify - < mail")(
        classify
    )


def learn(
    account: AccountOption = None,
    newest: Annotated[
        int | None, typer.Option(min=1, help="Newest mails per folder (default: configuration).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Learn from the mail in your label folders, evaluate it honestly, start using it."""
    from daemon.use_cases.learn import learn as run_learn  # noqa: PLC0415

    results: list[Learned] = []
    with application() as app:
        for name in app.names(account):
            with progress_bar(quiet=as_json) as progress:
                results.append(run_learn(app, name, newest_per_folder=newest, progress=progress))
    if as_json:
        print_json(results)
    else:
        for result in results:
            _print_learned(result)
    if any(result.refit.version is None for result in results):
        raise typer.Exit(6)


def _print_learned(result: Learned) -> None:
    rate = result.encoded / result.seconds_encoding if result.seconds_encoding else 0.0
    console.print(
        f"{result.account}: {sum(result.new_examples.values())} new examples, "
        f"{result.encoded} mails read in {result.seconds_encoding:.0f} s ({rate:.1f}/s)",
        markup=False,
    )
    _print_refit(result.account, result.refit)


def _print_refit(account: str, result: Refit) -> None:
    if result.version is None:
        console.print(f"{account}: no model yet: {result.reason}", style="yellow", markup=False)
        return
    if result.evaluation is not None:
        _print_evaluation(result.evaluation, result.labels, result.report.get("split", Split.TIME))
    print_autonomy(result.report, result.labels)
    verb = "is in use" if result.promoted else "was not taken"
    console.print(
        f"{account}: model {result.version} from {result.examples} examples {verb} "
        f"({result.seconds:.1f} s). {result.reason}",
        markup=False,
    )


def _print_evaluation(
    report: Mapping[str, Any], names: Mapping[str, str], split: str = Split.TIME
) -> None:
    """Precision, recall and F1 per folder on the tenth that was held back."""
    title = f"Test on the newest {report['mails']} mails, learned from older ones only"
    if split == Split.RANDOM:
        title = f"Test on {report['mails']} mails chosen at random, which flatters"
    table(
        title,
        ("folder", "#mails", "#precision", "#recall", "#F1"),
        [
            (
                names.get(label, label),
                score["support"],
                percent(score["precision"]),
                percent(score["recall"]),
                percent(score["f1"]),
            )
            for label, score in report["per_label"].items()
            if score["support"]
        ],
    )
    accuracy, moved = report["accuracy"], report["moved_precision"]
    console.print(
        f"accuracy {percent(accuracy['value'])} "
        f"({percent(accuracy['low'])} – {percent(accuracy['high'])}), "
        f"macro F1 {percent(report['macro_f1']['value'])}, "
        f"AUC {report['roc_auc'] or float('nan'):.3f}; it would have moved "
        f"{percent(report['coverage']['value'])} by itself, of these "
        f"{percent(moved['value']) if moved else '–'} rightly",
        markup=False,
    )


def train(
    account: AccountOption = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="A.toml B.toml",
            help="Compare two sets of [model] and [training] settings on the mail that was read; "
            "trains nothing for use.",
        ),
    ] = None,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", help="Tune the encoder itself to your mail; many minutes without a GPU."
        ),
    ] = False,
    split: Annotated[
        Split | None,
        typer.Option(help="Also test on a split of this kind. random flatters, time is honest."),
    ] = None,
    curves: Annotated[
        Path | None,
        typer.Option(help="With --deep: draw training against validation loss into this SVG file."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Re-fit the model now from everything you taught so far.

    With --deep the encoder is tuned in a process of its own, at low priority. It may be stopped
    with Ctrl-C; run again, it goes on from its last checkpoint. With --json progress goes to
    standard error, one object per line.
    """
    if split is Split.RANDOM:
        _warn_of_random_split()
    if compare is not None:
        run_compare(account, compare, split or Split.TIME, as_json=as_json)
        return
    if deep:
        _train_deep(account, split or Split.TIME, curves, as_json=as_json)
        return
    from daemon.use_cases.learn import train as run_train  # noqa: PLC0415

    with application() as app:
        results = {name: run_train(app, name, split=split) for name in app.names(account)}
    if as_json:
        print_json(results)
    else:
        for name, result in results.items():
            _print_refit(name, result)
    if any(result.version is None for result in results.values()):
        raise typer.Exit(6)


def _warn_of_random_split() -> None:
    from trainer.splits import WARNING  # noqa: PLC0415 - numpy

    errors.print(WARNING, style="yellow", markup=False)


def _train_deep(account: str | None, split: Split, curves: Path | None, *, as_json: bool) -> None:
    from daemon.use_cases.deep import Listener, train_deep  # noqa: PLC0415 - numpy

    results: list[Deep] = []
    with application() as app:
        for name in app.names(account):
            with deep_listener(name, as_json=as_json) as (progress, point):
                listener = Listener(progress, point)
                results.append(train_deep(app, name, split=split, listener=listener))
            if curves is not None and "curves" in results[-1].report:
                draw_curves(results[-1].report, f"The encoder of {name}", curves)
    if as_json:
        print_json(results)
        return
    for result in results:
        _print_deep(result)


@contextmanager
def deep_listener(
    account: str, *, as_json: bool
) -> Iterator[tuple[Progress, Callable[[Mapping[str, float]], None]]]:
    """How the progress of a deep fine-tune is shown: bars and lines, or objects."""
    if as_json:
        yield (
            lambda stage, done, total: json_line(
                {"account": account, "stage": stage, "done": done, "total": total}
            ),
            lambda point: json_line({"account": account, **point}),
        )
        return

    def show(point: Mapping[str, float]) -> None:
        errors.print(
            f"epoch {point['epoch']:g}: training loss {point['training_loss']:.3f}, validation "
            f"loss {point['validation_loss']:.3f}, {percent(point['validation_accuracy'])} right",
            markup=False,
        )

    with progress_bar(quiet=False) as progress:
        yield progress, show


def _print_deep(result: Deep) -> None:
    report = result.report
    if "curves" in report:
        console.print(f"Curves: {report['curves']['verdict']}.", markup=False)
    if "comparison" in report:
        found = report["comparison"]
        rows = [
            (name, percent(found[which]), *map(percent, found[f"{which}_interval"]))
            for name, which in (("as it was", "present"), ("tuned", "tuned"))
        ]
        title = f"Whole head on the newest {found['compared']} mails"
        table(title, ("encoder", "#right", "#from", "#to"), rows)
    resumed = ", went on from a checkpoint" if result.resumed else ""
    console.print(
        f"{result.account}: {result.outcome.replace('-', ' ')} ({result.seconds:.0f} s{resumed}). "
        f"{result.reason}",
        markup=False,
    )


def classify(
    files: Annotated[list[Path], typer.Argument(help="Message files; - is standard input.")],
    account: AccountOption = None,
    top: Annotated[int, typer.Option(min=1, help="How many folders to show.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """Probabilities for message files; needs a model but no server."""
    from daemon.use_cases.classify import classify as run_classify  # noqa: PLC0415

    contents = [(str(path), _read(path)) for path in files]
    with application() as app:
        results = run_classify(app, one_account(app, account), contents)
    if as_json:
        print_json(results)
        return
    for result in results:
        _print_classification(result, top)


def _read(path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}.") from error


def _print_classification(result: Classification, top: int) -> None:
    verdict = "would be moved" if result.moves else "would stay in the inbox"
    console.print(f"{result.source}: {verdict}. {result.reason}", markup=False)
    for folder, probability in result.ranked[:top]:
        console.print(f"  {percent(probability):>8}  {folder}", markup=False)
