"""One daemon per state directory, one writer per account."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from daemon.errors import AlreadyRunning
from daemon.locks import account_lock, instance_lock, running_process

HOLD = """
import sys, pathlib
from daemon.locks import account_lock, instance_lock
directory = pathlib.Path(sys.argv[2])
lock = instance_lock(directory) if sys.argv[1] == "instance" else account_lock(directory, "a")
with lock:
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(kind: str, directory: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, kind, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_instance_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    """With the process id of the one that runs."""
    with holder("instance", tmp_path) as process:
        assert running_process(tmp_path) == process.pid
        with pytest.raises(AlreadyRunning, match=str(process.pid)), instance_lock(tmp_path):
            pass
        process.kill()
    assert running_process(tmp_path) is None
    with instance_lock(tmp_path):
        pass


def test_a_second_instance_in_the_same_process_is_refused(tmp_path: Path) -> None:
    """The lock belongs to the open file, not to the process."""
    with (
        instance_lock(tmp_path),
        pytest.raises(AlreadyRunning),
        instance_lock(tmp_path),
    ):
        pass


def test_asking_who_runs_never_turns_a_daemon_away(tmp_path: Path) -> None:
    """`inboxd status` in a loop while the daemon starts."""
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            running_process(tmp_path)

    with instance_lock(tmp_path):
        pass
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            with instance_lock(tmp_path):
                pass
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_an_account_is_worked_on_by_one_process_at_a_time(tmp_path: Path) -> None:
    """The second waits, says so once, and gets its turn even when the first is killed."""
    waits: list[str] = []
    with holder("account", tmp_path) as process:
        entered = threading.Event()

        def work() -> None:
            with account_lock(tmp_path, "a", on_wait=lambda: waits.append("waiting")):
                entered.set()

        thread = threading.Thread(target=work)
        thread.start()
        with account_lock(tmp_path, "b"):
            pass
        assert not entered.wait(0.5)
        process.kill()
        assert entered.wait(10)
        thread.join()
    assert waits == ["waiting"]


def test_an_account_is_worked_on_by_one_thread_at_a_time(tmp_path: Path) -> None:
    """Threads of one process exclude each other as processes do."""
    inside: list[int] = []
    most = 0

    def work() -> None:
        nonlocal most
        for _ in range(5):
            with account_lock(tmp_path, "a"):
                inside.append(1)
                most = max(most, len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_strange_account_names_stay_inside_the_directory(tmp_path: Path) -> None:
    """The name becomes part of a file name."""
    with account_lock(tmp_path, "../../evil/x"):
        pass
    assert [path.parent for path in tmp_path.rglob("*.lock")] == [tmp_path]
