"""The open port: who is answered, and what comes in besides."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http import HTTPStatus

import pytest

from daemon.config.values import read_listen
from daemon.errors import ConfigError, DatabaseBroken
from daemon.metrics import server as module
from daemon.metrics.figures import Family, Kind
from daemon.metrics.prometheus import metrics_page, new_registry
from daemon.metrics.server import MetricsServer, is_trusted, routes
from daemon.use_cases.health import AccountHealth, Health
from tests.metrics.scrape import ask, samples, scrape

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def healthy() -> Health:
    """One account that is well."""
    account = AccountHealth("private", "ok", False, NOW, 3.0, 720.0, None)
    return Health(True, 4711, NOW, (account,))


def one_family() -> list[Family]:
    """A number."""
    return [Family("inboxd_x", Kind.GAUGE, "x", ("account",), {("private",): 7.0})]


@contextmanager
def serving(
    *,
    health: Callable[[], Health] = healthy,
    read: Callable[[], list[Family]] = one_family,
    hosts: tuple[str, ...] = (),
    listen: str = "127.0.0.1:0",
) -> Iterator[int]:
    """A running server; its port."""
    site = routes(metrics_page(new_registry(read)), health, lambda: hosts)
    server = MetricsServer(listen, site)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


def test_metrics_are_told_in_both_formats_of_prometheus() -> None:
    """The text format that is asked for; the version of inboxd and the process's own figures."""
    with serving() as port:
        found = scrape(port)
        openmetrics = ask(
            port, "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
        )

    assert found["inboxd_x", ("private",)] == 7
    assert [key for key in found if key[0] == "inboxd_build_info"]
    assert found["process_resident_memory_bytes", ()] > 1e6
    assert openmetrics.headers["Content-Type"].startswith("application/openmetrics-text")
    assert openmetrics.text.endswith("# EOF\n")


def test_health_is_told_as_json() -> None:
    """200 while all is well."""
    with serving() as port:
        answer = ask(port, "/healthz")

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    told = json.loads(answer.text)
    assert told["healthy"] is True
    assert told["accounts"][0]["last_cycle"] == "2026-03-01T12:00:00+00:00"


def test_an_overdue_account_is_503_and_named() -> None:
    """The others are told of as well."""
    bad = AccountHealth("work", "overdue", True, None, None, 720.0, "LoginRefused")
    found = Health(False, 4711, NOW, (*healthy().accounts, bad))
    with serving(health=lambda: found) as port:
        answer = ask(port, "/healthz")

    assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE
    states = {each["name"]: each["state"] for each in json.loads(answer.text)["accounts"]}
    assert states == {"private": "ok", "work": "overdue"}


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("127.0.0.1:9464", True),
        ("[::1]:9464", True),
        ("192.0.2.7", True),
        ("localhost:9464", True),
        ("LOCALHOST.", True),
        ("inboxd.localhost", True),
        ("inboxd:9464", True),  # the name of a container
        ("monitor.example.org", True),  # configured
        ("evil.example.com:9464", False),
        ("127.0.0.1.evil.example.com", False),
        ("monitor.example.org.evil.example.com", False),
        ("evil.example.com\\@127.0.0.1", False),
        ("", False),
        (None, False),
    ],
)
def test_only_hosts_that_no_web_page_can_have_are_answered(
    host: str | None, answered: bool
) -> None:
    """DNS rebinding: the browser's script comes with the name of its page."""
    assert is_trusted(host, ["Monitor.example.org."]) is answered


def test_a_web_page_is_refused_without_a_figure() -> None:
    """421 Misdirected Request, for both paths, saying what to configure."""
    with serving() as port:
        answers = [ask(port, path, host="evil.example.com") for path in ("/metrics", "/healthz")]
    with serving(hosts=("evil.example.com",)) as port:
        allowed = ask(port, "/metrics", host="evil.example.com")

    assert [answer.status for answer in answers] == [421, 421]
    assert all("[metrics] hosts" in answer.text for answer in answers)
    assert not any("private" in answer.text for answer in answers)
    assert allowed.status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/metrics", 405),
        ("DELETE", "/healthz", 405),
        ("OPTIONS", "/metrics", 405),
        ("HEAD", "/metrics", 200),
        ("HEAD", "/healthz", 200),
        ("GET", "/", 200),
        ("GET", "/metrics/", 404),
        ("GET", "/../etc/passwd", 404),
    ],
)
def test_there_are_two_pages_and_nothing_can_be_changed(
    method: str, path: str, status: int
) -> None:
    """And HEAD is answered without a text."""
    with serving() as port:
        answer = ask(port, path, method=method)

    assert answer.status == status
    assert (answer.text == "") is (method == "HEAD")


def test_an_error_is_told_by_its_kind_alone(capfd: pytest.CaptureFixture[str]) -> None:
    """Its text may quote the database; that of a bug may quote anything."""

    def broken() -> list[Family]:
        raise DatabaseBroken("secret")

    def buggy() -> Health:
        raise ZeroDivisionError("secret")

    with serving(read=broken, health=buggy) as port:
        metrics, health = ask(port, "/metrics"), ask(port, "/healthz")

    assert (metrics.status, metrics.text) == (503, "DatabaseBroken\n")
    assert (health.status, health.text) == (500, "See the log.\n")
    assert "secret" not in "".join(capfd.readouterr())


def test_a_port_in_use_is_a_fault_of_the_configuration() -> None:
    """It names the option and the mend."""
    with serving() as port, pytest.raises(ConfigError) as caught:
        MetricsServer(f"127.0.0.1:{port}", lambda _environ, _start: [])

    [fault] = caught.value.faults
    assert caught.value.exit_code == 2
    assert fault.key == "metrics.listen"
    assert f"127.0.0.1:{port}" in fault.problem
    assert "port that is free" in fault.mend


def test_an_address_of_another_machine_is_a_fault_of_the_configuration() -> None:
    """192.0.2.0/24 is for documentation (RFC 5737)."""
    with pytest.raises(ConfigError):
        MetricsServer("192.0.2.1:0", lambda _environ, _start: [])


def test_the_port_is_free_again_afterwards() -> None:
    """A restart finds it free."""
    with serving() as port:
        pass
    with serving(listen=f"127.0.0.1:{port}") as again:
        assert again == port


def test_a_client_that_says_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it keep the others from being answered."""
    monkeypatch.setattr(module._Handler, "timeout", 0.2)
    with serving() as port, socket.create_connection(("127.0.0.1", port), timeout=20) as silent:
        silent.sendall(b"GET /metrics HTTP/1.1\r\nHost:")
        assert ask(port, "/healthz").status == 200
        assert silent.recv(1) == b""


def test_too_many_clients_at_once_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the others have gone, it answers again."""
    with serving() as port:
        crowd = [
            socket.create_connection(("127.0.0.1", port), timeout=20)
            for _ in range(module.REQUESTS_AT_ONCE)
        ]
        with (
            suppress(ConnectionError),
            socket.create_connection(("127.0.0.1", port), timeout=20) as late,
        ):
            assert late.recv(1) == b""
        for each in crowd:
            each.close()
        while True:  # until the threads have noticed
            with suppress(ConnectionError):
                if ask(port, "/healthz").status == 200:
                    break


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        ("[::1]:9464", ("::1", 9464)),
        ("localhost:80", ("localhost", 80)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),  # noqa: S104 - a container's
    ],
)
def test_addresses_are_read(text: str, address: tuple[str, int]) -> None:
    """IPv6 in brackets, as in a URL."""
    assert read_listen(text) == address


@pytest.mark.parametrize(
    "text", ["9464", ":9464", "127.0.0.1", "::1:9464", "a:70000", "http://a:1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """Before anything is opened."""
    with pytest.raises(ValueError, match=re.escape(text)):
        read_listen(text)


def test_the_helper_of_these_tests_sees_a_double() -> None:
    """Two equal samples are an error, as they are for Prometheus."""
    with pytest.raises(AssertionError, match="twice"):
        samples("# TYPE a gauge\na 1\na 2\n")
