"""Bounds on what a mail server may send: bytes, lines, literals and seconds for each command.

imaplib allocates whatever literal a server announces and collects untagged responses for as
long as they come; its time-out starts anew with each byte. A broken or hostile server could so
fill the memory or hold the connection for ever. Here everything is read through one reader
that knows how much the command at hand may cost, and gives up beyond it.
"""

from __future__ import annotations

import imaplib
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any

from imapclient import IMAPClient
from imapclient.imap4 import IMAP4WithTimeout
from imapclient.tls import IMAP4_TLS

from daemon.errors import ProtocolViolated

MAX_LINE_BYTES = 1_000_000
"""As in imaplib: one SEARCH response with some 90,000 UIDs."""

PATIENCE = 10
"""One command may take so many time-outs in all: a byte now and then is no progress."""

_RECEIVED_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class ReplyLimits:
    """What the answer to one command may cost.

    `size` bytes and `lines` in all, unsolicited responses included; no literal above `literal`
    bytes. The defaults hold for answers without message content: 50,000 folders, or the
    expunge of as many messages in another session (of more, the next connection hears nothing).
    """

    size: int = 8 * 1024 * 1024
    lines: int = 50_000
    literal: int = 64 * 1024

    def with_content(self, messages: int, bytes_each: int, literal: int) -> ReplyLimits:
        """The same, and besides `bytes_each` of content for each of so many messages."""
        return ReplyLimits(self.size + messages * bytes_each, self.lines, literal)


class BoundedReader:
    """Reads lines and literals from a socket within limits. Raises `ProtocolViolated`."""

    def __init__(self, connection: socket.socket, patience: float) -> None:
        self.connection = connection
        self._patience = patience
        self._buffer = bytearray()
        self.expect(ReplyLimits())

    def expect(self, limits: ReplyLimits) -> None:
        """A new command begins, whose answer may cost so much."""
        self._limits = limits
        self._size_left = limits.size
        self._lines_left = limits.lines
        self._deadline = time.monotonic() + self._patience

    def has_buffered(self) -> bool:
        """Whether something was received that nobody has read yet."""
        return bool(self._buffer)

    def readline(self) -> bytes:
        """One line with its end; what was left of it when the connection ended."""
        self._lines_left -= 1
        if self._lines_left < 0:
            raise ProtocolViolated("The mail server sent more responses than the command has.")
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > MAX_LINE_BYTES:
                raise ProtocolViolated("The mail server sent a line without end.")
            if not self._receive():
                return self._taken(len(self._buffer))
        if end >= MAX_LINE_BYTES:
            raise ProtocolViolated("The mail server sent a line that is too long.")
        return self._taken(end + 1)

    def read(self, size: int) -> bytes:
        """A literal of `size` bytes, refused before a byte of it is read when it is too large."""
        if size > self._limits.literal or size > self._size_left:
            raise ProtocolViolated("The mail server sent more than it was asked for.")
        while len(self._buffer) < size:
            if not self._receive():
                break
        return self._taken(min(size, len(self._buffer)))

    def _taken(self, size: int) -> bytes:
        self._size_left -= size
        if self._size_left < 0:
            raise ProtocolViolated("The mail server sent more than the command can ask for.")
        data = bytes(self._buffer[:size])
        del self._buffer[:size]  # cheap: a bytearray only moves its start
        return data

    def _receive(self) -> bool:
        """Get more bytes; False at the end of the connection."""
        if time.monotonic() > self._deadline:
            raise ProtocolViolated("The mail server takes for ever to answer one command.")
        data = self.connection.recv(_RECEIVED_AT_ONCE)
        self._buffer += data
        return bool(data)


class _Bounded(imaplib.IMAP4):
    """imaplib with every read bounded. `sock` changes with STARTTLS, the reader follows it:
    bytes that came in the clear before the encryption are never taken for answers after it."""

    _reader: BoundedReader | None = None
    _timeout: float

    def reader(self) -> BoundedReader:
        """The reader of the connection as it is now."""
        if self._reader is None or self._reader.connection is not self.sock:
            self._reader = BoundedReader(self.sock, PATIENCE * self._timeout)
        return self._reader

    def read(self, size: int) -> bytes:
        """What imaplib reads literals with."""
        return self.reader().read(size)

    def readline(self) -> bytes:
        """What imaplib reads lines with."""
        return self.reader().readline()


class _Plain(_Bounded, IMAP4WithTimeout):  # type: ignore[misc]  # imapclient is untyped
    """Without TLS from the first byte."""


class _Encrypted(_Bounded, IMAP4_TLS):  # type: ignore[misc]  # imapclient is untyped
    """With TLS from the first byte."""


class BoundedClient(IMAPClient):  # type: ignore[misc]  # imapclient is untyped
    """imapclient over connections with bounds; `timeout` seconds for each wait."""

    def __init__(
        self, host: str, port: int, timeout: float, context: ssl.SSLContext | None
    ) -> None:
        self._seconds = timeout
        super().__init__(host, port, ssl=context is not None, ssl_context=context, timeout=timeout)

    def _create_IMAP4(self) -> Any:  # noqa: N802 - imapclient's name
        encrypted: Any = _Encrypted  # its constructor is imapclient's, which has no types
        if self.ssl:
            return encrypted(self.host, self.port, self.ssl_context, self._seconds)
        return _Plain(self.host, self.port, self._seconds)
