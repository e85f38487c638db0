"""The replay as a command, with an encoder that is made in a moment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import Home
from tests.support.tiny_bert import tiny_bert_directory
from tests.use_cases.apps import TOPICS, topical


@pytest.fixture
def tree(tmp_path: Path, bare_home: Home) -> Path:
    """Three folders with eight mails each, and a configuration that names a tiny encoder."""
    encoder = tiny_bert_directory(tmp_path / "encoder")
    account = '[accounts.private]\nhost = "localhost"\nusername = "max"\n'
    bare_home.write_config(
        f'[state]\ndir = "{bare_home.state_dir}"\n[model]\nencoder = "{encoder}"\n'
        f'cache_dir = "{tmp_path / "cache"}"\n{account}'
    )
    found = tmp_path / "tree"
    for name in TOPICS:
        (found / name).mkdir(parents=True)
        for number in range(8):
            (found / name / f"{number}.eml").write_bytes(topical(name, number))
    return found


def test_descriptions_are_measured(bare_home: Home, tree: Path, tmp_path: Path) -> None:
    """The share named rightly from them alone is printed, and written with the other figures."""
    sentences = tmp_path / "descriptions.toml"
    lines = [f'"{folder}" = "{words}"' for folder, (_, words) in TOPICS.items()]
    sentences.write_text("\n".join(lines), encoding="utf-8")
    files = tmp_path / "with.json", tmp_path / "without.json"

    shown = bare_home.ok(
        *("replay", str(tree), "--skip", "0", "--descriptions", str(sentences)),
        *("--json", str(files[0])),
    )
    bare_home.ok("replay", str(tree), "--skip", "0", "--json", str(files[1]))
    helped, plain = (json.loads(path.read_text(encoding="utf-8")) for path in files)

    assert "From the descriptions alone" in shown
    assert helped["zero_shot_accuracy"] > 0.8
    assert plain["zero_shot_accuracy"] is None
    assert (helped["unseen_folder_mails"], plain["unseen_folder_mails"]) == (0, 3)
    assert helped["manual_moves_forced"] < plain["manual_moves_forced"]


def test_an_account_takes_no_file_of_descriptions(home: Home) -> None:
    """It has its own, in the configuration."""
    done = home.run("replay", "--account", "private", "--descriptions", "d.toml")

    assert done.returncode == 2
    assert "configuration" in done.stderr
