"""Which of the kept model directories is the current one.

    ROOT/20250314T091500Z/    one directory per version, see `classifier.artifact`
    ROOT/current.json         {"current": …, "earlier": […]}, replaced atomically

The pointer remembers the order of promotions, so that going back means going back to what
really was in use, not to the version that happens to be next by date.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from classifier.manifest import (
    MANIFEST,
    make_private_directory,
    replace_private,
)

_VERSION = re.compile(r"\d{8}T\d{6}Z(-\d+)?")
_POINTER = "current.json"


class RegistryError(Exception):
    """The version does not exist, or there is nothing to go back to."""

    next_step = "List the models: inboxd models"


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One kept model."""

    version: str
    created: datetime
    current: bool
    size: int
    """Bytes on disk."""


@dataclass(frozen=True, slots=True)
class _Pointer:
    current: str | None = None
    earlier: tuple[str, ...] = ()
    """Formerly current versions, latest last."""


class Registry:
    """Model versions below one directory (one registry per account; one writer at a time)."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def new_version(self, now: datetime) -> str:
        """An unused name for a model finished at `now` (aware); creates nothing."""
        stem = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        version, number = stem, 1
        while (self.root / version).exists():
            number += 1
            version = f"{stem}-{number}"
        return version

    def path(self, version: str) -> Path:
        """The directory of a version, whether it exists yet or not."""
        if not _VERSION.fullmatch(version):
            raise RegistryError(f"not a model version: {version!r}")
        return self.root / version

    def current(self) -> str | None:
        """The promoted version, None before the first promotion."""
        return self._read().current

    def former(self) -> str | None:
        """The version that `roll_back` would make current, None without one."""
        return next(iter(self.candidates()[1:]), None)

    def candidates(self) -> list[str]:
        """What may be used, best first: the promoted version, then those promoted before it."""
        pointer = self._read()
        if pointer.current is None:
            return []
        earlier = [version for version in reversed(pointer.earlier) if self._finished(version)]
        return list(dict.fromkeys([pointer.current, *earlier]))

    def promote(self, version: str) -> None:
        """Make a finished version the current one."""
        self._require(version)
        pointer = self._read()
        if pointer.current == version:
            return
        earlier = (
            pointer.earlier
            if pointer.current is None
            else (
                *pointer.earlier,
                pointer.current,
            )
        )
        self._write(_Pointer(version, earlier))

    def roll_back(self) -> str:
        """Make the previously current version current again and return its name."""
        earlier = list(self._read().earlier)
        while earlier:
            version = earlier.pop()
            if self._finished(version):
                self._write(_Pointer(version, tuple(earlier)))
                return version
        raise RegistryError("there is no earlier model to go back to")

    def versions(self) -> list[VersionInfo]:
        """All finished versions, oldest first."""
        current = self.current()
        return [
            VersionInfo(
                version=name,
                created=datetime.strptime(name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC),
                current=name == current,
                size=sum(file.stat().st_size for file in self.path(name).iterdir()),
            )
            for name in self._names()
            if self._finished(name)
        ]

    def prune(self, keep: int = 10) -> list[str]:
        """Delete all but the newest `keep` versions; never the current one. Returns the deleted.

        The version that `roll_back` would choose is kept as well.
        """
        pointer = self._read()
        protected = {pointer.current, *pointer.earlier[-1:]}
        names = self._names()
        doomed = [name for name in names[: max(len(names) - keep, 0)] if name not in protected]
        for name in doomed:
            shutil.rmtree(self.path(name))
        return doomed

    def remove(self, versions: Collection[str]) -> None:
        """Delete these versions, the current one too: what was promoted last before it and stays
        is current then, if anything is. The pointer moves first."""
        pointer = self._read()
        promoted = (*pointer.earlier, pointer.current)
        kept = [each for each in promoted if each is not None and each not in versions]
        if len(kept) < len(promoted) and pointer.current is not None:
            if pointer.current in versions:
                kept = [each for each in kept if self._finished(each)]
            self._write(_Pointer(kept[-1] if kept else None, tuple(kept[:-1])))
        for name in self._names():
            if name in versions:
                shutil.rmtree(self.path(name))

    def clear(self) -> None:
        """Delete all versions, the current one too."""
        (self.root / _POINTER).unlink(missing_ok=True)
        for name in self._names():
            shutil.rmtree(self.path(name))

    def _names(self) -> list[str]:
        if not self.root.is_dir():
            return []
        names = [path.name for path in self.root.iterdir() if path.is_dir()]
        return sorted(filter(_VERSION.fullmatch, names), key=_by_age)

    def _finished(self, version: str) -> bool:
        return (self.path(version) / MANIFEST).is_file()

    def _require(self, version: str) -> None:
        if not self._finished(version):
            raise RegistryError(f"there is no finished model {version}")

    def _read(self) -> _Pointer:
        try:
            content = json.loads((self.root / _POINTER).read_text(encoding="utf-8"))
            return _Pointer(content["current"], tuple(content["earlier"]))
        except FileNotFoundError:
            return _Pointer()
        except (ValueError, KeyError, TypeError) as error:
            raise RegistryError(f"{self.root / _POINTER} is damaged: {error}") from error

    def _write(self, pointer: _Pointer) -> None:
        make_private_directory(self.root)
        content = {"current": pointer.current, "earlier": list(pointer.earlier)}
        replace_private(self.root / _POINTER, json.dumps(content, indent=2).encode())


def _by_age(version: str) -> tuple[str, int]:
    """Second and number: "…Z-10" comes after "…Z-9"."""
    stem, _, number = version.partition("-")
    return stem, int(number or 1)
