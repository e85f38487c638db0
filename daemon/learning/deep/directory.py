"""The directory of a deep fine-tune while it runs, and what it takes to go on after a kill.

    STATE/deep/ACCOUNT/job.json         settings, base encoder, examples by row id; no text
    STATE/deep/ACCOUNT/checkpoint-120/  tensors, optimiser and random state of Trainer
    STATE/deep/ACCOUNT/tuned/           the finished adapter
    STATE/deep/ACCOUNT/vectors.safetensors   what the tuned encoder makes of the examples

No text and no token of any mail is ever in it: texts are fetched again and handed over through a
pipe each time. The directory is private (0700) and removed when the run ends; one that was given
up goes after a week.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from classifier.manifest import make_private_directory, write_private

JOB = "job.json"
FORGOTTEN_AFTER = 7 * 86_400.0
"""Seconds."""


class RunDirectory:
    """The run of one account."""

    def __init__(self, state_dir: Path, account: str) -> None:
        self.path = state_dir / "deep" / account

    def job(self) -> dict[str, Any] | None:
        """What the unfinished run is about, None when there is none."""
        try:
            document: dict[str, Any] = json.loads((self.path / JOB).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return document

    def begin(self, job: Mapping[str, Any]) -> None:
        """Start anew."""
        self.remove()
        make_private_directory(self.path)
        write_private(self.path / JOB, json.dumps(job).encode())

    def remove(self) -> None:
        """Delete everything."""
        if self.path.exists():
            shutil.rmtree(self.path)

    def remove_if_old(self) -> None:
        """Delete a run that nobody has gone on with for a week."""
        try:
            newest = max(path.stat().st_mtime for path in (self.path, *self.path.iterdir()))
        except FileNotFoundError:
            return
        if time.time() - newest > FORGOTTEN_AFTER:
            self.remove()
