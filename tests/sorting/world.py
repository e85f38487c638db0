"""One account in a small world: a server in memory, a real store, a clock that tests turn.

    world = World(tmp_path)
    world.deliver("Rechnungen 1")          # a sender
    world.cycle()                          # inboxd: reconcile, observe, sort
    world.move("Rechnungen 1", "Reisen")   # a person
    world.notice()                         # inboxd: observe

Every step of inboxd uses a connection of its own, as after a restart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from daemon.config.settings import Mode
from daemon.mailbox.port import Mailbox
from daemon.sorting.bursts import BurstLimits
from daemon.sorting.folders import FolderPatterns
from daemon.sorting.mover import MoveReport, reconcile
from daemon.sorting.observe import Observation, observe
from daemon.sorting.rules import RuleBook
from daemon.sorting.sort import Sorted, SortSettings, sort_new_mail
from daemon.sorting.undo import Undone, UndoSelection, undo
from daemon.store import UnitOfWork
from daemon.store.tables import (
    Account,
    Correction,
    Decision,
    Example,
    Folder,
    Message,
    Move,
    MoveState,
    Placement,
)
from tests.support.fake_mailbox import FakeServer
from tests.support.inventory import StoredMessage, all_messages
from tests.support.judges import SubjectJudge
from tests.support.stores import Stores

ACCOUNT = "private"
LABELS = ("Bewerbungen", "Rechnungen", "Reisen")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Killed(BaseException):
    """The process is gone: no handler of the program may catch this."""


class DyingMailbox:
    """A mailbox in whose hands the process dies, before or after the n-th call of a method."""

    def __init__(self, mailbox: Mailbox, method: str, when: str, call: int = 1) -> None:
        self._mailbox = mailbox
        self._method = method
        self._when = when
        self._calls_left = call

    def __getattr__(self, name: str) -> Any:
        """The real method, wrapped where the process is to die."""
        found = getattr(self._mailbox, name)
        if name != self._method:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._calls_left -= 1
            if self._calls_left > 0:
                return found(*args, **kwargs)
            if self._when == "after":
                found(*args, **kwargs)
            raise Killed

        return call


def mail(
    subject: str, *, message_id: str = "", in_reply_to: str = "", body: str = "Hallo"
) -> bytes:
    """A mail whose Message-ID follows from its subject unless it is given."""
    identifier = message_id or f"<{subject.replace(' ', '-').lower()}@example.org>"
    reply = f"In-Reply-To: {in_reply_to}\r\n" if in_reply_to else ""
    return (
        f"From: Erika <erika@example.org>\r\nTo: Max <max@example.org>\r\n"
        f"Subject: {subject}\r\nMessage-ID: {identifier}\r\n{reply}"
        f"Date: Sun, 1 Mar 2026 10:00:00 +0100\r\n\r\n{body}\r\n"
    ).encode()


class World:
    """See the module's docstring. Messages are named by their subjects."""

    def __init__(
        self,
        directory: Path,
        server: FakeServer | None = None,
        *,
        labels: Sequence[str] = LABELS,
        mode: Mode = Mode.SORT,
        stores: Stores | None = None,
    ) -> None:
        self.server = server or FakeServer()
        for name in labels:
            self.server.create(name)
        self.directory = directory / "state"
        self.store = (stores or Stores()).open(self.directory)
        self.patterns = FolderPatterns(neutral=("Ablage*",))
        self.mode = mode
        self.limits = BurstLimits()
        self.rules = RuleBook()
        self.suspended: dict[int, str] = {}
        self.now = START
        self.judge = SubjectJudge({})

    # What people and senders do --------------------------------------------------------------

    def deliver(self, *subjects: str, folder: str = "INBOX") -> None:
        """Mails arrive, one per subject."""
        for subject in subjects:
            self.server.append(folder, mail(subject))

    def uid(self, subject: str, folder: str) -> int:
        """The UID of the newest mail with this subject in the folder."""
        line = f"Subject: {subject}\r\n".encode()
        messages = self.server.folder(folder).messages
        return max(uid for uid, message in messages.items() if line in message.content)

    def where(self, subject: str) -> list[str]:
        """The folders that hold a mail with this subject, one entry per copy."""
        line = f"Subject: {subject}\r\n".encode()
        return [
            name
            for name in sorted(self.server.inventory())
            for message in self.server.folder(name).messages.values()
            if line in message.content
        ]

    def move(self, subject: str, target: str) -> None:
        """A person moves a mail, wherever it lies."""
        source = self.where(subject)[0]
        self.server.move(source, [self.uid(subject, source)], target)

    def move_all(self, source: str, target: str, count: int | None = None) -> None:
        """A person (or a program of hers) moves the first `count` mails of a folder."""
        self.server.move(source, list(self.server.folder(source).messages)[:count], target)

    def move_by_upload(self, subject: str, target: str) -> None:
        """A client without COPY: upload there with the same INTERNALDATE, delete here."""
        source = self.where(subject)[0]
        uid = self.uid(subject, source)
        message = self.server.folder(source).messages[uid]
        self.server.append(target, message.content, internal_date=message.internal_date)
        self.server.delete(source, [uid])

    def renumber(self, folder: str) -> None:
        """The server loses its index: same messages, new UIDVALIDITY and UIDs."""
        messages = list(self.server.folder(folder).messages.values())
        self.server.create(folder)
        for message in messages:
            self.server.folder(folder).add(message)

    # What inboxd does ------------------------------------------------------------------------

    def clock(self) -> datetime:
        """The present time of this world."""
        return self.now

    def tick(self, **kwargs: float) -> None:
        """Time passes (a minute, if nothing else is said)."""
        self.now += timedelta(**kwargs) if kwargs else timedelta(minutes=1)

    def settle(self) -> MoveReport:
        """Settle what an earlier process left behind."""
        return reconcile(self.store, self.server.connect(), ACCOUNT, self.clock)

    def notice(self, mailbox: Mailbox | None = None) -> Observation:
        """One observation."""
        self.tick()
        connection = mailbox or self.server.connect()
        return observe(self.store, connection, ACCOUNT, self.patterns, self.now, self.limits)

    def sort(
        self,
        mailbox: Mailbox | None = None,
        *,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Sorted:
        """Judge and move what waits in the inbox."""
        self.tick()
        self.judge = SubjectJudge(self.folder_ids())
        return sort_new_mail(
            self.store,
            mailbox or self.server.connect(),
            ACCOUNT,
            self.judge,
            SortSettings(self.mode, 65_536, self.rules, self.suspended),
            self.clock,
            stopped,
        )

    def cycle(self) -> Sorted:
        """One whole pass, as the daemon does it."""
        self.settle()
        if self.notice().reopened:
            self.settle()
        return self.sort()

    def undo(
        self,
        *,
        messages: tuple[int, ...] | None = None,
        last: int | None = None,
        since: datetime | None = None,
    ) -> list[Undone]:
        """Notice what people did, then move back."""
        self.settle()
        self.notice()
        selection = UndoSelection(messages, last, since)
        return undo(self.store, self.server.connect(), ACCOUNT, selection, self.clock)

    def dying(self, method: str, when: str, call: int = 1) -> Mailbox:
        """A connection during whose n-th call of `method` the process is killed."""
        mailbox: Any = DyingMailbox(self.server.connect(), method, when, call)
        found: Mailbox = mailbox
        return found

    # For tests to look at --------------------------------------------------------------------

    def mails(self) -> Counter[StoredMessage]:
        """Everything on the server, whatever folder it lies in."""
        return all_messages(self.server.inventory())

    def account(self, work: UnitOfWork) -> Account:
        """The account's row."""
        found = work.accounts.get(ACCOUNT)
        assert found is not None
        return found

    def folder_ids(self) -> dict[str, int]:
        """Row ids of the label folders by name."""
        with self.store.read() as work:
            return {f.name: f.id for f in work.folders.of(self.account(work))}

    def folders(self, *, retired: bool = False) -> list[Folder]:
        """The stored folders."""
        with self.store.read() as work:
            return work.folders.of(self.account(work), retired=retired)

    def corrections(self) -> list[tuple[str, str, str]]:
        """(kind, from, to) of every correction, oldest first."""
        with self.store.read() as work:
            found: list[Correction] = work.corrections.latest(self.account(work), 1000)
            return [(c.kind.value, c.from_folder.name, c.to_folder.name) for c in found[::-1]]

    def examples(self) -> list[tuple[str | None, str]]:
        """(folder or None for "leave it", source) of every usable example."""
        with self.store.read() as work:
            found: list[Example] = work.examples.usable(self.account(work))
            return [(e.folder.name if e.folder else None, e.source) for e in found]

    def decisions(self) -> list[Decision]:
        """All decisions, oldest first."""
        with self.store.read() as work:
            return work.decisions.after(self.account(work), 0)

    def moves(self) -> list[Move]:
        """All moves, oldest first."""
        with self.store.read() as work:
            return work.moves.by_ids(range(1, 500))

    def states(self) -> list[MoveState]:
        """The states of all moves, oldest first."""
        return [move.state for move in self.moves()]

    def placements(self, folder: str) -> list[Placement]:
        """What the store believes to lie in a folder."""
        with self.store.read() as work:
            found = next(f for f in work.folders.of(self.account(work)) if f.name == folder)
            return work.placements.present_in(found)

    def message(self, message_id: int) -> Message:
        """One message's row."""
        with self.store.read() as work:
            found = work.messages.get(message_id)
            assert found is not None
            return found

    def believes(self) -> None:
        """Assert that the store knows exactly what lies in the watched folders."""
        for folder in self.folders():
            there = [p.uid for p in self.placements(folder.name) if p.uid >= folder.watch_from_uid]
            assert there == [
                uid
                for uid, message in self.server.folder(folder.name).messages.items()
                if uid >= folder.watch_from_uid and "\\Deleted" not in message.flags
            ], folder.name
