"""Judging message files, without any server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.errors import ModelError
from daemon.mail.parse import parse
from daemon.store.tables import Role
from daemon.use_cases.application import Application


@dataclass(frozen=True, slots=True)
class Classification:
    """The verdict on one file: (folder, probability), best first; the inbox stands for
    "leave it". `moves` says whether inboxd would move it by itself."""

    source: str
    ranked: tuple[tuple[str, float], ...]
    threshold: float | None
    moves: bool
    reason: str


def classify(
    app: Application, name: str, files: Sequence[tuple[str, bytes]]
) -> list[Classification]:
    """Judge (source, content) pairs with an account's current model. Raises `ModelError`."""
    judge = app.models(name).judge()
    if judge is None:
        raise ModelError(f"Account {name} has no model yet.")
    with app.store.read() as work:
        account = work.accounts.get(name)
        folders = work.folders.of(account) if account is not None else []
    names = {folder.id: folder.name for folder in folders}
    inbox = next((f.name for f in folders if f.role is Role.INBOX), "INBOX")
    features = judge.features([parse(content) for _, content in files])
    verdicts = judge.verdicts(features, [None] * len(files))
    return [
        Classification(
            source=source,
            ranked=tuple(
                (inbox if key is None else names.get(key, f"(former folder {key})"), probability)
                for key, probability in verdict.ranked
            ),
            threshold=verdict.threshold,
            moves=verdict.moves,
            reason=verdict.reason,
        )
        for (source, _), verdict in zip(files, verdicts, strict=True)
    ]
