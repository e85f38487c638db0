"""An account's own encoders: what deep fine-tunes left, and which of them waits for its features.

    models/ACCOUNT/encoders/3f9c…/        one adapter, see `classifier.encoder.adapter`
    models/ACCOUNT/encoders/pending.json  the adapter that paid, until a model is in use with it
    models/ACCOUNT/encoders/last.json     when the last deep fine-tune ended, and how

An adapter that paid is not in use yet: every example has to be read with it first. Until then the
model in use goes on with its own encoder, and whoever dies in between has lost nothing: the next
one finds the pointer and goes on reading. Plain files, without torch.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from classifier.manifest import (
    MANIFEST,
    ArtifactBroken,
    flush_to_disk,
    make_private_directory,
    read_manifest,
    replace_private,
)

PENDING, LAST = "pending.json", "last.json"


class TunedEncoders:
    """The adapters below one directory (one writer at a time)."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, adapter: str) -> Path:
        """The directory of an adapter, whether it exists or not."""
        return self.root / Path(adapter).name

    def adopt(self, directory: Path, facts: Mapping[str, Any]) -> str:
        """Take a finished adapter directory over and make it the pending one; returns its id.

        `facts`: what shall be in the report of the model that will use it.
        """
        adapter = str(read_manifest(directory)["fingerprint"])[:16]
        target = self.path(adapter)
        make_private_directory(self.root)
        if not target.exists():
            directory.rename(target)
            flush_to_disk(self.root)
        self._write(PENDING, {"adapter": adapter, "report": dict(facts)})
        return adapter

    def pending(self) -> tuple[str, dict[str, Any]] | None:
        """The adapter that waits for its features, and its facts."""
        document = self._read(PENDING)
        if document is None or not (self.path(document["adapter"]) / MANIFEST).is_file():
            return None
        return document["adapter"], document["report"]

    def settle(self) -> None:
        """Nothing is pending any more."""
        (self.root / PENDING).unlink(missing_ok=True)

    def note_run(self, outcome: Mapping[str, Any]) -> None:
        """Remember how the last deep fine-tune ended."""
        make_private_directory(self.root)
        self._write(LAST, outcome)

    def last_run(self) -> dict[str, Any] | None:
        """What `note_run` remembered."""
        return self._read(LAST)

    def prune(self, needed: Collection[str]) -> None:
        """Delete adapters that neither a kept model nor the next one needs."""
        pending = self.pending()
        keep = {*needed, *([pending[0]] if pending else [])}
        for directory in self.root.iterdir() if self.root.is_dir() else ():
            if directory.is_dir() and directory.name not in keep:
                shutil.rmtree(directory)

    def forget(self, keys: frozenset[str]) -> None:
        """Delete the adapters that were tuned on one of these examples, the pending one too."""
        for directory in list(self.root.iterdir()) if self.root.is_dir() else ():
            if directory.is_dir() and self.seen_by(directory) & keys:
                shutil.rmtree(directory)
        if self.pending() is None:
            self.settle()

    @staticmethod
    def seen_by(directory: Path) -> frozenset[str]:
        """Keys of the examples that an adapter was tuned on."""
        try:
            return frozenset(map(str, read_manifest(directory).get("seen", ())))
        except ArtifactBroken:
            return frozenset()

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            document: dict[str, Any] = json.loads((self.root / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return document

    def _write(self, name: str, document: Mapping[str, Any]) -> None:
        replace_private(self.root / name, json.dumps(document, indent=1).encode())
