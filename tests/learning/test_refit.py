"""Examples become a candidate, the gate decides, the pointer moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.errors import ModelError
from daemon.learning.refit import is_due
from daemon.store.tables import ModelState
from daemon.use_cases.application import Application
from daemon.use_cases.cycle import run_cycle_once, train_account
from daemon.use_cases.housekeeping import keep_house
from daemon.use_cases.learn import learn, train
from daemon.use_cases.models import list_models
from tests.support.fake_mailbox import FakeServer
from tests.support.tiny_bert import tiny_bert_directory
from tests.use_cases.apps import (
    ACCOUNT,
    closing,
    filled_server,
    folder_id,
    make_app,
    model_rows,
    topical,
)


@pytest.fixture
def app(tmp_path: Path, encoder: Path, server: FakeServer) -> Iterator[Application]:
    """The program before it has learned anything."""
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: server})) as found:
        yield found


def registry_current(app: Application) -> str | None:
    return app.engine.account(ACCOUNT).registry.current()


def test_it_is_due_only_when_people_taught_something(app: Application, server: FakeServer) -> None:
    """Not without examples, not twice for the same, again after the next lesson."""
    assert not is_due(app.store, ACCOUNT)
    run_cycle_once(app, ACCOUNT)
    assert not is_due(app.store, ACCOUNT)
    learn(app, ACCOUNT)
    assert not is_due(app.store, ACCOUNT)
    server.append("INBOX", topical("Reisen", 50))
    run_cycle_once(app, ACCOUNT)
    assert not is_due(app.store, ACCOUNT)
    server.move("Reisen", [1], "Verein")
    assert run_cycle_once(app, ACCOUNT).refit is not None
    assert not is_due(app.store, ACCOUNT)


def test_a_put_back_makes_it_due(app: Application, server: FakeServer) -> None:
    """ "Leave it" is a lesson too."""
    learn(app, ACCOUNT)
    server.move("Reisen", [1], "INBOX")
    report = run_cycle_once(app, ACCOUNT)
    assert report.refit is not None
    assert report.refit.version is not None
    assert "INBOX" in report.refit.labels.values()


def test_a_model_explains_itself(app: Application) -> None:
    """Directory, row and report say the same; the directory holds what the gate needs."""
    result = learn(app, ACCOUNT).refit
    assert result.version is not None
    directory = app.engine.account(ACCOUNT).registry.path(result.version)
    assert {"model.safetensors", "config.json", "held_out.json", "report.json", "README.md"} <= {
        path.name for path in directory.iterdir()
    }
    [row] = model_rows(app)
    assert (row.version, row.state, row.examples) == (result.version, ModelState.PROMOTED, 36)
    assert set(row.report["thresholds"]) == {
        str(folder_id(app, name)) for name in ("Rechnungen", "Reisen", "Verein")
    }
    assert result.evaluation is not None


def test_one_folder_alone_cannot_be_learned(tmp_path: Path, encoder: Path) -> None:
    """Nothing is promoted and nothing recorded; the reason is said."""
    server = filled_server(5, folders=("Reisen",))
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: server})) as app:
        result = learn(app, ACCOUNT).refit
        assert (result.version, result.promoted) == (None, False)
        assert result.reason
        assert model_rows(app) == []
        assert registry_current(app) is None


def test_a_rejected_candidate_is_recorded_and_not_used(tmp_path: Path, encoder: Path) -> None:
    """Learned from one mail per folder, it knows less than the model in use: turned away."""
    server = filled_server(5, folders=tuple(f"Kunde{letter}" for letter in "ABCDEFGH"))
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: server})) as app:
        first = learn(app, ACCOUNT).refit.version
    few = {"max_examples": 10}
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: server}, training=few)) as app:
        result = train(app, ACCOUNT)
        assert not result.promoted
        assert "Turned away" in result.reason
        assert registry_current(app) == first
        rows = model_rows(app)
        assert [row.state for row in rows] == [ModelState.PROMOTED, ModelState.REJECTED]
        assert rows[1].reason == result.reason
        states = {model.version: model.state for model in list_models(app, ACCOUNT)}
        assert states == {first: "current", rows[1].version: "rejected"}
        assert not is_due(app.store, ACCOUNT)


def test_models_beyond_the_kept_ones_are_removed_but_remembered(
    tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """The newest stay on disk, the current one and the one before it always."""
    with closing(
        make_app(tmp_path / "state", encoder, {ACCOUNT: server}, model={"keep_models": 2})
    ) as app:
        learn(app, ACCOUNT)
        for _ in range(3):
            train(app, ACCOUNT)
        states = [model.state for model in list_models(app, ACCOUNT)]
        assert states == ["current", "kept", "removed", "removed"]


def test_stopping_in_the_middle_of_gathering_trains_no_half_model(
    app: Application, server: FakeServer
) -> None:
    """A model of half the examples must not pass for one of all of them."""
    run_cycle_once(app, ACCOUNT)
    learned = learn(app, ACCOUNT, stopped=lambda: True)
    assert learned.refit.version is None
    assert model_rows(app) == []
    assert is_due(app.store, ACCOUNT)
    assert learn(app, ACCOUNT).refit.promoted


def test_killed_before_the_pointer_moves_the_old_model_serves(
    app: Application, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The candidate's directory is there, nothing else happened; the next re-fit goes through."""
    first = learn(app, ACCOUNT).refit.version
    server.move("Reisen", [1], "Verein")
    from classifier.registry import Registry  # noqa: PLC0415 - the class that is made to fail

    def die(_self: Registry, _version: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "promote", die)
        with pytest.raises(KeyboardInterrupt):
            run_cycle_once(app, ACCOUNT)
    assert registry_current(app) == first
    assert is_due(app.store, ACCOUNT)
    report = run_cycle_once(app, ACCOUNT)
    assert report.refit is not None
    assert report.refit.promoted


def test_another_encoder_says_what_to_do(tmp_path: Path, encoder: Path, server: FakeServer) -> None:
    """Its features are not those of the model; learning anew mends it, the old ones go."""
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: server})) as app:
        learn(app, ACCOUNT)
    other = tiny_bert_directory(tmp_path / "other", seed=1)
    with closing(make_app(tmp_path / "state", other, {ACCOUNT: server})) as app:
        server.append("INBOX", topical("Reisen", 50))
        report = run_cycle_once(app, ACCOUNT)
        assert report.sorted is None
        assert "another encoder" in report.note
        assert learn(app, ACCOUNT).refit.promoted
        keep_house(app, ACCOUNT)
        with app.store.read() as work:
            account = work.accounts.get(ACCOUNT)
            assert account is not None
            ids = [example.message_id for example in work.examples.usable(account)]
            fingerprint = app.engine.featurizer().fingerprint
            assert work.features.missing(fingerprint, ids) == set()
        assert feature_fingerprints(app) == {fingerprint}


def feature_fingerprints(app: Application) -> set[str]:
    with app.store._engine.connect() as connection:
        return {row[0] for row in connection.exec_driver_sql("SELECT fingerprint FROM features")}


def test_an_encoder_that_cannot_be_had_is_a_model_error(tmp_path: Path, server: FakeServer) -> None:
    """With a next step, and without touching mail."""
    with closing(make_app(tmp_path / "state", tmp_path / "nothing", {ACCOUNT: server})) as app:
        with pytest.raises(ModelError) as caught:
            learn(app, ACCOUNT)
        assert caught.value.next_step


def test_retired_folders_do_not_vote(app: Application, server: FakeServer) -> None:
    """A removed folder's examples rest, and the next model does not know it."""
    learn(app, ACCOUNT)
    gone = str(folder_id(app, "Verein"))
    server.remove("Verein")
    report = run_cycle_once(app, ACCOUNT)
    assert report.refit is not None
    assert gone not in report.refit.labels
    server.append("INBOX", topical("Verein", 80))
    run_cycle_once(app, ACCOUNT)
    assert "Verein" not in server.inventory()


def test_the_judge_is_loaded_again_when_the_pointer_moves(
    app: Application, server: FakeServer
) -> None:
    """And only then."""
    learn(app, ACCOUNT)
    model = app.engine.account(ACCOUNT)
    first = model.judge()
    assert model.judge() is first
    server.move("Reisen", [1], "Verein")
    run_cycle_once(app, ACCOUNT)
    second = model.judge()
    assert second is not None
    assert second is not first
    with app.mailbox(ACCOUNT) as mailbox:
        train_account(app, ACCOUNT, mailbox)
