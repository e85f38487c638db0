"""Two machines with inboxd, each with a state of its own, move the same mail in the same moment.

MOVE is no lock (`daemon.sorting.rivals`): on most servers about every other round of these tests
leaves the mail in the target twice for a moment.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.config.settings import Mode
from daemon.mailbox.port import Mailbox
from daemon.sorting.bursts import BurstLimits
from daemon.sorting.folders import FolderPatterns
from daemon.sorting.mover import reconcile
from daemon.sorting.observe import observe
from daemon.sorting.rules import RuleBook
from daemon.sorting.sort import SortSettings, sort_new_mail
from daemon.store import Store, UnitOfWork
from daemon.store.tables import Account, MoveState
from tests.sorting.world import mail
from tests.support.inventory import digest, read_inventory
from tests.support.judges import SubjectJudge
from tests.support.mail_servers import RunningServers, ServerAccount, server_parameters

SERVERS = (
    "dovecot",
    "dovecot-mdbox",
    "dovecot-namespace",
    "dovecot-no-move",
    "pymap",
    "gmail",
    "cyrus",
    "courier",
)
ROUNDS = 6
MAILS = 8
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATIENCE_SECONDS = 5.0
"""How long one waits for the other; it may have been so quick that there is nothing to move."""


class TogetherMailbox:
    """A connection that begins to move only when the other machine does."""

    def __init__(self, mailbox: Mailbox, together: threading.Barrier) -> None:
        self._mailbox, self._together = mailbox, together

    def __getattr__(self, name: str) -> Any:
        """The real method, after the other machine has come to the same point."""
        found = getattr(self._mailbox, name)
        if name not in {"move", "copy"}:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            with contextlib.suppress(threading.BrokenBarrierError):
                self._together.wait(PATIENCE_SECONDS)
            return found(*args, **kwargs)

        return call


class Machine:
    """One inboxd with its own state."""

    def __init__(self, account: ServerAccount, state: Path) -> None:
        self.account = account
        self.store = Store.open(state)
        self._now = START

    def look(self) -> None:
        """Settle what is open, and observe."""
        with contextlib.closing(self.account.connect()) as mailbox:
            reconcile(self.store, mailbox, "private", self._clock)
            observe(self.store, mailbox, "private", FolderPatterns(), self._clock(), BurstLimits())

    def sort(self, together: threading.Barrier) -> None:
        """Decide and move."""
        judge = SubjectJudge(self._folders())
        settings = SortSettings(Mode.SORT, 65_536, RuleBook(), {})
        with contextlib.closing(self.account.connect()) as mailbox:
            waiting: Any = TogetherMailbox(mailbox, together)
            sort_new_mail(
                self.store, waiting, "private", judge, settings, self._clock, lambda: False
            )

    def open_moves(self) -> int:
        """Moves that are planned and not settled."""
        with self.store.read() as work:
            account = _account(work)
            return len(work.moves.planned(account))

    def moved(self) -> int:
        """Mails that this machine has moved, as it believes."""
        with self.store.read() as work:
            return sum(m.state is MoveState.MOVED for m in work.moves.by_ids(range(1, 500)))

    def lessons(self) -> int:
        """Corrections that it has taken from what the other did."""
        with self.store.read() as work:
            account = _account(work)
            return len(work.corrections.latest(account, 500))

    def believed(self) -> dict[str, list[int]]:
        """UIDs by folder, as far as this machine knows."""
        with self.store.read() as work:
            account = _account(work)
            return {
                folder.name: [placement.uid for placement in work.placements.present_in(folder)]
                for folder in work.folders.of(account)
            }

    def _folders(self) -> dict[str, int]:
        with self.store.read() as work:
            account = _account(work)
            prefix = self.account.kind.prefix
            return {f.name.removeprefix(prefix): f.id for f in work.folders.of(account)}

    def _clock(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now


@pytest.fixture(params=server_parameters(SERVERS, usual=("dovecot", "dovecot-no-move", "pymap")))
def account(request: pytest.FixtureRequest, servers: RunningServers) -> ServerAccount:
    """An empty account with one label folder."""
    found = servers.account(request.param)
    with contextlib.closing(found.person()) as person:
        person.create(found.kind.path("Rechnungen"))
    return found


@pytest.fixture
def machines(account: ServerAccount, tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    """Two of them, which have taken the inventory."""
    first, second = Machine(account, tmp_path / "first"), Machine(account, tmp_path / "second")
    with contextlib.closing(first.store), contextlib.closing(second.store):
        for machine in (first, second):
            machine.look()
        yield first, second


def test_every_mail_lies_in_its_folder_once(
    account: ServerAccount, machines: tuple[Machine, Machine]
) -> None:
    """Whatever the server lets both do: nothing is lost, nothing lies there twice, both know where
    everything is, and neither takes the other for a person."""
    target = account.kind.path("Rechnungen")
    delivered: list[str] = []
    for number in range(ROUNDS):
        with contextlib.closing(account.person()) as person:
            for each in range(MAILS):
                content = mail(f"Rechnungen {number * MAILS + each}")
                person.append("INBOX", content)
                delivered.append(digest(content))
        for machine in machines:
            machine.look()
        sort_together(machines)
        for machine in machines:
            machine.look()

    where = account.server.host, account.server.port
    inventory = read_inventory(*where, account.user, account.password)
    assert sorted(message.digest for message in inventory[target]) == sorted(delivered)
    assert inventory["INBOX"] == ()
    assert [machine.open_moves() for machine in machines] == [0, 0]
    assert sum(machine.moved() for machine in machines) >= ROUNDS * MAILS
    assert [machine.lessons() for machine in machines] == [0, 0]
    assert machines[0].believed() == machines[1].believed()
    assert len(machines[0].believed()[target]) == ROUNDS * MAILS


def sort_together(machines: tuple[Machine, Machine]) -> None:
    """Both begin to move in the same moment."""
    together = threading.Barrier(len(machines))
    with ThreadPoolExecutor(len(machines)) as pool:
        list(pool.map(lambda machine: machine.sort(together), machines))


def _account(work: UnitOfWork) -> Account:
    found = work.accounts.get("private")
    assert found is not None
    return found
