"""HTTP for programs on the same machine or network: small, patient with nobody, read-only.

Against what may come in through an open port: only GET and HEAD, a time limit for each read and
write, few requests at once, and only for names that a page on the web cannot have taken (DNS
rebinding: a page's own name is made to point here, and its script reads the answers).
"""

from __future__ import annotations

import io
import ipaddress
import json
import re
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import structlog

from daemon.config.values import read_listen
from daemon.crash import trace
from daemon.errors import ConfigError, ConfigFault, InboxdError
from daemon.use_cases.health import Health

log = structlog.get_logger(__name__)

REQUEST_SECONDS = 10.0
"""How long a client may keep each read and write waiting."""

REQUESTS_AT_ONCE = 8
"""More are hung up on: nobody needs them, and each takes a thread."""

ABOUT = "inboxd: /metrics is for Prometheus, /healthz for health checks.\n"


def is_trusted(host: str | None, names: Iterable[str]) -> bool:
    """Whether a request for this Host header can be answered.

    Addresses, localhost and single labels ("inboxd", as containers are called) cannot be the
    name of a page on the web; other names must be configured.
    """
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d+)?", host or "")
    if match is None:
        return False
    name = match[1].strip("[]").rstrip(".").lower()
    if "." not in name and ":" not in name:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.endswith(".localhost") or name in {each.rstrip(".").lower() for each in names}
    return True


def routes(
    metrics: WSGIApplication, health: Callable[[], Health], names: Callable[[], Iterable[str]]
) -> WSGIApplication:
    """The whole site. `names` are those trusted besides; see `is_trusted`."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not is_trusted(environ.get("HTTP_HOST"), names()):
            return _say(
                start_response,
                HTTPStatus.MISDIRECTED_REQUEST,
                "Unknown host name. Write it into [metrics] hosts, or use an address.\n",
            )
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return metrics(environ, start_response)
        if path == "/healthz":
            return _healthz(health(), start_response)
        if path == "/":
            return _say(start_response, HTTPStatus.OK, ABOUT)
        return _say(start_response, HTTPStatus.NOT_FOUND, ABOUT)

    return _only_reading(_guarded(answer))


def _only_reading(answer: WSGIApplication) -> WSGIApplication:
    """HEAD is GET without the text (RFC 9110, section 9.3.2), which wsgiref does not know."""

    def reading(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        if method not in {"GET", "HEAD"}:
            return _say(start_response, HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD.\n")
        body = answer({**environ, "REQUEST_METHOD": "GET"}, start_response)
        return body if method == "GET" else []

    return reading


def _guarded(answer: WSGIApplication) -> WSGIApplication:
    """Errors become answers without their text, which may quote the database."""

    def guarded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return answer(environ, start_response)
        except InboxdError as error:
            kind = type(error).__name__
            log.warning("metrics.failed", kind=kind)
            return _say(start_response, HTTPStatus.SERVICE_UNAVAILABLE, f"{kind}\n")
        except Exception as error:  # noqa: BLE001 - a bug here must not be told to strangers
            log.warning("metrics.unexpected", **trace(error))
            return _say(start_response, HTTPStatus.INTERNAL_SERVER_ERROR, "See the log.\n")

    return guarded


def _healthz(found: Health, start_response: StartResponse) -> Iterable[bytes]:
    """The same as `inboxd health --json`; 503 when it would exit with 1."""
    status = HTTPStatus.OK if found.healthy else HTTPStatus.SERVICE_UNAVAILABLE
    text = json.dumps(asdict(found), default=_iso, indent=2) + "\n"
    return _say(start_response, status, text, "application/json")


def _iso(value: object) -> str:
    assert isinstance(value, datetime)
    return value.isoformat(timespec="seconds")


def _say(
    start_response: StartResponse,
    status: HTTPStatus,
    text: str,
    content_type: str = "text/plain; charset=utf-8",
) -> Iterable[bytes]:
    body = text.encode()
    start_response(
        f"{status.value} {status.phrase}",
        [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ],
    )
    return [body]


class _Handler(WSGIRequestHandler):
    """Silent, and impatient."""

    timeout = REQUEST_SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its signature
        """A line per scrape would be noise."""

    def get_stderr(self) -> io.StringIO:
        """wsgiref's own tracebacks go nowhere: they quote values."""
        return io.StringIO()

    def address_string(self) -> str:
        """Without looking the name up."""
        return str(self.client_address[0])


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread per request, a few at once."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, family: socket.AddressFamily, address: Any) -> None:
        self.address_family = family
        self._free = threading.BoundedSemaphore(REQUESTS_AT_ONCE)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """As `http.server`'s, but for the look-up of this machine's name, which may hang."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Hang up when too many are being answered."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The body of a request's thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up, mostly; never a traceback with values."""
        del request, client_address
        error = sys.exc_info()[1]
        if error is not None:
            log.debug("metrics.request_broken", **trace(error))


class MetricsServer:
    """Listens from its making on, answers between `start` and `stop`."""

    def __init__(self, listen: str, site: WSGIApplication) -> None:
        """Raises `ConfigError` when the address cannot be had."""
        try:
            host, port = read_listen(listen)
            family, _, _, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            self._server = _Server(family, address)
        except OSError as error:
            raise ConfigError(
                "The metrics cannot be served.",
                (
                    ConfigFault(
                        "metrics.listen",
                        f"{listen}: {error.strerror or error}",
                        "Choose a port that is free and an address of this machine, or end the "
                        "program that uses it (ss -ltnp shows which).",
                    ),
                ),
            ) from error
        self._server.set_app(site)
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="metrics", daemon=True
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_port)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()
        log.info("metrics.started", port=self.port)

    def stop(self) -> None:
        """Free the port; requests that are being answered are not waited for."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()
