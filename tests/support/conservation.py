"""The books of a mailbox: every message before and after, and what inboxd claims of it.

    books = Books(world)
    books.open()                          # a full inventory by an independent client
    ...                                   # whatever may happen to inboxd, network and server
    books.close()                         # asserts every promise

What people do in between is entered (`deliver`, `placed`, `copied`, `deleted`, `flagged`), since
only inboxd's own doing has to balance. It adds nothing but the notices that it was asked for
(`told`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from email import message_from_bytes

from daemon.sorting.threads import hash_message_id
from tests.e2e.world import World
from tests.support.inventory import StoredFolder, StoredMessage, digest, read_folders


@dataclass
class Books:
    """One account's books."""

    world: World
    expected: Counter[StoredMessage] = field(default_factory=Counter)
    before: Mapping[str, StoredFolder] = field(default_factory=dict)
    stays: dict[str, str] = field(default_factory=dict)
    """Digest to the folder in which a person put the message."""
    by_people: int = 0
    """How many arrivals in folders people caused, deliveries included."""
    notices: int = 0
    """How many mails of its own inboxd has put there (`told`)."""
    moves: tuple[int, int] = (0, 0)
    """Finished and attempted moves before."""

    def open(self) -> None:
        """Everything that is there now."""
        self.before = self.look()
        self.expected = _messages(self.before)
        [self.moves] = self.world.rows(
            "SELECT coalesce(sum(state = 'moved'), 0), count(*) FROM moves"
        )

    def look(self) -> dict[str, StoredFolder]:
        """What an independent client sees, without folders that show mail of others (Gmail)."""
        server, user = self.world.server, self.world.user
        found = read_folders(server.host, server.port, user, server.users[user])
        return {name: folder for name, folder in found.items() if name not in self.world.kind.views}

    # What people do ------------------------------------------------------------------------

    def deliver(self, contents: Iterable[bytes]) -> None:
        """New mail arrives after `open`; no two contents are equal."""
        listed = list(contents)
        self.world.deliver(listed)
        wanted = {digest(content) for content in listed}
        for message in _messages(self.look()):
            if message.digest in wanted:
                self.expected[message] = 1
        self.by_people += len(listed)

    def placed(self, content: bytes, folder: str, *, arrivals: int = 1) -> None:
        """A person moved it there: it stays there, whatever inboxd thinks of it."""
        self.stays[digest(content)] = folder
        self.by_people += arrivals

    def copied(self, content: bytes) -> None:
        """A person copied it."""
        [message] = self._of(content)
        self.expected[message] += 1
        self.by_people += 1

    def deleted(self, content: bytes) -> None:
        """A person deleted it for good."""
        for message in self._of(content):
            del self.expected[message]

    def flagged(self, content: bytes, *flags: str) -> None:
        """A person flagged it."""
        for message in self._of(content):
            count = self.expected.pop(message)
            self.expected[replace(message, flags=message.flags.union(flags))] = count

    def perhaps(self, content: bytes, *flags: str) -> None:
        """A person deleted or flagged it in the same moment in which inboxd moved it: whoever
        was second may have found nothing any more. Call it when all is quiet."""
        wanted = digest(content)
        found = [message for message in _messages(self.look()) if message.digest == wanted]
        for message in self._of(content):
            flagged = replace(message, flags=message.flags.union(flags))
            # A flag never excuses a missing message, nor a deletion an altered one.
            if found == ([flagged] if flags else []):
                count = self.expected.pop(message)
                self.expected.update(dict.fromkeys(found, count))

    def told(self, content: bytes) -> None:
        """inboxd has put a notice of its own there, and knows it for one."""
        name = message_from_bytes(content)["Message-ID"].strip("<>")
        known = self.world.rows("SELECT message_id_hash FROM notices WHERE channel = 'mail'")
        assert (hash_message_id(name),) in known, f"nobody has planned the notice {name}"
        [message] = [m for m in _messages(self.look()) if m.digest == digest(content)]
        self.expected[message] += 1
        self.notices += 1

    def _of(self, content: bytes) -> list[StoredMessage]:
        wanted = digest(content)
        return [message for message in self.expected if message.digest == wanted]

    # Balances ------------------------------------------------------------------------------

    def nothing_lost(self) -> None:
        """In the middle of things: copies may lie in two folders, nothing may be missing."""
        missing = self.expected - _messages(self.look())
        assert not missing, f"{missing.total()} messages are missing or altered: {missing}"

    def close(self) -> None:
        """All promises; inboxd has finished a pass after the last trouble."""
        after = self.look()
        self._nothing_lost_added_or_altered(after)
        self._where_people_put_it(after)
        self._where_the_database_says(after)
        self._moved_once(after)
        self._nothing_open()

    def _nothing_lost_added_or_altered(self, after: Mapping[str, StoredFolder]) -> None:
        found = _messages(after)
        missing, surplus = self.expected - found, found - self.expected
        assert not missing, f"{missing.total()} messages are missing or altered: {missing}"
        assert not surplus, f"{surplus.total()} messages are surplus or altered: {surplus}"

    def _where_people_put_it(self, after: Mapping[str, StoredFolder]) -> None:
        for wanted, folder in self.stays.items():
            places = [
                name
                for name, content in after.items()
                for message in content.messages.values()
                if message.digest == wanted
            ]
            assert places == [folder], f"a person put it into {folder}, it lies in {places}"

    def _where_the_database_says(self, after: Mapping[str, StoredFolder]) -> None:
        """Every message of a watched folder is known there under its UID, and no other."""
        rows = self.world.rows(
            "SELECT f.name, f.uid_validity, f.watch_from_uid, p.uid FROM folders f "
            "LEFT JOIN placements p ON p.folder_id = f.id AND p.gone_at IS NULL "
            "AND p.uid_validity = f.uid_validity WHERE f.retired_at IS NULL"
        )
        known: dict[str, set[int]] = {}
        first: dict[str, int] = {}
        for name, uid_validity, watch_from, uid in rows:
            assert after[name].uid_validity == uid_validity, name
            known.setdefault(name, set())
            first[name] = watch_from
            if uid is not None:
                known[name].add(uid)
        for name, uids in known.items():
            there = {
                uid
                for uid, message in after[name].messages.items()
                if uid >= first[name] and "\\Deleted" not in message.flags
            }
            believed = {uid for uid in uids if uid >= first[name]}
            assert believed == there, f"{name}: database {believed}, server {there}"

    def _moved_once(self, after: Mapping[str, StoredFolder]) -> None:
        """By the journal, and by the server: it counts every arrival in UIDNEXT, which never
        goes back, so a second move of a message would show."""
        twice = self.world.rows(
            "SELECT message_id, count(*) FROM moves WHERE kind = 'sort' AND state = 'moved' "
            "GROUP BY message_id HAVING count(*) > 1"
        )
        assert twice == [], f"moved twice, says the journal: {twice}"
        if any(
            name not in after or after[name].uid_validity != old.uid_validity
            for name, old in self.before.items()
        ):
            return  # a folder was made anew, and counts anew
        arrivals = sum(after[name].uid_next - old.uid_next for name, old in self.before.items())
        own = arrivals - self.by_people - self.notices
        [(moved, attempts)] = self.world.rows(
            "SELECT coalesce(sum(state = 'moved'), 0), count(*) FROM moves"
        )
        known_moved, known_attempts = self.moves
        assert moved - known_moved <= own <= attempts - known_attempts, (
            f"{own} arrivals by inboxd, {moved - known_moved} moves in the journal"
        )

    def _nothing_open(self) -> None:
        planned = self.world.rows("SELECT count(*) FROM moves WHERE state = 'planned'")
        assert planned == [(0,)], "the journal has open plans"


def _messages(folders: Mapping[str, StoredFolder]) -> Counter[StoredMessage]:
    return Counter(message for folder in folders.values() for message in folder.messages.values())
