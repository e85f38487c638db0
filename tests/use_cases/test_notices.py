"""What is told when, once: the causes, the two channels, kills and refusals."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import (
    CommandRefused,
    LoginRefused,
    MailboxUnreachable,
    NoticeNotSent,
    SecretMissing,
)
from daemon.locks import instance_lock
from daemon.store.tables import Channel
from daemon.teller import LOOKS_BEFORE_LATE, Teller
from daemon.use_cases.application import Application
from daemon.use_cases.cycle import record_failure, run_cycle, run_cycle_once
from daemon.use_cases.learn import learn
from daemon.use_cases.notice_failures import MAX_ATTEMPTS, Undelivered
from daemon.use_cases.notice_sending import (
    send_by_mail,
    send_by_webhook,
    send_now,
    send_test,
)
from daemon.use_cases.notices import Told, list_told, look, preview_week
from daemon.use_cases.pause import set_paused
from daemon.use_cases.status import status
from daemon.use_cases.trust import broken_promises, trust
from tests.sorting.world import DyingMailbox, Killed
from tests.support.fake_mailbox import FakeServer
from tests.support.webhook_receiver import Receiver
from tests.use_cases.apps import ACCOUNT, START, Clock, closing, filled_server, make_app, topical

WEEK = timedelta(days=7)
MakeApp = Callable[..., Application]


@pytest.fixture
def server() -> FakeServer:
    """Three label folders with twelve mails each, which came before the time of the tests."""
    found = FakeServer()
    found.start = START - timedelta(days=30)
    filled_server(12, found)
    found.start = START
    return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """The service on the net."""
    with Receiver() as running:
        yield running


@pytest.fixture
def make(
    tmp_path: Path, encoder: Path, server: FakeServer, receiver: Receiver
) -> Iterator[MakeApp]:
    """An account with the notices that a test wants: `make(mail=True)`, `make(webhook="json")`."""
    with ExitStack() as opened:

        def made(account: Mapping[str, Any] | None = None, **notices: Any) -> Application:
            url_file = receiver.url_file(tmp_path)
            app = make_app(
                tmp_path / "state",
                encoder,
                {ACCOUNT: server},
                account=account,
                model={"target_precision": 0.85},
                notices={"url_file": url_file, **notices},
            )
            return opened.enter_context(closing(app))

        yield made


def later(app: Application, by: timedelta) -> None:
    """Time passes."""
    assert isinstance(app.clock, Clock)
    app.clock.now += by


def one_pass(app: Application, server: FakeServer) -> int:
    """As the worker does it; returns how many mails inboxd put into the inbox."""
    with app.mailbox(ACCOUNT) as mailbox:
        run_cycle(app, ACCOUNT, mailbox)
        return send_by_mail(app, ACCOUNT, mailbox)


def inbox(server: FakeServer) -> list[bytes]:
    """What lies there."""
    return [each.content for each in server.folder("INBOX").messages.values()]


def told(app: Application) -> list[tuple[str, str, str]]:
    """What is written down, oldest first: about what, by which channel, in which state."""
    return [(each.kind, each.channel, each.state) for each in list_told(app, None)[::-1]]


def a_week_is_over(app: Application) -> None:
    """The first look only takes note of the week before; then the next slot comes."""
    look(app, ACCOUNT)
    later(app, WEEK)
    assert look(app, ACCOUNT) > 0


# The week -------------------------------------------------------------------------------------


def test_a_summary_comes_once_by_both_channels(
    make: MakeApp, server: FakeServer, receiver: Receiver
) -> None:
    """The owner's names the folders, the webhook's does not; nothing comes twice."""
    app = make(mail=True, webhook="json")
    learn(app, ACCOUNT)
    look(app, ACCOUNT)
    for number in range(100, 106):
        server.append("INBOX", topical("Reisen", number))
    run_cycle_once(app, ACCOUNT)
    later(app, WEEK)
    for _ in range(3):
        look(app, ACCOUNT)
        send_by_webhook(app)
        one_pass(app, server)
    [call], [mail] = receiver.calls, inbox(server)
    parsed = message_from_bytes(mail)
    text = parsed.get_payload(decode=True)
    assert isinstance(text, bytes)
    assert b"Reisen: sorted 6" in text
    assert (call.json["kind"], call.json["account"]) == ("weekly", ACCOUNT)
    assert "sorted: 6" in call.json["text"]
    assert "Reisen" not in call.json["text"]
    assert parsed["Message-ID"] != f"<{call.json['id']}@notice.inboxd.invalid>"
    assert sorted(told(app)) == [
        ("weekly", channel, state)
        for channel in ("mail", "webhook")
        for state in ("dropped", "sent")
    ]


def test_after_an_outage_there_is_one_summary(make: MakeApp, receiver: Receiver) -> None:
    """Of the last week; and none of the time before notices were wanted."""
    app = make(webhook="json")
    run_cycle_once(app, ACCOUNT)
    assert look(app, ACCOUNT) == 0
    later(app, 9 * WEEK)
    assert look(app, ACCOUNT) == 1
    assert send_by_webhook(app) == 1
    assert len(receiver.calls) == 1
    assert "quiet week" in receiver.calls[0].json["title"]


def test_a_summary_that_nobody_took_makes_way_for_the_next(
    make: MakeApp, receiver: Receiver
) -> None:
    """A service that was down for a month gets one."""
    app = make(webhook="json")
    run_cycle_once(app, ACCOUNT)
    look(app, ACCOUNT)
    for _ in range(4):
        later(app, WEEK)
        look(app, ACCOUNT)
    send_by_webhook(app)
    assert len(receiver.calls) == 1


def test_folder_names_are_told_to_a_webhook_only_when_that_is_wanted(
    make: MakeApp, server: FakeServer
) -> None:
    """A preview shows what each reader would read; it sends nothing."""
    app = make(webhook="json")
    learn(app, ACCOUNT)
    server.append("INBOX", topical("Reisen", 100))
    run_cycle_once(app, ACCOUNT)
    by_webhook = preview_week(app, ACCOUNT, Channel.WEBHOOK)
    assert "sorted: 1" in by_webhook.text
    assert "Reisen" not in by_webhook.text
    assert "Reisen" in preview_week(app, ACCOUNT, Channel.MAIL).text
    app = make(webhook="json", folder_names=True)
    later(app, timedelta(hours=1))
    assert "Reisen" in preview_week(app, ACCOUNT, Channel.WEBHOOK).text
    assert list_told(app, None) == []


# Conditions -----------------------------------------------------------------------------------


def test_a_refused_login_is_told_once_and_its_end_too(make: MakeApp, receiver: Receiver) -> None:
    """Not each time it is refused; other trouble in between is the same story."""
    app = make(webhook="json", weekly=False)
    run_cycle_once(app, ACCOUNT)
    for error in (
        LoginRefused("no"),
        LoginRefused("no"),
        MailboxUnreachable("down"),
        LoginRefused("no"),
    ):
        later(app, timedelta(minutes=5))
        record_failure(app, ACCOUNT, error)
        look(app, ACCOUNT)
        send_by_webhook(app)
    assert [call.json["kind"] for call in receiver.calls] == ["sign_in"]
    assert receiver.calls[0].json["urgent"] is True
    run_cycle_once(app, ACCOUNT)
    for _ in range(2):
        look(app, ACCOUNT)
        send_by_webhook(app)
    assert [call.json["urgent"] for call in receiver.calls] == [True, False]
    assert "signed in again" in receiver.calls[1].json["title"]
    record_failure(app, ACCOUNT, LoginRefused("no"))
    look(app, ACCOUNT)
    send_by_webhook(app)
    assert len(receiver.calls) == 3


def test_nothing_of_an_error_is_told_but_its_kind(make: MakeApp, receiver: Receiver) -> None:
    """A server's text may hold anything."""
    app = make(webhook="json", weekly=False)
    record_failure(app, ACCOUNT, SecretMissing("/home/anna/geheim has no password"))
    look(app, ACCOUNT)
    send_by_webhook(app)
    [call] = receiver.calls
    assert b"geheim" not in call.body
    assert b"localhost" not in call.body
    assert b"max@example.org" not in call.body


def test_what_ends_before_it_could_be_told_is_not_told(make: MakeApp, receiver: Receiver) -> None:
    """Neither that it began nor that it is over."""
    app = make(webhook="json", weekly=False)
    record_failure(app, ACCOUNT, LoginRefused("no"))
    look(app, ACCOUNT)
    run_cycle_once(app, ACCOUNT)
    look(app, ACCOUNT)
    assert send_by_webhook(app) == 0
    assert told(app) == [("sign_in", "webhook", "dropped")]


def test_an_account_that_nobody_looked_at_for_hours_is_told_of(
    make: MakeApp, receiver: Receiver
) -> None:
    """Believed after ten minutes of looks, so that a machine that wakes up makes no alarm."""
    app = make(webhook="json", weekly=False, overdue_hours=2)
    run_cycle_once(app, ACCOUNT)
    teller = Teller(lambda: app)
    with instance_lock(app.state_dir):
        long_ago = START.timestamp()
        os.utime(app.state_dir / "inboxd.lock", (long_ago, long_ago))
        later(app, timedelta(hours=1))
        for _ in range(LOOKS_BEFORE_LATE + 1):
            teller.look()
        assert receiver.calls == []
        later(app, timedelta(hours=2))
        for _ in range(LOOKS_BEFORE_LATE - 1):
            teller.look()
        assert receiver.calls == []
        teller.look()
        teller.look()
        assert [call.json["kind"] for call in receiver.calls] == ["overdue"]
        assert "3 hours" in receiver.calls[0].json["title"]
        run_cycle_once(app, ACCOUNT)
        teller.look()
    assert [call.json["kind"] for call in receiver.calls] == ["overdue", "overdue"]
    assert "works again" in receiver.calls[1].json["title"]


def test_a_paused_account_is_not_late(make: MakeApp, receiver: Receiver) -> None:
    """Somebody wants it so."""
    app = make(webhook="json", weekly=False, overdue_hours=1)
    run_cycle_once(app, ACCOUNT)
    set_paused(app, [ACCOUNT], paused=True)
    later(app, timedelta(days=3))
    assert send_now(app, None) == 0
    assert receiver.calls == []


def test_a_broken_promise_is_told_by_name_to_its_owner(
    make: MakeApp, server: FakeServer, receiver: Receiver
) -> None:
    """Once, and when the folder is trusted again."""
    app = make(mail=True, webhook="ntfy", language="de", weekly=False)
    learn(app, ACCOUNT)
    for number in range(100, 112):
        server.append("INBOX", topical("Reisen", number))
    run_cycle_once(app, ACCOUNT)
    server.move("Reisen", server.uids("Reisen")[-12:], "INBOX")
    run_cycle_once(app, ACCOUNT)
    assert [each.folder for each in broken_promises(app, ACCOUNT)] == ["Reisen"]
    for _ in range(2):
        look(app, ACCOUNT)
        send_by_webhook(app)
        one_pass(app, server)
    notices = [each for each in inbox(server) if b"X-Inboxd-Notice" in each]
    assert len(notices) == len(receiver.calls) == 1
    assert b"Reisen bekommt nur noch" in notices[0].replace(b"_", b" ").replace(b"\r\n ", b"")
    assert b"Reisen" not in receiver.calls[0].body
    assert "12 der letzten 12" in receiver.calls[0].body.decode()
    trust(app, ACCOUNT, "Reisen")
    look(app, ACCOUNT)
    send_by_webhook(app)
    assert one_pass(app, server) == 1
    assert len(receiver.calls) == 2
    assert look(app, ACCOUNT) == 0


# A mail of its own ----------------------------------------------------------------------------


def test_its_own_mail_is_neither_judged_nor_counted(make: MakeApp, server: FakeServer) -> None:
    """It lies in the inbox as a delivery would, and no pass has anything to do with it."""
    app = make(mail=True)
    learn(app, ACCOUNT)
    a_week_is_over(app)
    assert one_pass(app, server) == 1
    report = run_cycle_once(app, ACCOUNT)
    assert report.observation is not None
    assert (report.observation.delivered, report.observation.noticed) == (0, [])
    assert report.sorted is not None
    assert report.sorted.seen == 0
    assert len(inbox(server)) == 1
    assert status(app).accounts[0].sorted == 0


@pytest.mark.parametrize("ids", ["guid", None])
def test_where_its_mail_is_kept_teaches_nothing(
    make: MakeApp, server: FakeServer, ids: Any
) -> None:
    """She files it, moves it on, and puts it back; also after everything is learned anew."""
    server.server_ids = ids
    app = make(mail=True)
    learn(app, ACCOUNT)
    before = status(app).accounts[0].examples
    a_week_is_over(app)
    one_pass(app, server)
    where = "INBOX"
    for target in ("Reisen", "Verein", "INBOX", "Reisen"):
        run_cycle_once(app, ACCOUNT)
        uid = server.uids(where)[-1]
        assert b"X-Inboxd-Notice" in server.folder(where).messages[uid].content
        server.move(where, [uid], target)
        where = target
        report = run_cycle_once(app, ACCOUNT)
        assert report.observation is not None
        assert report.observation.noticed == []
    learn(app, ACCOUNT)
    assert status(app).accounts[0].examples == before
    assert status(app).accounts[0].corrections == 0


def test_a_mail_that_looks_like_a_notice_is_sorted(make: MakeApp, server: FakeServer) -> None:
    """A stranger's, with all the headers and a Message-ID of that domain."""
    app = make(mail=True)
    learn(app, ACCOUNT)
    forged = topical("Reisen", 100).replace(
        b"Message-ID: <reisen-100@example.org>\r\n",
        b"Message-ID: <abc@notice.inboxd.invalid>\r\nX-Inboxd-Notice: weekly\r\n"
        b"Auto-Submitted: auto-generated\r\n",
    )
    assert b"X-Inboxd-Notice" in forged
    server.append("INBOX", forged)
    report = run_cycle_once(app, ACCOUNT)
    assert report.sorted is not None
    assert report.sorted.moved == 1


@pytest.mark.parametrize("mode", ["observe", "suggest"])
def test_only_mode_sort_puts_mail_into_the_mailbox(
    make: MakeApp, server: FakeServer, mode: str
) -> None:
    """In the others inboxd has promised to change nothing; status says so."""
    app = make(account={"mode": mode}, mail=True)
    run_cycle_once(app, ACCOUNT)
    look(app, ACCOUNT)
    later(app, WEEK)
    assert look(app, ACCOUNT) == 0
    assert one_pass(app, server) == 0
    assert inbox(server) == []
    assert any('mode "sort"' in each for each in status(app).accounts[0].warnings)
    with pytest.raises(NoticeNotSent, match='mode "sort"'):
        send_test(app, ACCOUNT, None)


def test_a_mail_that_waits_is_dropped_when_the_mode_changes(
    make: MakeApp, server: FakeServer
) -> None:
    """What was planned in mode sort is not sent in mode suggest."""
    app = make(mail=True)
    run_cycle_once(app, ACCOUNT)
    a_week_is_over(app)
    app = make(account={"mode": "suggest"}, mail=True)
    later(app, WEEK + timedelta(hours=1))
    assert one_pass(app, server) == 0
    assert told(app)[-1] == ("weekly", "mail", "dropped")


@pytest.mark.parametrize(("when", "mails"), [("before", 0), ("after", 1)])
def test_a_killed_process_neither_loses_nor_doubles_a_mail(
    make: MakeApp, server: FakeServer, when: str, mails: int
) -> None:
    """Killed right before or right after the server took it."""
    app = make(mail=True)
    run_cycle_once(app, ACCOUNT)
    a_week_is_over(app)
    dying: Any = DyingMailbox(server.connect(), "append", when)
    with pytest.raises(Killed):
        send_by_mail(app, ACCOUNT, dying)
    assert len(inbox(server)) == mails
    for _ in range(3):
        later(app, timedelta(hours=1))
        one_pass(app, server)
    assert len(inbox(server)) == 1
    assert told(app)[-1] == ("weekly", "mail", "sent")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_that_breaks_neither_loses_nor_doubles_a_mail(
    make: MakeApp, server: FakeServer, when: Any
) -> None:
    """The answer to APPEND is lost, or the command."""
    app = make(mail=True)
    run_cycle_once(app, ACCOUNT)
    a_week_is_over(app)
    server.fail("append", when=when)
    with pytest.raises(MailboxUnreachable):
        one_pass(app, server)
    for _ in range(3):
        later(app, timedelta(hours=1))
        one_pass(app, server)
    assert len(inbox(server)) == 1


def test_a_full_mailbox_is_asked_again_ever_less_often(make: MakeApp, server: FakeServer) -> None:
    """And given up in the end; passes go on meanwhile."""
    app = make(mail=True)
    run_cycle_once(app, ACCOUNT)
    a_week_is_over(app)
    for _ in range(MAX_ATTEMPTS):
        server.fail("append", error=CommandRefused("full", code="OVERQUOTA"))
    one_pass(app, server)
    one_pass(app, server)  # not due yet
    [weekly] = [each for each in list_told(app, None) if each.state == "pending"]
    assert (weekly.attempts, weekly.error) == (1, "OVERQUOTA")
    for _ in range(2 * MAX_ATTEMPTS):
        later(app, timedelta(hours=7))
        one_pass(app, server)
    assert server.pending_faults() == 0
    assert told(app)[-1] == ("weekly", "mail", "dropped")
    assert inbox(server) == []


# The webhook ----------------------------------------------------------------------------------


def test_a_webhook_that_fails_gets_the_same_later(make: MakeApp, receiver: Receiver) -> None:
    """Under the same id, not before its time, until it is taken."""
    app = make(webhook="json", weekly=False)
    record_failure(app, ACCOUNT, LoginRefused("no"))
    look(app, ACCOUNT)
    receiver.answer(503)
    receiver.answer(302, Location="/elsewhere")
    assert send_by_webhook(app) == 0
    assert send_by_webhook(app) == 0
    assert len(receiver.calls) == 1
    later(app, timedelta(minutes=2))
    assert send_by_webhook(app) == 0
    later(app, timedelta(minutes=1))
    assert send_by_webhook(app) == 0
    later(app, timedelta(minutes=3))
    assert send_by_webhook(app) == 1
    assert len({call.json["id"] for call in receiver.calls}) == 1
    assert len(receiver.calls) == 3
    later(app, timedelta(days=1))
    assert send_by_webhook(app) == 0


def test_without_an_address_it_waits_and_says_so(make: MakeApp, tmp_path: Path) -> None:
    """The file was forgotten: nothing is lost, and the test tells every place."""
    app = make(webhook="json", weekly=False, url_file=tmp_path / "missing")
    record_failure(app, ACCOUNT, LoginRefused("no"))
    look(app, ACCOUNT)
    assert send_by_webhook(app) == 0
    [waiting] = list_told(app, None)
    assert (waiting.state, waiting.error) == ("pending", "SecretMissing")
    with pytest.raises(SecretMissing, match="missing: does not exist"):
        send_test(app, ACCOUNT, None)


def test_switched_off_nothing_is_written_down(make: MakeApp) -> None:
    """As it is by default."""
    app = make()
    record_failure(app, ACCOUNT, LoginRefused("no"))
    assert look(app, ACCOUNT) == 0
    assert list_told(app, None) == []
    with pytest.raises(NoticeNotSent, match="not switched on"):
        send_test(app, ACCOUNT, None)


# What does not arrive ---------------------------------------------------------------------------


def lost(app: Application) -> list[tuple[str, str, int, int]]:
    """By which channel, for what reason, how many are tried again and were given up."""
    found = status(app).accounts[0].undelivered
    return [(each.channel, each.error, each.waiting, each.given_up) for each in found]


def test_what_a_webhook_does_not_take_is_seen_until_something_arrives(
    make: MakeApp, receiver: Receiver
) -> None:
    """While it is tried again, after it was given up, and no longer after a test that arrives."""
    app = make(webhook="json", weekly=False)
    record_failure(app, ACCOUNT, LoginRefused("no"))
    look(app, ACCOUNT)
    assert lost(app) == []
    for _ in range(MAX_ATTEMPTS):
        receiver.answer(503)
    send_by_webhook(app)
    [found] = status(app).accounts[0].undelivered
    [notice] = list_told(app, None)
    assert found == Undelivered("webhook", "http 503", 1, 0, notice.created_at)
    [warning] = status(app).accounts[0].warnings
    assert warning == (
        "1 notice by webhook did not arrive (http 503; 1 tried again; since "
        f"{notice.created_at:%Y-%m-%d %H:%M} UTC). Try: inboxd notices test --account private"
    )
    for _ in range(MAX_ATTEMPTS):
        later(app, timedelta(hours=7))
        send_by_webhook(app)
    assert lost(app) == [("webhook", "http 503", 0, 1)]
    assert "1 given up" in status(app).accounts[0].warnings[0]
    later(app, timedelta(days=30))
    assert lost(app) == [("webhook", "http 503", 0, 1)]
    send_test(app, ACCOUNT, None)
    assert lost(app) == []
    assert status(app).accounts[0].warnings == ()


def test_a_failed_test_is_nothing_that_waits(make: MakeApp, receiver: Receiver) -> None:
    """Whoever asked for it has seen that it failed."""
    app = make(webhook="json")
    receiver.answer(403)
    with pytest.raises(NoticeNotSent):
        send_test(app, ACCOUNT, None)
    assert lost(app) == []


def test_an_attempt_that_was_cut_off_is_seen_once_it_is_due_again(
    make: MakeApp, server: FakeServer
) -> None:
    """Not before: it may be under way."""
    app = make(mail=True)
    run_cycle_once(app, ACCOUNT)
    a_week_is_over(app)
    server.fail("append", when="before")
    with pytest.raises(MailboxUnreachable):
        one_pass(app, server)
    assert lost(app) == []
    later(app, timedelta(minutes=2))
    assert lost(app) == [("mail", "cut off", 1, 0)]
    one_pass(app, server)
    assert lost(app) == []


def test_a_response_code_of_a_servers_own_is_not_repeated(
    make: MakeApp, server: FakeServer
) -> None:
    """It may be anybody's name; those of the RFCs are told, one line for each reason."""
    app = make(mail=True)
    run_cycle_once(app, ACCOUNT)
    a_week_is_over(app)
    server.fail("append", error=CommandRefused("no", code="ANNA-AMSEL"))
    one_pass(app, server)
    assert lost(app) == [("mail", "CommandRefused", 1, 0)]
    later(app, timedelta(minutes=2))
    server.fail("append", error=CommandRefused("full", code="OVERQUOTA"))
    one_pass(app, server)
    assert lost(app) == [("mail", "OVERQUOTA", 1, 0)]


def test_what_waits_for_a_channel_that_is_switched_off_is_no_trouble(
    make: MakeApp, receiver: Receiver
) -> None:
    """Nobody wants it any more."""
    app = make(webhook="json", weekly=False)
    record_failure(app, ACCOUNT, LoginRefused("no"))
    look(app, ACCOUNT)
    receiver.answer(503)
    send_by_webhook(app)
    assert lost(app) == [("webhook", "http 503", 1, 0)]
    assert lost(make()) == []


# At the command -------------------------------------------------------------------------------


def test_a_test_is_sent_at_once_by_every_way(
    make: MakeApp, server: FakeServer, receiver: Receiver
) -> None:
    """And its mail is known for inboxd's own."""
    app = make(mail=True, webhook="json")
    learn(app, ACCOUNT)
    found = send_test(app, ACCOUNT, None)
    assert [(each.channel, each.state) for each in found] == [("mail", "sent"), ("webhook", "sent")]
    assert receiver.calls[0].json["kind"] == "test"
    assert len(inbox(server)) == 1
    report = run_cycle_once(app, ACCOUNT)
    assert report.sorted is not None
    assert report.sorted.seen == 0


def test_a_test_that_fails_says_why_and_is_not_repeated(
    make: MakeApp, server: FakeServer, receiver: Receiver
) -> None:
    """With the next step."""
    app = make(webhook="json")
    receiver.answer(403)
    with pytest.raises(NoticeNotSent, match="http 403") as caught:
        send_test(app, ACCOUNT, Channel.WEBHOOK)
    assert "token" in caught.value.next_step
    later(app, timedelta(days=1))
    assert send_by_webhook(app) == 0
    [only] = list_told(app, None)
    assert isinstance(only, Told)
    assert (only.state, only.error) == ("dropped", "http 403")


def test_sending_now_does_what_the_daemon_does(
    make: MakeApp, server: FakeServer, receiver: Receiver
) -> None:
    """For those who run passes from cron."""
    app = make(mail=True, webhook="json")
    run_cycle_once(app, ACCOUNT)
    assert send_now(app, None) == 0
    later(app, WEEK)
    run_cycle_once(app, ACCOUNT)
    assert send_now(app, None) == 2
    assert send_now(app, None) == 0
    assert (len(receiver.calls), len(inbox(server))) == (1, 1)


def test_times_are_told_as_they_were(make: MakeApp) -> None:
    """Written down first, sent later."""
    app = make(webhook="json", weekly=False)
    record_failure(app, ACCOUNT, LoginRefused("no"))
    look(app, ACCOUNT)
    later(app, timedelta(minutes=5))
    send_by_webhook(app)
    [found] = list_told(app, ACCOUNT)
    assert isinstance(found.sent_at, datetime)
    assert found.sent_at - found.created_at > timedelta(minutes=4)
