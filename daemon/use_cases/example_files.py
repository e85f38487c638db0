"""Examples as a file: JSON lines with the keys text, label, source and date.

The texts of exported examples are fetched again from the mailbox: inboxd keeps none. An
imported example has no mail on the server; it gets a message row of its own without any
placement, recognised by the hash of its text, and its features are cached at once. Nothing
that looks at folders ever meets such a row.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from classifier.mail import Mail
from classifier.text import MAX_PLAIN, prepare
from daemon.errors import FolderChanged, FolderMissing, NotFound
from daemon.learning.gather import BATCH, FeatureSource, ignore
from daemon.mail.mask import mask, person_names
from daemon.mail.parse import parse
from daemon.mailbox.port import Mailbox
from daemon.store import UnitOfWork
from daemon.store.tables import Account, Example, Folder, Message
from daemon.use_cases.application import Application
from daemon.use_cases.catch_up import up_to_date
from daemon.use_cases.examples import inbox_name, label_folders
from trainer.quality import IMPORTED

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """`missing` examples have no mail in the mailbox (any more): deleted, or imported ones."""

    written: int
    missing: int


@dataclass(frozen=True, slots=True)
class Fault:
    """A line of the file that cannot be used."""

    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class Imported:
    """`new` examples per folder; `known` texts were imported before and stay as they are;
    `unknown_labels` are names that are no label folder, with the number of lines skipped."""

    new: Mapping[str, int]
    known: int
    unknown_labels: Mapping[str, int]
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One example to export: where its mail lies and what is written beside the text."""

    uid_validity: int
    uid: int
    label: str
    source: str
    date: datetime


@dataclass(frozen=True, slots=True)
class _Record:
    """One usable line of a file."""

    text: str
    label: str
    date: datetime

    @property
    def fingerprint(self) -> str:
        """Never that of a real message, which is hashed without this word."""
        return hashlib.sha256(b"imported\0" + self.text.encode("utf-8", "replace")).hexdigest()

    @property
    def mail(self) -> Mail:
        return Mail(plain=self.text, date=self.date)


def export_examples(
    app: Application, name: str, path: Path, *, masked: bool, progress: Progress = ignore
) -> Exported:
    """Write the usable examples of an account to `path` (mode 0600), replacing it at the end.

    With `masked`, what points to persons is replaced as far as it can be found: see
    `daemon.mail.mask`. Raises `MailboxError`, `NotFound` when the file cannot be written.
    """
    written = 0
    with up_to_date(app, name) as mailbox, _replacing(path) as file:
        by_folder, total = _wanted(app, name)
        max_bytes = app.account(name).max_message_kb * 1024
        progress(0, total)
        for folder_name, wanted in by_folder.items():
            for text, one in _texts(mailbox, folder_name, wanted, max_bytes, masked=masked):
                record = {
                    "text": text,
                    "label": one.label,
                    "source": one.source,
                    "date": one.date.isoformat(),
                }
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
                written += 1
                progress(written, total)
    return Exported(written, total - written)


def _wanted(app: Application, name: str) -> tuple[dict[str, list[_Wanted]], int]:
    """Examples with a mail, by the folder in which it lies; and the number of all."""
    by_folder: dict[str, list[_Wanted]] = {}
    with app.store.read() as work:
        account = work.accounts.get(name)
        if account is None:
            return {}, 0
        inbox = inbox_name(work, account)
        examples = work.examples.usable(account)
        for example in examples:
            for placement in work.placements.of_message(example.message_id)[:1]:
                found = _Wanted(
                    placement.uid_validity,
                    placement.uid,
                    example.folder.name if example.folder is not None else inbox,
                    example.source,
                    _date(example),
                )
                by_folder.setdefault(placement.folder.name, []).append(found)
    return by_folder, len(examples)


def _date(example: Example) -> datetime:
    return example.message.sent_at or example.message.internal_date


def _texts(
    mailbox: Mailbox, folder_name: str, wanted: Sequence[_Wanted], max_bytes: int, *, masked: bool
) -> Iterator[tuple[str, _Wanted]]:
    """The prepared text of each mail that is still there."""
    by_uid = {one.uid: one for one in wanted}
    try:
        for raw in mailbox.fetch(folder_name, wanted[0].uid_validity, by_uid, max_bytes):
            mail = parse(raw.content)
            text = prepare(mail).encoder_text
            if masked:
                text = mask(text, person_names((mail.sender, *mail.recipients)))
            yield text, by_uid[raw.identity.uid]
    except (FolderChanged, FolderMissing):
        # Renamed or renumbered a moment ago: these count as missing.
        return


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """A file beside `path`, readable for its owner only, which takes its place at the end."""
    beside = path.with_name(f"{path.name}.part")
    try:
        beside.unlink(missing_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise NotFound(
            f"{path} cannot be written: {error.strerror}.",
            next_step="Name a file in a directory that you may write.",
        ) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            yield file
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def import_examples(
    app: Application, name: str, path: Path, *, progress: Progress = ignore
) -> Imported:
    """Learn from a file of labelled texts; nothing is put into the mailbox.

    Importing a file again changes nothing, except that features which an earlier encoder
    had made are made anew. Raises `NotFound`, `MailboxError`, `ModelError`.
    """
    records, faults = _read(path, app.clock())
    with up_to_date(app, name):
        with app.store.read() as work:
            account = work.accounts.get(name)
            known_labels = set(label_folders(work, account)) if account is not None else set()
        unknown = Counter(one.label for one in records if one.label not in known_labels)
        usable = {one.fingerprint: one for one in reversed(records) if one.label in known_labels}
        max_bytes = app.account(name).max_message_kb * 1024
        source = app.models(name).encoder().source(max_bytes)
        new: Counter[str] = Counter()
        ordered = list(usable.values())[::-1]
        for start in range(0, len(ordered), BATCH):
            batch = ordered[start : start + BATCH]
            new += _import_batch(app, name, batch, source)
            progress(start + len(batch), len(ordered))
    known = len(records) - unknown.total() - new.total()
    return Imported(dict(new), known, dict(unknown), faults)


def _import_batch(
    app: Application, name: str, batch: Sequence[_Record], source: FeatureSource
) -> Counter[str]:
    """Store one batch; encoding happens outside of the transaction that writes."""
    with app.store.read() as work:
        account = work.accounts.get(name)
        present = _present(work, account, batch) if account is not None else {}
        missing = work.features.missing(source.fingerprint, present.values())
    needed = [
        one
        for one in batch
        if one.fingerprint not in present or present[one.fingerprint] in missing
    ]
    made = source.featurize([one.mail for one in needed])
    new: Counter[str] = Counter()
    with app.store.write() as work:
        account = work.accounts.get_or_create(name, app.clock())
        folders = label_folders(work, account)
        for one, features in zip(needed, made, strict=True):
            message_id = present.get(one.fingerprint)
            if message_id is None:
                message_id = _add(work, account, one, folders[one.label], app.clock())
                new[one.label] += 1
            work.features.put(source.fingerprint, {message_id: features})
        work.commit()
    return new


def _present(work: UnitOfWork, account: Account, batch: Iterable[_Record]) -> dict[str, int]:
    """Message numbers of texts that were imported before, by fingerprint."""
    found = work.messages.by_fingerprints(account, [one.fingerprint for one in batch])
    return {fingerprint: messages[0].id for fingerprint, messages in found.items()}


def _add(
    work: UnitOfWork, account: Account, one: _Record, folder: Folder | None, now: datetime
) -> int:
    message = Message(
        account_id=account.id,
        server_id=None,
        fingerprint=one.fingerprint,
        message_id_hash="",
        reference_hashes=[],
        internal_date=one.date,
        size=len(one.text.encode("utf-8", "replace")),
        sent_at=one.date,
        first_seen_at=now,
    )
    work.messages.add(message)
    work.flush()
    work.examples.teach(account, message.id, folder, IMPORTED, now)
    return message.id


def _read(path: Path, now: datetime) -> tuple[list[_Record], tuple[Fault, ...]]:
    """The usable lines of a file and what is wrong with the others. Raises `NotFound`."""
    records: list[_Record] = []
    faults: list[Fault] = []
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    records.append(_record(line, now))
                except ValueError as error:
                    faults.append(Fault(number, str(error)))
    except OSError as error:
        raise NotFound(
            f"{path} cannot be read: {error.strerror}.", next_step="Check name and permissions."
        ) from error
    return records, tuple(faults)


def _record(line: str, now: datetime) -> _Record:
    """One line as a record. Raises ValueError with a sentence for the user."""
    try:
        value = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        raise ValueError("This is no JSON.") from None
    fields = value if isinstance(value, dict) else {}
    text, label = fields.get("text"), fields.get("label")
    if not isinstance(text, str) or not text.strip():
        raise ValueError("There is no text.")
    if not isinstance(label, str) or not label:
        raise ValueError("There is no label.")
    return _Record(text[:MAX_PLAIN], label, _moment(fields.get("date"), now))


def _moment(value: Any, now: datetime) -> datetime:
    """An ISO 8601 time, UTC unless it says otherwise; now when there is none, or a later one."""
    if value is None:
        return now
    try:
        found = datetime.fromisoformat(value)
        aware = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        return min(aware.astimezone(UTC), now)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("The date is no ISO 8601 time.") from None
