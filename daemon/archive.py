"""A backup's file: a tar archive whose first member lists all others with their hashes.

    manifest.json                         format, what is in it, SHA-256 and size of each file
    inboxd.sqlite3
    models/private/20260301T120000Z/…     as in the state directory

Such a file may come from anywhere, so nothing in it is believed: names have to be of these
kinds, members have to be ordinary files that the manifest lists with their size, and each is
written by this module, never by tarfile, which could make links, devices and modes.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from classifier.manifest import flush_to_disk, make_private_directory, sha256_of
from daemon.errors import ArchiveBroken

MANIFEST = "manifest.json"
FORMAT = 1
COMPRESSED = (".gz", ".tgz")
"""Endings of file names that ask for gzip."""

_CHUNK = 1 << 20
_MAX_MANIFEST = 64 << 20
"""Bytes; a model has some ten files, each of which takes 200."""

_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_NAME = re.compile(rf"inboxd\.sqlite3|models/@?{_PART}(/{_PART}){{1,5}}")

_UNREADABLE = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError)

Progress = Callable[[int, int], None]
"""Called with (files done, files in all)."""


def write_archive(
    target: Path, files: Mapping[str, Path], facts: Mapping[str, Any], progress: Progress
) -> int:
    """Write `files` (name → where it lies) and a manifest with `facts`; returns the size in bytes.

    Private (0600), written to the side, on disk before it gets its name. Raises OSError.
    """
    listed = {name: {"sha256": sha256_of(path), "bytes": path.stat().st_size}
              for name, path in files.items()}  # fmt: skip
    document = json.dumps({**facts, "format": FORMAT, "files": listed}, indent=1).encode()
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)  # left by a backup that was killed
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(part, flags, 0o600), "w+b") as file:
            _write_members(file, target.name.endswith(COMPRESSED), document, files, progress)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        part.rename(target)
        flush_to_disk(target.parent)
    finally:
        part.unlink(missing_ok=True)
    return size


def _write_members(
    file: IO[bytes],
    is_compressed: bool,
    document: bytes,
    files: Mapping[str, Path],
    progress: Progress,
) -> None:
    mode = "w:gz" if is_compressed else "w:"
    with tarfile.open(fileobj=file, mode=mode, format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        archive.addfile(_member(MANIFEST, len(document)), BytesIO(document))
        for done, (name, path) in enumerate(files.items()):
            progress(done, len(files))
            with path.open("rb") as content:
                archive.addfile(_member(name, path.stat().st_size), content)
    progress(len(files), len(files))


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def read_archive(source: Path, directory: Path, progress: Progress) -> dict[str, Any]:
    """Write what `source` holds below `directory`, which exists, and return its manifest.

    Every file's hash was right when this returns. Raises `ArchiveBroken` for anything that
    `write_archive` would not have written, OSError when `source` cannot be read or `directory`
    not be written.
    """
    try:
        with tarfile.open(source, "r|*") as archive:
            manifest = _manifest(archive, source)
            missing = dict(manifest["files"])
            _check_space(directory, sum(facts["bytes"] for facts in missing.values()))
            total = len(missing)
            while (member := archive.next()) is not None:
                expected = missing.pop(member.name, None)
                if expected is None or not _is_plain(member) or member.size != expected["bytes"]:
                    raise ArchiveBroken(f"{source} holds {member.name!r}, which it does not list.")
                content = archive.extractfile(member)
                if content is None:
                    raise ArchiveBroken(f"{source} is damaged at {member.name}.")
                _write(directory / member.name, content, expected["sha256"], source)
                progress(total - len(missing), total)
    except _UNREADABLE as error:
        raise ArchiveBroken(f"{source} is damaged, or no backup of inboxd.") from error
    if missing:
        raise ArchiveBroken(f"{source} is cut off: {len(missing)} files are missing.")
    return manifest


def _manifest(archive: tarfile.TarFile, source: Path) -> dict[str, Any]:
    member = archive.next()
    if member is None or member.name != MANIFEST or not member.isreg():
        raise ArchiveBroken(f"{source} is no backup of inboxd.")
    if member.size > _MAX_MANIFEST:
        raise ArchiveBroken(f"{source} lists more than any backup of inboxd has.")
    content = archive.extractfile(member)
    document = json.loads(content.read() if content is not None else b"")
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else None
        raise ArchiveBroken(
            f"{source} has format {found}; this inboxd reads {FORMAT}.",
            next_step="Restore it with the inboxd that made it, or a newer one.",
        )
    files = document.get("files")
    if not isinstance(files, dict) or not all(map(_is_listed, files.items())):
        raise ArchiveBroken(f"{source} lists files that no backup of inboxd has.")
    return document


def _is_plain(member: tarfile.TarInfo) -> bool:
    """An ordinary file; neither a link nor a sparse one, which can be of any size."""
    return member.type in {tarfile.REGTYPE, tarfile.AREGTYPE}


def _check_space(directory: Path, wanted: int) -> None:
    free = shutil.disk_usage(directory).free
    if wanted > free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory))


def _is_listed(item: tuple[object, object]) -> bool:
    name, facts = item
    return (
        isinstance(name, str)
        and _NAME.fullmatch(name) is not None
        and isinstance(facts, dict)
        and isinstance(facts.get("sha256"), str)
        and type(facts.get("bytes")) is int
        and facts["bytes"] >= 0
    )


def _write(target: Path, content: IO[bytes], expected: str, source: Path) -> None:
    make_private_directory(target.parent)
    digest = hashlib.sha256()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(target, flags, 0o600), "wb") as file:
        while block := content.read(_CHUNK):
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != expected:
        raise ArchiveBroken(f"{source} is damaged: {target.name} is not what was written.")
