"""Any provider that publishes OpenID Connect Discovery 1.0 or RFC 8414 metadata, through Authlib.

The only module that imports authlib.
"""

from __future__ import annotations

import secrets
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from requests import RequestException

from daemon.config.secrets import Secret
from daemon.config.values import is_loopback
from daemon.errors import ProviderUnreachable
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

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
DEFAULT_SCOPES = ("openid", "email", "offline_access")

_DISCOVERY = "/.well-known/openid-configuration"
_DEFAULT_INTERVAL = 5.0  # seconds between two questions; RFC 8628, 3.2
_VERIFIER_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class OidcProvider:
    """One client at one provider. `clock` gives aware times."""

    issuer: str
    client_id: str
    client_secret: Secret | None
    clock: Callable[[], datetime]
    scopes: tuple[str, ...] = ()
    ca_file: Path | None = None
    _found: dict[str, Any] = field(default_factory=dict, repr=False)

    def sign_in(self, way: Way) -> Tokens:
        """With a code on any device where the provider offers that, else in the browser."""
        with self._session() as session:
            can = "device_authorization_endpoint" in self._metadata(session)
            if way.flow is Flow.DEVICE and not can:
                raise GrantRefused("the provider offers no sign-in by device code (RFC 8628)")
            if can and way.flow is not Flow.BROWSER:
                return self._by_device(session, way)
            return self._by_browser(session, way)

    def renew(self, refresh_token: Secret) -> Tokens:
        """RFC 6749, 6."""
        with self._session() as session:
            endpoint = self._endpoint(session, "token_endpoint")
            answer = session.refresh_token(endpoint, refresh_token.reveal(), allow_redirects=False)
            return granted(answer, self.clock(), refresh_token)

    def revoke(self, tokens: Tokens) -> str | None:
        """RFC 7009: with the refresh token, access tokens end too."""
        with self._session() as session:
            if "revocation_endpoint" not in self._metadata(session):
                return "the provider offers no way to end it from here"
            endpoint = self._endpoint(session, "revocation_endpoint")
            token, hint = (
                (tokens.refresh_token, "refresh_token")
                if tokens.refresh_token is not None
                else (tokens.access_token, "access_token")
            )
            answer = session.revoke_token(
                endpoint, token.reveal(), token_type_hint=hint, allow_redirects=False
            )
            return None if answer.status_code == 200 else "the provider refused to end it"

    def _by_device(self, session: OAuth2Session, way: Way) -> Tokens:
        """RFC 8628: ask for codes, show them, then ask until the person has decided."""
        method = session.token_endpoint_auth_method
        answer = session.post(
            self._endpoint(session, "device_authorization_endpoint"),
            data={"client_id": self.client_id, "scope": " ".join(self._scopes())},
            auth=session.client_auth(method),
            allow_redirects=False,
        )
        codes = _json(answer)
        if "device_code" not in codes:
            raise refused(codes.get("error"))
        try:
            url = codes.get("verification_uri_complete") or codes["verification_uri"]
            interval = float(codes.get("interval", _DEFAULT_INTERVAL))
            life = min(float(codes["expires_in"]), way.seconds)
            visit = Visit(str(url), code=str(codes["user_code"]))
        except (KeyError, TypeError, ValueError) as error:
            raise unreachable("it gives no codes that can be used") from error
        way.tell(visit)
        return self._poll(session, way, str(codes["device_code"]), interval, life)

    def _poll(
        self, session: OAuth2Session, way: Way, device_code: str, interval: float, life: float
    ) -> Tokens:
        endpoint = self._endpoint(session, "token_endpoint")
        waited = 0.0
        while waited < life:
            way.wait(interval)
            waited += max(interval, 1.0)
            try:
                answer = session.fetch_token(
                    endpoint,
                    grant_type=DEVICE_GRANT,
                    device_code=device_code,
                    allow_redirects=False,
                )
                return granted(answer, self.clock())
            except AuthlibBaseError as error:
                if error.error == "slow_down":
                    interval += 5.0
                elif error.error != "authorization_pending":
                    raise
            except RequestException:
                interval = max(interval, 1.0) * 2  # RFC 8628, 3.5: back off, do not give up
        raise GrantRefused("nobody has signed in within the time")

    def _by_browser(self, session: OAuth2Session, way: Way) -> Tokens:
        """Authorization code with PKCE (RFC 7636), back to a port of this machine."""
        verifier = secrets.token_urlsafe(_VERIFIER_CHARACTERS)
        with Loopback(way.port) as loopback:
            session.redirect_uri = f"http://127.0.0.1:{loopback.port}/"
            url, state = session.create_authorization_url(
                self._endpoint(session, "authorization_endpoint"), code_verifier=verifier
            )
            way.tell(Visit(url, port=loopback.port))
            query = loopback.answer(way.seconds)
            if error := urllib.parse.parse_qs(query).get("error"):
                raise refused(error[0])
            answer = session.fetch_token(
                self._endpoint(session, "token_endpoint"),
                authorization_response=f"{session.redirect_uri}?{query}",
                state=state,
                code_verifier=verifier,
                allow_redirects=False,
            )
        return granted(answer, self.clock())

    @contextmanager
    def _session(self) -> Iterator[OAuth2Session]:
        """An HTTP session whose errors are ours."""
        session = OAuth2Session(
            self.client_id,
            self.client_secret.reveal() if self.client_secret is not None else None,
            token_endpoint_auth_method="none",  # noqa: S106 - the name of a method
            code_challenge_method="S256",
        )
        try:
            with set_up(session, self.ca_file):
                session.token_endpoint_auth_method = self._client_authentication(session)
                session.revocation_endpoint_auth_method = session.token_endpoint_auth_method
                session.scope = " ".join(self._scopes())
                yield session
        except AuthlibBaseError as error:
            raise refused(error.error, error.description) from error
        except (RequestException, OSError) as error:  # OSError: a ca_file that cannot be read
            raise unreachable() from error
        except ValueError as error:
            raise unreachable("its answer cannot be read") from error

    def _client_authentication(self, session: OAuth2Session) -> str:
        """RFC 7591, 2; a server that lists nothing takes Basic (RFC 8414, 2)."""
        if self.client_secret is None:
            return "none"
        offered = self._metadata(session).get("token_endpoint_auth_methods_supported")
        wants_form = isinstance(offered, list) and "client_secret_basic" not in offered
        return "client_secret_post" if wants_form else "client_secret_basic"

    def _scopes(self) -> tuple[str, ...]:
        """Those of the configuration; else the usual ones that the provider knows."""
        known = self._found.get("scopes_supported")
        if self.scopes or not isinstance(known, list):
            return self.scopes or DEFAULT_SCOPES
        return tuple(scope for scope in DEFAULT_SCOPES if scope in known)

    def _endpoint(self, session: OAuth2Session, name: str) -> str:
        """An address to which secrets may be sent."""
        url = self._metadata(session).get(name)
        parts = urllib.parse.urlsplit(url) if isinstance(url, str) else None
        if parts is None or not (parts.scheme == "https" or is_loopback(parts.hostname or "")):
            raise unreachable(f"it publishes no encrypted {name}")
        return str(url)

    def _metadata(self, session: OAuth2Session) -> Mapping[str, Any]:
        """Discovery, once. The issuer must be the one that was asked for (Discovery, 4.3)."""
        if not self._found:
            document = _json(session.get(self.issuer + _DISCOVERY, withhold_token=True))
            if str(document.get("issuer", "")).rstrip("/") != self.issuer:
                raise unreachable("what it publishes is for another issuer")
            self._found.update(document)
        return self._found


def _json(answer: Any) -> dict[str, Any]:
    """The object in an answer. Raises `ProviderUnreachable`."""
    if answer.status_code >= 500 or answer.status_code == 404:
        raise unreachable(f"it answers with HTTP status {answer.status_code}")
    found = answer.json()
    if not isinstance(found, dict):
        raise ProviderUnreachable("The provider of the sign-in sends what cannot be read.")
    return found
