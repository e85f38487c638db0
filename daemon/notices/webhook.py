"""One call over HTTP: bounded in time and size, without redirects, and with nothing of the
address in any error.

The standard library's client rather than one of those that do more: it follows no redirect,
reads no proxy, netrc or other setting of its surroundings, and its socket can be closed by a
timer, which bounds the whole answer and not only each read. See docs/adr/0049.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.header import Header
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from daemon.config.secrets import Secret
from daemon.config.settings import Webhook
from daemon.config.values import is_loopback
from daemon.notices.words import Said

SECONDS = 20.0
"""For the whole call, from connecting to the end of the answer."""

LARGEST_ANSWER = 64 * 1024
"""So much of the answer is read at most; what it says is of no interest."""

_URGENT, _NORMAL = {"ntfy": 4, "gotify": 8}, {"ntfy": 3, "gotify": 4}
"""Priorities: ntfy's from 1 to 5, Gotify's from 0 to 10."""


class WebhookFailed(Exception):
    """The call did not succeed. `kind` is one word or number for logs and the database; it
    never holds anything of the address or the answer."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"The webhook failed: {kind}.")
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted. `token` stays the same when it is posted again."""

    said: Said
    account: str
    kind: str
    token: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Target:
    """Where to, and in which form. The address may hold secrets (a topic, a token)."""

    url: Secret
    form: Webhook
    ca_file: Path | None = None
    seconds: float = field(default=SECONDS)


def check_url(url: Secret) -> str | None:
    """What is wrong with an address, in words that do not repeat it; None when it can be used."""
    try:
        parts = urlsplit(url.reveal())
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is no address"
    if parts.scheme not in {"http", "https"} or not host:
        return "it does not begin with https://"
    if parts.scheme == "http" and not is_loopback(host):
        return "it begins with http://, which is for this machine only"
    if parts.username is not None or parts.fragment:
        return "it holds a user, a password or a #"
    if any(ord(each) <= 32 or ord(each) > 126 for each in url.reveal()):
        return "it holds blanks or letters that have to be written with %"
    return None


def post(target: Target, message: Message) -> None:
    """Post it once. Raises `WebhookFailed` unless the answer is 2xx."""
    if check_url(target.url) is not None:
        raise WebhookFailed("address")
    body, headers = _request(target.form, message)
    with _errors():
        status = _call(target, urlsplit(target.url.reveal()), body, headers)
    if not 200 <= status < 300:
        raise WebhookFailed("redirected" if 300 <= status < 400 else f"http {status}")


def _request(form: Webhook, message: Message) -> tuple[bytes, dict[str, str]]:
    said = message.said
    headers = {"User-Agent": "inboxd", "X-Inboxd-Notice": message.token}
    if form is Webhook.NTFY:
        title = " ".join(said.title.split())
        # ntfy reads RFC 2047 in headers, which by themselves can only be Latin-1.
        headers["Title"] = title if title.isascii() else Header(title, "utf-8", 900).encode()
        headers["Priority"] = str(_priority(said, "ntfy"))
        headers["Content-Type"] = "text/plain; charset=utf-8"
        return said.text.encode(), headers
    headers["Content-Type"] = "application/json"
    document: Mapping[str, object] = {
        "title": said.title,
        "message": said.text,
        "priority": _priority(said, "gotify"),
    }
    if form is Webhook.JSON:
        document = {
            "id": message.token,
            "kind": message.kind,
            "account": message.account,
            "title": said.title,
            "text": said.text,
            "urgent": said.urgent,
            "at": message.at.astimezone(UTC).isoformat(timespec="seconds"),
        }
    return json.dumps(document, ensure_ascii=False).encode(), headers


def _priority(said: Said, service: str) -> int:
    return (_URGENT if said.urgent else _NORMAL)[service]


def _call(target: Target, parts: SplitResult, body: bytes, headers: Mapping[str, str]) -> int:
    """The status of the answer; the connection is cut when the time is over."""
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = _context(target.ca_file)
        connection = http.client.HTTPSConnection(
            host, parts.port, timeout=target.seconds, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=target.seconds)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    timer: threading.Timer | None = None
    try:
        connection.connect()
        timer = threading.Timer(target.seconds, _cut, [connection.sock])
        timer.daemon = True
        timer.start()
        connection.request("POST", path, body=body, headers=dict(headers))
        answer = connection.getresponse()
        answer.read(LARGEST_ANSWER)
        return answer.status
    finally:
        if timer is not None:
            timer.cancel()
        connection.close()


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError:  # missing, not readable, or no PEM (ssl.SSLError is one)
        raise WebhookFailed("ca_file") from None


def _cut(connected: socket.socket) -> None:
    """End the call from another thread: whoever waits for the socket gets its end. (Not by the
    connection: it lets go of its socket when the answer has begun.)"""
    with contextlib.suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Everything that may go wrong, by its kind: the libraries' texts hold the address."""
    try:
        yield
    except ssl.SSLCertVerificationError:
        raise WebhookFailed("certificate") from None
    except ssl.SSLError:
        raise WebhookFailed("tls") from None
    except TimeoutError:
        raise WebhookFailed("timeout") from None
    except ConnectionRefusedError:
        raise WebhookFailed("refused") from None
    except socket.gaierror:
        raise WebhookFailed("name not found") from None
    except (OSError, http.client.HTTPException, ValueError):
        raise WebhookFailed("connection lost") from None
