"""Accounts that share a model: what one of them is taught, the others know."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.decision import Prediction
from classifier.features import Block, index_of
from classifier.labels import LEAVE
from daemon.errors import ModelError, NotFound
from daemon.learning.engine import ModelJudge
from daemon.learning.share import common_name, share_of, shared_labels
from daemon.learning.shared import SharedJudge
from daemon.locks import model_lock
from daemon.store.tables import Folder, Role
from daemon.use_cases.application import Application
from daemon.use_cases.cycle import is_learning_due, run_cycle_once
from daemon.use_cases.deep import train_deep
from daemon.use_cases.explain import explain
from daemon.use_cases.forget import forget_account, forget_sender
from daemon.use_cases.history import history
from daemon.use_cases.learn import learn, train
from daemon.use_cases.models import list_models, roll_back, show_model
from daemon.use_cases.similar import similar_mails
from daemon.use_cases.status import AccountState, status
from tests.support.fake_mailbox import FakeServer
from tests.use_cases.apps import closing, filled_server, make_app, topical

SHARERS = ("info", "support")


@pytest.fixture
def servers() -> dict[str, FakeServer]:
    """Two accounts: both have invoices and travel, only `info` has the club; `support` spells its
    folders as Courier does, and hardly anything lies in them."""
    info = filled_server(12)
    support = FakeServer()
    for name in ("INBOX.Rechnungen", "INBOX.Reisen"):
        support.create(name)
    return {"info": info, "support": support}


@pytest.fixture
def app(tmp_path: Path, encoder: Path, servers: dict[str, FakeServer]) -> Iterator[Application]:
    """The program before it has learned anything."""
    with closing(
        make_app(tmp_path / "state", encoder, servers, account={"shared_model": "team"})
    ) as found:
        yield found


def with_accounts(app: Application, changes: Mapping[str, Mapping[str, Any]]) -> Application:
    """The program by a configuration with these accounts alone; {} is as before."""
    accounts = {
        name: app.settings.accounts[name].model_copy(update=dict(change))
        for name, change in changes.items()
    }
    return replace(app, settings=app.settings.model_copy(update={"accounts": accounts}))


def state_of(app: Application, name: str) -> AccountState:
    return next(each for each in status(app).accounts if each.name == name)


def used_by(app: Application, version: str) -> list[str]:
    """The accounts with whose mail a shared model was trained."""
    return list(show_model(app, "info", version).report["share"]["accounts"])


def folders(**names: str) -> list[Folder]:
    return [
        Folder(id=number, name=name, role=Role(role))
        for number, (name, role) in enumerate(names.items(), start=1)
    ]


# -- names --------------------------------------------------------------------------------


def test_a_folder_has_one_name_however_a_server_spells_it() -> None:
    """Prefix, delimiter and composition differ from server to server."""
    assert common_name("INBOX.Kunden.Müller") == common_name("Kunden/Müller") == "Kunden/Müller"
    assert common_name("INBOX/Reisen") == "Reisen"
    assert common_name("INBOXEN") == "INBOXEN"


def test_folders_that_would_be_called_the_same_are_not_mixed_up() -> None:
    """The one that is spelt so has the name, the other one keeps to its account."""
    flat, deep, inbox = folders(**{"A.B": "label", "A/B": "label", "INBOX": "inbox"})
    assert shared_labels("info", [flat, deep, inbox]) == {flat.id: "info\nA.B", deep.id: "A/B"}


def test_a_folder_called_like_the_leave_label_is_a_folder() -> None:
    """Nothing becomes "leave it" by its name."""
    [odd] = folders(**{LEAVE: "label"})
    assert shared_labels("info", [odd]) == {odd.id: f"info\n{LEAVE}"}


def test_only_accounts_that_name_the_same_model_share(app: Application) -> None:
    """Sharing is never guessed."""
    changed = with_accounts(app, {"info": {"shared_model": "other"}, "support": {}})
    assert share_of(changed.settings, "info") != share_of(changed.settings, "support")
    alone = with_accounts(app, {"info": {"shared_model": None}, "support": {}})
    assert share_of(alone.settings, "info") is None


# -- learning and sorting -------------------------------------------------------------------


def test_what_one_account_is_taught_sorts_the_mail_of_the_other(
    app: Application, servers: dict[str, FakeServer]
) -> None:
    """`support` has never filed a mail."""
    learn(app, "info")
    servers["support"].append("INBOX", topical("Reisen", 90))
    run_cycle_once(app, "support")
    assert len(servers["support"].inventory()["INBOX.Reisen"]) == 1
    assert state_of(app, "support").model == state_of(app, "info").model


def test_a_correction_in_one_account_counts_in_the_other(
    app: Application, servers: dict[str, FakeServer]
) -> None:
    """A kind of mail that only the corrections of `info` know is sorted in `support`."""
    learn(app, "info")
    for server in servers.values():
        server.create("Kantine")
    for number in range(6):
        servers["info"].append("INBOX", topical("Kantine", number))
    run_cycle_once(app, "info")
    waiting = list(servers["info"].connect().snapshot("INBOX").uids)
    servers["info"].move("INBOX", waiting, "Kantine")
    taught = run_cycle_once(app, "info").refit
    assert taught is not None
    assert taught.promoted
    servers["support"].append("INBOX", topical("Kantine", 90))
    run_cycle_once(app, "support")
    [decision] = history(app, "support", limit=1)
    assert decision.folder == "Kantine"


def test_a_folder_that_the_account_does_not_have_is_never_a_target(
    app: Application, servers: dict[str, FakeServer]
) -> None:
    """The mail stays, and the reason names the folder of the other account."""
    learn(app, "info")
    servers["support"].append("INBOX", topical("Verein", 90))
    servers["info"].append("INBOX", topical("Verein", 91))
    for name in SHARERS:
        run_cycle_once(app, name)
    assert len(servers["support"].inventory()["INBOX"]) == 1
    assert "Verein" not in servers["support"].inventory()
    [decision] = history(app, "support", limit=1)
    assert decision.action == "left"
    assert "Verein, a folder that this account does not have" in decision.reason
    assert len(servers["info"].inventory()["Verein"]) == 13


def test_what_other_folders_lose_goes_to_the_inbox_and_to_no_folder(app: Application) -> None:
    """However near the second best is, it does not become surer by what is not there."""
    learn(app, "info")
    run_cycle_once(app, "support")
    judge = app.models("support").judge()
    assert isinstance(judge, SharedJudge)
    said = Prediction((("Verein", 0.55), ("Reisen", 0.4), ("Rechnungen", 0.05)))
    verdict = judge.verdict(said)
    assert verdict.folder_id is None
    assert verdict.probability == pytest.approx(0.55)
    assert not verdict.moves
    assert sum(p for _, p in verdict.ranked) == pytest.approx(1.0)
    near = judge.verdict(Prediction((("Reisen", 0.4), ("Verein", 0.35), (LEAVE, 0.25))))
    assert near.folder_id is None
    assert not near.moves
    assert "40.0% sure of Reisen" in near.reason


def test_a_folder_made_later_is_a_target_at_once(
    app: Application, servers: dict[str, FakeServer]
) -> None:
    """The model knows it already; nothing has to be trained."""
    learn(app, "info")
    run_cycle_once(app, "support")
    servers["support"].create("Verein")
    servers["support"].append("INBOX", topical("Verein", 90))
    run_cycle_once(app, "support")
    assert len(servers["support"].inventory()["Verein"]) == 1
    shown = {each.folder: each.state for each in state_of(app, "support").folders}
    assert shown["Verein"] == "sorting"


def test_whoever_comes_second_does_not_train_again(
    app: Application, servers: dict[str, FakeServer]
) -> None:
    """One lesson, one model, whichever account looks first."""
    learn(app, "info")
    run_cycle_once(app, "support")
    servers["info"].move("Reisen", [1], "Verein")
    assert run_cycle_once(app, "info").refit is not None
    assert not is_learning_due(app, "support")
    assert run_cycle_once(app, "support").refit is None


def test_mail_that_only_its_own_account_can_read_is_learned_when_that_comes_by(
    app: Application, servers: dict[str, FakeServer]
) -> None:
    """`info` trains without it meanwhile: nobody waits for another one's server."""
    learn(app, "info")
    run_cycle_once(app, "support")
    for number in range(4):
        servers["support"].append("Trash", topical("Reisen", 70 + number))
    run_cycle_once(app, "support")
    servers["support"].move("Trash", [1, 2, 3, 4], "INBOX.Reisen")
    from daemon.use_cases.catch_up import up_to_date  # noqa: PLC0415 - noticed, not learned

    with up_to_date(app, "support"):
        pass
    assert not is_learning_due(app, "info")
    servers["info"].move("Reisen", [1], "Verein")
    without = run_cycle_once(app, "info").refit
    assert without is not None
    assert is_learning_due(app, "support")
    with_them = run_cycle_once(app, "support").refit
    assert with_them is not None
    assert with_them.examples == without.examples + 4
    assert not is_learning_due(app, "info")


def test_a_mail_that_both_accounts_filed_alike_counts_once(
    app: Application, servers: dict[str, FakeServer]
) -> None:
    """Else the figures would flatter: the copy is recognised, not judged."""
    for number in range(4):
        servers["support"].append("INBOX.Reisen", topical("Reisen", number))
        servers["support"].append("INBOX.Rechnungen", topical("Reisen", 4 + number))
    assert learn(app, "info").refit.examples == 36
    assert learn(app, "support").refit.examples == 36 + 4


def test_one_account_waits_while_another_one_trains(app: Application, tmp_path: Path) -> None:
    """The lock is that of the shared model; it is asked whether to go on meanwhile."""
    learn(app, "info")
    tries = threading.Event()
    done = threading.Event()

    def train_support() -> None:
        app_models = app.models("support")
        with app_models.locked(tries.set):
            done.set()

    with model_lock(tmp_path / "state", "team"):
        thread = threading.Thread(target=train_support)
        thread.start()
        assert tries.wait(30)
        assert not done.is_set()
    thread.join(30)
    assert done.is_set()


def test_descriptions_of_all_accounts_are_learned(
    tmp_path: Path, encoder: Path, servers: dict[str, FakeServer]
) -> None:
    """What two accounts say of one folder is put together; spelling does not matter."""
    with closing(
        make_app(tmp_path / "state", encoder, servers, account={"shared_model": "team"})
    ) as plain:
        base = plain.settings.accounts
        said = {"info": {"Reisen": "Flug und Hotel"}, "support": {"INBOX.Reisen": "Buchung"}}
        app = with_accounts(
            plain,
            {
                name: {"folders": base[name].folders.model_copy(update={"descriptions": sentences})}
                for name, sentences in said.items()
            },
        )
        learn(app, "info")
        learn(app, "support")
        assert not is_learning_due(app, "info")
        assert is_learning_due(plain, "info")


# -- joining, leaving, forgetting ---------------------------------------------------------------


def test_whoever_leaves_takes_his_mail_out_of_the_model(
    app: Application, servers: dict[str, FakeServer]
) -> None:
    """The next model is without it, however much better the old one was; that is gone."""
    filled_server(8, servers["support"], folders=("INBOX.Rechnungen", "INBOX.Reisen"))
    learn(app, "support")
    both = learn(app, "info").refit.version
    assert both is not None
    assert set(used_by(app, both)) == set(SHARERS)
    left = with_accounts(app, {"info": {"shared_model": None}, "support": {}})
    assert is_learning_due(left, "support")
    refit = run_cycle_once(left, "support").refit
    assert refit is not None
    assert refit.promoted
    assert refit.report["share"]["accounts"] == ["support"]
    kept = {info.version for info in left.models("support").registry.versions()}
    assert both not in kept
    assert state_of(left, "info").model is None
    assert learn(left, "info").refit.promoted
    assert state_of(left, "info").model != state_of(left, "support").model


def test_a_model_that_cannot_be_trained_anew_goes_all_the_same(
    app: Application, servers: dict[str, FakeServer]
) -> None:
    """Rather no model than one with the mail of somebody who has left."""
    learn(app, "info")
    run_cycle_once(app, "support")
    left = with_accounts(app, {"info": {"shared_model": None}, "support": {}})
    servers["support"].append("INBOX", topical("Reisen", 90))
    report = run_cycle_once(left, "support")
    assert report.refit is not None
    assert report.refit.version is None
    assert "No model yet" in report.note
    assert len(servers["support"].inventory()["INBOX"]) == 1


def test_whoever_joins_brings_what_he_was_taught(
    app: Application, servers: dict[str, FakeServer]
) -> None:
    """Read already, so that nothing is fetched; his own models wait for the day he leaves."""
    filled_server(8, servers["support"], folders=("INBOX.Rechnungen", "INBOX.Reisen"))
    apart = with_accounts(app, {"info": {}, "support": {"shared_model": None}})
    own = learn(apart, "support").refit.version
    learn(apart, "info")
    assert is_learning_due(app, "support")
    refit = run_cycle_once(app, "support").refit
    assert refit is not None
    assert set(refit.report["share"]["accounts"]) == set(SHARERS)
    assert state_of(apart, "support").model == own


def test_forgetting_an_account_takes_the_shared_models_along(
    app: Application, servers: dict[str, FakeServer]
) -> None:
    """Files and history; the others get a new one with the next pass."""
    filled_server(8, servers["support"], folders=("INBOX.Rechnungen", "INBOX.Reisen"))
    learn(app, "info")
    learn(app, "support")
    assert forget_account(app, "info", dry_run=True).shared_models == ("team",)
    assert forget_account(app, "info").shared_models == ("team",)
    rest = with_accounts(app, {"support": {}})
    assert list_models(rest, None) == []
    assert rest.models("support").registry.versions() == []
    refit = run_cycle_once(rest, "support").refit
    assert refit is not None
    assert refit.report["share"]["accounts"] == ["support"]


def test_a_model_without_the_mail_of_the_forgotten_account_stays(
    app: Application, servers: dict[str, FakeServer]
) -> None:
    """It is in use again, and nothing has to be trained."""
    filled_server(8, servers["support"], folders=("INBOX.Rechnungen", "INBOX.Reisen"))
    alone = learn(app, "support").refit.version
    learn(app, "info")
    forget_account(app, "info")
    rest = with_accounts(app, {"support": {}})
    assert state_of(rest, "support").model == alone
    assert run_cycle_once(rest, "support").refit is None
    with pytest.raises(NotFound):
        forget_account(app, "info")


def test_forgetting_a_sender_clears_the_shared_model(
    app: Application, servers: dict[str, FakeServer]
) -> None:
    """And what the account had by itself before it shared; a new one is trained at once."""
    alone = with_accounts(app, {"info": {"shared_model": None}, "support": {}})
    own = learn(alone, "info").refit.version
    shared = learn(app, "info").refit.version
    assert own is not None
    [found] = forget_sender(app, "vorstand@verein.example")
    assert found.messages == 12
    assert found.model not in {None, own, shared}
    assert alone.models("info").registry.versions() == []
    on_disk = {info.version for info in app.models("support").registry.versions()}
    assert on_disk == {found.model}


# -- what is kept between two fits ---------------------------------------------------------------


def test_a_correction_is_learned_from_what_is_kept_of_all_accounts(
    app: Application, servers: dict[str, FakeServer], tmp_path: Path, encoder: Path
) -> None:
    """Whichever of them it comes from; the same weights as in a process that keeps nothing."""
    filled_server(12, servers["support"], folders=("INBOX.Rechnungen", "INBOX.Reisen"))
    learn(app, "info")
    learn(app, "support")
    taken = app.engine.kept.take("@team", app.store, fingerprint(app), SHARERS)
    space = taken.ridge.space
    app.engine.kept.give_back("@team", taken, taken.version, 10**9)
    servers["support"].move("INBOX.Reisen", [1, 2], "INBOX.Rechnungen")
    version = run_cycle_once(app, "support").refit.version  # type: ignore[union-attr]
    assert version is not None
    taken = app.engine.kept.take("@team", app.store, fingerprint(app), SHARERS)
    assert space is not None
    assert taken.ridge.space is space
    kept = app.models("info").load(version)
    with closing(
        make_app(tmp_path / "state", encoder, servers, account={"shared_model": "team"})
    ) as other:
        fresh = other.models("info").load(str(train(other, "info").version))
    np.testing.assert_array_equal(kept.active.numpy(), fresh.active.numpy())
    np.testing.assert_allclose(
        kept.wide_weight.detach().numpy(), fresh.wide_weight.detach().numpy(), atol=2e-3
    )


def test_nothing_is_kept_of_whom_is_forgotten(app: Application) -> None:
    """Neither of a sender nor of an account, under the name of the shared model."""
    learn(app, "info")
    forget_sender(app, "vorstand@verein.example")
    taken = app.engine.kept.take("@team", app.store, fingerprint(app), SHARERS)
    assert taken.ridge.space is not None
    assert index_of(Block.SENDER, "vorstand@verein.example") not in taken.ridge.space.active
    app.engine.kept.give_back("@team", taken, taken.version, 10**9)
    assert app.engine.kept.bytes > 0
    forget_account(app, "info")
    assert app.engine.kept.bytes == 0


def fingerprint(app: Application) -> str:
    return app.models("info").encoder().fingerprint


# -- what people are shown -----------------------------------------------------------------------


def test_status_and_models_say_who_shares(app: Application) -> None:
    """And each model is listed once."""
    learn(app, "info")
    run_cycle_once(app, "support")
    state = state_of(app, "support")
    assert (state.shared_model, state.shared_with) == ("team", ("info",))
    [model] = list_models(app, None)
    assert (model.shared_model, model.shared_by) == ("team", SHARERS)
    assert show_model(app, "support", None).summary.version == model.version


def test_going_back_goes_back_for_all(app: Application) -> None:
    """There is one pointer."""
    first = learn(app, "info").refit.version
    second = train(app, "info").version
    assert state_of(app, "support").model == second
    assert roll_back(app, "support") == first
    assert state_of(app, "info").model == first


def test_a_misspelt_model_is_noticed(app: Application) -> None:
    """Nobody shares it."""
    changed = with_accounts(app, {"info": {"shared_model": "taem"}, "support": {}})
    run_cycle_once(changed, "info")
    assert any("'taem'" in warning for warning in state_of(changed, "info").warnings)


def test_similar_mails_are_the_accounts_own(
    app: Application, servers: dict[str, FakeServer]
) -> None:
    """Whatever the model has seen elsewhere: no mail of another account is shown."""
    filled_server(2, servers["support"], folders=("INBOX.Rechnungen", "INBOX.Reisen"))
    learn(app, "info")
    learn(app, "support")
    servers["support"].append("INBOX", topical("Reisen", 90))
    run_cycle_once(app, "support")
    [decision] = history(app, "support", limit=1)
    found = similar_mails(app, "support", str(decision.message), top=50, subjects=True)
    assert {each.folder for each in found} <= {"INBOX.Rechnungen", "INBOX.Reisen"}
    assert len(found) == 4
    assert all(each.subject for each in found)
    reasons = explain(app, "support", str(decision.message))
    assert reasons.folder == "Reisen"


def test_an_encoder_is_not_tuned_for_several_accounts(app: Application) -> None:
    """It says so, instead of tuning it to one of them."""
    with pytest.raises(ModelError, match="shares the model team"):
        train_deep(app, "info")


def test_an_account_of_its_own_is_judged_as_before(app: Application) -> None:
    """No mask, no names: folders by their numbers."""
    alone = with_accounts(app, {"info": {"shared_model": None}, "support": {}})
    learn(alone, "info")
    judge = alone.models("info").judge()
    assert type(judge) is ModelJudge
    assert all(label.isdigit() for label in judge.model.label_set)
