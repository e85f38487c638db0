"""Learning: the first time from the mail in the folders, later from corrections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from daemon.learning.gather import cache_features, ignore, label_existing_mail
from daemon.learning.refit import Refit, refit, unfiled_for
from daemon.use_cases.application import Application, never
from daemon.use_cases.catch_up import up_to_date
from daemon.use_cases.split import Split

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total); stages are "inventory", "encode" and "train"."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What `learn` did: new examples per folder, mails encoded now, and the model."""

    account: str
    new_examples: dict[str, int]
    encoded: int
    seconds_encoding: float
    refit: Refit


def learn(
    app: Application,
    name: str,
    *,
    newest_per_folder: int | None = None,
    progress: Progress = ignore,
    stopped: Callable[[], bool] = never,
) -> Learned:
    """Take the inventory, make examples of the newest mails in the label folders, encode them,
    evaluate on a time split, fit, and promote through the gate.

    Safe to interrupt and to repeat: what is encoded stays encoded. Raises `MailboxError`,
    `ModelError`, `StateError`.
    """
    newest = newest_per_folder or app.settings.training.newest_per_folder
    stopped = app.showing_progress(name, stopped)
    progress("inventory", 0, 1)
    with up_to_date(app, name) as mailbox:
        counts = label_existing_mail(app.store, name, newest, app.clock())
        progress("inventory", 1, 1)
        settings = app.refit_settings(name)
        started = app.clock()
        encoded = cache_features(
            app.store,
            mailbox,
            name,
            app.models(name).encoder().source(settings.max_bytes),
            unfiled=unfiled_for(settings),
            progress=lambda done, total: progress("encode", done, total),
            stopped=stopped,
        )
        seconds = (app.clock() - started).total_seconds()
        progress("train", 0, 1)
        result = refit(
            app.store,
            app.engine,
            name,
            mailbox,
            settings,
            app.clock,
            evaluate=True,
            stopped=stopped,
        )
        progress("train", 1, 1)
    return Learned(name, counts, encoded, seconds, result)


def train(app: Application, name: str, *, split: Split | None = None) -> Refit:
    """Re-fit now from everything that people taught so far. Raises as `learn` does.

    With `split` the same settings are also measured on a split of that kind.
    """
    with up_to_date(app, name) as mailbox:
        return refit(
            app.store,
            app.engine,
            name,
            mailbox,
            app.refit_settings(name),
            app.clock,
            evaluate=split is not None,
            random_split=split is Split.RANDOM,
        )
