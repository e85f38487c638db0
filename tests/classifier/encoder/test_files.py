"""Built directories: complete or absent, checked, safe against kills and neighbours."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from classifier.encoder import EncoderUnavailable
from classifier.encoder.bundled import DataFile
from classifier.encoder.files import MANIFEST, built_directory, find_fault, write_atomically
from classifier.encoder.locate import bundled_directory
from tests.classifier.encoder.data_file import write_data_file

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def data(tmp_path: Path) -> DataFile:
    """A small data file of the right format."""
    return write_data_file(tmp_path / "model.bin").data


def _state(directory: Path) -> dict[str, tuple[int, int]]:
    paths = [directory, *directory.rglob("*")]
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_ino) for p in paths}


def test_a_conversion_happens_once(data: DataFile, tmp_path: Path) -> None:
    """The second call only reads, and does not need the data file any more."""
    cache = tmp_path / "cache"
    directory = bundled_directory(cache, data)
    before = _state(cache)
    data.path.unlink()
    assert bundled_directory(cache, data) == directory
    assert _state(cache) == before


def test_a_read_only_cache_serves_a_converted_model(data: DataFile, tmp_path: Path) -> None:
    """Nothing is opened for writing when all is there: no lock, no time stamp."""
    cache = tmp_path / "cache"
    directory = bundled_directory(cache, data)
    for path in [*cache.rglob("*"), cache]:
        path.chmod(stat.S_IRUSR | (stat.S_IXUSR if path.is_dir() else 0))
    try:
        before = _state(cache)
        assert bundled_directory(cache, data) == directory
        assert _state(cache) == before
    finally:
        for path in [cache, *cache.rglob("*")]:
            path.chmod(0o700)


def test_a_cache_that_cannot_be_written_is_named(data: DataFile, tmp_path: Path) -> None:
    """The error names the directory and what to do."""
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    with pytest.raises(EncoderUnavailable, match="cannot be converted") as caught:
        bundled_directory(blocked / "cache", data)
    assert str(blocked / "cache") in caught.value.next_step


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_a_damaged_file_is_noticed_and_converted_again(
    data: DataFile, tmp_path: Path, name: str, damage: str
) -> None:
    """Whatever file is damaged and how: the next start mends it."""
    directory = bundled_directory(tmp_path / "cache", data)
    path = directory / name
    content = path.read_bytes()
    if damage == "truncate":
        path.write_bytes(content[:-7])
    elif damage == "flip":
        path.write_bytes(content[:-7] + bytes([content[-7] ^ 1]) + content[-6:])
    else:
        path.unlink()
    assert find_fault(directory) is not None
    assert bundled_directory(tmp_path / "cache", data) == directory
    assert find_fault(directory) is None
    assert path.read_bytes() == content


def test_small_files_are_hashed_even_with_an_old_time_stamp(data: DataFile, tmp_path: Path) -> None:
    """A tokenizer that was changed and back-dated would silently change every vector."""
    directory = bundled_directory(tmp_path / "cache", data)
    path = directory / "tokenizer.json"
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.write_bytes(path.read_bytes().replace(b"haus", b"maus"))
    os.utime(path, ns=times)
    assert find_fault(directory) == "tokenizer.json has another content"


def test_a_restored_backup_with_new_time_stamps_is_accepted(data: DataFile, tmp_path: Path) -> None:
    """Another time stamp only means that the weights are hashed again."""
    directory = bundled_directory(tmp_path / "cache", data)
    os.utime(directory / "model.safetensors", (1, 1))
    assert find_fault(directory) is None


@pytest.mark.parametrize(
    "manifest", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "files": {"a": {"size": 1}}}']
)
def test_a_broken_manifest_is_a_fault(data: DataFile, tmp_path: Path, manifest: str) -> None:
    """Nonsense in the manifest leads to a new conversion, never to a traceback."""
    directory = bundled_directory(tmp_path / "cache", data)
    (directory / MANIFEST).write_text(manifest)
    assert find_fault(directory) == "there is no manifest of this format"
    assert find_fault(bundled_directory(tmp_path / "cache", data)) is None


def test_a_failed_build_leaves_nothing_behind(tmp_path: Path) -> None:
    """An exception in the middle removes what was written so far."""

    def build(directory: Path) -> None:
        (directory / "half").write_text("half")
        raise EncoderUnavailable("no", next_step="none")

    with pytest.raises(EncoderUnavailable):
        built_directory(tmp_path / "target", build, {})
    assert [path.name for path in tmp_path.iterdir()] == ["target.lock"]


KILLED_HALF_WAY = """
import os, signal, sys
from pathlib import Path
from classifier.encoder.files import built_directory
def build(directory):
    (directory / "model.safetensors").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
built_directory(Path(sys.argv[1]), build, {})
"""


def test_a_killed_conversion_is_cleaned_up_by_the_next(data: DataFile, tmp_path: Path) -> None:
    """kill -9 in the middle leaves a .part and no lock; the next start replaces it."""
    directory = bundled_directory(tmp_path / "reference", data)
    target = tmp_path / "cache" / directory.name
    done = subprocess.run(
        [sys.executable, "-c", KILLED_HALF_WAY, str(target)], cwd=REPOSITORY, check=False
    )
    assert done.returncode == -signal.SIGKILL
    part = target.with_name(target.name + ".part")
    assert part.is_dir()
    assert not target.exists()
    assert bundled_directory(tmp_path / "cache", data) == target
    assert not part.exists()
    assert find_fault(target) is None


def _convert_and_count(cache: str, data: DataFile, start: object, counter: str) -> None:
    start.wait()  # type: ignore[attr-defined]  # a multiprocessing event

    def build(directory: Path) -> None:
        with Path(counter).open("a") as file:
            file.write("built\n")
        (directory / "model.safetensors").write_bytes(b"x" * 100_000)

    built_directory(Path(cache) / "target", build, {})


def test_processes_that_start_together_convert_once(data: DataFile, tmp_path: Path) -> None:
    """Four processes at once: one builds, the others wait and use its result."""
    context = multiprocessing.get_context("spawn")
    start, counter = context.Event(), tmp_path / "counter"
    arguments = (str(tmp_path), data, start, str(counter))
    processes = [context.Process(target=_convert_and_count, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0] * 4
    assert counter.read_text() == "built\n"
    assert find_fault(tmp_path / "target") is None


def test_the_lock_is_free_after_a_build(data: DataFile, tmp_path: Path) -> None:
    """A later process is not kept waiting by one that is still running."""
    directory = bundled_directory(tmp_path, data)
    with directory.with_name(directory.name + ".lock").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_an_atomic_write_replaces_the_whole_file(tmp_path: Path) -> None:
    """The new content is there in full and no temporary file stays."""
    path = tmp_path / "verdict.json"
    path.write_text("old and much longer than the new one")
    write_atomically(path, json.dumps({"new": 1}).encode())
    assert json.loads(path.read_text()) == {"new": 1}
    assert list(tmp_path.iterdir()) == [path]
