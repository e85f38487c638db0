"""An identity provider on this machine: OpenID Connect Discovery, the device and the code flow,
refresh tokens that rotate, revocation, and introspection for the mail server.

    with IdentityProvider("alice") as provider:
        provider.issuer                      # for [accounts.NAME.oauth]
        provider.introspection               # for Dovecot(introspection=…)
        provider.expire(), provider.revoke_all(), provider.down = True

Whoever opens the page of the device flow has consented, and whoever opens the page of the code
flow is sent back with a code at once: `tests` open them as a person's browser would.
It speaks the dialects of Microsoft and Google, too: their paths, over TLS.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import re
import secrets
import ssl
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.command import Home
from tests.support.running import Running

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
CLIENT_ID = "inboxd-tests"

Form = dict[str, str]
Answer = tuple[int, dict[str, Any]]


@dataclass
class Grant:
    """What one sign-in has led to."""

    username: str
    refresh_token: str
    used: set[str] = field(default_factory=set)
    ended: bool = False


class IdentityProvider(Running):
    """One provider with one user who agrees to everything.

    `lifetime` is that of access tokens in seconds, as it tells clients; how long the mail
    server accepts them is up to `expire`. With `grace` a used refresh token is accepted until
    its successor is used; without, a second use ends the grant (RFC 9700, 4.14.2).
    """

    def __init__(
        self,
        username: str,
        *,
        tls: ssl.SSLContext | None = None,
        lifetime: int = 3600,
        grace: bool = False,
        rotates: bool = True,
        client_secret: str | None = None,
        offers_device_flow: bool = True,
    ) -> None:
        self.username = username
        self.lifetime = lifetime
        self.down = False
        self.denies = False
        self.pending = 0
        """How often the device flow answers "authorization_pending" after the consent."""
        self.requests: list[tuple[str, Form]] = []
        self.introspected: list[str] = []
        self.before_answer: Callable[[str, Form], None] = lambda _grant_type, _form: None
        """Called when tokens have been granted and not yet sent."""
        self.prefix = ""
        """What all tokens begin with."""
        self._grace = grace
        self._rotates = rotates
        self._secret = client_secret
        self._offers_device_flow = offers_device_flow
        self._lock = threading.Lock()
        self._access: dict[str, Grant] = {}
        self._refresh: dict[str, Grant] = {}
        self._devices: dict[str, bool] = {}
        self._codes: dict[str, tuple[str, str]] = {}
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        scheme = "https" if tls is not None else "http"
        self.issuer = f"{scheme}://localhost:{self._server.server_address[1]}"
        self.introspection = f"http://127.0.0.1:{self._server.server_address[1]}/introspect"

    def _running(self) -> Iterator[None]:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()

    # What tests do --------------------------------------------------------------------------

    def issue(self) -> dict[str, Any]:
        """Tokens as if the user had signed in."""
        with self._lock:
            return self._issue(Grant(self.username, self._new_refresh()))

    def expire(self) -> None:
        """All access tokens end now; refresh tokens go on."""
        with self._lock:
            self._access.clear()

    def revoke_all(self) -> None:
        """The user withdraws what she has granted."""
        with self._lock:
            for grant in self._refresh.values():
                grant.ended = True
            self._access.clear()

    def accepts(self, access_token: str) -> bool:
        """Whether the mail server would hear that it is active."""
        return access_token in self._access

    def grants(self, grant_type: str) -> list[Form]:
        """The forms of such requests to the token endpoint."""
        return [form for _, form in self.requests if form.get("grant_type") == grant_type]

    # What clients ask -----------------------------------------------------------------------

    def answer(self, path: str, form: Form, authorization: str) -> Answer:
        """The answer to one request."""
        if self.down:
            return 503, {"error": "down"}
        if path.endswith("/.well-known/openid-configuration"):
            # "nowhere" is a tenant that Microsoft does not know.
            is_known = not path.startswith("/nowhere/")
            return (200, self._metadata(path)) if is_known else (400, {"error": "invalid_tenant"})
        places: dict[str, Callable[[Form], Answer]] = {
            "/device": self._start_device,
            "/activate": self._consent,
            "/introspect": self._introspect,
            "/revoke": self._revoke,
            "/token": self._token,
        }
        with self._lock:
            self.requests.append((path, form))
            if path == "/token" and not self._knows_client(form, authorization):
                return 401, {"error": "invalid_client"}
            answer = places.get(path)
            return answer(form) if answer is not None else (404, {"error": "not_found"})

    def redirect(self, form: Form) -> str | None:
        """Where the authorization page sends the browser."""
        if self.down:
            return None
        with self._lock:
            self.requests.append(("/authorize", form))
            code = secrets.token_urlsafe(16)
            self._codes[code] = (form.get("code_challenge", ""), form["redirect_uri"])
        answer = {"error": "access_denied"} if self.denies else {"code": code}
        query = urllib.parse.urlencode({**answer, "state": form["state"]})
        return f"{form['redirect_uri']}?{query}"

    def _metadata(self, path: str) -> dict[str, Any]:
        found = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "revocation_endpoint": f"{self.issuer}/revoke",
            "scopes_supported": ["openid", "email", "offline_access"],
        }
        if self._offers_device_flow:
            found["device_authorization_endpoint"] = f"{self.issuer}/device"
        if path.startswith("/common/"):  # Microsoft's paths end in the tenant
            found["token_endpoint"] = f"{self.issuer}/common/token"
            found["authorization_endpoint"] = f"{self.issuer}/common/authorize"
        return found

    def _consent(self, form: Form) -> Answer:
        self._devices[form["device"]] = True
        return 200, {}

    def _start_device(self, _form: Form) -> Answer:
        device = secrets.token_urlsafe(16)
        self._devices[device] = False
        page = f"{self.issuer}/activate?device={device}"
        return 200, {
            "device_code": device,
            "user_code": "BDWP-HQPK",
            "verification_uri": page,
            "verification_uri_complete": page,
            "expires_in": 600,
            "interval": 1,
        }

    def _knows_client(self, form: Form, authorization: str) -> bool:
        if self._secret is None:  # whoever says who she is; Google's library does so by Basic
            user, _, _ = base64.b64decode(authorization.removeprefix("Basic ")).partition(b":")
            return CLIENT_ID in {form.get("client_id"), user.decode()}
        basic = base64.b64encode(f"{CLIENT_ID}:{self._secret}".encode()).decode()
        in_form = (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, self._secret)
        return in_form or authorization == f"Basic {basic}"

    def _token(self, form: Form) -> Answer:
        kind = form.get("grant_type", "")
        if kind == DEVICE_GRANT:
            return self._token_for_device(form)
        if kind == "authorization_code":
            return self._token_for_code(form)
        if kind == "refresh_token":
            return self._token_for_refresh(form)
        return 400, {"error": "unsupported_grant_type"}

    def _token_for_device(self, form: Form) -> Answer:
        if self.denies:
            return 400, {"error": "access_denied"}
        if not self._devices.get(form["device_code"]):
            return 400, {"error": "authorization_pending"}
        if self.pending:
            self.pending -= 1
            return 400, {"error": "authorization_pending"}
        return self._granted(form, Grant(self.username, self._new_refresh()))

    def _token_for_code(self, form: Form) -> Answer:
        challenge, redirect_uri = self._codes.pop(form.get("code", ""), ("", ""))
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        found = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if not challenge or found != challenge or form.get("redirect_uri") != redirect_uri:
            return 400, {"error": "invalid_grant"}
        return self._granted(form, Grant(self.username, self._new_refresh()))

    def _token_for_refresh(self, form: Form) -> Answer:
        token = form.get("refresh_token", "")
        grant = self._refresh.get(token)
        if grant is None or grant.ended:
            return 400, {"error": "invalid_grant", "error_description": f"{self.username} left"}
        if token in grant.used:
            grant.ended = True
            return 400, {"error": "invalid_grant"}
        if self._rotates:
            if self._grace:
                # The predecessor ends only when its successor is used.
                grant.used |= {old for old, g in self._refresh.items() if g is grant} - {token}
            else:
                grant.used.add(token)
            grant.refresh_token = self._new_refresh()
        return self._granted(form, grant)

    def _granted(self, form: Form, grant: Grant) -> Answer:
        answer = self._issue(grant)
        self.before_answer(form["grant_type"], form)
        if form["grant_type"] == "refresh_token" and not self._rotates:
            del answer["refresh_token"]
        return 200, answer

    def _issue(self, grant: Grant) -> dict[str, Any]:
        access = self.prefix + "at-" + secrets.token_urlsafe(24)
        self._access[access] = grant
        self._refresh[grant.refresh_token] = grant
        return {
            "access_token": access,
            "refresh_token": grant.refresh_token,
            "token_type": "Bearer",
            "expires_in": self.lifetime,
        }

    def _new_refresh(self) -> str:
        return self.prefix + "rt-" + secrets.token_urlsafe(24)

    def _introspect(self, form: Form) -> Answer:
        token = form.get("token", "")
        self.introspected.append(token)
        grant = self._access.get(token)
        if grant is None:
            return 200, {"active": "false"}
        return 200, {"active": "true", "username": grant.username, "scope": "mail"}

    def _revoke(self, form: Form) -> Answer:
        grant = self._refresh.get(form.get("token", "")) or self._access.get(form.get("token", ""))
        if grant is not None:
            grant.ended = True
            self._access = {a: g for a, g in self._access.items() if g is not grant}
        return 200, {}


def visit(url: str, context: ssl.SSLContext | None = None) -> None:
    """Open a page and go where it leads, as a browser does."""
    handlers = [urllib.request.HTTPSHandler(context=context)] if context is not None else []
    with urllib.request.build_opener(*handlers).open(url, timeout=10) as answer:
        answer.read()


def visit_later(url: str, context: ssl.SSLContext | None = None) -> threading.Thread:
    """The same in a thread, for callers that wait for what the visit leads to."""
    thread = threading.Thread(target=visit, args=(url, context), daemon=True)
    thread.start()
    return thread


def _handler(provider: IdentityProvider) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            address = urllib.parse.urlsplit(self.path)
            form = dict(urllib.parse.parse_qsl(address.query))
            if address.path.endswith("/authorize"):
                target = provider.redirect(form)
                self.send_response(302 if target else 503)
                self.send_header("Location", target or "")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._answer(_plain(address.path), form)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            form = dict(urllib.parse.parse_qsl(body))
            self._answer(_plain(urllib.parse.urlsplit(self.path).path), form)

        def _answer(self, path: str, form: Form) -> None:
            status, found = provider.answer(path, form, self.headers.get("Authorization", ""))
            content = json.dumps(found).encode()
            with contextlib.suppress(OSError):  # the client may be gone: some tests kill it
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Nothing."""

    return Handler


def _plain(path: str) -> str:
    """Microsoft's token endpoint lies below the tenant."""
    return "/token" if path == "/common/token" else path


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Return as soon as it holds; fails after a long time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def sign_in(home: Home, *arguments: str) -> str:
    """What a person does: she starts `inboxd login` and opens the page that it names. Returns
    what she was shown."""
    process = home.start("login", *arguments)
    assert process.stdout is not None
    shown = ""
    for line in process.stdout:
        shown += line
        if found := re.search(r"https?://localhost\S+", line):
            visit(found[0].rstrip('",'))
    assert process.wait() == 0, shown
    return shown


def configure_sign_in(
    home: Home, port: int, provider: IdentityProvider, **files: Path | None
) -> None:
    """A configuration that signs in at the provider; `files` are keys of [accounts.NAME.oauth]."""
    lines = "\n".join(f'{key} = "{path}"' for key, path in files.items() if path is not None)
    home.write_config(
        f"""
[state]
dir = "{home.state_dir}"

[accounts.private]
host = "127.0.0.1"
port = {port}
tls = "none"
username = "alice"
sign_in = "oidc"

[accounts.private.oauth]
client_id = "{CLIENT_ID}"
issuer = "{provider.issuer}"
{lines}
"""
    )
