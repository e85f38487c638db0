"""What inboxd itself keeps is damaged, missing or full: mail is untouched, the message is clear,
nothing crashes again and again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.mails import next_mails
from tests.e2e.world import World, wait_until
from tests.faults.conftest import Scenario
from tests.faults.passes import finish
from tests.faults.scale import heavy, some
from tests.faults.world import QuickHome, accounts_status, launch
from tests.support.conservation import Books

MAILS = next_mails("Travel", 2)


def truncated(path: Path) -> None:
    """The second half is missing."""
    os.truncate(path, path.stat().st_size // 2)


def flipped(path: Path) -> None:
    """One byte in the middle is another."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def removed(path: Path) -> None:
    """It is not there."""
    path.unlink()


def current_model(world: World) -> Path:
    """The directory of the model in use."""
    version = accounts_status(world)["model"]
    return world.home.state_dir / "models" / "private" / str(version)


@pytest.mark.parametrize("damage", some([truncated, flipped, removed], [flipped]))
def test_a_damaged_model_is_replaced_by_the_one_before_it(
    damage: Callable[[Path], None], world: World, scenario: Scenario
) -> None:
    """By itself: mail is sorted by the earlier model, and log and status say so."""
    earlier = current_model(world)
    world.home.ok("train")
    newer = current_model(world)
    assert newer != earlier
    books = Books(world)
    books.open()
    books.deliver(MAILS)

    damage(newer / "model.safetensors")
    done = world.home.run("run", "--once", "--json")
    told = accounts_status(world)

    assert done.returncode == 0, done
    assert f"Model {newer.name} is damaged; model {earlier.name} is used" in done.stdout
    assert "model.fallen_back" in done.stderr
    assert told["notice"].startswith(f"Model {newer.name} is damaged")
    assert world.rows("SELECT DISTINCT model_version FROM decisions") == [(earlier.name,)]
    finish(world)
    books.close()
    assert [world.folders_of(mail) for mail in MAILS] == [["Travel"]] * 2
    scenario(f"model file {damage.__name__}: the model before it is used")


def test_without_any_sound_model_mail_is_left_alone(world: World, scenario: Scenario) -> None:
    """The only model is damaged: passes go on noticing what people do, and say what is wrong."""
    flipped(current_model(world) / "model.safetensors")
    books = Books(world)
    books.open()
    books.deliver(MAILS)

    [report] = world.home.json("run", "--once")

    assert "is damaged" in report["note"]
    assert report["sorted"] is None
    assert "there is no other" in accounts_status(world)["notice"]
    books.close()
    scenario("the only model is damaged")


def test_without_an_encoder_mail_is_left_alone(world: World, scenario: Scenario) -> None:
    """The pass says what is missing and what to do; with the encoder back, mail is sorted."""
    books = Books(world)
    books.open()
    books.deliver(MAILS)

    [report] = world.home.json("run", "--once", INBOXD_MODEL__ENCODER="/nowhere/bert")

    assert "/nowhere/bert" in report["note"]
    books.close()
    finish(world)
    books.close()
    scenario("the encoder is missing")


def test_a_corrupted_database_is_named_and_nothing_is_moved(
    world: World, scenario: Scenario
) -> None:
    """Exit code 4 and the next step, from a pass and from the daemon; no traceback."""
    books = Books(world)
    books.open()
    books.deliver(MAILS)
    content = bytearray(world.home.database.read_bytes())
    for start in range(4096, len(content), 4096):
        content[start : start + 64] = b"\xa5" * 64
    for path in world.home.database.parent.glob(f"{world.home.database.name}-*"):
        path.unlink()
    world.home.database.write_bytes(content)

    done = world.home.run("run", "--once")

    assert done.returncode == 4, done
    assert "database" in done.stderr
    assert "→" in done.stderr
    assert "Traceback" not in done.stderr
    books.nothing_lost()
    assert len(world.inventory()["INBOX"]) == len(MAILS)
    scenario("the database is corrupted")


@contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[None]:
    """A file system of its own under `path`."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    path.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let root mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def on_small_disk(world: World, path: Path) -> dict[str, str]:
    """The world's state, copied there; settings that lead to it."""
    subprocess.run(["cp", "-r", f"{world.home.state_dir}/.", str(path)], check=True)
    assert isinstance(world.home, QuickHome)
    variables = {**world.home.variables, "INBOXD_STATE__DIR": str(path)}
    world.home = replace(world.home, variables=variables)
    return variables


@heavy
def test_on_a_full_disk_nothing_is_moved(world: World, tmp_path: Path, scenario: Scenario) -> None:
    """No plan can be written, so the server hears of nothing; with space again all goes on."""
    disk = tmp_path / "disk"
    with small_disk(disk, 64):
        on_small_disk(world, disk)
        books = Books(world)
        books.open()
        books.deliver(MAILS)
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 65536)
            except OSError:
                pass

        done = world.home.run("run", "--once")
        assert done.returncode == 4, done
        assert "Traceback" not in done.stderr
        assert len(world.inventory()["INBOX"]) == len(MAILS)

        daemon = launch(world, "run")
        wait_until(lambda: "failed" in daemon.output() or daemon.poll() is not None)
        assert daemon.output().count("worker.failed") <= 3, "it tries again without a pause"
        daemon.kill()
        books.nothing_lost()
        filler.unlink()
        finish_there(world, books, disk)
    scenario("full disk under the state directory")


@heavy
def test_with_a_read_only_database_nothing_is_moved(
    world: World, tmp_path: Path, scenario: Scenario
) -> None:
    """A file system that has become read-only."""
    disk = tmp_path / "disk"
    with small_disk(disk, 64):
        on_small_disk(world, disk)
        books = Books(world)
        books.open()
        books.deliver(MAILS)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

        done = world.home.run("run", "--once")
        assert done.returncode == 4, done
        assert "→" in done.stderr
        assert "Traceback" not in done.stderr
        assert len(world.inventory()["INBOX"]) == len(MAILS)

        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        finish_there(world, books, disk)
    scenario("read-only database")


def finish_there(world: World, books: Books, disk: Path) -> None:
    """All is sorted in the end; the books read the database where it was before."""
    finish(world)
    subprocess.run(["cp", "-r", f"{disk}/.", str(world.home.state_dir)], check=True)
    books.close()
    assert [world.folders_of(mail) for mail in MAILS] == [["Travel"]] * 2
