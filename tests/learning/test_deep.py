"""The encoder is tuned in a process of its own, compared, adopted, and given up again."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.errors import AlreadyRunning, ModelError
from daemon.learning.deep.directory import RunDirectory
from daemon.locks import deep_lock
from daemon.store.tables import ModelState
from daemon.use_cases import deep as deep_module
from daemon.use_cases.application import Application
from daemon.use_cases.cycle import run_cycle_once
from daemon.use_cases.deep import Deep, Listener, train_deep
from daemon.use_cases.housekeeping import keep_house
from daemon.use_cases.learn import learn
from daemon.use_cases.models import roll_back
from tests.support.fake_mailbox import FakeServer
from tests.use_cases.apps import (
    ACCOUNT,
    TOPICS,
    closing,
    filled_server,
    make_app,
    model_rows,
    topical,
)
from trainer import encoders as encoders_module

TUNING: Mapping[str, Any] = {
    "layers": 2, "epochs": 2, "looks_per_epoch": 2, "max_tokens": 48, "learning_rate": 0.005,
    "threads": 1, "nice": 1, "memory_mb": 3000,
}  # fmt: skip


@pytest.fixture
def server() -> FakeServer:
    """Three label folders with sixteen mails each."""
    return filled_server(16)


def application(
    directory: Path, encoder: Path, server: FakeServer, **deep_tuning: Any
) -> Application:
    """The program, told how to tune."""
    return make_app(directory, encoder, {ACCOUNT: server}, deep_tuning={**TUNING, **deep_tuning})


@pytest.fixture
def app(tmp_path: Path, encoder: Path, server: FakeServer) -> Iterator[Application]:
    """The program, which has learned from the folders."""
    with closing(application(tmp_path / "state", encoder, server)) as found:
        learn(found, ACCOUNT)
        yield found


@pytest.fixture
def it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five test mails can show nothing: let any outcome count as worth it."""
    monkeypatch.setattr(encoders_module, "FEWEST", 0)
    monkeypatch.setattr(encoders_module.EncoderComparison, "pays", property(lambda _self: True))


def texts_below(app: Application, directory: Path) -> list[str]:
    """Files in which a word of the mails stands, or the tokens of one as numbers."""
    # "training" is a word of Trainer's own files too.
    words = {word.lower() for _, line in TOPICS.values() for word in line.split()} - {"training"}
    traces = [word.encode() for word in words]
    rows = app.engine.base_encoder().token_ids([line for _, line in TOPICS.values()])
    for row in rows:
        inner = row[1:4]  # the beginning of what every turned mail of the topic holds
        traces += [np.array(inner, kind).tobytes() for kind in (np.int64, np.int32)]
        traces.append(", ".join(map(str, inner)).encode())
    found = []
    for path in files_below(directory):
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # of a checkpoint that was just replaced
            continue
        found += [str(path) for t in traces if t in content or t in content.lower()]
    return found


def files_below(directory: Path) -> Iterator[Path]:
    """As rglob, but a directory may vanish while it is looked at: a checkpoint, replaced."""
    for parent, _directories, names in os.walk(directory):
        yield from (Path(parent, name) for name in names)


def modes_below(directory: Path) -> Iterator[int]:
    """The access mode of each directory, the topmost first."""
    for parent, _directories, _names in os.walk(directory):
        with contextlib.suppress(FileNotFoundError):  # a checkpoint that was just replaced
            yield stat.S_IMODE(Path(parent).stat().st_mode)


def test_a_tuned_encoder_that_pays_becomes_the_accounts_own(
    app: Application, server: FakeServer, it_pays: None
) -> None:
    """Really trained, adopted, all mail read with it, a model in use; and going back goes back."""
    models = app.engine.account(ACCOUNT)
    base = models.encoder().fingerprint
    stages: list[str] = []
    points: list[Mapping[str, float]] = []
    listener = Listener(lambda stage, _done, _total: stages.append(stage), points.append)
    result = train_deep(app, ACCOUNT, listener=listener)
    assert result.outcome == "in-use", result.reason
    assert {"fetch", "deep", "reread", "rebuild"} <= set(stages)
    assert len(points) >= 2
    tuned = models.encoder()
    assert tuned.adapter is not None
    assert tuned.fingerprint != base
    assert tuned.seen
    judge = models.judge()
    assert judge is not None
    assert judge.fingerprint == tuned.fingerprint
    assert model_rows(app)[-1].report["deep"]["curves"]["verdict"]
    assert not RunDirectory(app.state_dir, ACCOUNT).path.exists()
    assert models.tuned.pending() is None
    # Mail that the encoder was tuned on neither calibrates nor stands before the gate.
    assert result.version is not None
    held_out = json.loads((models.registry.path(result.version) / "held_out.json").read_text())
    assert held_out
    assert not held_out.keys() & tuned.seen
    assert model_rows(app)[-1].report["window"] <= 48 - len(tuned.seen)
    # It sorts, and what it sorts was read with its own encoder.
    server.append("INBOX", topical("Reisen", 50))
    report = run_cycle_once(app, ACCOUNT)
    assert report.sorted is not None
    assert report.sorted.seen == 1
    # House-keeping keeps what going back needs; going back takes the encoder along.
    keep_house(app, ACCOUNT)
    roll_back(app, ACCOUNT)
    assert models.encoder().fingerprint == base
    former = models.judge()
    assert former is not None
    assert former.fingerprint == base
    server.move("Reisen", [1], "Verein")
    refit = run_cycle_once(app, ACCOUNT).refit
    assert refit is not None
    assert models.encoder().fingerprint == base


def test_no_text_is_left_on_disk_while_it_runs_or_after(
    app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked for at every look of the run, in the whole state directory; its own is private."""
    found: list[str] = []
    modes: set[int] = set()

    def look(_point: Mapping[str, float]) -> None:
        directory = RunDirectory(app.state_dir, ACCOUNT).path
        found.extend(texts_below(app, directory))
        modes.update(modes_below(directory))

    result = train_deep(app, ACCOUNT, listener=Listener(point=look))
    assert result.outcome == "does-not-pay"
    assert modes == {0o700}
    assert found == []
    assert texts_below(app, app.state_dir / "models" / ACCOUNT / "encoders") == []
    assert not RunDirectory(app.state_dir, ACCOUNT).path.exists()


def test_stopped_and_begun_again_it_goes_on_from_its_checkpoint(app: Application) -> None:
    """Cut off after the second look; the next run makes only the steps that are missing."""
    looks = 0

    def count(_point: Mapping[str, float]) -> None:
        nonlocal looks
        looks += 1

    first = train_deep(app, ACCOUNT, listener=Listener(point=count), stopped=lambda: looks >= 2)
    assert first.outcome == "stopped"
    directory = RunDirectory(app.state_dir, ACCOUNT)
    assert list(directory.path.glob("checkpoint-*"))
    assert texts_below(app, directory.path) == []
    steps: list[int] = []
    second = train_deep(
        app,
        ACCOUNT,
        listener=Listener(lambda stage, done, _n: steps.append(done) if stage == "deep" else None),
    )
    assert second.resumed
    assert second.outcome == "does-not-pay"
    assert steps[0] > 1
    assert len(second.report["curves"]["points"]) >= 3


def test_an_encoder_that_is_not_there_yet_or_no_more_stops_no_sorting(
    app: Application, server: FakeServer, it_pays: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the switch the old model goes on; damaged, the base encoder takes over."""
    models = app.engine.account(ACCOUNT)
    former = models.current()

    def die(*_arguments: object, **_more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(deep_module, "refit", die)
        with pytest.raises(KeyboardInterrupt):
            train_deep(app, ACCOUNT)
    assert models.tuned.pending() is not None
    assert models.current() == former
    server.append("INBOX", topical("Reisen", 60))
    report = run_cycle_once(app, ACCOUNT)
    assert report.sorted is not None
    assert report.sorted.seen == 1
    keep_house(app, ACCOUNT)
    result = train_deep(app, ACCOUNT)
    assert (result.outcome, result.resumed) == ("in-use", True)
    assert models.current() == result.version
    # Damaged later, it says what to do, and learning anew falls back to the base encoder.
    adapter = models.encoder().adapter
    assert adapter is not None
    with (models.tuned.path(adapter) / "adapter_model.safetensors").open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"\0\0\0\1")
    app.engine._tuned.clear()
    models._loaded = None
    with pytest.raises(ModelError, match="damaged"):
        models.judge()
    assert learn(app, ACCOUNT).refit.promoted
    assert models.encoder().adapter is None
    assert model_rows(app)[-1].state is ModelState.PROMOTED


def test_too_little_memory_ends_with_the_setting_that_helps(
    tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """Nothing is promoted, and the model in use stays."""
    with closing(application(tmp_path / "state", encoder, server, memory_mb=256)) as app:
        version = learn(app, ACCOUNT).refit.version
        with pytest.raises(ModelError) as caught:
            train_deep(app, ACCOUNT)
        assert "memory" in caught.value.next_step
        assert app.engine.account(ACCOUNT).current() == version


def test_two_at_once_are_refused(app: Application) -> None:
    """The second says so at once instead of waiting for an hour."""
    with deep_lock(app.state_dir, ACCOUNT), pytest.raises(AlreadyRunning):
        train_deep(app, ACCOUNT)


def test_a_few_mails_are_too_little(tmp_path: Path, encoder: Path) -> None:
    """Said in a sentence, without starting anything."""
    with closing(application(tmp_path / "state", encoder, filled_server(3))) as app:
        learn(app, ACCOUNT)
        result: Deep = train_deep(app, ACCOUNT)
        assert result.outcome == "too-little"
        assert not RunDirectory(app.state_dir, ACCOUNT).path.exists()
