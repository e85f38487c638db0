"""No name that comes from a server becomes a path."""

from __future__ import annotations

from pathlib import Path

from daemon.use_cases.cycle import run_cycle_once
from daemon.use_cases.learn import learn
from tests.support.fake_mailbox import FakeServer
from tests.use_cases.apps import ACCOUNT, closing, make_app, topical

NAMES = {"../../ausbruch": "Reisen", "/tmp/ausbruch": "Rechnungen", "..": "Verein"}


def test_folder_names_that_look_like_paths_stay_names(tmp_path: Path, encoder: Path) -> None:
    """Learned, moved to, written down; nothing of it lies outside the state directory, and no
    file or directory below it is called after a folder."""
    server = FakeServer()
    for name, topic in NAMES.items():
        server.create(name)
        for number in range(12):
            server.append(name, topical(topic, number))
    state = tmp_path / "home" / "inner" / "state"
    with closing(make_app(state, encoder, {ACCOUNT: server})) as app:
        learn(app, ACCOUNT)
        server.append("INBOX", topical("Reisen", 60))
        run_cycle_once(app, ACCOUNT)
        assert len(server.uids("../../ausbruch")) == 13
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "model.safetensors" for path in written)
    assert [path for path in written if not path.is_relative_to(state)] == []
    assert [path for path in tmp_path.rglob("*") if "ausbruch" in path.name] == []
    assert not Path("/tmp/ausbruch").exists()
    assert {path.name for path in (state / "models").iterdir()} == {ACCOUNT}
