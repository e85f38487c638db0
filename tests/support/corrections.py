"""What people's moves look like to inboxd, server by server: the figures the tests expect.

`docs/servers.md` shows the same table; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ACTIONS: Final = (
    "MOVE",
    "COPY + EXPUNGE",
    "COPY",
    "COPY, a pass, EXPUNGE",
    "APPEND + EXPUNGE",
)
"""How mail programs move: with one command, with two, at leisure, by download and upload.
A COPY alone is none of them: the original stays."""

RECOGNISED: Final = {
    "MOVE": 4,
    "COPY + EXPUNGE": 4,
    "COPY": 0,
    "COPY, a pass, EXPUNGE": 4,
    "APPEND + EXPUNGE": 4,
}
"""Of four mails (ordinary, without Message-ID, with another's Message-ID, twin of another) so
many moves are recognised, where nothing below says otherwise."""

FEWER: Final[Mapping[tuple[str, str], tuple[int, str]]] = {}
"""(server, action) → the number recognised, and why the server allows no more."""


def expected(server: str, action: str) -> int:
    """How many of the four moves are recognised."""
    return FEWER[server, action][0] if (server, action) in FEWER else RECOGNISED[action]
