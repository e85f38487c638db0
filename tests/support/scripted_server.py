"""An IMAP server that says exactly what a test wants, for answers no real server can be made
to give: garbage, half lines, silence, missing codes.

    with ScriptedServer({"UID MOVE": "{tag} OK [COPYUID 7 1 9] Done"}) as server:
        ...
        assert "STORE" not in server.commands()
"""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.listener import Listener

HANG_UP = "<hang up>"
"""As a reply, or at its end: the server closes the connection."""

SILENCE = "<silence>"
"""As a reply: the server says nothing and keeps the connection open."""


@dataclass(frozen=True, slots=True)
class Flood:
    """As a reply: `start`, then `again` for ever, with `pause` seconds in between."""

    start: str
    again: str
    pause: float = 0.0


_DEFAULTS: dict[str, str] = {
    "CAPABILITY": "* CAPABILITY IMAP4rev1 AUTH=PLAIN MOVE UIDPLUS IDLE OBJECTID\r\n{tag} OK",
    "AUTHENTICATE": "+ \r\n",
    "<line>": "{tag} OK logged in",
    "LOGIN": "{tag} OK logged in",
    "NOOP": "{tag} OK",
    "LOGOUT": "* BYE bye\r\n{tag} OK",
    "EXAMINE": (
        "* FLAGS (\\Deleted)\r\n* 3 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 10]\r\n"
        "{tag} OK [READ-ONLY]"
    ),
    "SELECT": (
        "* FLAGS (\\Deleted)\r\n* 3 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 10]\r\n"
        "* OK [PERMANENTFLAGS (\\Deleted)]\r\n{tag} OK [READ-WRITE]"
    ),
    "IDLE": "+ idling\r\n",
    "DONE": "{tag} OK done",
}
Reply = str | Flood
_COMMAND = re.compile(r"(?P<tag>\S+) (?P<name>(?:UID )?\w+)(?P<rest>.*)", re.DOTALL)


class ScriptedServer(Listener):
    """Serves one connection after the other; `replies` maps a command's name to its answer.

    A `Flood` never ends. A list of answers is used up from the front, its last one stays. `{tag}`
    becomes the command's tag. Commands without an answer get BAD.
    """

    def __init__(
        self,
        replies: Mapping[str, Reply | list[str]] | None = None,
        *,
        greeting: Reply = "* OK hi",
    ) -> None:
        super().__init__()
        given: dict[str, list[Reply]] = {
            name: list(text) if isinstance(text, list) else [text]
            for name, text in {**_DEFAULTS, **(replies or {})}.items()
        }
        self._replies = given
        self._greeting = greeting
        self.received: list[str] = []
        """Every line from the client, without tags."""
        self._tag = ""

    def commands(self) -> list[str]:
        """The names of the commands received so far, e.g. "UID MOVE"."""
        names = []
        for line in self.received:
            match = re.match(r"(?:UID )?[A-Z]+", line)
            names.append(match[0] if match else "")
        return names

    def _serve(self, connection: socket.socket) -> None:
        self._sockets = {connection}
        with connection, contextlib.suppress(OSError):
            self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        if not self._send(connection, self._greeting):
            return
        with connection.makefile("rb") as lines:
            for raw in lines:
                line = raw.decode("utf-8", "replace").rstrip("\r\n")
                match = _COMMAND.fullmatch(line)
                if match:
                    self._tag, name = match["tag"], match["name"].upper()
                    self.received.append(line.partition(" ")[2])
                else:
                    name = "DONE" if line == "DONE" else "<line>"
                    self.received.append(line)
                if not self._send(connection, self._reply(name)):
                    return

    def _reply(self, name: str) -> Reply:
        answers = self._replies.get(name, ["{tag} BAD unknown"])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Flood):
            return answer
        # A tagged response always has a text (RFC 3501, 7.1), and imaplib insists on it.
        return re.sub(r"\{tag\} OK$", "{tag} OK done", answer).replace("{tag}", self._tag)

    def _send(self, connection: socket.socket, reply: Reply) -> bool:
        """Send a reply; False when the connection is to be closed."""
        if isinstance(reply, Flood):
            self._flood(connection, reply)
            return False
        if reply == SILENCE:
            return True
        text = reply.removesuffix(HANG_UP)
        if text:
            ending = "" if text.endswith("\r\n") or text != reply else "\r\n"
            connection.sendall((text + ending).encode("utf-8", "surrogateescape"))
        return text == reply

    def _flood(self, connection: socket.socket, flood: Flood) -> None:
        """Until the client has had enough: then sending fails."""
        start = flood.start.replace("{tag}", self._tag)
        connection.sendall(start.encode("utf-8", "surrogateescape"))
        again = flood.again.encode("utf-8", "surrogateescape")
        block = again if flood.pause else again * (1 + 65_536 // len(again))
        while True:
            connection.sendall(block)
            time.sleep(flood.pause)
