"""What a pass over a large folder costs, compared with one over an empty mailbox.

Two accounts on one Dovecot, one with a folder of 50,000 mails, one without mail; passes over
both in turn. Printed are medians and their ratio, first without news, then with one new mail
in the large folder. Needs Dovecot, no network.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from daemon.mailbox.connection import ConnectionSettings
from daemon.mailbox.imap import ImapMailbox
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
            mailbox = stack.enter_context(contextlib.closing(ImapMailbox.connect(settings)))
            accounts[user] = store, mailbox
        first = {user: _seconds(*account) for user, account in accounts.items()}
        print(f"inventory of {options.messages} mails: {first['large']:.1f} s")
        _measure("no news", accounts, options.passes, lambda: None)
        _measure("one new mail", accounts, options.passes, lambda: _append(people["large"]))


def _measure(
    name: str,
    accounts: dict[str, tuple[Store, ImapMailbox]],
    passes: int,
    before: Callable[[], object],
) -> None:
    took: dict[str, list[float]] = {user: [] for user in accounts}
    for _ in range(passes):
        before()
        for user, account in accounts.items():
            took[user].append(_seconds(*account))
    large, empty = (1000 * statistics.median(took[user]) for user in ("large", "empty"))
    print(f"{name}: {large:.1f} ms against {empty:.1f} ms, ratio {large / empty:.2f}")


def _seconds(store: Store, mailbox: ImapMailbox) -> float:
    start = time.perf_counter()
    observe(store, mailbox, "private", FolderPatterns(), datetime.now(UTC))
    return time.perf_counter() - start


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
