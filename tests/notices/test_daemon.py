"""The real daemon tells: a service on loopback by webhook, and a real Dovecot by mail."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email import message_from_bytes

import pytest

from tests.e2e.mails import next_mails
from tests.e2e.world import World, wait_until
from tests.faults.world import launch
from tests.support.conservation import Books
from tests.support.fork_server import Run
from tests.support.webhook_receiver import Receiver

pytestmark = pytest.mark.dovecot

TOPIC = "/geheimes-thema?auth=zaunkoenig"


@contextmanager
def daemon(world: World, **variables: str) -> Iterator[Run]:
    """`inboxd run`, ended by SIGTERM; nothing of the webhook's address is in its log."""
    run = launch(world, "--log-level", "debug", "run", **variables)
    try:
        # Before that nobody handles SIGTERM.
        wait_until(lambda: "service.started" in run.output(), run.output)
        yield run
    finally:
        run.send_signal(signal.SIGTERM)
        run.wait()
    log = run.output()
    assert "service.stopped" in log
    assert "geheimes-thema" not in log
    assert "zaunkoenig" not in log


def wanted(world: World, receiver: Receiver, **more: str) -> dict[str, str]:
    """The settings as variables."""
    return {
        "INBOXD_NOTICES__WEBHOOK": "json",
        "INBOXD_NOTICES__URL_FILE": str(receiver.url_file(world.home.root, TOPIC)),
        **more,
    }


def test_a_password_that_becomes_wrong_makes_one_call(world: World, receiver: Receiver) -> None:
    """However often it is refused, also over a restart; and one more when all is well again."""
    variables = wanted(world, receiver, INBOXD_NOTICES__WEEKLY="false")
    password = world.home.password_file.read_text()
    with daemon(world, **variables) as run:
        wait_until(lambda: "cycle.done" in run.output(), run.output)
    world.home.password_file.write_text("wrong\n")
    with daemon(world, **variables):
        wait_until(lambda: len(receiver.calls) == 1)
    for _ in range(2):
        assert world.home.run("run", "--once", **variables).returncode == 5
        assert world.home.json("notices", "send", **variables) == {"sent": 0}
    [call] = receiver.calls
    assert (call.path, call.json["kind"], call.json["account"]) == (TOPIC, "sign_in", "private")
    assert world.user.encode() not in call.body
    world.home.password_file.write_text(password)
    with daemon(world, **variables):
        wait_until(lambda: len(receiver.calls) == 2)
    assert receiver.calls[1].json["urgent"] is False
    shown = world.home.ok("notices", "list", **variables)
    assert "somebody has to sign in" in shown


def test_the_summary_of_a_week_lies_in_the_inbox_once(world: World, receiver: Receiver) -> None:
    """It is not judged, not moved, not learned from wherever she keeps it, and nothing else was
    added to her mailbox."""
    variables = wanted(world, receiver, INBOXD_NOTICES__WEBHOOK="off", INBOXD_NOTICES__MAIL="true")
    [before, after] = next_mails("Travel", 2)
    world.home.ok("run", "--once", **variables)
    assert world.home.json("notices", "send", **variables) == {"sent": 0}
    as_if_it_had_been_told_last_in_2020(world)
    books = Books(world)
    books.open()
    books.deliver([before])
    with daemon(world, **variables):
        world.eventually(before, "Travel")
        wait_until(lambda: notices_in(world, "INBOX") != [])
        books.deliver([after])
        world.eventually(after, "Travel")
    world.home.ok("run", "--once", **variables)
    assert world.home.json("notices", "send", **variables) == {"sent": 0}
    [notice] = notices_in(world, "INBOX")
    books.told(notice)
    books.close()
    assert message_from_bytes(notice)["Auto-Submitted"] == "auto-generated"

    world.move(notice, "INBOX", "Travel")
    books.placed(notice, "Travel")
    world.home.ok("run", "--once", **variables)
    world.home.ok("learn", **variables)
    books.close()
    for table in ("decisions", "examples", "corrections"):
        own = f"SELECT count(*) FROM {table} JOIN messages m ON m.id = message_id WHERE is_notice"  # noqa: S608
        assert world.rows(own) == [(0,)], table
    assert world.rows("SELECT count(*) FROM messages WHERE is_notice") == [(1,)]


def as_if_it_had_been_told_last_in_2020(world: World) -> None:
    """There is no other way to be a week later within a test."""
    with closing(sqlite3.connect(world.home.database)) as database, database:
        database.execute("UPDATE notices SET occasion = 'weekly:2020-01-06'")


def notices_in(world: World, folder: str) -> list[bytes]:
    """What inboxd has put there, as another mail program sees it."""
    client = world.person._client
    client.select_folder(world.path(folder), readonly=True)
    found = client.search(["HEADER", "X-Inboxd-Notice", ""])
    return [answer[b"BODY[]"] for answer in client.fetch(found, ["BODY.PEEK[]"]).values()]
