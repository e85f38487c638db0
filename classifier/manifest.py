"""Directories of files that are written to the side, renamed, and checked when read.

Without torch, so that the registry and `status` can look at a model's manifest at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
FORMAT = 1


class ArtifactBroken(Exception):
    """The model directory is missing, incomplete, altered or of another format."""

    next_step = "Go back to the previous model: inboxd models --roll-back"


def write_directory(
    directory: Path, contents: Mapping[str, bytes], manifest: Mapping[str, Any]
) -> None:
    """Write `contents` and a manifest with their hashes; complete or not at all.

    Files 0600, directories 0700; everything is on disk before the rename.
    """
    if directory.exists():
        raise FileExistsError(f"{directory} exists already")
    listed = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in contents.items()
    }
    document = {**manifest, "format": FORMAT, "files": listed}
    text = json.dumps(document, indent=2, ensure_ascii=False)
    part = directory.with_name(f"{directory.name}.part")
    if part.exists():
        shutil.rmtree(part)  # left by a run that was killed
    make_private_directory(directory.parent)
    part.mkdir(mode=0o700)
    for name, data in {**contents, MANIFEST: text.encode()}.items():
        write_private(part / name, data)
    flush_to_disk(part)
    part.rename(directory)
    flush_to_disk(directory.parent)


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest alone, without checking the other files. Raises `ArtifactBroken`."""
    try:
        document = json.loads(_read_regular(directory / MANIFEST))
    except (OSError, ValueError) as error:
        raise ArtifactBroken(f"{directory} has no readable {MANIFEST}: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("files"), dict):
        raise ArtifactBroken(f"{directory / MANIFEST} is not a manifest")
    if document.get("format") != FORMAT:
        raise ArtifactBroken(
            f"{directory} has format {document.get('format')}, this version reads {FORMAT}"
        )
    return document


def checked_contents(directory: Path) -> dict[str, bytes]:
    """Every listed file's bytes, after its hash was found right. Raises `ArtifactBroken`."""
    listed = read_manifest(directory)["files"]
    return {name: _checked(directory, name, expected) for name, expected in listed.items()}


def read_listed(directory: Path, name: str) -> bytes:
    """One listed file's bytes, after its hash was found right. Raises `ArtifactBroken`."""
    listed = read_manifest(directory)["files"]
    if name not in listed:
        raise ArtifactBroken(f"{directory} has no {name}")
    return _checked(directory, name, listed[name])


def _checked(directory: Path, name: str, expected: object) -> bytes:
    if Path(name).name != name:
        raise ArtifactBroken(f"{directory / MANIFEST} names a file elsewhere: {name!r}")
    try:
        data = _read_regular(directory / name)
    except OSError as error:
        raise ArtifactBroken(f"{directory / name} cannot be read: {error}") from error
    digest = hashlib.sha256(data).hexdigest()
    if not isinstance(expected, dict) or expected.get("sha256") != digest:
        raise ArtifactBroken(f"{directory / name} is not what was written")
    return data


def _read_regular(path: Path) -> bytes:
    """The file's bytes; a symbolic link is refused, as nothing here ever writes one."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, hex. Raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_private_directory(directory: Path) -> None:
    """Make a directory and what is missing above it, each 0700: pathlib's `parents` would leave
    those above to the umask."""
    for each in (*reversed(directory.parents), directory):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, and wait until it is on disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)  # it may have been there
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_private(path: Path, data: bytes) -> None:
    """As `write_private`, but whoever reads finds the file of before or the whole new one, also
    after a power cut."""
    part = path.with_name(f"{path.name}.part")
    write_private(part, data)
    part.replace(path)
    flush_to_disk(path.parent)


def flush_to_disk(path: Path) -> None:
    """fsync a file, or a directory: POSIX wants that for a rename to survive a power cut, and
    a file's content must be there before its name."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
