"""The wired program on a server in memory, with a real (tiny) encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from daemon.config.settings import AccountSettings, Settings
from daemon.learning.engine import Engine, EngineSettings
from daemon.mailbox.port import Mailbox
from daemon.store import Store
from daemon.store.tables import ModelRow
from daemon.use_cases.application import Application
from tests.support.fake_mailbox import FakeServer

ACCOUNT = "private"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)

TOPICS: Mapping[str, tuple[str, str]] = {
    "Rechnungen": ("rechnung@strom.example", "Rechnung Betrag Zahlung fällig Überweisung Konto"),
    "Reisen": ("buchung@reise.example", "Flug Hotel Buchung Reise Karte Urlaub Wochenende"),
    "Verein": ("vorstand@verein.example", "Verein Training Spiel Fußball Protokoll Termin"),
}


class Clock:
    """A clock that tests turn; each look at it takes a second, so that times differ."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        """The time."""
        self.now += timedelta(seconds=1)
        return self.now


def topical(folder: str, number: int, *, subject: str = "") -> bytes:
    """A mail that plainly belongs into one of `TOPICS`, or into a folder with words of its own;
    no two are alike."""
    own_words = " ".join(f"{folder}{ending}" for ending in ("eins", "zwei", "drei", "vier"))
    sender, words = TOPICS.get(folder, (f"{folder.lower()}@firma.example", own_words))
    chosen = words.split()
    turned = " ".join(chosen[number % len(chosen) :] + chosen[: number % len(chosen)])
    return (
        f"From: {sender}\r\nTo: max@example.org\r\n"
        f"Subject: {subject or f'{turned.split()[0]} Nummer {number}'}\r\n"
        f"Message-ID: <{folder.lower()}-{number}@example.org>\r\n"
        f"Date: Sun, 1 Mar 2026 10:{number % 60:02d}:00 +0100\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\n"
        f"Guten Tag, {turned} {number}. Vielen Dank und freundliche Grüße {number * 7}.\r\n"
    ).encode()


def filled_server(
    per_folder: int = 12, server: FakeServer | None = None, *, folders: tuple[str, ...] = ()
) -> FakeServer:
    """A server whose label folders hold mail of their topic, alternating in time."""
    found = server or FakeServer()
    names = folders or tuple(TOPICS)
    for name in names:
        found.create(name)
    for number in range(per_folder):
        for name in names:
            found.append(name, topical(name, number))
    return found


def make_app(
    directory: Path,
    encoder: Path,
    servers: Mapping[str, FakeServer],
    *,
    connect: Callable[[str, AccountSettings], Mailbox] | None = None,
    model: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    account: Mapping[str, Any] | None = None,
    **sections: Mapping[str, Any],
) -> Application:
    """The program on these servers, one account each; mode sort, target precision 0.6."""
    settings = Settings.model_validate(
        {
            "state": {"dir": directory},
            "model": {"encoder": str(encoder), "target_precision": 0.6, **(model or {})},
            "training": dict(training or {}),
            **sections,
            "accounts": {
                name: {
                    "host": "localhost",
                    "tls": "none",
                    "username": "max@example.org",
                    "mode": "sort",
                    **(account or {}),
                }
                for name in servers
            },
        }
    )

    def connect_to_fake(name: str, _account: AccountSettings) -> Mailbox:
        return servers[name].connect()

    return Application(
        settings=settings,
        config_path=None,
        store=Store.open(directory),
        engine=Engine(
            EngineSettings(
                encoder=str(encoder),
                device="cpu",
                max_tokens=64,
                threads=1,
                cache_dir=directory / "encoder",
                models_dir=directory / "models",
            )
        ),
        clock=Clock(),
        connect=connect or connect_to_fake,
    )


def model_rows(app: Application, name: str = ACCOUNT) -> list[ModelRow]:
    """All trained models, oldest first."""
    with app.store.read() as work:
        account = work.accounts.get(name)
        return work.models.of(account)[::-1] if account is not None else []


def folder_id(app: Application, folder: str, name: str = ACCOUNT) -> int:
    """The row id of a folder."""
    with app.store.read() as work:
        account = work.accounts.get(name)
        assert account is not None
        return next(f.id for f in work.folders.of(account) if f.name == folder)


@contextmanager
def closing(app: Application) -> Iterator[Application]:
    """Release the database afterwards."""
    try:
        yield app
    finally:
        app.store.close()
