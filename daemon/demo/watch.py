"""Following along: what the daemon has written into its store, waited for with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from daemon.demo.mails import SampleMail
from daemon.errors import InboxdError, NotFound
from daemon.store.tables import Action
from daemon.use_cases.application import Application
from daemon.use_cases.cycle import is_learning_due
from daemon.use_cases.history import HistoryEntry, PersonMove, why
from daemon.use_cases.models import ModelSummary, list_models
from daemon.use_cases.status import AccountState, status

T = TypeVar("T")

PATIENCE = 120.0
"""Seconds to wait for anything. On two idle cores nothing takes longer than a few."""

_LOOK_EVERY = 0.05


class Watcher:
    """Reads the store of a running daemon; writes nothing and never talks to the server."""

    def __init__(self, app: Application, account: str) -> None:
        self._app = app
        self._account = account

    def wait_for(self, what: str, look: Callable[[], T | None], patience: float = PATIENCE) -> T:
        """What `look` returns, once it is not None.

        Raises `InboxdError` after `patience` seconds; `what` says in it what has not happened.
        """
        deadline = time.monotonic() + patience
        while (found := look()) is None:
            if time.monotonic() > deadline:
                trouble = self.state().error or self.state().notice
                raise InboxdError(
                    f"Not within {patience:.0f} s: {what}."
                    + (f" The daemon says: {trouble}" if trouble else ""),
                    next_step="If this machine is very busy, run it again later: inboxd demo",
                )
            time.sleep(_LOOK_EVERY)
        return found

    def decision(self, mail: SampleMail) -> HistoryEntry | None:
        """The decision on a mail, once it has been carried out."""
        try:
            entry = why(self._app, self._account, mail.message_id).entry
        except NotFound:
            return None
        return None if entry is None or entry.action == Action.PLANNED.value else entry

    def corrections(self, mails: Sequence[SampleMail]) -> list[PersonMove] | None:
        """The latest move of each mail by a person, once all of them have been noticed."""
        moves = [why(self._app, self._account, mail.message_id).person_moves for mail in mails]
        return [of_mail[-1] for of_mail in moves if of_mail] if all(moves) else None

    def models(self) -> list[ModelSummary]:
        """All models, the one trained last first."""
        return list_models(self._app, self._account)

    def learned_model(self) -> ModelSummary | None:
        """The newest model, once it knows everything that people taught."""
        return None if is_learning_due(self._app, self._account) else self.models()[0]

    def state(self) -> AccountState:
        """What `inboxd status` shows."""
        return status(self._app).accounts[0]
