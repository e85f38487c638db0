"""Directories that are built once, complete or not there at all, and checked before use.

A directory is written beside its place with the ending `.part`, flushed to disk and renamed.
Its `manifest.json` names every file with size and SHA-256. Only one process builds at a time
(flock, which the kernel drops when a process dies), so a `.part` that is found while holding
the lock was left by a process that was killed, and is removed.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from classifier.manifest import flush_to_disk, sha256_of

MANIFEST = "manifest.json"
_FORMAT = 1
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Record:
    """A file as it was when its directory was built."""

    sha256: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> _Record:
        status = path.stat()
        return cls(sha256_of(path), status.st_size, status.st_mtime_ns)

    def fits(self, path: Path) -> bool:
        """Whether size and time stamp are still the same."""
        status = path.stat()
        return (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)


def read_json(path: Path) -> Any:
    """The parsed content of `path`, or None when it is missing or not JSON."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content`: a reader sees the old or the new one. Raises `OSError`."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        flush_to_disk(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def built_directory(target: Path, build: Callable[[Path], None], facts: Mapping[str, str]) -> Path:
    """`target`, built by `build(directory)` unless it is there and intact.

    `facts` go into the manifest. An intact directory is only read, so it may lie on a
    read-only medium. Raises `OSError` and whatever `build` raises; `target` is untouched then,
    unless it was broken.
    """
    if (fault := find_fault(target)) is None:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(target.name + ".lock")):
        # Another process may have built it while this one waited for the lock.
        if (fault := find_fault(target)) is not None:
            _log.info("building %s: %s", target, fault, extra={"action": "encoder.build"})
            _build(target, build, facts)
    return target


def find_fault(directory: Path) -> str | None:
    """What is wrong with a built directory, or None when it may be loaded.

    Sizes and the hashes of the small files are compared each time (some ten milliseconds).
    The weights, two hundred megabytes and more, are hashed when they are written and again
    only if their time stamp is not the one in the manifest: truncation, a restored backup or
    an overwritten file show in size or time stamp, and a daemon on a small machine should not
    read all weights twice at every start. A disk that flips bits silently is not noticed here.
    """
    records = _records(directory)
    if not records:
        return "there is no manifest of this format"
    for name, record in records.items():
        path = directory / name
        try:
            if path.stat().st_size != record.size:
                return f"{name} has another size"
            trusted = name.endswith(".safetensors") and record.fits(path)
            if not trusted and sha256_of(path) != record.sha256:
                return f"{name} has another content"
        except OSError as error:
            return f"{name} cannot be read: {error}"
    return None


def recorded_sha256(directory: Path, name: str) -> str | None:
    """The SHA-256 of `name` in the manifest of `directory`, if it is there and still fits."""
    record = _records(directory).get(name)
    return record.sha256 if record is not None and record.fits(directory / name) else None


def _records(directory: Path) -> dict[str, _Record]:
    """The files in the manifest, or {} when there is no manifest of this format."""
    manifest = read_json(directory / MANIFEST)
    try:
        if manifest["format"] != _FORMAT:
            return {}
        return {str(name): _Record(**record) for name, record in manifest["files"].items()}
    except (TypeError, KeyError, AttributeError):
        return {}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(target: Path, build: Callable[[Path], None], facts: Mapping[str, str]) -> None:
    part = target.with_name(target.name + ".part")
    _remove(part)
    part.mkdir()
    try:
        build(part)
        files = sorted(path for path in part.iterdir() if path.is_file())
        for path in files:
            flush_to_disk(path)
        manifest = {
            "format": _FORMAT,
            **facts,
            "files": {p.name: asdict(_Record.of(p)) for p in files},
        }
        (part / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
        flush_to_disk(part / MANIFEST)
        flush_to_disk(part)
        _remove(target)
        part.rename(target)
        flush_to_disk(target.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _remove(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)
