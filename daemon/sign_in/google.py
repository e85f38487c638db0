"""Google accounts, through Google's own libraries. The only module that imports them.

Google's sign-in by device code does not grant the scope for mail (it is limited to profile,
YouTube and files of the app itself: "OAuth 2.0 for TV and Limited-Input Device Applications"),
so a person needs a browser that can reach a port of this machine, if need be through ssh -L.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from google.auth.exceptions import GoogleAuthError, RefreshError
from google.auth.transport.requests import Request
from google.oauth2.credentials import Credentials
from google_auth_oauthlib.flow import Flow as GoogleFlow
from oauthlib.oauth2 import OAuth2Error
from requests import RequestException, Session

from daemon.config.secrets import Secret
from daemon.sign_in.loopback import Loopback
from daemon.sign_in.provider import (
    HTTP_SECONDS,
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

DEFAULT_SCOPES = ("https://mail.google.com/",)
"""The only scope with which Gmail lets anybody in by IMAP."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where Google's servers are."""

    authorization: str = "https://accounts.google.com/o/oauth2/auth"
    token: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    revocation: str = "https://oauth2.googleapis.com/revoke"


@dataclass(frozen=True, slots=True)
class GoogleProvider:
    """A client of the type "desktop app". `username` is proposed at the sign-in."""

    client_id: str
    client_secret: Secret
    clock: Callable[[], datetime]
    username: str
    scopes: tuple[str, ...] = ()
    ca_file: Path | None = None
    endpoints: Endpoints = Endpoints()

    def sign_in(self, way: Way) -> Tokens:
        """In the browser, back to a port of this machine."""
        if way.flow is Flow.DEVICE:
            raise GrantRefused("Google grants no access to mail by device code, only in a browser")
        flow = GoogleFlow.from_client_config(
            {
                "installed": {
                    "client_id": self.client_id,
                    "client_secret": self.client_secret.reveal(),
                    "auth_uri": self.endpoints.authorization,
                    "token_uri": self.endpoints.token,
                }
            },
            scopes=list(self.scopes or DEFAULT_SCOPES),
        )
        set_up(flow.oauth2session, self.ca_file)
        with _our_errors(), Loopback(way.port) as loopback:
            flow.redirect_uri = f"http://127.0.0.1:{loopback.port}/"
            # Without "consent" a second sign-in gets no refresh token.
            url, _ = flow.authorization_url(prompt="consent", login_hint=self.username)
            way.tell(Visit(url, port=loopback.port))
            query = loopback.answer(way.seconds)
            # oauthlib takes no answer over http, not even from this machine.
            answer = flow.fetch_token(
                authorization_response=f"https://127.0.0.1:{loopback.port}/?{query}",
                timeout=HTTP_SECONDS,  # requests-oauthlib would pass on None
                verify=self._verify,
            )
        return granted(answer, self.clock())

    def renew(self, refresh_token: Secret) -> Tokens:
        """As google-auth does it, trying again where Google advises so."""
        credentials = Credentials(  # type: ignore[no-untyped-call]
            None,
            refresh_token=refresh_token.reveal(),
            token_uri=self.endpoints.token,
            client_id=self.client_id,
            client_secret=self.client_secret.reveal(),
        )
        with _our_errors(), self._session() as session:
            request = Request(session)
            credentials.refresh(partial(request, timeout=HTTP_SECONDS))  # type: ignore[no-untyped-call]
        answer = {"access_token": credentials.token, "refresh_token": credentials.refresh_token}
        if credentials.expiry is not None:  # without a zone, by the real clock
            life = credentials.expiry.replace(tzinfo=UTC) - datetime.now(UTC)
            answer["expires_in"] = life.total_seconds()
        return granted(answer, self.clock(), refresh_token)

    def revoke(self, tokens: Tokens) -> str | None:
        """Ends everything that was granted to this client."""
        token = tokens.refresh_token or tokens.access_token
        with _our_errors(), self._session() as session:
            answer = session.post(self.endpoints.revocation, data={"token": token.reveal()})
        # 400 is its answer for a token that has ended already.
        if answer.status_code in {200, 400}:
            return None
        return "Google did not end it; see https://myaccount.google.com/connections"

    @property
    def _verify(self) -> str | None:
        return str(self.ca_file) if self.ca_file is not None else None

    def _session(self) -> Any:
        return set_up(Session(), self.ca_file)


@contextmanager
def _our_errors() -> Iterator[None]:
    """Errors of all the layers below as ours."""
    try:
        yield
    except RefreshError as error:
        detail = error.args[1] if len(error.args) > 1 else None
        if error.retryable or not isinstance(detail, dict):
            raise unreachable() from error
        raise refused(detail.get("error"), detail.get("error_subtype")) from error
    except OAuth2Error as error:
        raise refused(error.error) from error
    except Warning as error:  # oauthlib's way of saying that other scopes were granted
        raise GrantRefused("access to mail was not granted") from error
    except (GoogleAuthError, RequestException, OSError, ValueError) as error:
        raise unreachable() from error
