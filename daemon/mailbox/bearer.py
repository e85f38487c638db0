"""Logging in with an access token: OAUTHBEARER (RFC 7628) and its forerunner XOAUTH2.

The client says who it is and shows the token. A server that does not like it sends no plain NO
but first a challenge with JSON, which the client has to answer before the NO comes:

    C: a1 AUTHENTICATE OAUTHBEARER      S: +
    C: n,a=alice@example.org,^Aauth=Bearer ya29.…^A^A      (all in base64)
    S: + {"status":"invalid_token","scope":"mail"}
    C: ^A                               S: a1 NO [AUTHENTICATIONFAILED] …
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field

OAUTHBEARER = "OAUTHBEARER"
XOAUTH2 = "XOAUTH2"


def choose_mechanism(capabilities: Collection[str]) -> str | None:
    """The standard where it is announced, else Google's and Microsoft's own, else None."""
    offered = (name for name in (OAUTHBEARER, XOAUTH2) if f"AUTH={name}" in capabilities)
    return next(offered, None)


@dataclass(slots=True)
class BearerExchange:
    """What is said in one AUTHENTICATE. `status` is what the server's error challenge said."""

    mechanism: str
    username: str
    token: str = field(repr=False)
    status: str = ""
    _shown: bool = False

    def answer(self, challenge: bytes) -> bytes:
        """The answer to a challenge, both without their base64.

        The token is shown once; whatever the server says after that is an error.
        """
        if not self._shown:
            self._shown = True
            return self._first()
        self.status = read_status(challenge)
        return b"\x01" if self.mechanism == OAUTHBEARER else b""

    def _first(self) -> bytes:
        if self.mechanism == OAUTHBEARER:
            # RFC 5801, 4: "=" and "," would end the name.
            name = self.username.replace("=", "=3D").replace(",", "=2C")
            return f"n,a={name},\x01auth=Bearer {self.token}\x01\x01".encode()
        return f"user={self.username}\x01auth=Bearer {self.token}\x01\x01".encode()


def read_status(challenge: bytes) -> str:
    """The status in an error challenge (RFC 7628, 3.2.2), "" when there is none.

    "invalid_token", "insufficient_scope"; Google's and Microsoft's XOAUTH2 say "400" or "401".
    """
    try:
        found = json.loads(challenge)
    except (ValueError, RecursionError):
        return ""
    status = str(found.get("status", "")) if isinstance(found, dict) else ""
    return status if re.fullmatch(r"[A-Za-z0-9_]{1,40}", status) else ""
