"""What comes before everything else: settle unfinished moves, notice what people moved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from daemon.mailbox.port import Mailbox
from daemon.sorting.mover import reconcile
from daemon.sorting.observe import Observation, observe
from daemon.use_cases.application import Application


def catch_up(app: Application, name: str, mailbox: Mailbox) -> Observation:
    """Settle what a killed process or a lost connection left, then look at all folders.

    In this order, so that inboxd's own moves are never taken for a person's. The caller holds
    the account's lock. Raises `MailboxError`.
    """
    reconcile(app.store, mailbox, name, app.clock)
    observation = observe(
        app.store, mailbox, name, app.patterns(name), app.clock(), app.burst_limits()
    )
    if observation.reopened:
        # Moves that the server carried out late are finished before anything is decided anew.
        reconcile(app.store, mailbox, name, app.clock)
    return observation


@contextmanager
def up_to_date(app: Application, name: str) -> Iterator[Mailbox]:
    """The account's mailbox under its lock, after everything that people moved so far has been
    noticed.

    Without that, a move made before a word on the command line but noticed after it would
    pass for the newer one. Raises `MailboxError`.
    """
    with app.locked(name), app.mailbox(name) as mailbox:
        catch_up(app, name, mailbox)
        yield mailbox
