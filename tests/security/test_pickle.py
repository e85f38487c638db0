"""Nothing is ever unpickled: loading a model or an encoder runs no code of whoever made it."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest
import torch

from daemon.use_cases.learn import learn
from tests.support.tiny_bert import tiny_bert_directory
from tests.use_cases.apps import ACCOUNT, closing, filled_server, make_app

CHECKOUT = Path(__file__).parents[2]
PACKAGES = ("daemon", "classifier", "trainer", "migrations")
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def forbidden_in(source: str) -> set[str]:
    """Imports of pickling modules, calls of torch.load, allow_pickle=True."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names if a.name.partition(".")[0] in MODULES}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} if node.module.partition(".")[0] in MODULES else set()
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in {"torch.load", "yaml.load"}:
            found.add(ast.unparse(node))
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            found |= set() if ast.unparse(node.value) == "False" else {"allow_pickle"}
    return found


def test_our_code_knows_no_pickle() -> None:
    """Every module of the three packages and the migrations."""
    files = [path for package in PACKAGES for path in (CHECKOUT / package).rglob("*.py")]
    found = {str(path): forbidden_in(path.read_text("utf-8")) for path in files}
    assert len(files) > 100
    assert {name: what for name, what in found.items() if what} == {}


def test_the_search_for_pickle_finds_it() -> None:
    """In each of the ways that it is written."""
    for source in (
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "numpy.load(path, allow_pickle=True)",
    ):
        assert forbidden_in(source)
    assert forbidden_in("numpy.load(path, allow_pickle=False)") == set()


def test_learning_and_loading_work_with_pickle_made_impossible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Encoder and model are read from disk, used, and nothing asks for a pickle."""

    def refuse(*_args: object, **_kwargs: object) -> object:
        raise AssertionError("something was unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    encoder = tiny_bert_directory(tmp_path / "encoder")
    state = tmp_path / "state"
    server = filled_server(6)
    with closing(make_app(state, encoder, {ACCOUNT: server})) as app:
        assert learn(app, ACCOUNT).refit.promoted
    with closing(make_app(state, encoder, {ACCOUNT: server})) as again:
        judge = again.engine.account(ACCOUNT).judge()
        assert judge is not None
