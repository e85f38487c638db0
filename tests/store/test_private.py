"""Who else uses this machine reads and replaces nothing of ours."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from classifier.manifest import write_directory
from classifier.registry import Registry
from daemon.errors import StateError
from daemon.locks import account_lock, instance_lock
from daemon.store import DATABASE_NAME, Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def no_umask() -> Iterator[None]:
    """A user who lets everybody do everything."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(directory: Path) -> dict[str, str]:
    """Mode of the directory ("") and of everything below it."""
    paths = [directory, *directory.rglob("*")]
    return {
        "" if path == directory else path.relative_to(directory).as_posix(): oct(
            stat.S_IMODE(path.stat().st_mode)
        )
        for path in paths
    }


def live(directory: Path) -> Store:
    """A store that was written to, with its -wal and -shm; a model and the locks beside it."""
    store = Store.open(directory)
    with store.write() as work:
        work.accounts.get_or_create("private", NOW)
        work.commit()
    model = directory / "models" / "private" / "20260301T120000Z"
    write_directory(model, {"config.json": b"{}"}, {})
    Registry(model.parent).promote(model.name)
    with instance_lock(directory), account_lock(directory, "private"):
        pass
    return store


@pytest.mark.usefixtures("no_umask")
def test_everything_is_private_whatever_the_umask(tmp_path: Path) -> None:
    """Directories 0700, files 0600: database, -wal, -shm, models, locks."""
    store = live(tmp_path / "state")
    found = modes(tmp_path / "state")
    store.close()
    assert {f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm"} <= found.keys()
    directories = {"", "models", "models/private", "models/private/20260301T120000Z"}
    assert {name: mode for name, mode in found.items() if name in directories} == (
        dict.fromkeys(directories, "0o700")
    )
    files = found.keys() - directories
    assert {name: found[name] for name in files} == dict.fromkeys(files, "0o600")


def test_modes_that_are_too_wide_are_mended(tmp_path: Path) -> None:
    """A restored backup, an old umask: at the next start all is private again."""
    live(tmp_path / "state").close()
    for path in (tmp_path / "state", *(tmp_path / "state").rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    Store.open(tmp_path / "state").close()
    assert set(modes(tmp_path / "state").values()) == {"0o700", "0o600"}


def test_mending_follows_no_symbolic_link(tmp_path: Path) -> None:
    """Whoever could plant one in there must not change the modes of other files."""
    live(tmp_path / "state").close()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "page.html").touch()
    elsewhere.chmod(0o755)
    (elsewhere / "page.html").chmod(0o644)
    (tmp_path / "state" / "models" / "public").symlink_to(elsewhere)
    (tmp_path / "state" / "page").symlink_to(elsewhere / "page.html")
    Store.open(tmp_path / "state").close()
    assert modes(elsewhere) == {"": "0o755", "page.html": "0o644"}


def test_a_database_that_is_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    """Dangling or not: nothing is made or written at its other end."""
    target = tmp_path / "target"
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / DATABASE_NAME).symlink_to(target)
    for _ in range(2):
        with pytest.raises(StateError, match="symbolic link"):
            Store.open(tmp_path / "state")
        assert not target.exists() or target.read_bytes() == b""
        target.touch()


def test_locks_and_model_files_are_not_written_through_symbolic_links(tmp_path: Path) -> None:
    """The file at the other end keeps its content."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "inboxd.lock").symlink_to(precious)
    with pytest.raises(StateError), instance_lock(tmp_path):
        pass
    root = tmp_path / "models"
    write_directory(root / "20260301T120000Z", {"config.json": b"{}"}, {})
    (root / "current.json.part").symlink_to(precious)
    with pytest.raises(OSError, match="symbolic link"):
        Registry(root).promote("20260301T120000Z")
    assert precious.read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")
def test_somebody_elses_open_directory_is_refused(tmp_path: Path) -> None:
    """What everybody may enter, everybody may have prepared; a group's volume is accepted."""
    uid, gid = 65534, 65534
    for mode, is_refused in ((0o777, True), (0o755, True), (0o770, False)):
        directory = tmp_path / oct(mode)
        directory.mkdir()
        os.chown(directory, 1, gid)
        directory.chmod(mode)
        for parent in directory.parents:
            if parent.stat().st_uid == 0 and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o711)
        assert _opens_as(uid, gid, directory) is not is_refused


def _opens_as(uid: int, gid: int, directory: Path) -> bool:
    """Whether this user can open a store there (in a child process, which gives up root)."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
            Store.open(directory).close()
            code = 0
        except StateError:
            code = 3
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in {0, 3}
    return code == 0
