"""The numbers are those of what happened, and never fall."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from daemon.errors import LoginRefused, MailboxUnreachable
from daemon.locks import instance_lock
from daemon.metrics.figures import Family, Kind, read_figures
from daemon.metrics.prometheus import PrometheusMeter, Ratchet, StoreCollector, new_registry
from daemon.use_cases.application import Application
from daemon.use_cases.cycle import record_failure, run_cycle_once
from daemon.use_cases.learn import learn
from daemon.use_cases.notice_sending import send_by_webhook, send_test
from daemon.use_cases.notices import list_told, look
from daemon.use_cases.undo import undo_moves
from tests.metrics.scrape import Samples, samples
from tests.support.fake_mailbox import FakeServer
from tests.support.webhook_receiver import Receiver
from tests.use_cases.apps import (
    ACCOUNT,
    Clock,
    closing,
    make_app,
    model_rows,
    topical,
)


def read(app: Application, registry: CollectorRegistry | None = None) -> Samples:
    """What a scrape would tell."""
    found = registry or new_registry(lambda: read_figures(app).every())
    return samples(generate_latest(found).decode())


@contextmanager
def learned(
    directory: Path, encoder: Path, server: FakeServer, *, folder_names: bool = True
) -> Iterator[Application]:
    """A program with a model."""
    with closing(
        make_app(
            directory / "state",
            encoder,
            {ACCOUNT: server},
            metrics={"folder_names": folder_names},
        )
    ) as app:
        learn(app, ACCOUNT)
        yield app


@pytest.fixture
def app(tmp_path: Path, encoder: Path, server: FakeServer) -> Iterator[Application]:
    """A program with a model."""
    with learned(tmp_path, encoder, server) as found:
        yield found


def test_an_account_that_was_never_looked_at_is_told_of(tmp_path: Path, encoder: Path) -> None:
    """With a last pass at 0, so that an alarm on its age rings."""
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: FakeServer()})) as app:
        found = read(app)

    assert found["inboxd_last_cycle_timestamp_seconds", (ACCOUNT,)] == 0
    assert found["inboxd_account_overdue", (ACCOUNT,)] == 1
    assert not [key for key in found if key[0].startswith(("inboxd_model", "inboxd_folder"))]


def test_counters_begin_with_zero(app: Application) -> None:
    """Prometheus sees no growth in one that begins with its first event."""
    found = read(app)

    for folder in ("Reisen", "Verein", "Rechnungen"):
        for what in ("moved", "corrections", "overruled"):
            assert found[f"inboxd_folder_{what}_total", (ACCOUNT, folder)] == 0
    assert found["inboxd_mails_total", (ACCOUNT, "moved")] == 0
    assert found["inboxd_corrections_total", (ACCOUNT, "put_back")] == 0
    assert found["inboxd_undone_total", (ACCOUNT,)] == 0


def test_what_inboxd_and_people_did_is_counted(app: Application, server: FakeServer) -> None:
    """Three mails sorted; one of these is moved on by a person, the others are undone."""
    for number in range(60, 63):
        server.append("INBOX", topical("Reisen", number))
    run_cycle_once(app, ACCOUNT)
    server.move("Reisen", server.uids("Reisen")[-1:], "Verein")
    server.move("Rechnungen", server.uids("Rechnungen")[:2], "Reisen")
    run_cycle_once(app, ACCOUNT)
    before = read(app)
    undo_moves(app, ACCOUNT, last=3)
    after = read(app)

    assert before["inboxd_mails_total", (ACCOUNT, "moved")] == 3
    assert before["inboxd_folder_moved_total", (ACCOUNT, "Reisen")] == 3
    assert before["inboxd_corrections_total", (ACCOUNT, "relabelled")] == 3
    assert before["inboxd_folder_corrections_total", (ACCOUNT, "Verein")] == 1
    assert before["inboxd_folder_corrections_total", (ACCOUNT, "Reisen")] == 2
    assert before["inboxd_folder_overruled_total", (ACCOUNT, "Reisen")] == 1
    assert before["inboxd_folder_mails", (ACCOUNT, "Rechnungen")] == 10
    assert before["inboxd_last_cycle_timestamp_seconds", (ACCOUNT,)] > 0
    # An undone move stays a move.
    assert after["inboxd_undone_total", (ACCOUNT,)] == 2
    assert after["inboxd_mails_total", (ACCOUNT, "moved")] == 3
    assert after["inboxd_folder_moved_total", (ACCOUNT, "Reisen")] == 3


def test_waiting_mail_and_failures_are_told(app: Application, server: FakeServer) -> None:
    """Mail waits in the inbox while there is no encoder to read it with."""
    run_cycle_once(app, ACCOUNT)
    for number in range(60, 64):
        server.append("INBOX", topical("Reisen", number))
    server.fail("fetch")
    with pytest.raises(MailboxUnreachable):
        run_cycle_once(app, ACCOUNT)
    record_failure(app, ACCOUNT, LoginRefused("no entry"))
    found = read(app)

    assert found["inboxd_queue_mails", (ACCOUNT,)] == 4
    assert found["inboxd_failures_total", (ACCOUNT, "MailboxUnreachable")] == 1
    assert found["inboxd_failures_total", (ACCOUNT, "LoginRefused")] == 1
    run_cycle_once(app, ACCOUNT)
    assert read(app)["inboxd_queue_mails", (ACCOUNT,)] == 0
    assert read(app)["inboxd_failures_total", (ACCOUNT, "LoginRefused")] == 1


def test_notices_that_arrive_and_those_that_do_not_are_told(
    tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """How many, since when and why; of the address nothing."""
    with (
        Receiver() as receiver,
        closing(
            make_app(
                tmp_path / "state",
                encoder,
                {ACCOUNT: server},
                notices={
                    "webhook": "json",
                    "url_file": receiver.url_file(tmp_path),
                    "weekly": False,
                },
            )
        ) as app,
    ):
        record_failure(app, ACCOUNT, LoginRefused("no entry"))
        look(app, ACCOUNT)
        receiver.answer(404)
        send_by_webhook(app)
        before = read(app)
        [waiting] = list_told(app, ACCOUNT)
        send_test(app, ACCOUNT, None)
        assert isinstance(app.clock, Clock)
        app.clock.now += timedelta(minutes=2)
        send_by_webhook(app)
        after = read(app)

    since = "inboxd_notices_undelivered_since_timestamp_seconds", (ACCOUNT, "webhook")
    assert before["inboxd_notices_undelivered", (ACCOUNT, "webhook", "http 404")] == 1
    assert before[since] == waiting.created_at.timestamp()
    assert before["inboxd_notices_total", (ACCOUNT, "webhook", "sent")] == 0
    assert before["inboxd_notices_total", (ACCOUNT, "webhook", "given_up")] == 0
    assert after["inboxd_notices_total", (ACCOUNT, "webhook", "sent")] == 2
    assert not [key for key in after if "undelivered" in key[0]]
    assert (ACCOUNT, "mail", "sent") not in {values for _, values in after}


def test_the_model_in_use_is_described(app: Application) -> None:
    """The figures of its report, and what each folder may do."""
    [row] = model_rows(app)
    found = read(app)
    recent = row.report["recent"]

    assert found["inboxd_model_info", (ACCOUNT, row.version)] == 1
    assert found["inboxd_model_examples", (ACCOUNT,)] == 36
    assert found["inboxd_model_target_precision_ratio", (ACCOUNT,)] == 0.6
    assert found["inboxd_model_coverage_ratio", (ACCOUNT,)] == recent["coverage"]["value"]
    assert found["inboxd_model_calibration_error_ratio", (ACCOUNT,)] == recent["ece"]
    assert found["inboxd_folder_examples", (ACCOUNT, "Reisen")] == 12
    assert found["inboxd_folder_sorts", (ACCOUNT, "Reisen")] == 1
    assert 0.6 <= found["inboxd_folder_precision_ratio", (ACCOUNT, "Reisen")] <= 1


def test_a_suspended_folder_does_not_sort(app: Application) -> None:
    """The model would move mail there, but the folder has broken its promise."""
    with app.store.write() as work:
        account = work.accounts.get(ACCOUNT)
        assert account is not None
        [folder] = [each for each in work.folders.of(account) if each.name == "Reisen"]
        promise = work.promises.get_or_create(folder)
        promise.broken_at, promise.moves, promise.wrong = app.clock(), 10, 5
        work.commit()
    found = read(app)
    assert found["inboxd_folder_sorts", (ACCOUNT, "Reisen")] == 0
    assert found["inboxd_folder_sorts", (ACCOUNT, "Verein")] == 1


def test_folder_names_can_be_left_out(tmp_path: Path, encoder: Path, server: FakeServer) -> None:
    """They are numbered instead; nothing else is lost."""
    with learned(tmp_path, encoder, server, folder_names=False) as app:
        server.append("INBOX", topical("Reisen", 60))
        run_cycle_once(app, ACCOUNT)
        found = read(app)

    labels = {label for _, values in found for label in values}
    assert not labels & {"Reisen", "Verein", "Rechnungen", "INBOX"}
    assert len([key for key in found if key[0] == "inboxd_folder_sorts"]) == 3


def test_how_long_things_took_is_measured(app: Application, server: FakeServer) -> None:
    """Passes, what the encoder read in them, and learning."""
    registry = CollectorRegistry()
    measured = replace(app, meter=PrometheusMeter(registry))
    server.append("INBOX", topical("Reisen", 60))
    server.append("INBOX", topical("Verein", 60))
    run_cycle_once(measured, ACCOUNT)
    server.move("Reisen", server.uids("Reisen")[:1], "Verein")
    run_cycle_once(measured, ACCOUNT)
    found = read(app, registry)

    assert found["inboxd_cycle_duration_seconds_count", (ACCOUNT,)] == 2
    assert found["inboxd_encode_duration_seconds_count", (ACCOUNT,)] == 1
    assert found["inboxd_encoded_mails_total", (ACCOUNT,)] == 2
    assert found["inboxd_learning_duration_seconds_count", (ACCOUNT,)] == 1
    total = found["inboxd_cycle_duration_seconds_sum", (ACCOUNT,)]
    assert total > found["inboxd_learning_duration_seconds_sum", (ACCOUNT,)] > 0


def test_a_counter_does_not_fall_when_rows_are_deleted() -> None:
    """Prometheus would take that for a restart, and count what is left once more."""
    values: dict[tuple[str, ...], float] = {("private",): 100.0}
    registry = CollectorRegistry()
    registry.register(
        StoreCollector(
            lambda: [Family("inboxd_x_total", Kind.COUNTER, "x", ("account",), dict(values))]
        )
    )

    def told() -> float:
        found = samples(generate_latest(registry).decode())
        return found["inboxd_x_total", ("private",)]

    seen = [told()]
    values["private",] = 40.0  # sixty were deleted
    seen.append(told())
    values["private",] = 45.0
    seen.append(told())
    values.clear()
    seen.append(told())

    assert seen == [100, 100, 105, 105]
    assert Ratchet().up(("x",), 3.0) == 3.0


def test_a_gauge_may_fall(app: Application, server: FakeServer) -> None:
    """Its value is the present one, at every scrape."""
    registry = new_registry(lambda: read_figures(app).every())
    with instance_lock(app.state_dir):
        run_cycle_once(app, ACCOUNT)
        before = read(app, registry)
        server.move("Reisen", server.uids("Reisen")[:5], "Trash")
        run_cycle_once(app, ACCOUNT)
        after = read(app, registry)

    assert before["inboxd_account_overdue", (ACCOUNT,)] == 0
    assert before["inboxd_folder_mails", (ACCOUNT, "Reisen")] == 12
    assert after["inboxd_folder_mails", (ACCOUNT, "Reisen")] == 7
