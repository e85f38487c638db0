"""A person's moves are recognised, whatever the server and however her mail program moves."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.sorting.folders import FolderPatterns
from daemon.sorting.observe import Observation, observe
from daemon.store import Store
from daemon.store.tables import CorrectionKind
from tests.contract.mails import mail
from tests.support.corrections import ACTIONS, FEWER, expected
from tests.support.inventory import digest, read_inventory
from tests.support.mail_servers import (
    KINDS,
    RunningServers,
    ServerAccount,
    server_parameters,
)
from tests.support.mail_user import MailUser

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ARRIVED = datetime(2026, 1, 5, 8, tzinfo=UTC)
_SAME_ID = "Message-ID: <same@example.org>\r\n"

MAILS = {
    "ordinary": mail(1),
    "without Message-ID": mail(2, named=False),
    "duplicate Message-ID": mail(3, named=False, fields=_SAME_ID, body="Erste Fassung\r\n"),
    "twin": mail(4),
}
"""The four that are moved."""

STAYING = (
    mail(3, named=False, fields=_SAME_ID, body="Zweite Fassu.\r\n"),
    mail(4),
)
"""And the two that they could be mistaken for: same date and size, or every byte the same."""

ROUTES = {
    CorrectionKind.RELABELLED: ("Rechnungen", "Reisen"),
    CorrectionKind.FILED: ("INBOX", "Reisen"),
    CorrectionKind.PUT_BACK: ("Rechnungen", "INBOX"),
}


@dataclass
class Watched:
    """One account, its owner, and the inboxd that watches it."""

    account: ServerAccount
    person: MailUser
    store: Store
    now: datetime = START

    def path(self, folder: str) -> str:
        """A folder as the server spells it."""
        return folder if folder == "INBOX" else self.account.kind.path(folder)

    def look(self) -> Observation:
        """One pass of inboxd over all folders, a minute later, on a new connection."""
        self.now += timedelta(minutes=1)
        with contextlib.closing(self.account.connect()) as mailbox:
            return observe(self.store, mailbox, "private", FolderPatterns(), self.now)

    def contents(self, folder: str) -> list[str]:
        """Digests of what lies in a folder."""
        where = self.account.server.host, self.account.server.port
        found = read_inventory(*where, self.account.user, self.account.password)
        return [message.digest for message in found[self.path(folder)]]


@pytest.fixture(params=server_parameters(usual=("dovecot", "pymap", "gmail")))
def watched(
    request: pytest.FixtureRequest, servers: RunningServers, tmp_path: Path
) -> Iterator[Watched]:
    """An account on each server."""
    account = servers.account(request.param)
    store = Store.open(tmp_path / "state")
    with contextlib.closing(account.person()) as person, contextlib.closing(store):
        yield Watched(account, person, store)


def _move(watched: Watched, source: str, uids: list[int], target: str) -> None:
    watched.person.move(source, uids, target)


def _copy_and_expunge(watched: Watched, source: str, uids: list[int], target: str) -> None:
    watched.person.move_by_copying(source, uids, target)


def _copy(watched: Watched, source: str, uids: list[int], target: str) -> None:
    watched.person.copy(source, uids, target)


def _copy_then_expunge(watched: Watched, source: str, uids: list[int], target: str) -> None:
    watched.person.copy(source, uids, target)
    assert watched.look().noticed == []
    watched.person.delete(source, uids)


def _upload_and_expunge(watched: Watched, source: str, uids: list[int], target: str) -> None:
    for content in MAILS.values():
        watched.person.append(target, content, ["\\Seen"])
    watched.person.delete(source, uids)


PERFORM: dict[str, Callable[[Watched, str, list[int], str], None]] = dict(
    zip(
        ACTIONS,
        (_move, _copy_and_expunge, _copy, _copy_then_expunge, _upload_and_expunge),
        strict=True,
    )
)


IDS_OF_CONTENT = ("pymap", "cyrus")
"""Servers whose EMAILID is that of the content. Mail that is delivered twice differs in its
Received fields, so that the same id means an upload by the owner."""


def recorded(kind: CorrectionKind, action: str, server: str) -> CorrectionKind:
    """An upload into the inbox without the old date may as well be the sender's second copy of a
    mail that was just deleted; a sender must not teach, so it is recorded and not learnt."""
    uploaded = kind is CorrectionKind.PUT_BACK and action == ACTIONS[-1]
    if uploaded and server not in IDS_OF_CONTENT:
        return CorrectionKind.AMBIGUOUS
    return kind


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("kind", ROUTES)
def test_moves_by_people_are_recognised(
    watched: Watched, kind: CorrectionKind, action: str
) -> None:
    """Of four mails moved at once as many as the server makes possible; each for what it is."""
    source, target = map(watched.path, ROUTES[kind])
    for folder in ("Rechnungen", "Reisen"):
        watched.person.create(watched.path(folder))
    uids = [watched.person.append(source, m, (), ARRIVED) for m in MAILS.values()]
    for staying in STAYING:
        watched.person.append(source, staying, (), ARRIVED)
    watched.look()

    PERFORM[action](watched, source, uids, target)
    noticed = watched.look().noticed

    found = Counter(each.kind for each in noticed)
    server = watched.account.kind.name
    assert found == Counter({recorded(kind, action, server): expected(server, action)})
    assert {(n.from_folder, n.to_folder) for n in noticed} <= {(source, target)}
    assert sorted(watched.contents(ROUTES[kind][1])) == sorted(map(digest, MAILS.values()))
    assert watched.look().noticed == []


def test_a_copy_in_the_inbox_is_no_new_mail(watched: Watched) -> None:
    """What people put there themselves is never sorted."""
    folder = watched.path("Rechnungen")
    watched.person.create(folder)
    uids = [watched.person.append(folder, content, (), ARRIVED) for content in MAILS.values()]
    watched.look()

    watched.person.copy(folder, uids, "INBOX")
    observation = watched.look()

    assert (observation.delivered, observation.noticed) == (0, [])


def test_a_renamed_folder_is_no_heap_of_corrections(watched: Watched) -> None:
    """One folder with another name, also on Courier, where UIDVALIDITY and UIDs change."""
    old, new = watched.path("Rechnungen"), watched.path("Belege")
    watched.person.create(old)
    for number in range(9):
        watched.person.append(old, mail(number), (), ARRIVED)
    for staying in STAYING:
        watched.person.append(old, staying, (), ARRIVED)
    watched.look()

    watched.person.rename(old, new)
    observation = watched.look()

    assert observation.changes.renamed == ((old, new),)
    assert (observation.noticed, observation.delivered) == ([], 0)
    assert watched.look().noticed == []


def test_every_server_is_in_the_table() -> None:
    """No figure is written down for a server that nobody tests."""
    assert {server for server, _ in FEWER} <= set(KINDS)
    assert {action for _, action in FEWER} <= set(ACTIONS)
