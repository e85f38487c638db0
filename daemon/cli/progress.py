"""The progress bar of long work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from daemon.cli.output import errors

if TYPE_CHECKING:
    from daemon.use_cases.learn import Progress

STAGES = {
    "inventory": "Looking into the folders",
    "encode": "Reading mail with BERT",
    "train": "Learning and evaluating",
    "replay": "Living through it again",
    "baselines": "The same for the baselines",
    "compare": "Training and comparing",
    "tune": "Trying hyperparameters",
    "export": "Exporting the model",
    "backup": "Writing the backup",
    "restore": "Reading and checking the backup",
    "fetch": "Fetching mail again",
    "deep": "Tuning the encoder",
    "reread": "Reading mail with the tuned encoder",
    "rebuild": "Reading the rest with it",
}


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator[Progress]:
    """A progress bar on standard error; with `quiet` none."""
    from rich.progress import (  # noqa: PLC0415 - only for long work
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, disable=quiet) as bar:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(STAGES[stage])
            bar.update(tasks[stage], completed=done, total=total)

        yield report
