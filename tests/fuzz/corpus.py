"""The torture messages: 626 odd ones from the test suites of mail libraries.

Their licences do not allow to ship them, so they are looked for beside the checkout
(../shared/data/torture-messages), or where INBOXD_TORTURE_MESSAGES points: a directory with
the messages, or with torture-messages.tar.xz.
"""

from __future__ import annotations

import os
import tarfile
from functools import cache
from pathlib import Path

_PLACES = ("../shared/data/torture-messages", "../../shared/data/torture-messages")


def directory() -> Path | None:
    """Where they are, None when they are nowhere."""
    named = os.environ.get("INBOXD_TORTURE_MESSAGES")
    checkout = Path(__file__).parents[2]
    places = [Path(named)] if named else [checkout / place for place in _PLACES]
    return next((place for place in places if place.is_dir()), None)


@cache
def torture_messages() -> dict[str, bytes]:
    """All messages by "library/file"; empty when the corpus is not there."""
    place = directory()
    if place is None:
        return {}
    archive = place / "torture-messages.tar.xz"
    if not archive.is_file():
        paths = sorted(path for path in place.rglob("*") if path.suffix in {".eml", ".mbox"})
        return {str(path.relative_to(place)): path.read_bytes() for path in paths}
    found: dict[str, bytes] = {}
    with tarfile.open(archive, "r:xz") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None:
                found["/".join(Path(member.name).parts[-2:])] = file.read()
    return found
