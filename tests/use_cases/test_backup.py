"""Backing up while others work, and going on from a backup: elsewhere, later, half-way killed."""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.archive import MANIFEST
from daemon.errors import AlreadyRunning, ArchiveBroken, DatabaseTooNew, NotFound, StateError
from daemon.locks import account_lock, instance_lock
from daemon.store import DATABASE_NAME, UNFINISHED_RESTORE, Store
from daemon.use_cases.application import Application
from daemon.use_cases.backup import back_up
from daemon.use_cases.cycle import is_learning_due, run_cycle_once
from daemon.use_cases.history import history
from daemon.use_cases.learn import learn
from daemon.use_cases.restore import Chosen, restore, resume
from daemon.use_cases.status import status
from daemon.use_cases.undo import undo_moves
from tests.support.fake_mailbox import FakeServer
from tests.support.inventory import all_messages
from tests.use_cases.apps import ACCOUNT, START, closing, filled_server, make_app, topical


@pytest.fixture
def app(tmp_path: Path, encoder: Path, server: FakeServer) -> Iterator[Application]:
    """It has learned, and sorted a first mail."""
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: server})) as found:
        learn(found, ACCOUNT)
        server.append("INBOX", topical("Reisen", 50))
        run_cycle_once(found, ACCOUNT)
        yield found


@pytest.fixture
def backup(app: Application, tmp_path: Path) -> Path:
    """A backup of that state."""
    return back_up(app, tmp_path / "backup.tar").file


def elsewhere(tmp_path: Path, encoder: Path, server: FakeServer) -> Application:
    """The program on the state that was restored."""
    return make_app(tmp_path / "other", encoder, {ACCOUNT: server})


def contents(directory: Path) -> dict[str, bytes]:
    """Everything below a directory but its locks and the encoder's cache, by name."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.suffix != ".lock" and path.parent.name != "encoder"
    }


Change = Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]


def rewritten(backup: Path, change: Change) -> Path:
    """The backup with members as `change` returns them: (member, content), or None to leave."""
    target = backup.with_name("rewritten.tar")
    with tarfile.open(backup) as old, tarfile.open(target, "w") as new:
        for member in old:
            file = old.extractfile(member)
            changed = change(member, file.read() if file is not None else b"")
            if changed is not None:
                turned, content = changed
                turned.size = len(content) if turned.isreg() else 0
                new.addfile(turned, io.BytesIO(content))
    return target


def test_a_backup_is_private_and_says_what_is_in_it(app: Application, tmp_path: Path) -> None:
    """Owner only; named by the time in a directory; the state directory is as before."""
    before = contents(app.state_dir).keys()
    result = back_up(app, tmp_path)
    assert result.file.parent == tmp_path
    assert result.file.name.startswith("inboxd-20260301T12")
    assert stat.S_IMODE(result.file.stat().st_mode) == 0o600
    assert result.size == result.file.stat().st_size > result.database_bytes > 0
    [account] = result.accounts
    assert (account.name, account.examples, account.models) == (ACCOUNT, 36, 1)
    assert contents(app.state_dir).keys() == before
    with tarfile.open(result.file) as archive:
        names = archive.getnames()
    assert names[0] == MANIFEST
    assert {DATABASE_NAME, f"models/{ACCOUNT}/current.json"} <= set(names)
    assert [name for name in names if "encoder/" in name or name.endswith((".lock", "-wal"))] == []


def test_a_compressed_backup_is_smaller_and_as_good(app: Application, tmp_path: Path) -> None:
    """By the ending of its name."""
    plain = back_up(app, tmp_path / "plain.tar")
    small = back_up(app, tmp_path / "small.tar.gz")
    assert small.size < plain.size
    assert restore(tmp_path / "other", small.file, START).accounts == small.accounts


def test_a_backup_never_replaces_a_file(app: Application, backup: Path) -> None:
    """An older backup is the last thing to lose."""
    before = backup.read_bytes()
    with pytest.raises(StateError, match="exists already"):
        back_up(app, backup)
    assert backup.read_bytes() == before


def test_a_backup_that_cannot_be_written_leaves_nothing(app: Application) -> None:
    """Neither half a file there nor a snapshot here."""
    before = contents(app.state_dir).keys()
    with pytest.raises(StateError, match="cannot be written"):
        back_up(app, Path("/proc/self/backup.tar"))
    assert contents(app.state_dir).keys() == before


def test_what_a_killed_backup_left_goes_with_the_next_one(app: Application, tmp_path: Path) -> None:
    """The snapshot would hold the disk space of models that were pruned since."""
    (app.state_dir / ".backup-killed" / "models").mkdir(parents=True)
    (tmp_path / ".new.tar.part").write_bytes(b"half")
    back_up(app, tmp_path / "new.tar")
    assert not list(app.state_dir.glob(".backup-*"))
    assert not list(tmp_path.glob("*.part"))


def test_a_backup_is_whole_while_others_write(
    app: Application, tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """In the middle of a transaction, and while models are trained and pruned."""
    with app.store.write() as work:
        work.accounts.get_or_create("unfinished", START)
        half = back_up(app, tmp_path / "half.tar")
    assert [account.name for account in half.accounts] == [ACCOUNT]
    files = []
    for number in range(3):
        server.append("Verein", topical("Verein", 100 + number))
        learning = threading.Thread(target=learn, args=(app, ACCOUNT))
        learning.start()
        files.append(back_up(app, tmp_path / f"{number}.tar").file)
        learning.join()
    for file in files:
        shutil.rmtree(tmp_path / "other", ignore_errors=True)
        restore(tmp_path / "other", file, START)
        with closing(elsewhere(tmp_path, encoder, server)) as other:
            [state] = status(other).accounts
            assert state.notice is None
            assert any(folder.estimated_precision is not None for folder in state.folders)
            assert other.engine.account(ACCOUNT).judge() is not None


def test_a_model_that_is_newer_than_those_in_the_backup_is_trained_again(
    app: Application, tmp_path: Path, server: FakeServer, encoder: Path
) -> None:
    """The database is copied after the models; it must not claim that all is learned."""
    from daemon.use_cases import backup as backing  # noqa: PLC0415 - to step in between

    taken = backing._take_models

    def then_learn(app: Application, snapshot: Path) -> None:
        taken(app, snapshot)
        server.append("Verein", topical("Verein", 60))
        learn(app, ACCOUNT)

    backing._take_models = then_learn
    try:
        file = back_up(app, tmp_path / "backup.tar").file
    finally:
        backing._take_models = taken
    restore(tmp_path / "other", file, START)
    with closing(elsewhere(tmp_path, encoder, server)) as other:
        assert not is_learning_due(app, ACCOUNT)
        assert is_learning_due(other, ACCOUNT)


def test_a_restored_state_goes_on_elsewhere(
    backup: Path, tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """It sorts what comes, moves nothing twice, and can still undo what the other one did."""
    before = all_messages(server.inventory())
    result = restore(tmp_path / "other", backup, START, configured={ACCOUNT}, was_stopped=True)
    assert (result.unknown, result.replaced) == ((), None)
    with closing(elsewhere(tmp_path, encoder, server)) as other:
        report = run_cycle_once(other, ACCOUNT)
        assert report.sorted is not None
        assert (report.lessons, report.sorted.seen) == (0, 0)
        assert all_messages(server.inventory()) == before
        server.append("INBOX", topical("Verein", 51))
        report = run_cycle_once(other, ACCOUNT)
        assert report.sorted is not None
        assert report.sorted.moved == 1
        assert {entry.folder for entry in history(other, None, limit=9)} == {"Verein", "Reisen"}
        assert [each.undone for each in undo_moves(other, ACCOUNT, last=2)] == [True, True]
    assert len(all_messages(server.inventory())) == len(before) + 1


def test_what_the_other_one_did_since_the_backup_is_not_taken_for_a_persons_work(
    app: Application, backup: Path, tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """Its later moves teach nothing, mail that she put back stays, new mail is sorted again."""
    server.append("INBOX", topical("Reisen", 61))
    server.append("INBOX", topical("Reisen", 62))
    run_cycle_once(app, ACCOUNT)
    server.move("Reisen", server.uids("Reisen")[-1:], "INBOX")
    run_cycle_once(app, ACCOUNT)
    restore(tmp_path / "other", backup, START)
    with closing(elsewhere(tmp_path, encoder, server)) as other:
        report = run_cycle_once(other, ACCOUNT)
        assert report.sorted is not None
        assert (report.lessons, report.sorted.seen) == (0, 0)
        assert len(server.uids("INBOX")) == 1
        assert set(learn(other, ACCOUNT).new_examples.values()) == {0}
        server.append("INBOX", topical("Reisen", 63))
        report = run_cycle_once(other, ACCOUNT)
        assert report.sorted is not None
        assert (report.sorted.seen, report.sorted.moved) == (1, 1)
        server.move("Reisen", server.uids("Reisen")[-1:], "Verein")
        assert run_cycle_once(other, ACCOUNT).lessons == 1


def test_after_a_stop_her_moves_since_the_backup_are_lessons(
    backup: Path, tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """And what came meanwhile is new mail."""
    server.append("INBOX", topical("Verein", 64))
    server.move("Rechnungen", server.uids("Rechnungen")[:1], "Verein")
    restore(tmp_path / "other", backup, START, was_stopped=True)
    with closing(elsewhere(tmp_path, encoder, server)) as other:
        report = run_cycle_once(other, ACCOUNT)
        assert report.sorted is not None
        assert (report.lessons, report.sorted.moved) == (1, 1)


def test_a_state_is_not_replaced_unasked_and_never_deleted(
    app: Application, backup: Path, server: FakeServer
) -> None:
    """With --replace it lies beside the new one, whole."""
    app.store.close()
    before = contents(app.state_dir)
    with pytest.raises(StateError, match="already"):
        restore(app.state_dir, backup, START)
    assert contents(app.state_dir) == before
    result = restore(app.state_dir, backup, START, replace=True)
    assert result.replaced == app.state_dir / "replaced-20260301T120000Z"
    aside = contents(result.replaced)
    assert aside == {name: data for name, data in before.items() if name in aside}
    assert {DATABASE_NAME, f"models/{ACCOUNT}/current.json"} <= aside.keys()
    assert status(app).accounts[0].examples == 36


def test_nothing_is_restored_below_a_running_inboxd(app: Application, backup: Path) -> None:
    """Neither the daemon nor a command that works on an account."""
    for lock in (instance_lock(app.state_dir), account_lock(app.state_dir, ACCOUNT)):
        with lock, pytest.raises(AlreadyRunning):
            restore(app.state_dir, backup, START, replace=True)
    assert not list(app.state_dir.glob("replaced-*"))


def test_one_account_can_be_taken_out_under_a_new_name(
    app: Application, backup: Path, tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """With its models; the others stay behind, also in the raw bytes of the file."""
    with app.store.write() as work:
        work.accounts.get_or_create("zaunkoenig-account", START)
        work.commit()
    file = back_up(app, tmp_path / "two.tar").file
    with pytest.raises(NotFound, match="nobody"):
        restore(tmp_path / "other", file, START, chosen=Chosen("nobody", "nobody"))
    result = restore(tmp_path / "other", file, START, chosen=Chosen(ACCOUNT, "work"))
    assert [account.name for account in result.accounts] == ["work"]
    assert result.unknown == ("work",)
    assert b"zaunkoenig" not in (tmp_path / "other" / DATABASE_NAME).read_bytes()
    with closing(make_app(tmp_path / "other", encoder, {"work": server})) as other:
        run_cycle_once(other, "work")
        server.append("INBOX", topical("Reisen", 65))
        report = run_cycle_once(other, "work")
        assert report.sorted is not None
        assert report.sorted.moved == 1


def test_a_damaged_backup_touches_nothing(backup: Path, tmp_path: Path) -> None:
    """One wrong byte anywhere in the content, a cut file, none at all, something else."""
    whole = backup.read_bytes()
    damaged = tmp_path / "damaged.tar"
    half = len(whole) // 2
    for content in (
        whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :],
        whole[:half],
        whole[: half // 512 * 512],
        b"",
        b"no archive at all " * 1000,
    ):
        damaged.write_bytes(content)
        with pytest.raises(ArchiveBroken):
            restore(tmp_path / "other", damaged, START)
    with pytest.raises(StateError, match=r"missing\.tar"):
        restore(tmp_path / "other", tmp_path / "missing.tar", START)
    assert contents(tmp_path / "other") == {}


@pytest.mark.parametrize(
    "name",
    ["../evil", "/tmp/evil", "models/../../evil", "models/private/../../../evil", "config.toml",
     "models/private/.evil", "inboxd.lock", "models//evil"],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(backup: Path, tmp_path: Path, name: str) -> None:
    """Listed with the right hash or not: no backup holds such a name."""

    def listed(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if member.name == MANIFEST:
            document = json.loads(content)
            document["files"][name] = document["files"].pop(f"models/{ACCOUNT}/current.json")
            return member, json.dumps(document).encode()
        member.name = name if member.name.endswith("current.json") else member.name
        return member, content

    before = set(tmp_path.rglob("*"))
    with pytest.raises(ArchiveBroken):
        restore(tmp_path / "other", rewritten(backup, listed), START)
    left = {path for path in set(tmp_path.rglob("*")) - before if path.suffix != ".lock"}
    assert left == {tmp_path / "other", tmp_path / "rewritten.tar"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_other_kinds_of_members_are_refused(
    backup: Path, tmp_path: Path, kind: bytes
) -> None:
    """Also under a name that belongs there."""
    target = tmp_path / "precious"
    target.write_text("precious")

    def linked(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if member.name.endswith("current.json"):
            member.type, member.linkname = kind, str(target)
        return member, content

    with pytest.raises(ArchiveBroken):
        restore(tmp_path / "other", rewritten(backup, linked), START)
    assert target.read_text() == "precious"
    assert contents(tmp_path / "other") == {}


def test_what_is_not_listed_and_what_is_missing_is_refused(backup: Path, tmp_path: Path) -> None:
    """A member twice, a member too many, a member too few, without a database."""

    def without(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes] | None:
        return None if member.name.endswith("current.json") else (member, content)

    def renamed(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        member.name = member.name.replace("current.json", "other.json")
        return member, content

    def no_database(
        member: tarfile.TarInfo, content: bytes
    ) -> tuple[tarfile.TarInfo, bytes] | None:
        if member.name == MANIFEST:
            document = json.loads(content)
            del document["files"][DATABASE_NAME]
            content = json.dumps(document).encode()
        return None if member.name == DATABASE_NAME else (member, content)

    for change in (without, renamed, no_database):
        with pytest.raises(ArchiveBroken):
            restore(tmp_path / "other", rewritten(backup, change), START)
    assert contents(tmp_path / "other") == {}


def test_a_backup_of_a_newer_inboxd_is_refused(app: Application, tmp_path: Path) -> None:
    """Before anything is touched; what it holds, nobody here can know."""
    with sqlite3.connect(app.state_dir / DATABASE_NAME) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    (tmp_path / "copy").mkdir()
    app.store.copy_to(tmp_path / "copy" / DATABASE_NAME)
    file = tmp_path / "new.tar"
    from daemon.archive import write_archive  # noqa: PLC0415

    files = {DATABASE_NAME: tmp_path / "copy" / DATABASE_NAME}
    write_archive(file, files, {"created": START.isoformat()}, lambda _done, _total: None)
    with pytest.raises(DatabaseTooNew):
        restore(tmp_path / "other", file, START)
    assert contents(tmp_path / "other") == {}


class Killed(BaseException):
    """In place of a signal that cannot be caught."""


def test_a_restore_that_is_killed_anywhere_is_all_or_nothing(
    app: Application, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each rename and each removal: either the old state is untouched, or nothing works
    until `resume` has made it the new one."""
    app.store.close()
    old = contents(app.state_dir)
    restore(tmp_path / "fresh", backup, START)
    new = contents(tmp_path / "fresh")
    real = {name: getattr(Path, name) for name in ("rename", "replace")}
    outcomes = []
    for deadly in range(1, 20):
        state = tmp_path / f"state-{deadly}"
        shutil.copytree(app.state_dir, state)
        count = 0

        def mortal(name: str, deadly: int = deadly) -> Callable[[Path, Path], Path]:
            def rename(path: Path, target: Path) -> Path:
                nonlocal count
                count += 1
                if count == deadly:
                    raise Killed
                renamed: Path = real[name](path, target)
                return renamed

            return rename

        for name in real:
            monkeypatch.setattr(Path, name, mortal(name))
        try:
            restore(state, backup, START, replace=True)
            break
        except Killed:
            for name, method in real.items():
                monkeypatch.setattr(Path, name, method)
        if not (state / UNFINISHED_RESTORE).exists():
            outcomes.append("old")
            assert {n: d for n, d in contents(state).items() if not n.startswith(".re")} == old
            continue
        outcomes.append("resumed")
        with pytest.raises(StateError, match="interrupted"):
            Store.open(state)
        with pytest.raises(StateError, match="interrupted"):
            restore(state, backup, START, replace=True)
        aside = resume(state)
        assert aside is not None
        found = contents(state)
        now_there = {n: d for n, d in found.items() if not n.startswith("replaced-")}
        assert now_there.keys() == new.keys()
        assert contents(aside) == {n: d for n, d in old.items() if n in contents(aside)}
        assert DATABASE_NAME in contents(aside)
        Store.open(state).close()
        with pytest.raises(NotFound):
            resume(state)
    assert outcomes[0] == "old"
    assert outcomes.count("resumed") >= 3
    assert os.path.isdir(state)  # noqa: PTH112 - the last one went through


def test_a_shared_model_is_in_the_backup_and_comes_back(tmp_path: Path, encoder: Path) -> None:
    """With its history; taking one account out leaves it behind, and nobody asks for its name."""
    servers = {"info": filled_server(), "support": FakeServer()}
    sharing = {"shared_model": "team"}
    with closing(make_app(tmp_path / "state", encoder, servers, account=sharing)) as app:
        version = learn(app, "info").refit.version
        run_cycle_once(app, "support")
        made = back_up(app, tmp_path / "backup.tar")
        assert {each.name: each.current for each in made.accounts} == {
            "@team": version,
            "info": None,
            "support": None,
        }
    restored = restore(tmp_path / "other", made.file, START, configured=servers)
    assert restored.unknown == ()
    with closing(make_app(tmp_path / "other", encoder, servers, account=sharing)) as app:
        assert {state.model for state in status(app).accounts} == {version}
        assert all(f.state == "sorting" for f in status(app).accounts[0].folders)
        assert not is_learning_due(app, "info")
    alone = Chosen("info", "info")
    taken = restore(tmp_path / "alone", made.file, START, configured=servers, chosen=alone)
    assert [each.name for each in taken.accounts] == ["info"]
    assert taken.left_out == ("team",)
    assert restored.left_out == ()
    with pytest.raises(NotFound):
        restore(tmp_path / "third", made.file, START, chosen=Chosen("@team", "team"))


def test_an_account_restored_without_its_shared_model_learns_one_from_its_own_examples(
    tmp_path: Path, encoder: Path
) -> None:
    """At the first pass; mail that came since stays where it is, later mail is sorted."""
    server = filled_server()
    servers = {"info": server, "support": filled_server(4)}
    sharing = {"shared_model": "team"}
    with closing(make_app(tmp_path / "state", encoder, servers, account=sharing)) as app:
        learn(app, "support")
        before = learn(app, "info").refit.version
        made = back_up(app, tmp_path / "backup.tar")
    server.append("INBOX", topical("Reisen", 90))
    restore(tmp_path / "alone", made.file, START, chosen=Chosen("info", "info"))
    with closing(make_app(tmp_path / "alone", encoder, {"info": server}, account=sharing)) as app:
        assert status(app).accounts[0].model is None
        refit = run_cycle_once(app, "info").refit
        assert refit is not None
        assert refit.promoted
        assert refit.version != before
        assert status(app).accounts[0].model == refit.version
        assert refit.report["share"]["accounts"] == ["info"]
        assert len(server.uids("INBOX")) == 1
        server.append("INBOX", topical("Reisen", 91))
        run_cycle_once(app, "info")
        assert len(server.uids("INBOX")) == 1
