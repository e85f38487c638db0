"""Tells people what they want to be told, in a thread of its own: a webhook that does not answer
delays no mail."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import structlog

from daemon.crash import trace
from daemon.errors import InboxdError
from daemon.use_cases.application import Application
from daemon.use_cases.notice_channels import is_wanted
from daemon.use_cases.notice_sending import send_by_webhook
from daemon.use_cases.notices import late_accounts, look

log = structlog.get_logger(__name__)

SECONDS_BETWEEN_LOOKS = 30.0

LOOKS_BEFORE_LATE = 20
"""So often in a row an account must have been late before it is believed. A machine that slept
makes up for none of the looks that it missed, and its accounts have ten minutes to catch up."""


class Teller:
    """One for all accounts; looks when it is asked to."""

    def __init__(self, app: Callable[[], Application]) -> None:
        """`app` gives the program by the configuration that is in force."""
        self._app = app
        self._asked = threading.Event()
        self._stop = threading.Event()
        self._late: Counter[str] = Counter()
        self._thread = threading.Thread(target=self.run, name="notices", daemon=True)

    def start(self) -> None:
        """Start the thread; returns at once."""
        self._thread.start()
        self.look_now()

    def look_now(self) -> None:
        """Ask for a look. Asking twice before it comes is asking once."""
        self._asked.set()

    def request_stop(self) -> None:
        """Ask for the end after the call that is under way; returns at once."""
        self._stop.set()
        self._asked.set()

    def unfinished(self, deadline: float) -> list[str]:
        """Its name, when it still runs at `deadline` (of `time.monotonic`)."""
        if self._thread.ident is None:
            return []
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return [self._thread.name] if self._thread.is_alive() else []

    def run(self) -> None:
        """The thread's body: a look that fails is followed by the next."""
        while self._asked.wait() and not self._stop.is_set():
            self._asked.clear()
            try:
                self.look()
            except InboxdError as error:
                log.warning("notices.failed", kind=type(error).__name__, error=str(error))
            except Exception as error:  # noqa: BLE001 - a bug here must not end the telling
                log.warning("notices.unexpected", **trace(error))

    def look(self) -> None:
        """One look at all accounts, and what is due posted."""
        app = self._app()
        if not is_wanted(app):
            self._late.clear()
            return
        late = late_accounts(app)
        for name in app.settings.accounts:
            self._late[name] = self._late[name] + 1 if name in late else 0
            if self._stop.is_set():
                return
            look(app, name, late=self._late[name] >= LOOKS_BEFORE_LATE)
        send_by_webhook(app, stopped=self._stop.is_set)
