"""models: list, show, rollback, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.context import AccountOption, JsonOption, application, one_account
from daemon.cli.output import console, percent, print_json, table, when
from daemon.cli.progress import progress_bar
from daemon.cli.reports import draw_curves, print_autonomy

if TYPE_CHECKING:
    from daemon.use_cases.models import ModelDetails, ModelSummary

models = typer.Typer(
    help="The models of an account: list them, look at one, go back.",
    epilog="Example: inboxd models list",
    no_args_is_help=True,
)

MOST_CONFUSIONS = 10
"""So many are shown in the table."""


def register(cli: typer.Typer) -> None:
    """Add this module's commands."""
    models.command("list", epilog="Example: inboxd models list --json")(list_)
    models.command("show", epilog="Example: inboxd models show")(show)
    models.command("rollback", epilog="Example: inboxd models rollback --account private")(rollback)
    models.command(
        "export",
        epilog="Examples: inboxd models export ./my-model · inboxd models export ./my-model --onnx",
    )(export)
    cli.add_typer(models, name="models")


def list_(account: AccountOption = None, as_json: JsonOption = False) -> None:
    """All trained models, newest first, with what the gate said."""
    from daemon.use_cases.models import list_models  # noqa: PLC0415

    with application() as app:
        found = list_models(app, account)
    if as_json:
        print_json(found)
        return
    table(
        "Models",
        ("account", "version", "state", "trained", "#examples", "#accuracy", "gate"),
        [
            (_whose(m), m.version, m.state, when(m.created_at), m.examples, percent(m.accuracy),
             m.reason)
            for m in found
        ],
    )  # fmt: skip


def show(
    version: Annotated[str | None, typer.Argument(help="Default: the one in use.")] = None,
    account: AccountOption = None,
    curves: Annotated[
        Path | None,
        typer.Option(help="Draw training against validation loss into this file (SVG)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """One model: figures, thresholds, and why it was promoted or rejected."""
    from daemon.use_cases.models import show_model  # noqa: PLC0415

    with application() as app:
        name = one_account(app, account)
        found = show_model(app, name, version)
    if curves is not None:
        draw_curves(found.report, f"Model {found.summary.version}", curves)
    if as_json:
        print_json(found)
        return
    summary = found.summary
    console.print(f"Model {summary.version} of {_whose(summary)}: {summary.state}", markup=False)
    console.print(f"Gate: {summary.reason}", markup=False)
    console.print(f"Directory (with a model card): {found.directory}", markup=False)
    for kind, document in (("encoder", found.report.get("deep", {})), ("head", found.report)):
        if "curves" in document:
            console.print(f"Curves of the {kind}: {document['curves']['verdict']}", markup=False)
    _print_measured(found)
    print_autonomy(found.report, found.report["label_names"])


def _whose(model: ModelSummary) -> str:
    """The account, or the shared model and who shares it."""
    if model.shared_model is None:
        return model.account
    return f"{model.shared_model} (shared by {', '.join(model.shared_by)})"


def _print_measured(found: ModelDetails) -> None:
    """The figures with their meaning, the folders, the worst mistakes, the calibration."""
    if not found.measured:
        console.print("Too little mail yet to measure how good it is.")
        return
    names = found.report["label_names"]
    recent = found.report.get("recent") or found.report["evaluation"]
    table(
        f"Measured on {recent['mails']} mails that it had not seen (95 % intervals)",
        ("figure", "#value", "#between", "what it means"),
        [(m.name, m.value, m.interval, m.sentence) for m in found.measured],
    )
    for sentence in found.costs:
        console.print(sentence, markup=False)
    areas = recent.get("roc_auc_by_label", {})
    table(
        "Per folder: precision is how often the folder's name was right, recall how much of its "
        "mail was found",
        ("folder", "#mails", "#precision", "#recall", "#F1", "#AUC"),
        [
            (names.get(label, label), score["support"], percent(score["precision"]),
             percent(score["recall"]), percent(score["f1"]), _area(areas.get(label)))
            for label, score in recent["per_label"].items()
            if score["support"]
        ],
    )  # fmt: skip
    if found.confusions:
        worst = found.confusions[:MOST_CONFUSIONS]
        more = len(found.confusions) - len(worst)
        table(
            "Most frequent confusions" + (f" ({more} more with --json)" if more else ""),
            ("belongs to", "was taken for", "#mails", "#cost of each"),
            [(c.true, c.predicted, c.mails, f"{c.cost:g}") for c in worst],
        )
    table(
        "Can its probabilities be believed?",
        ("#mails", "#says", "#was right"),
        [
            (b["mails"], percent(b["confidence"]), percent(b["right"]))
            for b in recent.get("reliability", ())
        ],
    )


def _area(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def rollback(account: AccountOption = None) -> None:
    """Go back to the model that was in use before."""
    from daemon.use_cases.models import roll_back  # noqa: PLC0415
    from daemon.use_cases.shares import shared_by  # noqa: PLC0415

    with application() as app:
        name = one_account(app, account)
        version = roll_back(app, name)
        whose = shared_by(app, name)
    console.print(f"{whose}: model {version} is in use again", markup=False)


def export(
    directory: Annotated[Path, typer.Argument(help="Where to; must not exist yet.")],
    version: Annotated[str | None, typer.Option(help="Default: the one in use.")] = None,
    account: AccountOption = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Also an ONNX graph; needs the extra onnx.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a model with its encoder to a directory that plain transformers code can load.

    The directory explains itself in README.md. It is made from your mail: keep it to yourself.
    """
    from daemon.use_cases.export import export_model  # noqa: PLC0415

    with application() as app, progress_bar(quiet=as_json) as progress:
        found = export_model(
            app,
            one_account(app, account),
            directory,
            version=version,
            onnx=onnx,
            progress=lambda done, total: progress("export", done, total),
        )
    if as_json:
        print_json(found)
        return
    console.print(
        f"Model {found.version} of {found.account} written to {found.directory} "
        f"({found.bytes / 1e6:.0f} MB)",
        markup=False,
    )
    if found.onnx is not None:
        console.print(
            f"model.onnx gives the same logits on {found.onnx.mails} mails: largest difference "
            f"{found.onnx.largest_difference:.1e} (allowed {found.onnx.tolerance:.0e})",
            markup=False,
        )
    console.print("How to use it stands in its README.md.")
