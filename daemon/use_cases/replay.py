"""Replays for the doors: a mailbox tree on disk, or a user's own account, read-only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from classifier.mail import Mail
from daemon.errors import NotFound
from daemon.learning.engine import Engine
from daemon.learning.gather import label_key, training_set
from daemon.mail.parse import parse
from daemon.sorting.threads import hash_message_id
from daemon.use_cases.application import Application
from trainer.examples import Example

Progress = Callable[[int, int], None]

ENCODE_CHUNK = 64
"""Mails encoded between two steps of the progress bar."""


@dataclass(frozen=True, slots=True)
class FiledMail:
    """One message of a mailbox tree: its folder, its file, its content parsed."""

    folder: str
    name: str
    mail: Mail


def read_tree(directory: Path) -> list[FiledMail]:
    """All `FOLDER/*.eml` (folders may be nested) in time order.

    The time is that of the Date header; a message without one is placed by its file name
    beside its neighbours in name order. Raises `NotFound` when there is none.
    """
    paths = sorted(directory.rglob("*.eml"), key=lambda path: (path.name, str(path)))
    found = [
        FiledMail(path.parent.relative_to(directory).as_posix(), path.name, parse(_read(path)))
        for path in paths
    ]
    if not found:
        raise NotFound(
            f"There is no FOLDER/*.eml below {directory}.",
            next_step="Name a directory that holds one directory per folder.",
        )
    moments: list[datetime] = []
    latest = datetime(1970, 1, 1, tzinfo=UTC)
    for each in found:
        latest = each.mail.date or latest
        moments.append(latest)
    order = sorted(range(len(found)), key=lambda at: (moments[at], found[at].name))
    return [found[at] for at in order]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(
            f"{path} cannot be read: {error.strerror}.", next_step="Check its permissions."
        ) from error


def examples_of_tree(
    engine: Engine, mails: Sequence[FiledMail], progress: Progress
) -> list[Example]:
    """Examples in the given order, labelled by folder name. Raises `ModelError`."""
    featurizer = engine.featurizer()
    examples: list[Example] = []
    start = datetime(1970, 1, 1, tzinfo=UTC)
    for first in range(0, len(mails), ENCODE_CHUNK):
        some = mails[first : first + ENCODE_CHUNK]
        features = featurizer.features([each.mail for each in some])
        for number, (each, one) in enumerate(zip(some, features, strict=True), start=first):
            examples.append(
                Example(
                    key=f"{number:08d}",
                    label=each.folder,
                    features=one,
                    date=each.mail.date or (examples[-1].date if examples else start),
                    message_id=hash_message_id(each.mail.message_id),
                    references=tuple(hash_message_id(r) for r in each.mail.references),
                )
            )
        progress(len(examples), len(mails))
    return examples


def examples_of_account(app: Application, name: str) -> tuple[list[Example], dict[str, str]]:
    """What `inboxd learn` gathered for an account, and the folder names of the labels.

    Raises `NotFound` when nothing was gathered yet.
    """
    fingerprint = app.engine.featurizer().fingerprint
    data = training_set(app.store, name, fingerprint, min_per_folder=1)
    if not data.examples:
        raise NotFound(
            f"Nothing is known of the mail of account {name} yet.",
            next_step=f"Run: inboxd learn --account {name}",
        )
    return list(data.examples), {**data.label_names, label_key(None): data.inbox_name}
