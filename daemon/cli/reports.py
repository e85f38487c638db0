"""What several commands show of a model's report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from daemon.cli.output import percent, table


def print_autonomy(report: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """What each folder may do by itself from now on."""
    table(
        f"Folders (target precision {percent(report['target_precision'])})",
        ("folder", "#examples", "may move by itself", "#from probability", "#estimated precision"),
        [
            (
                names.get(label, label),
                figures["examples"],
                "yes" if figures["threshold"]["threshold"] is not None else "suggests only",
                percent(figures["threshold"]["threshold"]),
                percent(figures["threshold"]["estimated_precision"]),
            )
            for label, figures in report["per_label"].items()
        ],
    )


def draw_curves(report: Mapping[str, Any], what: str, target: Path) -> None:
    """Write the training and validation curves as an SVG."""
    from daemon.use_cases.training_curves import curves_of, draw  # noqa: PLC0415
    from trainer.curves import verdict  # noqa: PLC0415

    curves = curves_of(report, what)
    try:
        target.write_text(draw(curves, verdict(curves)), encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{target} cannot be written: {error.strerror}.") from error
