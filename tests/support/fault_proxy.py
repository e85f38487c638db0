"""A TCP proxy that spoils one command of an IMAP conversation, in every way a network or a
server can.

    with FaultProxy(server.port) as proxy:
        proxy.spoil(Command.MOVE, Fault.REPLY_LOST)
        ...                                   # a client works over proxy.port
        assert proxy.struck.is_set()

The fault strikes once, at the first such command of any connection; everything before and after
it is forwarded untouched. `Fault.LATE` holds the command itself back and keeps the way to the
server open: `release()` lets it arrive when the client has long given up.
"""

from __future__ import annotations

import contextlib
import enum
import re
import socket
import struct
import threading
from collections.abc import Callable

from tests.support.listener import Listener

_CHUNK = 65_536
_LATE_SECONDS = 60.0
_LITERAL = re.compile(rb"\{(\d+)\}\r\n")
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: close with RST, as a broken connection does, and not with FIN."""


class Command(enum.Enum):
    """The commands that can be spoilt, and how they look after their tag."""

    MOVE = rb"UID MOVE"
    COPY = rb"UID COPY"
    STORE = rb"UID STORE"
    EXPUNGE = rb"UID EXPUNGE"
    FETCH = rb"UID FETCH .*BODY\.PEEK\[HEADER\]"
    IDENTIFY = rb"UID FETCH .*HEADER\.FIELDS"
    SELECT = rb"(SELECT|EXAMINE) "
    LOGIN = rb"(LOGIN|AUTHENTICATE) "
    IDLE = rb"IDLE\b"


class Fault(enum.Enum):
    """What happens to the command or to its reply."""

    CUT_BEFORE = "cut before the command"
    CUT_DURING = "cut in the middle of the command"
    CUT_AFTER = "cut right after the command was sent"
    REPLY_LOST = "carried out, the reply is lost"
    REPLY_TRUNCATED = "carried out, the reply ends in the middle"
    REPLY_DELAYED = "carried out, the reply comes after the time-out"
    LATE = "reaches the server after the time-out"
    GARBAGE = "carried out, the reply is garbage"
    REFUSED = "not carried out, answered with NO"
    REFUSED_BUT_DONE = "carried out, and answered with NO"
    BYE = "carried out, answered with BYE"
    WRONG_LITERAL = "carried out, a literal of the wrong length in the reply"
    HALF_CLOSED = "carried out, the way back is closed"


_NOT_SENT = frozenset({Fault.CUT_BEFORE, Fault.CUT_DURING, Fault.REFUSED, Fault.LATE})


class FaultProxy(Listener):
    """Listens on `port`."""

    def __init__(self, server_port: int) -> None:
        super().__init__()
        self.struck = threading.Event()
        """The fault has happened, or (LATE) the command is being held."""
        self.released = threading.Event()
        self.arrived = threading.Event()
        """A late command has been sent to the server, and the server has answered it."""
        self._server_port = server_port
        self._armed: tuple[Command, Fault] | None = None
        self._lock = threading.Lock()

    def _hang_up(self) -> None:
        self.released.set()
        super()._hang_up()

    def spoil(self, command: Command, fault: Fault) -> None:
        """Arm one fault."""
        self._armed = command, fault

    def release(self) -> None:
        """Let a late command go to the server; returns when the server has answered it."""
        self.released.set()
        assert self.arrived.wait(_LATE_SECONDS), "the late command was never answered"

    def strikes(self, line: bytes) -> tuple[Command, Fault] | None:
        """The armed fault, if this is its command; it is used up."""
        with self._lock:
            if self._armed is None:
                return None
            command, _ = self._armed
            if re.match(rb"\S+ " + command.value, line, re.IGNORECASE) is None:
                return None
            found, self._armed = self._armed, None
            return found

    def _serve(self, connection: socket.socket) -> None:
        try:
            server = socket.create_connection((self.host, self._server_port))
        except OSError:
            connection.close()
            return
        self._sockets |= {connection, server}
        _Conversation(self, connection, server).start()


class _Conversation:
    """Two threads: commands line by line to the server, answers back."""

    def __init__(self, proxy: FaultProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._spoilt: tuple[Command, Fault, bytes] | None = None
        """Command, fault and tag of the reply that is to be spoilt."""

    def start(self) -> None:
        for body in (self._forward_commands, self._forward_replies):
            threading.Thread(target=body, daemon=True).start()

    # Commands ------------------------------------------------------------------------------

    def _forward_commands(self) -> None:
        with contextlib.suppress(OSError), self._client.makefile("rb") as lines:
            for line in lines:
                found = self._proxy.strikes(line)
                if found is None:
                    self._server.sendall(line)
                elif not self._spoil_command(*found, line):
                    return
        with contextlib.suppress(OSError):
            # A client that is gone: the server finishes what it was told, then sees the end.
            self._server.shutdown(socket.SHUT_WR)

    def _spoil_command(self, command: Command, fault: Fault, line: bytes) -> bool:
        """Do what the fault does on the way there; False when the conversation is over."""
        tag = line.partition(b" ")[0]
        if fault not in _NOT_SENT:
            self._spoilt = command, fault, tag
            self._server.sendall(line)
            if fault is Fault.CUT_AFTER:
                self._proxy.struck.set()
                _reset(self._client)
                # The server may notice the end before it answers: it decides what it does.
                with contextlib.suppress(OSError):
                    self._server.shutdown(socket.SHUT_WR)
                return False
            return True
        self._proxy.struck.set()
        if fault is Fault.REFUSED:
            self._client.sendall(tag + b" NO [UNAVAILABLE] Not now\r\n")
            return True
        if fault is Fault.LATE:
            self._send_late(command, line, tag)
        else:
            if fault is Fault.CUT_DURING:
                self._server.sendall(line[: len(line) // 2])
            _reset(self._client)
            _reset(self._server)
        return False

    def _send_late(self, command: Command, line: bytes, tag: bytes) -> None:
        self._spoilt = command, Fault.LATE, tag
        self._proxy.released.wait(_LATE_SECONDS)
        with contextlib.suppress(OSError):
            self._server.sendall(line)

    # Replies -------------------------------------------------------------------------------

    def _forward_replies(self) -> None:
        held = b""
        with contextlib.suppress(OSError):
            while data := self._server.recv(_CHUNK):
                if self._spoilt is None:
                    self._client.sendall(data)
                    continue
                held += data
                command, fault, tag = self._spoilt
                if command is Command.LOGIN and held.startswith(b"+"):
                    if fault is Fault.LATE:  # AUTHENTICATE: nobody is there to go on
                        self._proxy.arrived.set()
                        return
                    self._client.sendall(held)  # "go on", in the middle of AUTHENTICATE
                    held = b""
                elif _is_whole(held, command, tag):
                    self._spoil_reply(fault, tag, held)
                    return
        if self._spoilt is not None:
            self._proxy.arrived.set()
        with contextlib.suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)

    def _spoil_reply(self, fault: Fault, tag: bytes, reply: bytes) -> None:
        if fault is Fault.LATE:
            self._proxy.arrived.set()
            return
        actions: dict[Fault, Callable[[], None]] = {
            Fault.REPLY_LOST: lambda: _reset(self._client),
            Fault.REPLY_TRUNCATED: lambda: self._say(reply[: len(reply) // 2], end=True),
            Fault.REPLY_DELAYED: lambda: None,  # the client's patience ends first
            Fault.GARBAGE: lambda: self._say(b'\x00\xff{}()"\r\n* ((( garbage\r\n' * 3),
            Fault.REFUSED_BUT_DONE: lambda: self._say(tag + b" NO [SERVERBUG] Sorry\r\n"),
            Fault.BYE: lambda: self._say(b"* BYE Going down\r\n", end=True),
            Fault.WRONG_LITERAL: lambda: self._say(_with_wrong_literal(reply)),
            Fault.HALF_CLOSED: lambda: self._client.shutdown(socket.SHUT_WR),
            Fault.CUT_AFTER: lambda: None,
        }
        self._proxy.struck.set()
        with contextlib.suppress(OSError):
            actions[fault]()
        if fault is Fault.REFUSED_BUT_DONE:
            # The connection lives on.
            self._spoilt = None
            self._forward_replies()

    def _say(self, data: bytes, *, end: bool = False) -> None:
        self._client.sendall(data)
        if end:
            self._client.shutdown(socket.SHUT_RDWR)


def _is_whole(reply: bytes, command: Command, tag: bytes) -> bool:
    """Whether the tagged line is there (IDLE: the "+" that says that it has begun)."""
    if command is Command.IDLE and re.search(rb"(?:^|\r\n)\+", reply):
        return True
    return re.search(rb"(?:^|\r\n)" + re.escape(tag) + rb" [^\r\n]*\r\n$", reply) is not None


def _with_wrong_literal(reply: bytes) -> bytes:
    """The first literal is announced with 1,000 bytes too many; one is put in where there is
    none."""
    match = _LITERAL.search(reply)
    if match is None:
        return b"* 1 FETCH (BODY[] {1000}\r\nshort)\r\n" + reply
    return reply[: match.start(1)] + b"%d" % (int(match[1]) + 1000) + reply[match.end(1) :]


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.shutdown(socket.SHUT_RDWR)
