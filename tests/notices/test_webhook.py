"""Calls over HTTP, to a real service on loopback."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.config.secrets import Secret
from daemon.config.settings import Webhook
from daemon.notices.webhook import Message, Target, WebhookFailed, check_url, post
from daemon.notices.words import Said
from tests.support.certificates import Authority
from tests.support.running import free_port
from tests.support.webhook_receiver import Receiver

SAID = Said("inboxd, privat: Züge", "Grüße\nund mehr", "de", urgent=True)
MESSAGE = Message(SAID, "privat", "sign_in", "ab12", datetime(2026, 3, 30, 8, tzinfo=UTC))
SECRET_PATH = "/geheim-4711?token=kuckuck"


def target(
    url: str, form: Webhook = Webhook.JSON, seconds: float = 10.0, ca: Path | None = None
) -> Target:
    """Where to."""
    return Target(Secret(url), form, ca, seconds)


def failure(where: Target) -> str:
    """The kind of the failure; nothing of the address may be in it."""
    with pytest.raises(WebhookFailed) as caught:
        post(where, MESSAGE)
    told = f"{caught.value} {caught.value!r} {caught.value.kind} {where!r}"
    assert "geheim" not in told
    assert "kuckuck" not in told
    return caught.value.kind


def test_json_is_an_object_with_a_stable_id() -> None:
    """The same when it comes again."""
    with Receiver() as receiver:
        post(target(receiver.url(SECRET_PATH)), MESSAGE)
        post(target(receiver.url(SECRET_PATH)), MESSAGE)
    first, second = receiver.calls
    assert first.path == SECRET_PATH
    assert (
        first.json
        == second.json
        == {
            "id": "ab12",
            "kind": "sign_in",
            "account": "privat",
            "title": SAID.title,
            "text": SAID.text,
            "urgent": True,
            "at": "2026-03-30T08:00:00+00:00",
        }
    )
    assert first.headers["X-Inboxd-Notice"] == "ab12"


def test_ntfy_gets_text_with_a_title_and_a_priority() -> None:
    """Umlauts of the title as RFC 2047 has them."""
    with Receiver() as receiver:
        post(target(receiver.url(), Webhook.NTFY), MESSAGE)
    [call] = receiver.calls
    assert call.body == SAID.text.encode()
    assert call.headers["Title"].startswith("=?utf-8?")
    assert "\n" not in call.headers["Title"]
    assert call.headers["Priority"] == "4"


def test_gotify_gets_its_object() -> None:
    """Title, message and priority."""
    with Receiver() as receiver:
        post(target(receiver.url("/message?token=x"), Webhook.GOTIFY), MESSAGE)
    [call] = receiver.calls
    assert call.json == {"title": SAID.title, "message": SAID.text, "priority": 8}


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_an_answer_that_says_no_is_a_failure(status: int) -> None:
    """By its number alone."""
    with Receiver() as receiver:
        receiver.answer(status, b"the topic geheim-4711 is full")
        assert failure(target(receiver.url(SECRET_PATH))) == f"http {status}"


def test_redirects_are_not_followed() -> None:
    """Neither to another host nor to the same."""
    with Receiver() as elsewhere, Receiver() as receiver:
        receiver.answer(307, Location=elsewhere.url())
        assert failure(target(receiver.url(SECRET_PATH))) == "redirected"
        receiver.answer(302, Location="/other")
        assert failure(target(receiver.url(SECRET_PATH))) == "redirected"
    assert elsewhere.calls == []
    assert len(receiver.calls) == 2


def test_an_answer_without_an_end_is_cut_off() -> None:
    """It drips for ever: each read is quick, all together have a bound. That it was taken is
    known by then."""
    with Receiver() as receiver:
        receiver.drips.set()
        post(target(receiver.url(), seconds=0.5), MESSAGE)
        assert len(receiver.calls) == 1


def test_a_large_answer_is_read_only_in_part() -> None:
    """Megabytes of it."""
    with Receiver() as receiver:
        receiver.answer(200, b"x" * 8_000_000)
        post(target(receiver.url()), MESSAGE)


def test_nobody_there_is_a_failure() -> None:
    """A closed port, and one that takes the call and says nothing."""
    assert failure(target(f"http://127.0.0.1:{free_port()}{SECRET_PATH}")) == "refused"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        where = target(f"http://127.0.0.1:{port}{SECRET_PATH}", seconds=0.3)
        assert failure(where) in {"timeout", "connection lost"}


def test_certificates_are_checked(tmp_path: Path) -> None:
    """One that nobody vouches for is refused; with its authority it is taken; nothing is sent
    before."""
    authority = Authority(tmp_path)
    with Receiver(authority.issue("good")) as receiver:
        assert failure(target(receiver.url(SECRET_PATH))) == "certificate"
        assert receiver.calls == []
        post(target(receiver.url(SECRET_PATH), ca=authority.file), MESSAGE)
        assert len(receiver.calls) == 1
        assert failure(target(receiver.url(), ca=tmp_path / "missing.pem")) == "ca_file"


@pytest.mark.parametrize(
    "url",
    [
        "http://ntfy.example/geheim-4711",
        "http://192.0.2.1/geheim-4711",
        "ftp://127.0.0.1/geheim-4711",
        "geheim-4711",
        "https://user:geheim@example.org/",
        "https://example.org/#geheim",
        "https://example.org/a b",
        "https://example.org/\x00",
        "https://example.org:99999/",
        "https://[::1/geheim",
        "",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_unsent(url: str) -> None:
    """And not repeated in what is said of it."""
    said = check_url(Secret(url))
    assert said is not None
    assert "geheim" not in said
    assert failure(target(url)) == "address"


@pytest.mark.parametrize(
    "url", ["https://ntfy.sh/topic", "http://localhost:8080/x", "http://[::1]/"]
)
def test_https_anywhere_and_http_on_this_machine_can_be_used(url: str) -> None:
    """Loopback needs no certificate."""
    assert check_url(Secret(url)) is None
