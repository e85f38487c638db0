"""Configured descriptions on their way into the model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daemon.learning.refit import is_due
from daemon.use_cases.application import Application
from daemon.use_cases.check import check
from daemon.use_cases.cycle import run_cycle_once
from daemon.use_cases.learn import learn
from daemon.use_cases.status import status
from tests.support.fake_mailbox import FakeServer
from tests.use_cases.apps import ACCOUNT, TOPICS, closing, make_app, topical

SENTENCES = {folder: words for folder, (_, words) in TOPICS.items()}


def described(directory: Path, encoder: Path, server: FakeServer, **more: Any) -> Application:
    """The program with descriptions (`sentences`, by default those of all three folders)."""
    sentences: Mapping[str, str] = more.pop("sentences", SENTENCES)
    account = {"folders": {"descriptions": sentences}}
    return make_app(directory, encoder, {ACCOUNT: server}, account=account, **more)


def empty_folders() -> FakeServer:
    """The three label folders, and four mails in the inbox that nobody has filed."""
    server = FakeServer()
    for name in TOPICS:
        server.create(name)
    for number in range(4):
        server.append("INBOX", topical("Reisen", number))
    return server


def test_descriptions_alone_give_a_model_that_suggests(tmp_path: Path, encoder: Path) -> None:
    """Every described folder takes part; none moves mail by itself."""
    server = empty_folders()
    with closing(described(tmp_path / "state", encoder, server)) as app:
        learned = learn(app, ACCOUNT)
        assert learned.refit.promoted
        assert set(learned.refit.labels.values()) == set(TOPICS)
        [state] = status(app).accounts
        assert {folder.state for folder in state.folders} == {"suggesting"}
        server.append("INBOX", topical("Verein", 70))
        report = run_cycle_once(app, ACCOUNT)
        assert report.sorted is not None
        assert (report.sorted.seen, report.sorted.moved) == (5, 0)
        assert report.refit is None


def test_without_descriptions_there_is_nothing_to_learn_from(tmp_path: Path, encoder: Path) -> None:
    """The mail in the inbox is not even read."""
    with closing(described(tmp_path / "state", encoder, empty_folders(), sentences={})) as app:
        learned = learn(app, ACCOUNT)
        assert (learned.refit.version, learned.encoded) == (None, 0)


def test_unfiled_mail_is_read_for_the_sake_of_descriptions(tmp_path: Path, encoder: Path) -> None:
    """Once; it becomes no example."""
    with closing(described(tmp_path / "state", encoder, empty_folders())) as app:
        assert learn(app, ACCOUNT).encoded == 4
        assert learn(app, ACCOUNT).encoded == 0
        assert status(app).accounts[0].examples == 0


def test_another_sentence_is_a_lesson(tmp_path: Path, encoder: Path) -> None:
    """A changed, a new and a removed description each make a re-fit due, and only once."""
    server = empty_folders()
    two = {name: SENTENCES[name] for name in ("Reisen", "Verein")}
    with closing(described(tmp_path / "state", encoder, server, sentences=two)) as app:
        learn(app, ACCOUNT)
        assert not is_due(app.store, ACCOUNT, two)
        assert is_due(app.store, ACCOUNT, {**two, "Reisen": "Urlaub"})
        assert is_due(app.store, ACCOUNT, {"Reisen": SENTENCES["Reisen"]})
        assert not is_due(app.store, ACCOUNT, {**two, "Nirgends": "Diesen Ordner gibt es nicht"})
    with closing(described(tmp_path / "state", encoder, server)) as app:
        refit = run_cycle_once(app, ACCOUNT).refit
        assert refit is not None
        assert refit.promoted
        assert "Rechnungen" in refit.labels.values()
        assert run_cycle_once(app, ACCOUNT).refit is None


def test_a_described_folder_takes_part_from_its_first_mail(tmp_path: Path, encoder: Path) -> None:
    """The others wait until they hold as many as the configuration asks for."""
    server = empty_folders()
    for name in ("Reisen", "Rechnungen"):
        server.append(name, topical(name, 60))
    two = {name: SENTENCES[name] for name in ("Reisen", "Verein")}
    with closing(described(tmp_path / "state", encoder, server, sentences=two)) as app:
        learned = learn(app, ACCOUNT).refit
        assert set(learned.labels.values()) == {"Reisen", "Verein"}
        assert learned.examples == 3


def test_check_warns_of_a_description_without_a_folder(tmp_path: Path, encoder: Path) -> None:
    """A misspelt name is no fault: the folder may still come."""
    sentences = {"Reise": "Flug und Hotel", "INBOX": "Alles", "Verein": "Training"}
    server = empty_folders()
    with closing(described(tmp_path / "state", encoder, server, sentences=sentences)) as app:
        [found] = check(app, ACCOUNT)
        assert found.ok
        assert [w.split("'")[1] for w in found.warnings if "description" in w] == ["Reise", "INBOX"]
