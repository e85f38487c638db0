"""Backup, restore and forgetting at the command line, without a server."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from daemon.store import Store
from tests.support.command import Home


def test_backup_and_restore_on_the_command_line(home: Home, tmp_path: Path) -> None:
    """What is in it, how large it is; refused twice; put aside; and only one account of it."""
    _make_account(home, "private")
    shown = home.ok("backup", str(tmp_path / "b.tar.gz"))
    assert "private" in shown
    assert " kB" in shown
    assert home.run("backup", str(tmp_path / "b.tar.gz")).returncode == 4
    refused = home.run("restore", str(tmp_path / "b.tar.gz"))
    assert refused.returncode == 4
    assert "--replace" in refused.stderr
    done = home.json("restore", str(tmp_path / "b.tar.gz"), "--replace", "--account", "private=b")
    assert [account["name"] for account in done["accounts"]] == ["b"]
    assert done["unknown"] == ["b"]
    assert Path(done["replaced"]).parent == home.state_dir
    with sqlite3.connect(home.database) as database:
        assert database.execute("SELECT name FROM accounts").fetchall() == [("b",)]


def test_restore_wants_a_file_or_resume(home: Home) -> None:
    """And there is nothing to resume unless something was interrupted."""
    assert home.run("restore").returncode == 2
    assert home.run("restore", "file.tar", "--resume").returncode == 2
    assert home.run("restore", "--resume").returncode == 7
    assert home.run("restore", "missing.tar").returncode == 4
    assert home.run("restore", "missing.tar", "--account", "a=../b").returncode == 2


def _make_account(home: Home, name: str) -> None:
    store = Store.open(home.state_dir)
    with store.write() as work:
        work.accounts.get_or_create(name, datetime(2026, 3, 1, tzinfo=UTC))
        work.commit()
    store.close()
