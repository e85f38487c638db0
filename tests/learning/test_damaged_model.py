"""Which model is used when files on disk are not what was written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.errors import ModelDamaged
from daemon.use_cases.application import Application
from daemon.use_cases.cycle import run_cycle_once
from daemon.use_cases.learn import learn, train
from daemon.use_cases.status import status
from tests.support.fake_mailbox import FakeServer
from tests.use_cases.apps import ACCOUNT, closing, make_app, topical


@pytest.fixture
def app(tmp_path: Path, encoder: Path, server: FakeServer) -> Iterator[Application]:
    """The program with two promoted models."""
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: server})) as found:
        learn(found, ACCOUNT)
        if not train(found, ACCOUNT).promoted:
            registry = found.engine.account(ACCOUNT).registry
            registry.promote(registry.versions()[-1].version)
        yield found


def damage(app: Application, number: int) -> str:
    """Flip a byte in the weights of the model on this place of the candidates."""
    registry = app.engine.account(ACCOUNT).registry
    version = registry.candidates()[number]
    path = registry.path(version) / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    return version


def test_the_model_before_the_damaged_one_judges(app: Application, server: FakeServer) -> None:
    """Log, report and status name both; the pointer stays."""
    models = app.engine.account(ACCOUNT)
    damaged = damage(app, 0)
    other = models.registry.candidates()[1]
    server.append("INBOX", topical("Reisen", 50))

    report = run_cycle_once(app, ACCOUNT)

    expected = f"Model {damaged} is damaged; model {other} is used in its place."
    judge = models.judge()
    assert judge is not None
    assert judge.version == other
    assert report.note.startswith(expected)
    assert report.sorted is not None
    assert report.sorted.seen == 1
    assert (status(app).accounts[0].notice or "").startswith(expected)
    assert models.current() == damaged


def test_the_warning_goes_with_the_next_sound_model(app: Application, server: FakeServer) -> None:
    """Learning is compared with the model that is used, and its model replaces both."""
    models = app.engine.account(ACCOUNT)
    damage(app, 0)
    assert models.usable()[0] != models.current()
    result = train(app, ACCOUNT)
    assert result.version is not None
    models.registry.promote(result.version)

    assert models.usable()[0] == result.version
    assert models.warning == ""
    assert status(app).accounts[0].notice is None


def test_without_a_sound_model_the_damaged_one_is_named(app: Application) -> None:
    """All are damaged: the error is that of the model in use."""
    models = app.engine.account(ACCOUNT)
    current = damage(app, 0)
    for number in range(1, len(models.registry.candidates())):
        damage(app, number)
    with pytest.raises(ModelDamaged, match=current):
        models.judge()
    assert "there is no other" in models.damage()
