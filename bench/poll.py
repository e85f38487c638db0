"""What a pass over a large folder costs, compared with one over an empty mailbox.

Two accounts on one Dovecot, one with a folder of 50,000 mails, one without mail; passes over
both in turn. Printed are medians and their ratio, first without news, then with one new mail
in the large folder; and how much of it was waiting for the server, which reads a directory of
50,000 files anew when one is added (Maildir). Needs Dovecot, no network.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from daemon.errors import MailboxError
from daemon.mailbox.connection import ConnectionSettings
from daemon.mailbox.imap import ImapMailbox
from daemon.mailbox.port import (
    FolderInfo,
    FolderSnapshot,
    FolderStatus,
    MessageIdentity,
    Uids,
)
from daemon.sorting.folders import FolderPatterns
from daemon.sorting.observe import observe
from daemon.store import Store
from tests.support.dovecot import Dovecot
from tests.support.mail_user import MailUser

_FOLDER = "Rechnungen"


def main() -> None:
    """Fill the folder, take the inventories, measure."""
    parser = argparse.ArgumentParser(prog="python -m bench poll", description=__doc__)
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--passes", type=int, default=21)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Dovecot(users={"large": "secret", "empty": "secret"}))
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        people = {user: MailUser(server.host, server.port, user, "secret") for user in server.users}
        for person in people.values():
            person.create(_FOLDER)
        _fill(server.root / "home" / "large" / "Maildir" / _FOLDER, options.messages)
        accounts = {}
        for user in server.users:
            store = stack.enter_context(contextlib.closing(Store.open(root / user)))
            settings = ConnectionSettings(server.host, server.port, "none", user, "secret")
            mailbox = stack.enter_context(contextlib.closing(_TimedMailbox.connect(settings)))
            accounts[user] = store, mailbox
        first = {user: _pass(*account).whole for user, account in accounts.items()}
        print(f"inventory of {options.messages} mails: {first['large']:.1f} s")
        _measure("no news", accounts, options.passes, lambda: None)
        _measure("one new mail", accounts, options.passes, lambda: _append(people["large"]))


class _TimedMailbox(ImapMailbox):
    """Counts the seconds in which a pass waits for what it asked the server."""

    waited = 0.0

    def statuses(self, folders: Iterable[str]) -> dict[str, FolderStatus | MailboxError]:
        with self._waiting():
            return super().statuses(folders)

    def folders(self) -> list[FolderInfo]:
        with self._waiting():
            return super().folders()

    def snapshot(self, folder: str) -> FolderSnapshot:
        with self._waiting():
            return super().snapshot(folder)

    def identify(self, folder: str, uid_validity: int, uids: Uids) -> list[MessageIdentity]:
        with self._waiting():
            return super().identify(folder, uid_validity, uids)

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.waited += time.perf_counter() - start


@dataclass(frozen=True)
class _Pass:
    whole: float
    waited: float


def _measure(
    name: str,
    accounts: dict[str, tuple[Store, _TimedMailbox]],
    passes: int,
    before: Callable[[], object],
) -> None:
    took: dict[str, list[_Pass]] = {user: [] for user in accounts}
    for _ in range(passes):
        before()
        for user, account in accounts.items():
            took[user].append(_pass(*account))
    large, empty = (
        1000 * statistics.median(each.whole for each in took[user]) for user in ("large", "empty")
    )
    own = 1000 * statistics.median(each.whole - each.waited for each in took["large"])
    print(f"{name}: {large:.1f} ms against {empty:.1f} ms, ratio {large / empty:.2f}")
    print(f"  of that not spent waiting for the server: {own:.1f} ms")


def _pass(store: Store, mailbox: _TimedMailbox) -> _Pass:
    start, waited = time.perf_counter(), mailbox.waited
    observe(store, mailbox, "private", FolderPatterns(), datetime.now(UTC))
    return _Pass(time.perf_counter() - start, mailbox.waited - waited)


def _append(person: MailUser) -> None:
    person.append(_FOLDER, _mail(time.monotonic_ns()))


def _fill(maildir: Path, count: int) -> None:
    """Write the files themselves, fifty times faster than APPEND."""
    owner = maildir.stat()
    for number in range(count):
        path = maildir / "cur" / f"{1_700_000_000 + number}.M{number}.bench:2,"
        path.write_bytes(_mail(number))
        os.chown(path, owner.st_uid, owner.st_gid)


def _mail(number: int) -> bytes:
    return (
        f"From: Anna <anna@example.org>\r\nSubject: Rechnung {number}\r\n"
        f"Message-ID: <{number}@example.org>\r\nDate: Mon, 5 Jan 2026 08:00:00 +0100\r\n\r\n"
        f"Betrag {number}\r\n"
    ).encode()
