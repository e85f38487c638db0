"""What a replay of a mailbox tree is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.errors import ConfigError, NotFound
from daemon.use_cases.learn import learn
from daemon.use_cases.replay import (
    described_examples,
    examples_of_account,
    read_descriptions,
    read_tree,
)
from tests.support.fake_mailbox import FakeServer
from tests.use_cases.apps import ACCOUNT, closing, filled_server, make_app, topical


def write(path: Path, text: str) -> Path:
    """A file with this text."""
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("heading", ["", "[descriptions]\n"])
def test_descriptions_stand_at_the_top_or_in_a_table_of_their_own(
    tmp_path: Path, heading: str
) -> None:
    """The table is what one copies out of a configuration."""
    path = write(tmp_path / "d.toml", f'{heading}"Kündigungen" = "Wer geht"\n31 = "Schriften"\n')

    assert read_descriptions(path) == {"Kündigungen": "Wer geht", "31": "Schriften"}


def test_a_folder_may_be_called_descriptions(tmp_path: Path) -> None:
    """Then it has a text, not a table."""
    path = write(tmp_path / "d.toml", 'descriptions = "Beschreibungen von Waren"\n')

    assert read_descriptions(path) == {"descriptions": "Beschreibungen von Waren"}


@pytest.mark.parametrize("text", ["Verein: Training", "Verein = 3", 'Verein = ""'])
def test_what_is_no_description_is_a_fault_of_the_file(tmp_path: Path, text: str) -> None:
    """With the mend."""
    with pytest.raises(ConfigError) as raised:
        read_descriptions(write(tmp_path / "d.toml", text))

    assert "Write lines such as" in raised.value.faults[0].mend


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    """By its name."""
    with pytest.raises(NotFound, match=r"d\.toml"):
        read_descriptions(tmp_path / "d.toml")


def test_only_folders_of_the_tree_are_described(tmp_path: Path, encoder: Path) -> None:
    """A sentence about a folder that does not exist is no class."""
    tree = tmp_path / "tree"
    for name in ("Reisen", "Verein"):
        (tree / name).mkdir(parents=True)
        (tree / name / "1.eml").write_bytes(topical(name, 1))
    sentences = {"Reisen": "Flug und Hotel", "Nirgends": "Nichts"}
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: FakeServer()})) as app:
        found = described_examples(app.engine.featurizer(), read_tree(tree), sentences)

    assert [(one.label, one.is_mail) for one in found] == [("Reisen", False)]


def test_an_account_is_replayed_with_its_descriptions(tmp_path: Path, encoder: Path) -> None:
    """As the daemon learned it."""
    account = {"folders": {"descriptions": {"Reisen": "Flug und Hotel"}}}
    servers = {ACCOUNT: filled_server(4)}
    with closing(make_app(tmp_path / "state", encoder, servers, account=account)) as app:
        learn(app, ACCOUNT)
        examples, names = examples_of_account(app, ACCOUNT)

    assert [names[one.label] for one in examples if not one.is_mail] == ["Reisen"]
    assert len(examples) == 13
