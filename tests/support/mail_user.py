"""A person with another mail program: the second client of the same account."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

from imapclient import IMAPClient

_APPENDUID = re.compile(rb"APPENDUID \d+ (\d+)")


class User(Protocol):
    """What a person does; `FakeServer` and `MailUser` both can."""

    def append(
        self,
        folder: str,
        content: bytes,
        flags: Iterable[str] = (),
        internal_date: datetime | None = None,
    ) -> int:
        """Put a message into a folder; returns its UID."""
        ...

    def move(self, folder: str, uids: Iterable[int], target: str) -> object:
        """Move messages."""
        ...

    def copy(self, folder: str, uids: Iterable[int], target: str) -> object:
        """Copy messages."""
        ...

    def delete(self, folder: str, uids: Iterable[int]) -> None:
        """Flag messages \\Deleted and expunge them."""
        ...

    def flag(self, folder: str, uids: Iterable[int], *flags: str) -> None:
        """Add flags."""
        ...

    def create(self, folder: str) -> None:
        """Make a folder."""
        ...

    def remove(self, folder: str) -> None:
        """Delete a folder and all that is in it."""
        ...

    def rename(self, folder: str, new_name: str) -> None:
        """Rename a folder."""
        ...

    def close(self) -> None:
        """Log out."""
        ...


class MailUser:
    """`User` on a real server, over its own connection."""

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        self._client: Any = IMAPClient(host, port, ssl=False, timeout=20)
        # imaplib sends a literal in two packets: without this each APPEND waits 40 ms.
        self._client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.login(user, password)

    def append(
        self,
        folder: str,
        content: bytes,
        flags: Iterable[str] = (),
        internal_date: datetime | None = None,
    ) -> int:
        """APPEND; the UID comes from APPENDUID."""
        answer = self._client.append(folder, content, tuple(flags), internal_date)
        match = _APPENDUID.search(answer)
        assert match is not None, "the test server does not tell APPENDUID"
        return int(match[1])

    def move(self, folder: str, uids: Iterable[int], target: str) -> None:
        """UID MOVE, also where it is not announced; as COPY and EXPUNGE where it is unknown."""
        if self._without_move():
            self.move_by_copying(folder, uids, target)
            return
        self._client.select_folder(folder)
        self._client._command_and_check(
            "move", ",".join(map(str, uids)), self._client._normalise_folder(target), uid=True
        )

    def _without_move(self) -> bool:
        # A Dovecot that hides MOVE from inboxd still knows it; of the servers in the tests
        # only Courier does not.
        return b"ACL2=UNION" in self._client.capabilities()

    def move_by_copying(self, folder: str, uids: Iterable[int], target: str) -> None:
        """COPY, flag, expunge: what older mail programs do."""
        listed = list(uids)
        self.copy(folder, listed, target)
        self.delete(folder, listed)

    def copy(self, folder: str, uids: Iterable[int], target: str) -> None:
        """UID COPY."""
        self._client.select_folder(folder)
        self._client.copy(list(uids), target)

    def delete(self, folder: str, uids: Iterable[int]) -> None:
        """UID STORE and UID EXPUNGE."""
        self._client.select_folder(folder)
        listed = list(uids)
        self._client.add_flags(listed, [b"\\Deleted"], silent=True)
        self._client.expunge(listed)

    def flag(self, folder: str, uids: Iterable[int], *flags: str) -> None:
        """UID STORE +FLAGS."""
        self._client.select_folder(folder)
        self._client.add_flags(list(uids), flags, silent=True)

    def create(self, folder: str) -> None:
        """CREATE and SUBSCRIBE."""
        self._client.create_folder(folder)
        self._client.subscribe_folder(folder)

    def remove(self, folder: str) -> None:
        """DELETE; not while it is selected, which would end this connection.

        Courier appends nothing to a folder that was opened with EXAMINE.
        """
        self._client.select_folder("INBOX")
        self._client.delete_folder(folder)

    def rename(self, folder: str, new_name: str) -> None:
        """RENAME."""
        self._client.select_folder("INBOX")
        self._client.rename_folder(folder, new_name)

    def empty(self) -> None:
        """Delete every message of INBOX and every other folder."""
        self._client.select_folder("INBOX")
        self._client.add_flags("1:*", [b"\\Deleted"], silent=True)
        self._client.expunge()
        for flags, _, name in self._client.list_folders():
            if name != "INBOX" and b"\\Noselect" not in flags:
                # imapclient reads an unquoted NIL as None.
                self._client.delete_folder("NIL" if name is None else name)

    def close(self) -> None:
        """LOGOUT."""
        self._client.logout()
