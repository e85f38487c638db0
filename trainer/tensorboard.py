"""Curves as TensorBoard reads them: numbers by epoch, nothing else.

TensorBoard is an extra; without it `is_available` says so before any work begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from trainer.curves import CurvePoint, Curves, OnPoint

INSTALL = "pip install 'inboxd[tensorboard]'"


def is_available() -> bool:
    """Whether the extra is installed."""
    return find_spec("tensorboard") is not None


@contextmanager
def curve_log(directory: str | Path | None) -> Iterator[OnPoint]:
    """A function that logs each look below `directory`; with None it does nothing."""
    if directory is None:
        yield lambda _point: None
        return
    from torch.utils.tensorboard.writer import SummaryWriter  # noqa: PLC0415 - the extra

    with SummaryWriter(str(directory)) as writer:

        def log(point: CurvePoint) -> None:
            at = round(point.epoch * 100)  # steps are whole numbers: hundredths of an epoch
            for name in ("training_loss", "validation_loss", "validation_accuracy"):
                writer.add_scalar(name, getattr(point, name), at)
            writer.flush()

        yield log


def log_curves(directory: Path, curves: Curves) -> None:
    """All looks of a finished run."""
    with curve_log(directory) as log_point:
        for point in curves.points:
            log_point(point)
