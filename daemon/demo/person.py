"""The person of the demo, with a mail program of their own: a second IMAP client.

It shares no code with inboxd's mailbox, as the mail programs of real people do not either.
"""

from __future__ import annotations

import base64
import imaplib
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Self

from daemon.errors import MailboxError, MailboxUnreachable

_TIMEOUT = 60.0
_NEXT_STEP = "Run: inboxd demo"


class Person:
    """One logged-in connection; use it as a context manager. Raises `MailboxError`."""

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        with _readable_errors():
            self._client = imaplib.IMAP4(host, port, timeout=_TIMEOUT)
            # imaplib sends the end of a literal on its own, which would wait for the peer's
            # delayed acknowledgement (Nagle's algorithm): 40 ms per mail.
            self._client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._client.login(user, password)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # LOGOUT would wait for a server that may be gone; it notices a closed socket itself.
        self._client.shutdown()

    def create(self, folder: str) -> None:
        """CREATE a folder."""
        self._do(self._client.create, quoted(folder))

    def append(self, folder: str, message: bytes, received: datetime) -> None:
        """APPEND a message, with `received` as its INTERNALDATE."""
        date = imaplib.Time2Internaldate(received)
        self._do(self._client.append, quoted(folder), "", date, message)

    def find(self, folder: str, message_id: str) -> str | None:
        """The UID of the message in the folder."""
        self._do(self._client.select, quoted(folder))
        answer = self._do(self._client.uid, "SEARCH", "HEADER", "Message-ID", f'"{message_id}"')
        uids = answer[0].split() if answer and answer[0] else []
        return uids[-1].decode() if uids else None

    def move(self, folder: str, message_id: str, target: str) -> None:
        """UID MOVE (RFC 6851) the message from one folder into another."""
        uid = self.find(folder, message_id)
        if uid is None:
            raise MailboxError(f"The mail is not in {folder!r}.", next_step=_NEXT_STEP)
        self._do(self._client.uid, "MOVE", uid, quoted(target))

    def _do(self, command: Callable[..., tuple[str, list[Any]]], *arguments: object) -> list[Any]:
        with _readable_errors():
            status, answer = command(*arguments)
            if status != "OK":
                raise imaplib.IMAP4.error(f"{status} {answer!r}")
            return answer


@contextmanager
def _readable_errors() -> Iterator[None]:
    try:
        yield
    except imaplib.IMAP4.abort as error:
        raise MailboxUnreachable(
            f"The demo's mail server closed the connection: {error}.", next_step=_NEXT_STEP
        ) from error
    except imaplib.IMAP4.error as error:
        raise MailboxError(
            f"The demo's mail server refused a command: {error}.", next_step=_NEXT_STEP
        ) from error
    except OSError as error:
        raise MailboxUnreachable(
            f"The demo's mail server cannot be reached: {error}.", next_step=_NEXT_STEP
        ) from error


def quoted(folder: str) -> str:
    """A folder name in modified UTF-7 (RFC 3501, 5.1.3), as a quoted string.

    >>> quoted("Kündigungen")
    '"K&APw-ndigungen"'
    """
    encoded = re.sub(r"[^\x20-\x7e]+|&", _shifted, folder)
    return '"' + encoded.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _shifted(match: re.Match[str]) -> str:
    if match[0] == "&":
        return "&-"
    digits = base64.b64encode(match[0].encode("utf-16-be")).decode().rstrip("=")
    return "&" + digits.replace("/", ",") + "-"
