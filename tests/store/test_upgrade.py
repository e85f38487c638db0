"""Every schema that was ever released becomes the present one, with what was in it.

The rows are written as the program of then wrote them, in plain SQL, one in each table.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, inspect, text

from daemon.errors import DatabaseTooNew
from daemon.store import DATABASE_NAME, PAIRING_NAME, Store
from daemon.store.migrate import migrations_directory, upgrade
from daemon.store.tables import Action, Base, CorrectionKind, Hold, MoveState, Role
from tests.support.stores import Stores

THEN = "2025-01-01 00:00:00.000000"

ROWS: dict[str, tuple[str, ...]] = {
    "0001": (
        "INSERT INTO accounts (id, name, created_at, baseline_at) VALUES (1, 'alt', :then, :then)",
        "INSERT INTO folders (id, account_id, name, role, uid_validity, watch_from_uid) VALUES "
        "(1, 1, 'INBOX', 'inbox', 7, 1), (2, 1, 'Reisen', 'label', 8, 1)",
        "INSERT INTO messages (id, account_id, server_id, fingerprint, message_id_hash, "
        "internal_date, size, first_seen_at, kept) VALUES (1, 1, 'guid', 'f', 'h', :then, 99, "
        ":then, TRUE)",
        "INSERT INTO message_references (message_id, position, hash) VALUES (1, 0, 'parent')",
        "INSERT INTO placements (id, message_id, folder_id, uid_validity, uid, arrived_at, "
        "arrived_by, departure_explained) VALUES (1, 1, 2, 8, 5, :then, 'inboxd', FALSE)",
        "INSERT INTO decisions (id, account_id, message_id, folder_id, probability, ranked, "
        "action, reason, decided_at) VALUES (1, 1, 1, 2, 0.98, '[[\"Reisen\", 0.98]]', 'moved', "
        "'sure', :then)",
        "INSERT INTO moves (id, account_id, decision_id, message_id, kind, state, "
        "source_folder_id, source_uid_validity, source_uid, target_folder_id, "
        "target_uid_validity, target_uid_next, target_uid, planned_at, finished_at) VALUES "
        "(1, 1, 1, 1, 'sort', 'moved', 1, 7, 3, 2, 8, 5, 5, :then, :then)",
        "INSERT INTO corrections (id, account_id, message_id, kind, from_folder_id, to_folder_id, "
        "linked_by, noticed_at, overrules) VALUES (1, 1, 1, 'filed', 1, 2, 'id', :then, FALSE)",
        "INSERT INTO examples (id, account_id, message_id, folder_id, source, labelled_at) VALUES "
        "(1, 1, 1, 2, 'correction', :then)",
        "INSERT INTO features (message_id, fingerprint, data) VALUES (1, 'e5', :data)",
        "INSERT INTO models (id, account_id, version, state, reason, examples, data_hash, report, "
        "created_at) VALUES (1, 1, '20250101T000000Z', 'promoted', 'first', 1, 'd', '{}', "
        ":then)",
    ),
    "0002": ("INSERT INTO reading_attempts (message_id, count, last_at) VALUES (1, 2, :then)",),
    "0003": ("UPDATE corrections SET hold = 'held', hold_reason = 'many'",),
    "0004": (
        "INSERT INTO failures (account_id, kind, count, last_at) VALUES (1, 'LoginRefused', 3, "
        ":then)",
    ),
    "0005": (
        "INSERT INTO promises (folder_id, account_id, broken_at, moves, wrong, promised) VALUES "
        "(2, 1, :then, 40, 9, 0.97)",
        "INSERT INTO contact_books (account_id, key, folder, uid_validity, read_to_uid) VALUES "
        "(1, :data, 'Sent', 9, 4)",
        "INSERT INTO contacts (account_id, hash) VALUES (1, 'h')",
    ),
    "0006": ("UPDATE accounts SET restored_at = :then",),
    "0007": (
        "INSERT INTO notices (account_id, kind, occasion, channel, token, message_id_hash, title, "
        "text, urgent, state, created_at, sent_at, attempts, next_attempt_at) VALUES (1, "
        "'weekly', 'weekly:2025-01-06', 'mail', 't', 'n', 'A week', 'Quiet', FALSE, 'sent', :then, "
        ":then, 1, :then)",
    ),
    "0008": ("INSERT INTO installation (id, token) VALUES (1, 'token')",),
}
"""What each schema could hold that the one before it could not."""


def _scripts() -> list[Script]:
    """All migrations, the oldest first."""
    config = Config()
    config.set_main_option("script_location", str(migrations_directory()))
    return [*ScriptDirectory.from_config(config).walk_revisions()][::-1]


REVISIONS = [script.revision for script in _scripts()]


def old_database(stores: Stores, directory: Path, revision: str) -> None:
    """A database of that schema with a row in every table."""
    directory.mkdir()
    engine = stores.engine(directory)
    upgrade(engine, to=revision)
    values = {"then": THEN, "data": b"\1\2"}
    with engine.begin() as connection:
        for name in REVISIONS[: REVISIONS.index(revision) + 1]:
            for statement in ROWS.get(name, ()):
                # PostgreSQL wants to be told what kind of value a parameter is.
                typed = statement.replace(":then", "CAST(:then AS TIMESTAMP)")
                used = statement if stores.kind == "sqlite" else typed
                connection.execute(text(used), values if ":" in used else {})
        assert list(empty_tables(connection)) == []
    engine.dispose()
    if stores.kind == "postgresql":
        (directory / PAIRING_NAME).write_text('{"token": "token"}')


def empty_tables(connection: Connection) -> Iterator[str]:
    """Names of tables without a row."""
    for name in inspect(connection).get_table_names():
        if connection.scalar(text(f"SELECT count(*) FROM {name}")) == 0:  # noqa: S608
            yield name


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_database_of_every_schema_is_brought_up_to_date(
    stores: Stores, tmp_path: Path, revision: str
) -> None:
    """Whole, consistent, and with the schema of the tables."""
    old_database(stores, tmp_path / "state", revision)
    stores.open(tmp_path / "state").close()
    engine = stores.engine(tmp_path / "state")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        if stores.kind == "sqlite":
            check = connection.exec_driver_sql("PRAGMA integrity_check")
            assert [tuple(row) for row in check] == [("ok",)]
            assert list(connection.exec_driver_sql("PRAGMA foreign_key_check")) == []
    engine.dispose()


@pytest.mark.parametrize("revision", REVISIONS)
def test_what_an_old_database_held_is_still_known(
    stores: Stores, tmp_path: Path, revision: str
) -> None:
    """Through the repositories, as the program reads it."""
    old_database(stores, tmp_path / "state", revision)
    store = stores.open(tmp_path / "state")
    with store.read() as work:
        [account] = work.accounts.every()
        assert account.baseline_at == datetime(2025, 1, 1, tzinfo=UTC)
        assert [f.role for f in work.folders.of(account)] == [Role.INBOX, Role.LABEL]
        message = work.messages.get(1)
        assert message is not None
        assert (message.kept, work.messages.references_of(message)) == (True, ["parent"])
        [placement] = work.placements.of_message(1)
        assert (placement.folder.name, placement.uid) == ("Reisen", 5)
        [decision] = work.decisions.latest(account, 9)
        assert decision.action is Action.MOVED
        assert [(name, p) for name, p in decision.ranked] == [("Reisen", 0.98)]
        [move] = work.moves.done(account)
        assert (move.state, move.target_uid) == (MoveState.MOVED, 5)
        [correction] = work.corrections.of_message(1)
        assert correction.kind is CorrectionKind.FILED
        assert correction.hold is (Hold.HELD if revision >= "0003" else None)
        assert work.examples.folders_by_message(account) == {1: "Reisen"}
        assert work.features.get("e5", [1]) == {1: b"\1\2"}
        assert work.models.get(account, "20250101T000000Z") is not None
        assert work.attempts.counts([1]) == ({1: 2} if revision >= "0002" else {})
    store.close()


def test_a_newer_database_is_refused_and_untouched(tmp_path: Path) -> None:
    """Byte for byte: what a later program wrote is for that program to read."""
    old_database(Stores(), tmp_path / "state", REVISIONS[-1])
    path = tmp_path / "state" / DATABASE_NAME
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(DatabaseTooNew, match="9999") as caught:
        Store.open(tmp_path / "state")
    assert "newer inboxd" in caught.value.next_step
    assert "backup" in caught.value.next_step
    assert path.read_bytes() == before


@pytest.mark.parametrize("script", _scripts(), ids=REVISIONS)
def test_no_migration_goes_back(script: Script) -> None:
    """The way back is a backup; a migration that drops columns would drop what was learned."""
    with pytest.raises(NotImplementedError, match="backup"):
        script.module.downgrade()
