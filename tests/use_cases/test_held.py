"""A burst of moves from noticing it to the person's word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.errors import NotFound
from daemon.use_cases.application import Application
from daemon.use_cases.cycle import is_learning_due, run_cycle_once
from daemon.use_cases.held import Chosen, confirm_held, discard_held, list_held
from daemon.use_cases.learn import learn
from daemon.use_cases.status import status
from tests.support.fake_mailbox import FakeServer
from tests.use_cases.apps import ACCOUNT, closing, filled_server, make_app

EVERYTHING = Chosen()


@pytest.fixture
def server() -> FakeServer:
    """Three label folders with eight mails each."""
    return filled_server(8)


@pytest.fixture
def app(tmp_path: Path, encoder: Path, server: FakeServer) -> Iterator[Application]:
    """It has learned; then eight mails went from Reisen to Verein, where five may in an hour."""
    limits = {"hold_moves_per_hour": 5}
    state = tmp_path / "state"
    with closing(make_app(state, encoder, {ACCOUNT: server}, training=limits)) as found:
        learn(found, ACCOUNT)
        server.move("Reisen", server.uids("Reisen"), "Verein")
        report = run_cycle_once(found, ACCOUNT)
        assert report.observation is not None
        assert (report.lessons, report.observation.held, report.refit) == (0, 8, None)
        yield found


def counts(app: Application) -> dict[str, int]:
    """Number of usable examples by folder."""
    return {folder.folder: folder.examples for folder in status(app).accounts[0].folders}


def test_status_and_the_list_say_what_waits(app: Application) -> None:
    """How many, from where, to where, and since when."""
    [moves] = list_held(app, None)
    [state] = status(app).accounts
    assert (moves.from_folder, moves.to_folder, moves.mails) == ("Reisen", "Verein", 8)
    assert (moves.reason, moves.account) == ("many", ACCOUNT)
    assert moves.first <= moves.last
    assert (state.held, state.corrections) == (8, 0)


def test_until_then_nothing_is_learned_by_any_way(app: Application) -> None:
    """Neither by the next pass nor by `learn`, which reads what lies in the folders."""
    before = counts(app)
    assert not is_learning_due(app, ACCOUNT)
    assert run_cycle_once(app, ACCOUNT).refit is None
    assert set(learn(app, ACCOUNT).new_examples.values()) == {0}
    assert counts(app) == before == {"Rechnungen": 8, "Reisen": 8, "Verein": 8}


def test_one_command_confirms(app: Application) -> None:
    """Then they are lessons like any other."""
    [moves] = confirm_held(app, ACCOUNT, EVERYTHING)
    assert moves.mails == 8
    assert counts(app) == {"Rechnungen": 8, "Reisen": 0, "Verein": 16}
    assert is_learning_due(app, ACCOUNT)
    assert list_held(app, ACCOUNT) == []
    assert (status(app).accounts[0].held, status(app).accounts[0].corrections) == (0, 8)


def test_confirmed_moves_do_not_make_the_next_one_a_burst(
    app: Application, server: FakeServer
) -> None:
    """She has said that she means it."""
    confirm_held(app, ACCOUNT, EVERYTHING)
    server.move("Verein", server.uids("Verein")[:1], "Reisen")
    assert run_cycle_once(app, ACCOUNT).lessons == 1


def test_discarded_moves_are_never_learned(app: Application) -> None:
    """What was known before stays, `learn` or not."""
    before = counts(app)
    discard_held(app, ACCOUNT, EVERYTHING)
    learn(app, ACCOUNT)
    assert counts(app) == before
    assert list_held(app, ACCOUNT) == []
    with pytest.raises(NotFound):
        confirm_held(app, ACCOUNT, EVERYTHING)


def test_a_choice_ends_only_what_it_names(app: Application, server: FakeServer) -> None:
    """Moves to one folder are confirmed, those to another still wait."""
    server.move("Rechnungen", server.uids("Rechnungen"), "Reisen")
    run_cycle_once(app, ACCOUNT)
    confirm_held(app, ACCOUNT, Chosen(to_folder="Verein"))
    [left] = list_held(app, ACCOUNT)
    assert (left.from_folder, left.to_folder, left.mails) == ("Rechnungen", "Reisen", 8)
    with pytest.raises(NotFound):
        discard_held(app, ACCOUNT, Chosen(from_folder="Nirgends"))


def test_a_folder_that_was_renamed_meanwhile_is_confirmed_under_its_new_name(
    app: Application, server: FakeServer
) -> None:
    """The label stays the same one."""
    server.rename("Verein", "Klub")
    run_cycle_once(app, ACCOUNT)
    [moves] = confirm_held(app, ACCOUNT, EVERYTHING)
    assert moves.to_folder == "Klub"
    assert counts(app)["Klub"] == 16
