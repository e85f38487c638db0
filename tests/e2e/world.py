"""One account on a Dovecot, the person who owns it, and the inboxd that works for her."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.e2e.mails import FOLDERS, archive
from tests.support.command import Home
from tests.support.dovecot import Dovecot
from tests.support.inventory import Inventory, StoredMessage, all_messages, digest, read_inventory
from tests.support.mail_servers import KINDS, Kind, MailServer, ServerAccount
from tests.support.mail_user import MailUser

DEADLINE_SECONDS = 60.0
"""Never reached where all is well; long enough for a machine that does much else."""


@dataclass
class World:
    """Server, account and home belong together; every test has its own account."""

    server: MailServer
    user: str
    home: Home
    kind: Kind = KINDS["dovecot"]
    """How the server spells folders. Here they are called what she calls them."""

    learned: Any = None
    """What `inboxd learn --json` said about the account."""

    people: list[MailUser] = field(default_factory=list)

    @property
    def dovecot(self) -> Dovecot:
        """The server, when it is a Dovecot that is to be stopped or its files copied."""
        assert isinstance(self.server, Dovecot)
        return self.server

    @cached_property
    def person(self) -> MailUser:
        """Her mail program."""
        return self.another_client()

    def another_client(self) -> MailUser:
        """A new connection of hers, closed with the world."""
        client = MailUser(
            self.server.host, self.server.port, self.user, self.server.users[self.user]
        )
        self.people.append(client)
        return client

    def path(self, folder: str) -> str:
        """A folder as the server spells it."""
        return folder if folder == "INBOX" else self.kind.path(*folder.split("/"))

    def plain(self, name: str) -> str:
        """The other way round."""
        return name.removeprefix(self.kind.prefix).replace(self.kind.delimiter, "/")

    def file_archive(self) -> None:
        """Make the folders and fill them, as she did over the months."""
        for folder in FOLDERS:
            self.person.create(self.path(folder))
        for folder, date, content in archive():
            self.person.append(self.path(folder), content, internal_date=date)

    def deliver(self, mails: Iterable[bytes]) -> None:
        """New mail arrives."""
        for content in mails:
            self.person.append("INBOX", content)

    def move(self, content: bytes, source: str, target: str) -> None:
        """She moves one mail."""
        self.person.move(self.path(source), [self.uid_of(content, source)], self.path(target))

    def uid_of(self, content: bytes, folder: str) -> int:
        """The UID of a mail in a folder."""
        client = self.person._client
        client.select_folder(self.path(folder), readonly=True)
        answers = client.fetch(client.search(), ["BODY.PEEK[]"])
        found = [uid for uid, answer in answers.items() if answer[b"BODY[]"] == content]
        assert len(found) == 1, f"{len(found)} such mails in {folder}"
        return int(found[0])

    def inventory(self) -> Inventory:
        """Everything that the account holds, each mail where it lies: without Gmail's views."""
        password = self.server.users[self.user]
        found = read_inventory(self.server.host, self.server.port, self.user, password)
        views = self.kind.views
        return {self.plain(name): mails for name, mails in found.items() if name not in views}

    def mail_count(self) -> Counter[StoredMessage]:
        """All messages with flags and dates, wherever they lie."""
        return all_messages(self.inventory())

    def folders_of(self, content: bytes) -> list[str]:
        """Where a mail lies: one folder per copy."""
        return folders_of(self.inventory(), content)

    def eventually(self, content: bytes, folder: str) -> None:
        """Wait until a mail lies in a folder and nowhere else."""
        wait_until(lambda: self.folders_of(content) == [folder])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask inboxd's database."""
        with closing(sqlite3.connect(f"file:{self.home.database}?mode=ro", uri=True)) as database:
            return database.execute(query).fetchall()

    def close(self) -> None:
        """Log out everywhere; after a restart of the server there is nobody to log out from."""
        for client in self.people:
            client._client.shutdown()


def folders_of(inventory: Inventory, content: bytes) -> list[str]:
    """The folders in which a content lies, one entry per copy."""
    wanted = digest(content)
    return [
        folder
        for folder, messages in inventory.items()
        for message in messages
        if message.digest == wanted
    ]


def wait_until(condition: Callable[[], bool], context: Callable[[], str] = str) -> None:
    """Return as soon as `condition()` holds; fails after a minute, and then shows `context()`."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen\n{context()}"
        time.sleep(0.1)


def start_dovecot(hidden: Sequence[str] = ()) -> Dovecot:
    """A server with accounts for many worlds."""
    return Dovecot(users={f"anja{number}": "secret" for number in range(20)}, hidden=hidden)


def new_world(server: Dovecot, root: Path, cache_dir: Path) -> World:
    """An account that nobody has used yet, and a configuration for it."""
    homes = server.root / "home"
    user = next(user for user in server.users if not any((homes / user).iterdir()))
    home = Home(root, cache_dir)
    home.configure(server.port, user, server.users[user])
    return World(server, user, home)


def world_on(account: ServerAccount, root: Path, cache_dir: Path) -> World:
    """The same on any server."""
    home = Home(root, cache_dir)
    home.configure(account.server.port, account.user, account.password)
    return World(account.server, account.user, home, account.kind)


def copy_world(original: World, server: Dovecot, root: Path) -> World:
    """The same mail under another account, and everything that inboxd knows about it.

    A Maildir carries its UIDs, UIDVALIDITYs and GUIDs with it, so the copied database fits the
    copied mail.
    """
    assert original.home.cache_dir is not None
    world = new_world(server, root, original.home.cache_dir)
    world.learned = original.learned
    source = original.dovecot.root / "home" / original.user
    target = server.root / "home" / world.user
    owner = target.stat()
    shutil.copytree(source, target, dirs_exist_ok=True)
    if os.geteuid() == 0:
        for path in (target, *target.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
    copy_state(original.home, world.home)
    return world


def copy_state(source: Home, target: Home) -> None:
    """Database and models, while no inboxd runs."""
    shutil.copytree(source.state_dir, target.state_dir, dirs_exist_ok=True)
