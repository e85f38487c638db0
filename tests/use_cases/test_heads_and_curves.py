"""The head that the configuration chooses, its curves, and when the encoder is tuned at night."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from daemon.errors import ModelError, NotFound
from daemon.use_cases import application as application_module
from daemon.use_cases.application import Application
from daemon.use_cases.classify import classify
from daemon.use_cases.cycle import run_cycle_once
from daemon.use_cases.deep import is_deep_due
from daemon.use_cases.explain import explain
from daemon.use_cases.export import export_model
from daemon.use_cases.learn import learn, train
from daemon.use_cases.models import show_model
from daemon.use_cases.split import Split
from daemon.use_cases.training_curves import curves_of, draw
from tests.use_cases.apps import ACCOUNT, closing, filled_server, make_app, topical

CLASSIC = {"epochs": 8, "patience": 2, "learning_rate": 0.01}


def says_the_same(app: Application, directory: Path, mail: bytes) -> bool:
    """Whether an exported model, loaded as its card says, gives inboxd's probabilities."""
    tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=True)
    model = AutoModelForSequenceClassification.from_pretrained(directory, trust_remote_code=True)
    said = dict(model.classify([mail], tokenizer)[0])
    return said == pytest.approx(dict(classify(app, ACCOUNT, [("mail", mail)])[0].ranked), abs=0.02)


def test_the_classic_head_learns_sorts_and_shows_its_curves(tmp_path: Path, encoder: Path) -> None:
    """Chosen in the configuration; everything after it works as with the other head."""
    server = filled_server(12)
    with closing(
        make_app(
            tmp_path / "state",
            encoder,
            {ACCOUNT: server},
            model={"head": "classic"},
            training={"tensorboard": True},
            classic_head=CLASSIC,
        )
    ) as app:
        learned = learn(app, ACCOUNT).refit
        assert learned.promoted
        assert learned.evaluation is not None
        details = show_model(app, ACCOUNT, None)
        assert details.report["head"] == "classic"
        curves = curves_of(details.report, "It")
        root = ET.fromstring(draw(curves, details.report["curves"]["verdict"]))  # noqa: S314 - ours
        assert len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) == 2
        assert list((tmp_path / "state" / "tensorboard" / ACCOUNT).rglob("events.*"))
        card = (Path(details.directory) / "README.md").read_text(encoding="utf-8")
        assert "AdamW" in card
        assert "dropout 0.1" in card
        assert "Ridge" not in card
        assert "ridge" not in card
        exported = export_model(app, ACCOUNT, tmp_path / "exported")
        assert says_the_same(app, Path(exported.directory), topical("Reisen", 51))
        server.append("INBOX", topical("Reisen", 50))
        report = run_cycle_once(app, ACCOUNT)
        assert report.sorted is not None
        assert report.sorted.seen == 1
        reasons = explain(app, ACCOUNT, "37")
        assert {reason.kind for reason in reasons.reasons} <= {"meaning", "thread"}


def test_a_ridge_head_says_that_it_has_no_curves(tmp_path: Path, encoder: Path) -> None:
    """And what has."""
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: filled_server(6)})) as app:
        learn(app, ACCOUNT)
        with pytest.raises(NotFound) as caught:
            curves_of(show_model(app, ACCOUNT, None).report, "Model X")
        assert "--deep" in caught.value.next_step


def test_a_random_split_is_marked_as_such(tmp_path: Path, encoder: Path) -> None:
    """So that nobody takes its figures for those of a split by time."""
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: filled_server(12)})) as app:
        learn(app, ACCOUNT)
        assert train(app, ACCOUNT, split=Split.RANDOM).report["split"] == "random"
        assert train(app, ACCOUNT, split=Split.TIME).report["split"] == "time"


def test_without_tensorboard_the_command_to_install_it_is_named(
    tmp_path: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any work is done."""
    wanted = {"tensorboard": True}
    with closing(
        make_app(tmp_path / "state", encoder, {ACCOUNT: filled_server(6)}, training=wanted)
    ) as app:
        monkeypatch.setattr(application_module, "is_available", lambda: False)
        with pytest.raises(ModelError) as caught:
            learn(app, ACCOUNT)
        assert "pip install" in caught.value.next_step


def test_at_night_it_is_due_only_when_enough_is_new(tmp_path: Path, encoder: Path) -> None:
    """Enough at all, and enough since the last time."""
    few = {"min_examples": 30, "new_examples": 10}
    with closing(
        make_app(tmp_path / "state", encoder, {ACCOUNT: filled_server(12)}, deep_tuning=few)
    ) as app:
        assert not is_deep_due(app, ACCOUNT)
        learn(app, ACCOUNT)
        assert is_deep_due(app, ACCOUNT)
        app.engine.account(ACCOUNT).tuned.note_run({"examples": 30, "report": {}})
        assert not is_deep_due(app, ACCOUNT)
