"""Build the mailboxes of `bench.learning` from public data: FOLDER/NNNNN.eml in time order.

    python -m bench.mailboxes DATA OUT

DATA holds the collections as they were downloaded; docs/learning.md says where they come from.
The order is that of the messages' own dates, or, where a collection has none, one drawn with a
fixed seed: the same data always gives the same mailbox.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

SEED = 20250101
GERMAN_MAILS_PER_TOPIC = 200
FIRST_DAY = datetime(2024, 1, 1, 8, 0, tzinfo=UTC)
BETWEEN_MAILS = timedelta(minutes=47)


def main() -> None:
    """Build every mailbox whose data is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    for name, target in build(arguments.data, arguments.out):
        print(f"{name}: {sum(1 for _ in target.rglob('*.eml'))} messages")


def build(data: Path, out: Path) -> Iterator[tuple[str, Path]]:
    """Name and directory of each mailbox, as it is finished."""
    for archive in sorted((data / "replay").glob("*.tar.xz")):
        name = archive.name.removesuffix(".tar.xz")
        with tarfile.open(archive) as tar:
            tar.extractall(out, filter="data")
        yield name, out / name
    yield "spam", _spam(data / "spamassassin-dev" / "spamassassin-dev.tar.xz", out / "spam")
    yield "german", _german(data, out / "german")


def _spam(archive: Path, target: Path) -> Path:
    """Spam and ham with full headers; the line before the headers (mbox) is taken off."""
    with tarfile.open(archive) as tar:
        for member in tar:
            stored = tar.extractfile(member)
            if stored is None or not member.name.endswith(".eml"):
                continue
            content = stored.read()
            if content.startswith(b"From "):
                content = content.partition(b"\n")[2]
            _write(target / Path(member.name).parent.name, Path(member.name).stem, content)
    return target


def _german(data: Path, target: Path) -> Path:
    """German mail about money and travel (CodE Alltag) between news in nine sections (10kGNAD).

    Neither has a sender or a date: what is left to learn from is the text.
    """
    mails = _lines(data / "codealltag-de" / "codealltag.jsonl.gz")
    news = list(_lines(data / "10kgnad-test" / "test.jsonl.gz"))
    chosen = [*_first_of_each(mails, GERMAN_MAILS_PER_TOPIC), *news]
    random.Random(SEED).shuffle(chosen)  # noqa: S311 - an order, not a secret
    for number, one in enumerate(chosen):
        message = EmailMessage()
        message["Date"] = format_datetime(FIRST_DAY + number * BETWEEN_MAILS)
        message["Message-ID"] = f"<{one['id']}@example.org>"
        message.set_content(one["text"])
        _write(target / str(one["label"]), f"{number:05d}", message.as_bytes())
    return target


def _first_of_each(records: Iterable[Mapping[str, Any]], limit: int) -> Iterator[Mapping[str, Any]]:
    counts: dict[str, int] = {}
    for one in records:
        counts[one["label"]] = counts.get(one["label"], 0) + 1
        if counts[one["label"]] <= limit:
            yield one


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _write(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.eml").write_bytes(content)


if __name__ == "__main__":
    main()
