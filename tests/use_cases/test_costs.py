"""Costs from the configuration reach the model; what folders lack and similar mails are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from classifier.costs import Costs
from daemon.errors import NotFound
from daemon.use_cases.application import Application
from daemon.use_cases.check import check
from daemon.use_cases.cycle import is_learning_due, run_cycle_once
from daemon.use_cases.learn import learn
from daemon.use_cases.models import show_model
from daemon.use_cases.similar import similar_mails
from daemon.use_cases.status import status
from tests.support.fake_mailbox import FakeServer
from tests.support.inventory import all_messages
from tests.use_cases.apps import ACCOUNT, closing, filled_server, folder_id, make_app, topical

COSTS = {"Reisen -> Verein": 5.0, "* -> Gibt es nicht": 2.0}


@pytest.fixture(scope="module")
def server() -> FakeServer:
    """Three label folders with twelve mails each, and one with a single mail."""
    found = filled_server()
    found.create("Neu")
    found.append("Neu", topical("Neu", 1))
    return found


@pytest.fixture(scope="module")
def app(
    tmp_path_factory: pytest.TempPathFactory, encoder: Path, server: FakeServer
) -> Iterator[Application]:
    """The program with costs, which has learned from these folders."""
    directory = tmp_path_factory.mktemp("costs") / "state"
    with closing(make_app(directory, encoder, {ACCOUNT: server}, model={"costs": COSTS})) as found:
        learn(found, ACCOUNT)
        yield found


def test_the_model_knows_the_costs_by_folder(app: Application) -> None:
    """And its report says them in words, with every figure explained."""
    judge = app.engine.account(ACCOUNT).judge()
    assert judge is not None
    ids = str(folder_id(app, "Reisen")), str(folder_id(app, "Verein"))
    assert judge.model.costs == Costs({ids: 5.0})
    shown = show_model(app, ACCOUNT, None)
    assert shown.costs == (
        "A mail of Reisen filed under Verein costs as much as 5 left in the inbox.",
    )
    assert {"accuracy", "cost"} <= {one.name for one in shown.measured}
    assert shown.report["gate"]["rule"] is None


def test_a_line_for_a_folder_that_is_not_there_is_told(app: Application) -> None:
    """By check and by status."""
    warning = "[model.costs] \"* -> Gibt es nicht\" has no effect: no label folder 'Gibt es nicht'."
    assert warning in check(app, None)[0].warnings
    assert status(app).accounts[0].warnings == (warning,)


def test_changed_costs_make_a_re_fit_due(
    app: Application, server: FakeServer, encoder: Path
) -> None:
    """As new lessons do; the same costs do not."""
    assert not is_learning_due(app, ACCOUNT)
    changed = make_app(app.state_dir, encoder, {ACCOUNT: server}, model={"costs": {}})
    with closing(changed):
        assert is_learning_due(changed, ACCOUNT)


def test_status_says_what_a_folder_lacks(app: Application) -> None:
    """The one with a single mail lacks two."""
    folders = {each.folder: each for each in status(app).accounts[0].folders}
    new = folders["Neu"]
    assert (new.state, new.missing, new.missing_mails) == ("learning", "2 more mails", 2)
    for each in folders.values():
        assert (each.missing is None) == (each.state == "sorting")
        assert each.target == 0.6


def test_the_most_similar_mails_are_found_without_touching_the_server(
    app: Application, server: FakeServer
) -> None:
    """Only their subjects need it; nothing is marked read."""
    server.append("INBOX", topical("Reisen", 70))
    run_cycle_once(app, ACCOUNT)
    server.calls.clear()
    reference = "reisen-70@example.org"
    found = similar_mails(app, ACCOUNT, reference, top=3)
    assert server.calls == []
    assert [each.folder for each in found] == ["Reisen"] * 3
    assert [each.subject for each in found] == [None] * 3
    assert found[0].similarity >= found[1].similarity > 0.3
    before = all_messages(server.inventory())
    shown = similar_mails(app, ACCOUNT, reference, top=3, subjects=True)
    assert all("Nummer" in (each.subject or "") for each in shown)
    assert all_messages(server.inventory()) == before
    with pytest.raises(NotFound):
        similar_mails(app, ACCOUNT, "nobody@example.org")
