"""Microsoft accounts, through MSAL. The only module that imports msal."""

from __future__ import annotations

import time
import urllib.parse
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msal
from msal.exceptions import MsalError
from requests import RequestException, Session

from daemon.config.secrets import Secret
from daemon.sign_in.loopback import Loopback
from daemon.sign_in.provider import (
    Flow,
    GrantRefused,
    Visit,
    Way,
    granted,
    refused,
    set_up,
    unreachable,
)
from daemon.sign_in.tokens import Tokens

CLOUD = "https://login.microsoftonline.com"
DEFAULT_SCOPES = ("https://outlook.office.com/IMAP.AccessAsUser.All",)
"""MSAL asks for offline_access, openid and profile besides."""


@dataclass(frozen=True, slots=True)
class MicrosoftProvider:
    """A public client. MSAL's own cache is not used: what it would hold is in our vault.

    `cloud` other than Microsoft's own is believed without asking Microsoft (tests).
    """

    client_id: str
    tenant: str
    clock: Callable[[], datetime]
    scopes: tuple[str, ...] = ()
    ca_file: Path | None = None
    cloud: str = CLOUD

    def sign_in(self, way: Way) -> Tokens:
        """With a code on any device; some organisations only allow the browser."""
        with self._client() as client:
            if way.flow is Flow.BROWSER:
                return self._by_browser(client, way)
            return self._by_device(client, way)

    def renew(self, refresh_token: Secret) -> Tokens:
        """Microsoft sends a new refresh token each time and lets the old one live on."""
        with self._client() as client:
            answer = client.acquire_token_by_refresh_token(
                refresh_token.reveal(), scopes=self._scopes
            )
            return self._granted(answer, refresh_token)

    def revoke(self, tokens: Tokens) -> str | None:
        """Microsoft has no endpoint for it."""
        del tokens
        return (
            "Microsoft lets only the person end it: https://account.live.com/consent/Manage "
            "(private) or https://myapps.microsoft.com (work or school)"
        )

    def _by_device(self, client: msal.PublicClientApplication, way: Way) -> Tokens:
        flow = client.initiate_device_flow(scopes=self._scopes)
        if "user_code" not in flow or "verification_uri" not in flow:
            raise refused(flow.get("error"), flow.get("error_description"))
        flow["expires_at"] = min(flow["expires_at"], time.time() + way.seconds)
        way.tell(Visit(flow["verification_uri"], code=flow["user_code"]))
        return self._granted(client.acquire_token_by_device_flow(flow))

    def _by_browser(self, client: msal.PublicClientApplication, way: Way) -> Tokens:
        with Loopback(way.port) as loopback, warnings.catch_warnings():
            # MSAL would like a form to be posted to a page on this machine; RFC 8252 does not.
            warnings.simplefilter("ignore")
            # For "localhost" Microsoft allows every port.
            flow = client.initiate_auth_code_flow(
                self._scopes, redirect_uri=f"http://localhost:{loopback.port}/"
            )
            way.tell(Visit(flow["auth_uri"], port=loopback.port))
            query = dict(urllib.parse.parse_qsl(loopback.answer(way.seconds)))
            return self._granted(client.acquire_token_by_auth_code_flow(flow, query))

    def _granted(self, answer: Mapping[str, Any], before: Secret | None = None) -> Tokens:
        if "access_token" not in answer:
            code = answer.get("error")
            if code in {"authorization_pending", "slow_down"}:
                raise GrantRefused("nobody has signed in within the time")
            raise refused(code, answer.get("error_description"))
        return granted(answer, self.clock(), before)

    @property
    def _scopes(self) -> list[str]:
        return list(self.scopes or DEFAULT_SCOPES)

    @contextmanager
    def _client(self) -> Iterator[msal.PublicClientApplication]:
        """MSAL's client, its errors ours. Asks the provider for its addresses."""
        session = set_up(Session(), self.ca_file)
        try:
            yield msal.PublicClientApplication(
                self.client_id,
                authority=f"{self.cloud}/{self.tenant}",
                instance_discovery=None if self.cloud == CLOUD else False,
                http_client=session,
            )
        except (RequestException, MsalError, OSError) as error:
            raise unreachable() from error
        except ValueError as error:
            raise unreachable(
                f"it knows no tenant {self.tenant!r}, or its answer cannot be read"
            ) from error
        except RuntimeError as error:  # MSAL's word for an answer that is no answer
            raise unreachable() from error
