"""What a provider grants: an access token for a while, and a refresh token for the next one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from daemon.config.secrets import Secret

MARGIN = timedelta(minutes=2)
"""So long before its end a token counts as ended: for clocks that differ and slow logins."""

LARGEST_MARGIN_SHARE = 4
"""But never more than a quarter of its life: some providers' tokens live five minutes."""

UNKNOWN_LIFETIME = timedelta(minutes=10)
"""For providers that do not say how long a token lives (RFC 6749, 5.1: it is only recommended)."""

_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one account. Without `refresh_token` the sign-in ends at `expires_at`."""

    access_token: Secret
    refresh_token: Secret | None
    obtained_at: datetime
    expires_at: datetime

    def is_fresh(self, now: datetime) -> bool:
        """Whether the access token can be used for a login that begins now.

        Not so when the clock stands before the hour in which it was obtained: it was turned
        back, and nobody knows how much of the token's life is over.
        """
        life = self.expires_at - self.obtained_at
        margin = min(MARGIN, life / LARGEST_MARGIN_SHARE)
        return self.obtained_at - MARGIN <= now < self.expires_at - margin

    def to_json(self) -> str:
        """One line, secrets included: for the vault and nothing else."""
        return json.dumps(
            {
                "access_token": self.access_token.reveal(),
                "refresh_token": self.refresh_token.reveal() if self.refresh_token else None,
                "obtained_at": self.obtained_at.timestamp(),
                "expires_at": self.expires_at.timestamp(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Tokens:
        """What `to_json` wrote. Raises ValueError for anything else, without quoting it."""
        try:
            values = json.loads(text)
            refresh = values["refresh_token"]
            return cls(
                access_token=Secret(_bearer(values["access_token"])),
                refresh_token=Secret(refresh) if refresh else None,
                obtained_at=datetime.fromtimestamp(values["obtained_at"], UTC),
                expires_at=datetime.fromtimestamp(values["expires_at"], UTC),
            )
        except (ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError):
            raise ValueError("these are no tokens") from None


def read_grant(answer: Mapping[str, Any], now: datetime, before: Secret | None = None) -> Tokens:
    """Tokens from a token endpoint's answer (RFC 6749, 5.1).

    `before` is the refresh token that was used for it; a provider that sends no new one wants
    it to be used again (6). Raises ValueError when the answer is none.
    """
    refresh = answer.get("refresh_token")
    seconds = answer.get("expires_in")
    try:
        life = timedelta(seconds=float(seconds)) if seconds is not None else UNKNOWN_LIFETIME
        expires_at = now + life
    except (ValueError, TypeError, OverflowError):
        raise ValueError("the answer says no sensible lifetime") from None
    return Tokens(
        access_token=Secret(_bearer(answer.get("access_token"))),
        refresh_token=Secret(refresh) if isinstance(refresh, str) and refresh else before,
        obtained_at=now,
        expires_at=expires_at,
    )


def _bearer(value: object) -> str:
    """Only the characters of RFC 6750, 2.1: others would break out of the SASL message."""
    if not isinstance(value, str) or not _BEARER.fullmatch(value):
        raise ValueError("the answer holds no access token")
    return value
